"""The check of a delivery: what is read where, what it comes to, when a failed one starts again."""

import math
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tidemill.domain.admission import ObjectVersion
from tidemill.domain.size import MIB, SMALL_BYTES, text_bytes, total_text_bytes

#: Seconds to wait after the first, second, … failed attempt; after the last one a person decides.
PAUSES_SECONDS = (60.0, 300.0, 1800.0)

#: What one Lambda reads in one go (time), beside SMALL_BYTES of a single file (memory).
BATCH_BYTES, BATCH_FILES = 1024 * MIB, 1000
#: A Map's state must stay below 256 KB: rather larger batches than more, and then a job.
MOST_BATCHES, LARGEST_SCALE = 40, 4

_DIGEST = re.compile(r"[0-9a-f]{32}|[0-9a-f]{64}")
_PADDING = {22: "==", 43: "="}  # of base64 of so many characters; hex has 32 and 64


@dataclass(frozen=True, slots=True)
class Part:
    """Uploads that are read together: in a Lambda when *small*, else in a processing job."""

    objects: tuple[ObjectVersion, ...]
    small: bool


@dataclass(frozen=True, slots=True)
class Judged:
    """What one upload's facts are under the contract; *bad_rows* of its rows are left out."""

    verdict: Literal["accept", "warn", "quarantine"]
    reason: str
    rule: str = ""
    next_step: str = ""
    rows: int = 0
    bad_rows: int = 0
    row: int | None = None
    column: str | None = None
    sha256: str = ""
    is_readable: bool = True

    @property
    def is_plain(self) -> bool:
        """Whether nothing is to be said of the upload but that it is accepted."""
        return self.verdict == "accept" and not self.rule and not self.bad_rows


@dataclass(frozen=True, slots=True)
class Pass:
    """An upload that a check accepted and had nothing to say of; *id* as `ObjectVersion.id`."""

    id: str
    rows: int
    sha256: str

    def to_text(self) -> str:
        """Return it as the ledger keeps it, digests in base64: a thousand of them are 70 KB."""
        return f"{_short(self.id)} {self.rows} {_short(self.sha256)}"

    @classmethod
    def parse(cls, text: str) -> "Pass":
        """Read what `to_text` wrote, or what it wrote until 2026-11: digests in hex."""
        name, rows, sha256 = text.split(" ")
        return cls(_long(name), int(rows), _long(sha256))


def _short(digest: str) -> str:
    """Return an id or a SHA-256 as base64; what is neither stays as it is."""
    if not _DIGEST.fullmatch(digest):
        return digest
    return urlsafe_b64encode(bytes.fromhex(digest)).decode().rstrip("=")


def _long(text: str) -> str:
    missing = _PADDING.get(len(text))
    return urlsafe_b64decode(text + missing).hex() if missing else text


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check came to: numbers of uploads, the rows that are new, and a sentence."""

    reason: str
    accepted: int = 0
    warned: int = 0  # of the accepted
    quarantined: int = 0
    copies: int = 0  # the same bytes as another upload of the model
    rows: int = 0

    @property
    def facts(self) -> dict[str, int]:
        """The numbers, as record and ledger keep them."""
        return {
            "accepted": self.accepted,
            "warned": self.warned,
            "quarantined": self.quarantined,
            "copies": self.copies,
            "rows": self.rows,
        }


def plan(objects: Sequence[ObjectVersion]) -> list[Part]:
    """Divide a delivery's uploads into parts; what is too much for Lambda is one part, a job."""
    small = [item for item in objects if text_bytes(item.key, item.size) <= SMALL_BYTES]
    large = [item for item in objects if text_bytes(item.key, item.size) > SMALL_BYTES]
    most_bytes, most_files = MOST_BATCHES * BATCH_BYTES, MOST_BATCHES * BATCH_FILES
    needed = max(total_text_bytes(small) / most_bytes, len(small) / most_files)
    scale = min(LARGEST_SCALE, max(1, math.ceil(needed)))
    batches = _batches(small, scale * BATCH_BYTES, scale * BATCH_FILES)
    for batch in batches[MOST_BATCHES:]:
        large += batch
    parts = [Part(tuple(batch), small=True) for batch in batches[:MOST_BATCHES]]
    return parts + ([Part(tuple(large), small=False)] if large else [])


def _batches(
    objects: Sequence[ObjectVersion], most_bytes: int, most_files: int
) -> list[list[ObjectVersion]]:
    batches: list[list[ObjectVersion]] = []
    held = 0
    for item in objects:
        size = text_bytes(item.key, item.size)
        if not batches or held + size > most_bytes or len(batches[-1]) == most_files:
            batches.append([])
            held = 0
        batches[-1].append(item)
        held += size
    return batches


class Tally:
    """Counts verdicts, whichever attempt gave them."""

    def __init__(self) -> None:
        self._counts = {"accept": 0, "warn": 0, "quarantine": 0, "duplicate": 0}
        self._rows = 0

    def add(self, verdict: str, rows: int) -> None:
        """Count one upload; *rows* are what it brings that is new."""
        self._counts[verdict] += 1
        if verdict in ("accept", "warn"):
            self._rows += rows

    def checked(self) -> Checked:
        """Sum up. Why the delivery was closed stands in an entry of its own."""
        counts = self._counts
        accepted = counts["accept"] + counts["warn"]
        said = [f"{self._rows:,} new rows" if accepted else "nothing of it can be used"]
        for verdict, words in (
            ("quarantine", "quarantined"),
            ("duplicate", "the same as another upload"),
            ("warn", "with a warning"),
        ):
            if counts[verdict]:
                said.append(f"{counts[verdict]:,} {words}")
        return Checked(
            ", ".join(said),
            accepted,
            counts["warn"],
            counts["quarantine"],
            counts["duplicate"],
            self._rows,
        )


def execution_name(delivery: str, attempt: int) -> str:
    """Return the name of an attempt's execution; attempts count from 1."""
    return delivery if attempt == 1 else f"{delivery}-r{attempt}"


def next_attempt_at(attempt: int, now: float) -> float | None:
    """Return when to try again after *attempt* failed at *now*, or None when a person decides."""
    if attempt > len(PAUSES_SECONDS):
        return None
    return now + PAUSES_SECONDS[attempt - 1]
