"""
Check: read every object version once and write its facts.

What facts are stands in `contract/facts.py`. They are written many in a pack (`packs.py`), a pack
at least every half minute, so that a check that is stopped goes on where it was: what has facts is
skipped. A file that cannot be read has facts too, which say why. As a processing job it reads

    plan        plan.json: {version: 2, spec: the compiled spec, facts: "s3://…" without a trailing
                slash, part: "<attempt>-<part>", objects: [{uri, version_id, etag, size, uploaded}],
                model: "<project>/<model>", contract: its URI or null, explained: "s3://…"}
"""

import json
import logging
import shutil
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tidemill_jobs import reader
from tidemill_jobs.container import Container, read_document
from tidemill_jobs.contract.facts import READER_FAILED, Facts, ReadAs, facts_id
from tidemill_jobs.errors import GoneError, JobError, ReadError
from tidemill_jobs.lake import Lake, ObjectVersion
from tidemill_jobs.packs import Packs
from tidemill_jobs.profile.facts import describe
from tidemill_jobs.reader import RawFile
from tidemill_jobs.second_look import Explained, SecondLook
from tidemill_jobs.spec import Spec

log = logging.getLogger(__name__)

PLAN_VERSION = 2
TRANSFERS = 8  # downloads at a time; a small file's is all waiting
AHEAD = 64 * 1_048_576  # bytes that may wait on disk for being read
RESERVE = 15.0  # seconds that are left for answering and for one slow transfer
BYTES_PER_SECOND = 4 * 1_048_576  # of CSV; 10 MiB of ten columns were measured on a busy processor
UNPACKED = 8  # bytes to a byte of .gz, .zst and Parquet, about
COLUMNS = 20_000  # of a file; SageMaker's own trainers end earlier

SecondsLeft = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a check is to read, and where its facts go: the packs of a delivery, by part."""

    spec: Spec
    facts: str
    part: str
    objects: tuple[ObjectVersion, ...]
    explained: Explained | None = None  # for jobs; plans until 2026-11 have none

    @classmethod
    def parse(cls, text: str) -> "Plan":
        """
        Read plan.json.

        Raises:
            JobError: It is no plan of version 2.
        """
        try:
            document: dict[str, Any] = json.loads(text)
            if document["version"] != PLAN_VERSION:
                raise JobError(
                    f"plan.json has version {document['version']}; this image reads "
                    f"{PLAN_VERSION}: build the jobs image anew, then check again."
                )
            return cls(
                spec=Spec.of(document["spec"]),
                facts=document["facts"].rstrip("/"),
                part=document["part"],
                objects=tuple(map(ObjectVersion.parse, document["objects"])),
                explained=_explained(document) if "explained" in document else None,
            )
        except (AttributeError, KeyError, TypeError, ValueError) as exc:
            raise JobError(f"plan.json is not a plan ({exc!r}); check again.") from exc


def _explained(document: dict[str, Any]) -> Explained:
    return Explained(
        uri=document["explained"].rstrip("/"),
        spec=json.dumps(document["spec"]),
        model=document["model"],
        contract=document["contract"],
        uploaded={
            f"{one['uri']} {one['version_id']}": one["uploaded"] for one in document["objects"]
        },
    )


def main(container: Container, arguments: Sequence[str]) -> None:
    """
    Run the processing job that the container describes.

    Raises:
        JobError: An object or a result could not be transferred; the others have facts.
    """
    if arguments:
        log.warning("check takes no arguments; ignored: %s", " ".join(arguments))
    plan = Plan.parse(read_document(container.processing_input("plan"), "plan.json"))
    lake = Lake()
    second_look = SecondLook(lake, plan.explained) if plan.explained else None
    with tempfile.TemporaryDirectory(dir=container.work) as work:
        done = check_objects(plan, lake, Path(work), second_look=second_look)
    left = len({(one.uri, one.version_id) for one in plan.objects}) - len(done)
    if left:
        raise JobError(f"{left} of {len(plan.objects)} files were not read; the log says why.")
    message = f"Checked {len(done)} files."
    log.info(message)
    container.say(message)


def check_objects(
    plan: Plan,
    lake: Lake,
    work: Path,
    *,
    seconds_left: SecondsLeft | None = None,
    second_look: SecondLook | None = None,
) -> list[str]:
    """
    Write the facts of a plan's object versions.

    Args:
        plan: What to read, in this order, and where facts go.
        lake: Where from and where to.
        work: A folder on a disk with room for the size of the largest file, unpacked, and 64 MiB.
        seconds_left: Tells when to stop; None in a job, which has hours.
        second_look: Names the bad rows of what cannot be used; None in a function, which has little
            time: another one does so.

    Returns:
        The ids of those that have facts now, in order. The others could not be transferred, or
        time ran out: the log says which, and calling again goes on with them.

    Raises:
        JobError: What was read before cannot be looked up.
    """
    read_as = ReadAs(plan.spec.format, plan.spec.timestamp, plan.spec.exclude)
    named = {facts_id(version.uri, version.version_id): version for version in plan.objects}
    packs = Packs(lake, plan.facts, plan.part, read_as)
    known = packs.known()
    left = {name: version for name, version in named.items() if name not in known}
    with (
        tempfile.TemporaryDirectory(dir=work) as folder,  # goes last, after all transfers
        ThreadPoolExecutor(TRANSFERS, thread_name_prefix="transfer") as pool,
    ):
        check = _Check(lake, Path(folder), read_as)
        for name, download in _ahead(pool, check, left, seconds_left):
            with _noted(left[name].uri):
                found = download.result()
                facts = _facts(left[name], found, read_as)
                packs.add(facts)
                if second_look is not None and second_look.is_worth_it(facts):
                    packs.write()  # before: whatever becomes of the second look, this is known
                    second_look.look(facts, found.path, check.work)
            shutil.rmtree(check.work / name, ignore_errors=True)
        with _noted("the last pack"):
            packs.write()
    done = [name for name in named if name in known or name in packs.stored]
    if len(done) < len(named):
        log.warning("%d of %d files are left to check", len(named) - len(done), len(named))
    return done


def facts_of(path: Path, version: ObjectVersion, sha256: str, read_as: ReadAs) -> Facts:
    """Return the facts of a local file that holds the object version's bytes."""
    facts = Facts(
        version.uri, version.version_id, version.etag, version.size, sha256, read_as, "unreadable"
    )
    try:
        raw = _rows(path, version.name, read_as)
        unit, place = _places(raw)
        return replace(
            facts,
            status="read",
            unit=unit,
            typed=raw.typed,
            rows=raw.frame.height,
            memory=int(raw.frame.estimated_size()),
            columns=describe(raw, read_as.timestamp, place),
        )
    except ReadError as exc:
        unit = "row" if read_as.format == "parquet" else "line"
        return replace(
            facts,
            unit=unit,
            rule=exc.rule,
            reason=exc.reason,
            next_step=exc.next_step,
            row=exc.row,
            column=exc.column,
        )


@dataclass(frozen=True, slots=True)
class _Fetched:
    """An object version on disk."""

    path: Path
    sha256: str = ""
    gone: bool = False


@dataclass(frozen=True, slots=True)
class _Check:
    """What stays the same over all files of a check."""

    lake: Lake
    work: Path
    read_as: ReadAs

    def fetch(self, version: ObjectVersion) -> _Fetched:
        """Bring a file to the disk."""
        path = self.work / facts_id(version.uri, version.version_id) / "object"
        path.parent.mkdir()
        try:
            return _Fetched(path, self.lake.read(version, path))
        except GoneError:
            return _Fetched(path, gone=True)


@contextmanager
def _noted(what: str) -> Iterator[None]:
    """Let a transfer that failed be the matter of what it was to bring."""
    try:
        yield
    except (JobError, OSError) as exc:
        log.warning("not checked: %s: %s", what, exc)


def _ahead(
    pool: ThreadPoolExecutor,
    check: _Check,
    named: Mapping[str, ObjectVersion],
    seconds_left: SecondsLeft | None,
) -> Iterator[tuple[str, "Future[_Fetched]"]]:
    """Fetch some files ahead of the one that is being read, while there is time."""
    waiting: deque[tuple[str, Future[_Fetched]]] = deque()
    ahead, slowest, before = 0, 0.0, 0.0
    coming = deque(named)
    while coming or waiting:
        while coming and len(waiting) < 2 * TRANSFERS and (not waiting or ahead < AHEAD):
            name = coming.popleft()
            waiting.append((name, pool.submit(check.fetch, named[name])))
            ahead += named[name].size
        name, download = waiting.popleft()
        ahead -= named[name].size
        left = seconds_left() if seconds_left else float("inf")
        slowest, before = max(slowest, before - left), left
        # Size does not say how many columns there are, but the files of a delivery are alike.
        if left < RESERVE + max(_seconds(named[name]), slowest):
            for _, other in ((name, download), *waiting):
                other.cancel()
            log.warning("stopped before %s: too little time is left", named[name].uri)
            return
        yield name, download


def _seconds(version: ObjectVersion) -> float:
    """Return how long reading takes, about; a file that takes longer is what deadlines are for."""
    packed = version.name.endswith((".gz", ".zst", ".parquet"))
    return version.size * (UNPACKED if packed else 1) / BYTES_PER_SECOND


def _facts(version: ObjectVersion, found: _Fetched, read_as: ReadAs) -> Facts:
    """Return facts of whatever comes: one bad file must not stop the check of the others."""
    if found.gone:
        return _unreadable(
            version,
            read_as,
            rule="gone",
            reason="The object version was deleted before it was read.",
            next_step="Upload the file again if it is needed.",
        )
    try:
        return facts_of(found.path, version, found.sha256, read_as)
    except (MemoryError, JobError):
        raise
    except Exception as exc:
        log.exception("%s cannot be checked", version.uri)
        return replace(
            _unreadable(
                version,
                read_as,
                rule=READER_FAILED,
                reason=f"The reader failed on the file with {type(exc).__name__}: {exc}"[:500],
                next_step="This is a fault of Tidemill's, not of the file: report it; after an "
                "upgrade, check again.",
            ),
            sha256=found.sha256,
        )


def _unreadable(
    version: ObjectVersion, read_as: ReadAs, *, rule: str, reason: str, next_step: str
) -> Facts:
    return Facts(
        version.uri,
        version.version_id,
        version.etag,
        version.size,
        "",
        read_as,
        "unreadable",
        rule=rule,
        reason=reason,
        next_step=next_step,
    )


def _rows(path: Path, name: str, read_as: ReadAs) -> RawFile:
    raw = reader.read(path, name, read_as.format, read_as.exclude)  # type: ignore[arg-type]  # from the spec
    frame = raw.frame.drop([column for column in read_as.exclude if column in raw.frame.columns])
    if frame.width > COLUMNS:
        raise ReadError(
            f"the file has {frame.width:,} columns, more than {COLUMNS:,}",
            rule="too_many_columns",
            next_step="deliver fewer columns, or one row per reading",
        )
    return replace(raw, frame=frame)


def _places(raw: RawFile) -> tuple[str, Callable[[int], int]]:
    """Return what rows are counted in, and the number of each; most files have a line a row."""
    unit, first = _place(raw, 0)
    last = _place(raw, raw.frame.height - 1)[1]
    if last - first == raw.frame.height - 1:
        return unit, lambda row: first + row
    return unit, lambda row: _place(raw, row)[1]


def _place(raw: RawFile, row: int) -> tuple[str, int]:
    unit, number = raw.place(row).split(" ")
    return unit, int(number)
