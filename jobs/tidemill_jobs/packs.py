"""
Facts of many uploads in one object, so that writing them costs a request a pack and not a file.

A pack is JSON Lines. Its first line says what follows:

    version     1
    read_as     how all its files were read, as in `contract/facts.py`
    ids         the id of each following line's facts, in order
    again       ids among them on which the reader failed: the next check reads those files again

A check writes `<folder>/<part>-<number>-<digest>.jsonl`; *part* is `<attempt>-<part of the plan>`,
so that names sort by when they were written, and what is newer counts. The digest is the
content's: two that read the same part at once never replace each other's packs.
"""

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from tidemill_jobs.contract.facts import READER_FAILED, Facts, ReadAs
from tidemill_jobs.lake import Lake

VERSION = 1
MOST_FILES = 500  # of one pack
MOST_BYTES = 8 * 1_048_576  # whoever reads a pack holds it
MOST_SECONDS = 30.0  # so much reading is lost with a function that is killed


class Packs:
    """
    The packs of one part of a plan.

    Args:
        lake: Where they are.
        folder: The delivery's packs, an S3 address without a trailing slash.
        part: `<attempt>-<part>`, both of four digits.
        read_as: How files are read.
        clock: Seconds from some moment on.
    """

    def __init__(
        self,
        lake: Lake,
        folder: str,
        part: str,
        read_as: ReadAs,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lake = lake
        self._folder = folder
        self._part = part
        self._read_as = read_as
        self._clock = clock
        self._held: list[Facts] = []
        self._lines: list[str] = []
        self._bytes = 0
        self._since = clock()
        self._number = 0
        self.stored: set[str] = set()  # ids of what was written

    def known(self) -> set[str]:
        """
        Return the ids that need not be read again: of this part, and of the attempts before.

        Other parts of the same attempt have other files.

        Raises:
            JobError: S3 cannot be reached, or refuses.
        """
        attempt = self._part.partition("-")[0]
        found: set[str] = set()
        for name in sorted(self._lake.names(f"{self._folder}/")):
            if name.startswith(f"{self._part}-"):
                self._number += 1
            elif name >= attempt:
                continue
            text = self._lake.find_text(f"{self._folder}/{name}")
            head = _head(text) if text is not None else None
            if head is not None and ReadAs.parse(head["read_as"]) == self._read_as:
                found = (found | {*head["ids"]}) - {*head["again"]}
        return found

    def add(self, facts: Facts) -> None:
        """
        Hold the facts of one file; a full pack is written.

        Raises:
            JobError: The pack cannot be written; what it held is given up.
        """
        line = facts.to_json()
        self._held.append(facts)
        self._lines.append(line)
        self._bytes += len(line.encode())
        is_old = self._clock() - self._since >= MOST_SECONDS
        if len(self._held) >= MOST_FILES or self._bytes >= MOST_BYTES or is_old:
            self.write()

    def write(self) -> None:
        """
        Write what is held and was not written yet.

        Raises:
            JobError: It cannot be written; what was held is given up.
        """
        held, lines = self._held, self._lines
        self._held, self._lines, self._bytes, self._since = [], [], 0, self._clock()
        if not held:
            return
        text = "\n".join([_first_line(held, self._read_as), *lines, ""])
        digest = hashlib.sha256(text.encode()).hexdigest()[:12]
        name = f"{self._part}-{self._number:04d}-{digest}.jsonl"
        self._lake.put_text(text, f"{self._folder}/{name}")
        self._number += 1
        self.stored |= {facts.id for facts in held}


def _first_line(held: list[Facts], read_as: ReadAs) -> str:
    head = {
        "version": VERSION,
        "read_as": asdict(read_as),
        "ids": [facts.id for facts in held],
        "again": [facts.id for facts in held if facts.rule == READER_FAILED],
    }
    return json.dumps(head, separators=(",", ":"))


def _head(text: str) -> dict[str, Any] | None:
    """Return a pack's first line, None when it is of a later version: its files are read anew."""
    try:
        head: dict[str, Any] = json.loads(text.partition("\n")[0])
        return head if head["version"] == VERSION else None
    except (KeyError, TypeError, ValueError):
        return None
