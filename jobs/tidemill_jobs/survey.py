"""
The first look at a dataset: read every file, say which can be used, decide what columns mean.

What cannot be used is left out and named; only a dataset without any usable file is refused.
"""

import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from tidemill_jobs import reader, schema
from tidemill_jobs.errors import ReadError, RefusedError
from tidemill_jobs.lake import Lake, ObjectVersion
from tidemill_jobs.meanings import kind_of
from tidemill_jobs.reader import RawFile
from tidemill_jobs.schema import Tally
from tidemill_jobs.spec import Spec
from tidemill_jobs.values import Kind


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one file; `reason` also holds a remark about a file that is used."""

    uri: str
    version_id: str
    rows: int
    verdict: str  # used or left_out
    reason: str


@dataclass(frozen=True, slots=True)
class Found:
    """A file that was read: its raw rows wait on disk, its tallies are at hand."""

    version: ObjectVersion
    folder: Path
    rows: int
    columns: tuple[str, ...]
    tallies: Mapping[str, Tally]
    place: Callable[[int], str]
    typed: bool

    def open(self) -> RawFile:
        """Return the rows that were read."""
        frame = pl.read_ipc(self.folder / "raw.arrow")
        return RawFile(frame, self.place, self.typed)

    def forget(self) -> None:
        """Free the disk space."""
        shutil.rmtree(self.folder)


@dataclass(frozen=True, slots=True)
class Survey:
    """
    The usable files, and how to read them.

    `header` is the user's columns in their order, without target and excluded ones; `kinds` says
    what each is, None where every cell is missing.
    """

    files: tuple[Found, ...]
    verdicts: tuple[Verdict, ...]
    header: tuple[str, ...]
    kinds: Mapping[str, Kind | None]
    target: Kind


def survey(versions: Sequence[ObjectVersion], spec: Spec, lake: Lake, work: Path) -> Survey:
    """
    Read every file once.

    Raises:
        RefusedError: No file can be used, or the target cannot be learned.
        JobError: An object version of the dataset is gone.
    """
    verdicts: dict[ObjectVersion, Verdict] = {}
    files = []
    for number, version in enumerate(versions):
        folder = work / f"{number:06d}"
        folder.mkdir()
        try:
            files.append(_find(version, spec, lake, folder))
        except ReadError as exc:
            shutil.rmtree(folder)
            verdicts[version] = _left_out(version, 0, str(exc))
    header, files = _same_columns(files, spec, verdicts)
    kinds = {
        name: schema.decide([file.tallies[name] for file in files if name in file.tallies])
        for name in (*header, spec.target)
    }
    if spec.timestamp and kinds.get(spec.timestamp):
        kinds[spec.timestamp] = "time"
    if files:
        kinds[spec.target] = kind_of(kinds[spec.target], spec.problem, spec.target)
    files = [file for file in files if _holds(file, kinds, verdicts)]
    if not files:
        raise RefusedError(_nothing_usable(list(verdicts.values())))
    target = kinds.pop(spec.target)
    assert target is not None  # noqa: S101  # kind_of has refused it
    return Survey(
        tuple(files), tuple(verdicts[version] for version in versions), header, kinds, target
    )


def _find(version: ObjectVersion, spec: Spec, lake: Lake, folder: Path) -> Found:
    path = folder / "object"
    lake.read(version, path)
    raw = reader.read(path, version.name, spec.format, spec.exclude)
    frame = raw.frame.drop([name for name in spec.exclude if name in raw.frame.columns])
    for name, role in ((spec.target, "target"), (spec.id, "id"), (spec.timestamp, "timestamp")):
        if name is not None and name not in frame.columns:
            raise ReadError(
                f"there is no column '{name}', the {role}",
                rule=f"{role}_missing",
                next_step=f"add it, or correct data.{role}",
                column=name,
            )
    raw = replace(raw, frame=frame)
    names = [name for name in frame.columns if name != spec.id]
    tallies = schema.tally(raw, names, spec.timestamp)
    frame.write_ipc(folder / "raw.arrow")
    return Found(version, folder, frame.height, tuple(frame.columns), tallies, raw.place, raw.typed)


def _same_columns(
    files: Sequence[Found], spec: Spec, verdicts: dict[ObjectVersion, Verdict]
) -> tuple[tuple[str, ...], list[Found]]:
    """Keep the files that have the columns which most rows have; more columns are ignored."""
    if not files:
        return (), []
    rows: Counter[frozenset[str]] = Counter()
    for file in files:
        rows[frozenset(file.columns)] += file.rows
    usual = rows.most_common(1)[0][0]  # of equals, the one that came first
    header = next(file.columns for file in files if usual == frozenset(file.columns))
    kept = []
    for file in files:
        lacking = [name for name in header if name not in file.columns]
        extra = [name for name in file.columns if name not in usual]
        if lacking:
            names = _listed(lacking)
            reason = f"it lacks the columns {names}, which most rows have; upload it with them."
            verdicts[file.version] = _left_out(file.version, file.rows, reason)
            file.forget()
            continue
        remark = f"the columns {_listed(extra)} are in few files and were not read" if extra else ""
        verdicts[file.version] = _used(file, remark)
        kept.append(file)
    return tuple(name for name in header if name != spec.target), kept


def _holds(
    file: Found, kinds: Mapping[str, Kind | None], verdicts: dict[ObjectVersion, Verdict]
) -> bool:
    """Leave a file out in which a cell contradicts what its column is."""
    for name, kind in kinds.items():
        if kind is None or name not in file.tallies:
            continue
        reason = schema.misfit(file.place, name, kind, file.tallies[name])
        if reason:
            verdicts[file.version] = _left_out(file.version, file.rows, reason)
            file.forget()
            return False
    return True


def _used(file: Found, remark: str) -> Verdict:
    return Verdict(file.version.uri, file.version.version_id, file.rows, "used", remark)


def _left_out(version: ObjectVersion, rows: int, reason: str) -> Verdict:
    return Verdict(version.uri, version.version_id, rows, "left_out", reason)


def _nothing_usable(verdicts: Sequence[Verdict]) -> str:
    if not verdicts:
        return "the dataset lists no file; upload one."
    name = verdicts[0].uri.rsplit("/", 1)[-1]
    if len(verdicts) == 1:
        return f"the only file, {name}, cannot be used: {verdicts[0].reason}"
    return f"none of the {len(verdicts)} files can be used; {name}: {verdicts[0].reason}"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)
