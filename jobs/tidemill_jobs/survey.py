"""
The first look at a dataset: read every file, say which can be used, decide what columns mean.

What cannot be used is left out and named; only a dataset without any usable file is refused.
"""

import shutil
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import polars as pl

from tidemill_jobs import reader, schema
from tidemill_jobs.broken import Broken, bad_rows, find_broken
from tidemill_jobs.contract.document import Contract
from tidemill_jobs.errors import ReadError, RefusedError
from tidemill_jobs.lake import Lake, ObjectVersion
from tidemill_jobs.meanings import kind_of
from tidemill_jobs.reader import RawFile
from tidemill_jobs.redaction import REDACTED
from tidemill_jobs.schema import Tally
from tidemill_jobs.spec import Spec, Violation
from tidemill_jobs.values import Kind, show

ROWS_NAMED = 100  # of a file's dropped rows


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one file; `reason` also holds a remark about a file that is used."""

    uri: str
    version_id: str
    rows: int
    verdict: str  # used or left_out
    reason: str


@dataclass(frozen=True, slots=True)
class DroppedRow:
    """A row that is left out, and the first cell in it that breaks the contract."""

    place: str
    rule: str
    column: str
    value: str


@dataclass(frozen=True, slots=True)
class Dropped:
    """The rows of a file that are left out: how many, by which rules, and the first hundred."""

    rows: int
    rules: Mapping[str, int]
    first: tuple[DroppedRow, ...]


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
    times_as_text: bool
    dropped: Dropped | None = None

    def open(self) -> RawFile:
        """Return the rows that were read, without those that were dropped since."""
        frame = pl.read_ipc(self.folder / "raw.arrow")
        return RawFile(frame, self.place, self.typed, self.times_as_text)

    def drop(self, bad: pl.Series, dropped: Dropped) -> Self:
        """Leave rows out for good."""
        frame = self.open().frame.filter(~bad)
        frame.write_ipc(self.folder / "kept.arrow")  # the other is mapped while it is read
        (self.folder / "kept.arrow").replace(self.folder / "raw.arrow")
        return replace(self, rows=frame.height, dropped=dropped)

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


def survey(
    versions: Sequence[ObjectVersion],
    spec: Spec,
    lake: Lake,
    work: Path,
    contract: Contract | None = None,
) -> Survey:
    """
    Read every file once.

    With a contract, columns are what it says, whatever these files hold, and its policy decides
    about rows that break it; without one, both are decided over the files. What a person released
    is judged by `warn`: used, but for rows that cannot be typed.

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
    header, files = _same_columns(files, spec, contract, verdicts)
    kinds = {name: _kind(name, files, spec, contract) for name in (*header, spec.target)}
    if files:
        kinds[spec.target] = kind_of(kinds[spec.target], spec.problem, spec.target)
    files = [
        file
        for file in files
        if (contract is not None and _policy(file, spec) != "refuse")
        or _holds(file, kinds, verdicts, spec.redact)
    ]
    if contract is not None:
        files = [
            kept
            for file in files
            if (kept := _without_bad_rows(file, contract, spec, verdicts)) is not None
        ]
    if not files:
        raise RefusedError(_nothing_usable(list(verdicts.values())))
    target = kinds.pop(spec.target)
    assert target is not None  # noqa: S101  # kind_of has refused it
    return Survey(
        tuple(files), tuple(verdicts[version] for version in versions), header, kinds, target
    )


def _kind(name: str, files: Sequence[Found], spec: Spec, contract: Contract | None) -> Kind | None:
    ruled = contract.columns.get(name) if contract else None
    if ruled and ruled.kind:
        return ruled.kind
    kind = schema.decide([file.tallies[name] for file in files if name in file.tallies])
    return "time" if kind and name == spec.timestamp else kind


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
    return Found(
        version,
        folder,
        frame.height,
        tuple(frame.columns),
        tallies,
        raw.place,
        raw.typed,
        raw.times_as_text,
    )


def _same_columns(
    files: Sequence[Found],
    spec: Spec,
    contract: Contract | None,
    verdicts: dict[ObjectVersion, Verdict],
) -> tuple[tuple[str, ...], list[Found]]:
    """Keep the files that have the columns of the contract, or which most rows have."""
    if not files:
        return (), []
    header, required, whose = _header(files, spec, contract)
    kept = []
    for file in files:
        may_lack = contract is not None and file.version.released
        lacking = [name for name in required if name not in file.columns and not may_lack]
        extra = [name for name in file.columns if name not in header]
        if lacking:
            reason = f"it lacks the columns {_listed(lacking)}, which {whose}; upload it with them."
            verdicts[file.version] = _left_out(file.version, file.rows, reason)
            file.forget()
            continue
        where = "not in the contract" if contract else "in few files"
        remark = f"the columns {_listed(extra)} are {where} and were not read" if extra else ""
        verdicts[file.version] = _used(file, remark)
        kept.append(file)
    return tuple(name for name in header if name != spec.target), kept


def _header(
    files: Sequence[Found], spec: Spec, contract: Contract | None
) -> tuple[tuple[str, ...], tuple[str, ...], str]:
    """Return the columns in the user's order, those a file must have, and who says so."""
    if contract is None:
        rows: Counter[frozenset[str]] = Counter()
        for file in files:
            rows[frozenset(file.columns)] += file.rows
        usual = rows.most_common(1)[0][0]  # of equals, the one that came first
        header = next(file.columns for file in files if usual == frozenset(file.columns))
        return header, header, "most rows have"
    ruled = [name for name in contract.columns if name not in spec.exclude]
    widest = max(files, key=lambda file: len(set(ruled) & set(file.columns)))  # the first such
    ordered = [name for name in widest.columns if name in contract.columns]
    header = (*ordered, *(name for name in sorted(ruled) if name not in widest.columns))
    required = tuple(name for name in header if contract.columns[name].required)
    return header, required, "the contract requires"


def _holds(
    file: Found,
    kinds: Mapping[str, Kind | None],
    verdicts: dict[ObjectVersion, Verdict],
    redacted: Collection[str],
) -> bool:
    """Leave a file out in which a cell contradicts what its column is."""
    for name, kind in kinds.items():
        if kind is None or name not in file.tallies:
            continue
        reason = schema.misfit(
            file.place, name, kind, file.tallies[name], redacted=name in redacted
        )
        if reason:
            verdicts[file.version] = _left_out(file.version, file.rows, reason)
            file.forget()
            return False
    return True


def _without_bad_rows(
    file: Found, contract: Contract, spec: Spec, verdicts: dict[ObjectVersion, Verdict]
) -> Found | None:
    """Return the file without rows that break the contract, None when the policy refuses it."""
    on_violation = _policy(file, spec)
    raw = file.open()
    broken = find_broken(raw, contract, unusable_only=on_violation != "drop")
    if not broken:
        return file
    bad = bad_rows(raw.frame.height, broken)
    count = int(bad.sum())
    dropped = _dropped(raw, broken, bad, spec.redact)
    first = dropped.first[0]
    found = f"{first.place}: column '{first.column}' holds {first.value} ({first.rule})"
    share = spec.check.bad_rows
    allowed = int(share * file.rows) if on_violation == "drop" else file.rows - 1
    if on_violation == "refuse" or count > allowed:
        reason = f"{count:,} of {file.rows:,} rows break the contract, the first at {found}."
        verdicts[file.version] = _left_out(file.version, file.rows, reason)
        file.forget()
        return None
    kept = file.drop(bad, dropped)
    said = verdicts[file.version].reason
    remark = f"{count:,} rows were left out, the first at {found}"
    verdicts[file.version] = _used(kept, f"{said}; {remark}" if said else remark)
    return kept


def _policy(file: Found, spec: Spec) -> Violation:
    return "warn" if file.version.released else spec.check.on_violation


def _dropped(
    raw: RawFile, broken: Sequence[Broken], bad: pl.Series, redacted: Collection[str]
) -> Dropped:
    first = []
    for row in bad.arg_true().head(ROWS_NAMED):
        one = next(one for one in broken if one.cells[row])
        hidden = one.column in redacted
        value = REDACTED if hidden else show(str(raw.frame[one.column][row]))
        first.append(DroppedRow(raw.place(row), one.rule, one.column, value))
    rules: Counter[str] = Counter()
    for one in broken:
        rules[one.rule] += int(one.cells.sum())
    return Dropped(int(bad.sum()), dict(rules), tuple(first))


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
