"""
Which rows of a file break the contract: exactly, where facts give bounds.

What the contract says of a cell is firm where it is the column's kind, the classes of a binary
target, or stated by the spec; a row is bad when one of its cells breaks such a rule. Under `warn`
only the first two count: such a cell cannot be learned from at all.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from tidemill_jobs import schema
from tidemill_jobs.contract.document import ColumnContract, Contract, plain
from tidemill_jobs.reader import RawFile
from tidemill_jobs.values import Kind


@dataclass(frozen=True, slots=True)
class Broken:
    """The cells of one column that break one rule: True where they do."""

    rule: str
    column: str
    cells: pl.Series


def find_broken(raw: RawFile, contract: Contract, *, unusable_only: bool = False) -> list[Broken]:
    """Return what breaks the contract; with *unusable_only*, what cannot be learned from."""
    found = []
    for name, rule in contract.columns.items():
        if name in raw.frame.columns:
            found += [
                one
                for one in _of_column(raw, name, rule, contract, unusable_only=unusable_only)
                if one.cells.any()
            ]
    return found


def bad_rows(height: int, broken: list[Broken]) -> pl.Series:
    """Return which rows have a cell that breaks a rule."""
    bad = pl.repeat(value=False, n=height, dtype=pl.Boolean, eager=True)
    for one in broken:
        bad |= one.cells
    return bad


def _of_column(
    raw: RawFile, name: str, rule: ColumnContract, contract: Contract, *, unusable_only: bool
) -> Iterator[Broken]:
    column, kind = raw.frame[name], rule.kind
    wrong = schema.contradicting(raw, name, kind, contract.timestamp)
    yield Broken("wrong_type", name, wrong)
    is_target = name == contract.target
    is_class = is_target and contract.problem == "binary"
    stated = () if unusable_only else rule.stated
    if rule.values is not None and ("values" in stated or is_class):
        unknown = _unknown(column, kind, rule.values)
        yield Broken("unknown_class" if is_target else "unknown_value", name, unknown & ~wrong)
    if kind in ("number", "time") and {"minimum", "maximum"} & set(stated):
        fitting = pl.select(pl.when(~wrong).then(column).alias(name)).to_series()
        yield Broken("out_of_range", name, _outside(raw, fitting, kind, rule, stated))
    if rule.unique and "unique" in stated:
        yield Broken("repeated_key", name, column.is_not_null() & ~column.is_first_distinct())


def _unknown(column: pl.Series, kind: Kind | None, values: tuple[str, ...]) -> pl.Series:
    written = column.cast(pl.String)
    known = [
        value
        for value in written.drop_nulls().unique()
        if (said := plain(value, kind)) is None or said in values  # None: missing, or of no kind
    ]
    return (column.is_not_null() & ~written.is_in(known)).fill_null(value=False)


def _outside(
    raw: RawFile, column: pl.Series, kind: Kind, rule: ColumnContract, stated: tuple[str, ...]
) -> pl.Series:
    single = RawFile(column.to_frame(), raw.place, raw.typed)
    numbers = schema.typed(single, {column.name: kind})[column.name]
    outside = pl.repeat(value=False, n=len(column), dtype=pl.Boolean, eager=True)
    if rule.minimum is not None and "minimum" in stated:
        outside |= numbers < rule.minimum
    if rule.maximum is not None and "maximum" in stated:
        outside |= numbers > rule.maximum
    return outside.fill_null(value=False)
