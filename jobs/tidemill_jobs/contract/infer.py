"""
Infer a contract from the facts of good files.

A contract must refuse what is broken and let pass what is merely new. So only three things are
firm: the columns, what each is, and the classes of a binary target. What else was seen becomes a
wide margin that warns: each constant below says how wide, and why. The spec's `check.columns` goes
before everything inferred, and is firm.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from tidemill_jobs.contract.document import (
    Basis,
    ColumnContract,
    Contract,
    absent,
    plain,
    present,
)
from tidemill_jobs.contract.facts import ColumnFacts, Facts
from tidemill_jobs.errors import RefusedError
from tidemill_jobs.meanings import decide_kind, kind_of
from tidemill_jobs.spec import ColumnRule, Spec
from tidemill_jobs.values import Kind

# A share that was seen in few rows may be another in truth: its bound at three standard errors
# (one file in 700 by chance), and a tenth below: what comes and goes in delivered data.
ERRORS = 3.0
COMPLETENESS_SLACK = 0.1

# Numbers may leave what was seen by its whole span on either side. Where nothing varies, the span
# is taken as a tenth of the value: a year 2025 does not make 2026 a surprise. Below a hundred
# cells, extremes say little and there is no range.
RANGE_ROWS = 100
RANGE_SLACK = 1.0
LEAST_SPAN = 0.1

# Time goes on: only a time ten years away from all others is doubted (1970-01-01, 2999-12-31).
TIME_SLACK = 10 * 525_960  # minutes

# A column lists its values when they are few, and when the chance that the next cell is another
# (Good and Turing: the share of values seen once) is below one in a thousand.
CATEGORIES = 100
CELLS_PER_CATEGORY = 20
UNSEEN = 0.001

# Twice the same id in 100 rows is likely when ids repeat at all.
UNIQUE_ROWS = 100

BINARY = 2
FACTS_NAMED = 100


def infer(files: Sequence[Facts], spec: Spec) -> Contract:
    """
    Return the contract that all of these files keep.

    Args:
        files: Facts of files that were read; the columns are those that most rows have.
        spec: Names the columns with a role, and rules that go before what is inferred.

    Raises:
        RefusedError: There is no file, or the target cannot be learned from.
    """
    if not files:
        raise RefusedError("there is no file to infer a contract from; upload one.")
    usual = usual_columns(files)
    files = [file for file in files if usual <= {column.name for column in file.columns}]
    names = [column.name for column in files[0].columns if column.name in usual]
    parts = parts_of(files, names)
    kinds = decide_kinds(parts, spec)
    columns = {name: infer_column(name, kinds[name], parts[name], spec) for name in names}
    for name, rule in sorted(spec.check.columns.items()):
        if name in columns or (rule.required and name not in spec.exclude):
            columns[name] = overruled(columns.get(name), rule)
    return Contract(
        format=spec.format,
        target=spec.target,
        problem=spec.problem,
        id=spec.id,
        timestamp=spec.timestamp,
        basis=Basis(
            files=len(files),
            rows=sum(file.rows for file in files),
            facts=tuple(sorted(file.id for file in files)[:FACTS_NAMED]),
        ),
        columns=columns,
    )


def usual_columns(files: Sequence[Facts]) -> frozenset[str]:
    """Return the columns that most rows have; of equals, those that came first."""
    rows: Counter[frozenset[str]] = Counter()
    for file in files:
        rows[frozenset(column.name for column in file.columns)] += file.rows
    return rows.most_common(1)[0][0]


def parts_of(files: Sequence[Facts], names: Sequence[str]) -> dict[str, list[ColumnFacts]]:
    """Return, for each of the columns, its facts in every file that has it."""
    parts: dict[str, list[ColumnFacts]] = {name: [] for name in names}
    for file in files:
        for column in file.columns:
            if column.name in parts:
                parts[column.name].append(column)
    return parts


def decide_kinds(parts: Mapping[str, Sequence[ColumnFacts]], spec: Spec) -> dict[str, Kind | None]:
    """
    Return what each column is, as Prepare reads it; the id is never read as anything.

    Raises:
        RefusedError: The target is empty, or no number where a regression needs one.
    """
    kinds: dict[str, Kind | None] = {}
    for name, columns in parts.items():
        counts = [
            {meaning: seen.count for meaning, seen in column.meanings.items()} for column in columns
        ]
        kinds[name] = decide_kind(counts)
        if name == spec.timestamp and kinds[name]:
            kinds[name] = "time"
        rule = spec.check.columns.get(name)
        if rule:
            kinds[name] = _stated_kind(rule, kinds[name])
    if spec.id in kinds:
        kinds[spec.id] = None
    kinds[spec.target] = kind_of(kinds.get(spec.target), spec.problem, spec.target)
    return kinds


def _stated_kind(rule: ColumnRule, decided: Kind | None) -> Kind | None:
    if rule.type:
        return rule.type
    bounded = rule.minimum is not None or rule.maximum is not None
    return "number" if bounded and decided != "time" else decided


def infer_column(
    name: str, kind: Kind | None, parts: Sequence[ColumnFacts], spec: Spec
) -> ColumnContract:
    """Return what these parts of a column keep, whatever the spec states of it."""
    cells = sum(present(part, kind) for part in parts)
    is_class = name == spec.target and spec.problem != "regression"
    low, high = (None, None) if is_class else _range(kind, parts, cells)
    return ColumnContract(
        kind=kind,
        required=cells > 0 or name in (spec.target, spec.id, spec.timestamp),
        completeness=_completeness(kind, parts),
        minimum=low,
        maximum=high,
        values=_classes(kind, parts, spec) if is_class else _categories(name, kind, parts, spec),
        unique=name == spec.id and cells >= UNIQUE_ROWS and not any(part.repeats for part in parts),
    )


def _completeness(kind: Kind | None, parts: Sequence[ColumnFacts]) -> float:
    """Return a floor that every part keeps, with the slack that so many rows ask for."""
    shares = [present(part, kind) / cells for part in parts if (cells := _cells(part, kind))]
    total = sum(_cells(part, kind) for part in parts)
    if not shares or total == 0:
        return 0.0
    pooled = sum(present(part, kind) for part in parts)
    floor = min(*shares, bounds(pooled, total)[0]) - COMPLETENESS_SLACK
    return max(0.0, math.floor(floor * 1_000) / 1_000)


def bounds(count: int, total: int) -> tuple[float, float]:
    """
    Return between what the true share lies when *count* of *total* was seen.

    Source:
        Wilson, *Probable inference, the law of succession, and statistical inference* (1927).
    """
    share, square = count / total, ERRORS**2 / total
    middle = share + square / 2
    width = ERRORS * math.sqrt(share * (1 - share) / total + square / (4 * total))
    return (middle - width) / (1 + square), (middle + width) / (1 + square)


def _range(
    kind: Kind | None, parts: Sequence[ColumnFacts], cells: int
) -> tuple[float | None, float | None]:
    found = [part.times if kind == "time" else part.numbers for part in parts]
    known = [one for one in found if one is not None]
    if kind not in ("number", "time") or not known:
        return None, None
    low, high = min(one.low for one in known), max(one.high for one in known)
    if kind == "time":
        return low - TIME_SLACK, high + TIME_SLACK
    if cells < RANGE_ROWS:
        return None, None
    span = max(high - low, LEAST_SPAN * max(abs(low), abs(high)))
    return low - RANGE_SLACK * span, high + RANGE_SLACK * span


def _categories(
    name: str, kind: Kind | None, parts: Sequence[ColumnFacts], spec: Spec
) -> tuple[str, ...] | None:
    if kind != "category" or name in (spec.id, spec.timestamp, spec.target):
        return None
    counted = _counted(kind, parts)
    if not counted or len(counted) > CATEGORIES:
        return None
    cells = sum(counted.values())
    once = sum(count == 1 for count in counted.values())
    if cells < CELLS_PER_CATEGORY * len(counted) or once > UNSEEN * cells:
        return None
    return tuple(sorted(counted))


def _classes(kind: Kind | None, parts: Sequence[ColumnFacts], spec: Spec) -> tuple[str, ...] | None:
    """Return the target's classes; of a binary problem only when both are known."""
    counted = _counted(kind, parts)
    if not counted or (spec.problem == "binary" and len(counted) != BINARY):
        return None
    return tuple(sorted(counted))


def _counted(kind: Kind | None, parts: Sequence[ColumnFacts]) -> Counter[str] | None:
    """Return how often each value occurs, None when a file does not list all it has."""
    counted: Counter[str] = Counter()
    for part in parts:
        if not part.complete:
            return None
        for one in part.values:
            value = plain(one.value, kind)
            if value is not None:
                counted[value] += one.count
    return counted


def overruled(inferred: ColumnContract | None, rule: ColumnRule) -> ColumnContract:
    """Return the column as the spec says it, and as inferred where the spec says nothing."""
    column = inferred or ColumnContract(kind=_stated_kind(rule, None), required=True)
    said = {
        key: value
        for key in ("required", "completeness", "minimum", "maximum", "unique")
        if (value := getattr(rule, key)) is not None
    }
    if rule.values is not None:
        said["values"] = tuple(
            sorted({plain(value, column.kind) or value for value in rule.values})
        )
    stated = [*said, *(["kind"] if rule.type else [])]
    return replace(column, **said, stated=tuple(sorted(stated)))


def _cells(part: ColumnFacts, kind: Kind | None) -> int:
    return present(part, kind) + absent(part, kind)
