"""What one column of a file says against the contract, with the first cell and how many."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from tidemill_jobs.contract.document import (
    ColumnContract,
    Contract,
    absent,
    first_absent,
    plain,
    present,
)
from tidemill_jobs.contract.facts import ColumnFacts, Counted, Facts, Range, quantile_places
from tidemill_jobs.contract.infer import bounds
from tidemill_jobs.meanings import EXPECTED
from tidemill_jobs.times import minutes_text
from tidemill_jobs.values import show

Weight = Literal["fault", "violation", "drift", "remark"]

NEW_SHARE = 0.5  # of a column's cells: more unknown values than that are another language
EMPTY_FLOOR = 0.2  # a column that was fuller than that and is empty now was lost on the way
EMPTY_ROWS = 20  # in fewer rows that may be chance


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a file does not keep; `least` and `most` bound its bad rows."""

    weight: Weight
    rule: str
    reason: str
    next_step: str
    column: str | None = None
    row: int | None = None
    value: str | None = None
    least: int = 0
    most: int = 0
    rows_help: bool = False  # leaving rows out can mend it


@dataclass(frozen=True, slots=True)
class Look:
    """One column of the file against what the contract says of it."""

    facts: Facts
    contract: Contract
    name: str
    rule: ColumnContract
    column: ColumnFacts

    def findings(self) -> Iterator[Finding]:
        """Return what this column does not keep."""
        yield from self._types()
        yield from self._completeness()
        if self.rule.kind in ("number", "time"):
            yield from self._range()
        if self.rule.values is not None:
            yield from self._values(frozenset(self.rule.values))
        if self.rule.unique:
            yield from self._unique()

    def _weight(self, field: str) -> Weight:
        return "violation" if field in self.rule.stated else "drift"

    def _types(self) -> Iterator[Finding]:
        kind = self.rule.kind
        if kind is None or kind == "category":
            return
        others = [seen for meaning, seen in self.column.meanings.items() if meaning != kind]
        if not others:
            return
        first = min(others, key=lambda seen: seen.row)
        cells = sum(seen.count for seen in others)
        yield Finding(
            "violation",
            "wrong_type",
            f"{self._at(first.row)} column '{self.name}' holds {show(first.value)} where "
            f"{EXPECTED[kind]} is expected{_more(cells)}.",
            "Correct the cell; or, if the column is meant to hold this now, accept the file as "
            "the contract.",
            column=self.name,
            row=first.row,
            value=first.value,
            least=cells,
            most=cells,
            rows_help=True,
        )

    def _completeness(self) -> Iterator[Finding]:
        kind, floor = self.rule.kind, self.rule.completeness
        cells, gone = present(self.column, kind), absent(self.column, kind)
        total = cells + gone
        if not total or not floor:
            return
        if cells == 0 and self.name == self.contract.target:
            yield self._incomplete("fault", "target_empty", "is empty in every row", 0.0)
        elif cells == 0 and floor > EMPTY_FLOOR and total >= EMPTY_ROWS:
            yield self._incomplete("violation", "column_empty", "is empty in every row", floor)
        elif cells / total < floor and "completeness" in self.rule.stated:
            said = f"has {cells / total:.1%} of its cells"
            yield self._incomplete("violation", "incomplete", said, floor)
        elif bounds(cells, total)[1] < floor:
            said = f"has {cells / total:.1%} of its cells"
            yield self._incomplete("drift", "incomplete", said, floor)

    def _incomplete(self, weight: Weight, rule: str, said: str, floor: float) -> Finding:
        expected = f"; the contract expects at least {floor:.1%}" if floor else ""
        row = first_absent(self.column, self.rule.kind)
        return Finding(
            weight,
            rule,
            f"Column '{self.name}' {said}{expected}"
            + (f" (first missing: {self.facts.place(row)})." if row else "."),
            "Look at where the values were lost: a source, a join or an export; or lower "
            "completeness under check.columns.",
            column=self.name,
            row=row,
        )

    def _range(self) -> Iterator[Finding]:
        found = self.column.times if self.rule.kind == "time" else self.column.numbers
        if found is None:
            return
        meaning = self.column.meanings.get("time" if self.rule.kind == "time" else "number")
        cells = meaning.count if meaning else 0
        if self.rule.maximum is not None and found.high > self.rule.maximum:
            least, most = _beyond(found, self.rule.maximum, cells)
            yield self._out_of_range("maximum", found.high, found.high_row, least, most)
        if self.rule.minimum is not None and found.low < self.rule.minimum:
            least, most = _beyond(_mirrored(found), -self.rule.minimum, cells)
            yield self._out_of_range("minimum", found.low, found.low_row, least, most)

    def _out_of_range(
        self, field: Literal["minimum", "maximum"], value: float, row: int, least: int, most: int
    ) -> Finding:
        bound = self.rule.minimum if field == "minimum" else self.rule.maximum
        assert bound is not None  # noqa: S101  # the caller has compared with it
        write = minutes_text if self.rule.kind == "time" else _number
        word = "below" if field == "minimum" else "above"
        said = "the spec's" if field in self.rule.stated else "the contract's"
        return Finding(
            self._weight(field),
            "out_of_range",
            f"{self._at(row)} column '{self.name}' holds {write(value)}, {word} {said} {field} of "
            f"{write(bound)}{_more(least)}.",
            f"Check the unit and the source; if such values are right, state {field} under "
            "check.columns, or accept the file as the contract.",
            column=self.name,
            row=row,
            value=write(value),
            least=least,
            most=most,
            rows_help=True,
        )

    def _values(self, known: frozenset[str]) -> Iterator[Finding]:
        kind = self.rule.kind
        listed = [(plain(one.value, kind), one) for one in self.column.values]
        unknown = [one for value, one in listed if value is not None and value not in known]
        cells = present(self.column, kind)
        least = sum(one.count for one in unknown)
        most = least
        if not self.column.complete:  # what is not listed may all be unknown
            most = cells - sum(one.count for value, one in listed if value in known)
        if not unknown and (self.column.complete or self.column.distinct <= len(known)):
            return
        weight = self._weight("values")
        is_target = self.name == self.contract.target
        if is_target and self.contract.problem == "binary":
            weight = "violation"
        replaced = not is_target and weight == "drift" and least > NEW_SHARE * cells
        yield self._unknown(
            "violation" if replaced else weight,
            self._values_rule(is_target=is_target, replaced=replaced),
            unknown,
            least,
            most,
            rows_help=weight == "violation",
        )

    def _values_rule(self, *, is_target: bool, replaced: bool) -> str:
        if is_target:
            return "unknown_class"
        return "values_replaced" if replaced else "unknown_value"

    def _unknown(
        self,
        weight: Weight,
        rule: str,
        unknown: list[Counted],
        least: int,
        most: int,
        *,
        rows_help: bool,
    ) -> Finding:
        first = min(unknown, key=lambda one: one.row, default=None)
        count = len(self.rule.values or ())
        if first is None:
            reason = (
                f"Column '{self.name}' has {self.column.distinct:,} different values where the "
                f"contract knows {count:,}."
            )
        else:
            more = len(unknown) - 1
            others = f" and {more:,} other new value{'s' * (more > 1)}" if more else ""
            reason = (
                f"{self._at(first.row)} column '{self.name}' holds {show(first.value)}{others}, "
                f"not among the {count:,} known values{_more(least)}."
            )
        return Finding(
            weight,
            rule,
            reason,
            "Correct the spelling if it is one; if the value is right, add it under check.columns, "
            "or accept the file as the contract.",
            column=self.name,
            row=first.row if first else None,
            value=first.value if first else None,
            least=least,
            most=most,
            rows_help=rows_help,
        )

    def _unique(self) -> Iterator[Finding]:
        repeat = self.column.repeat
        if repeat is None:
            return
        yield Finding(
            self._weight("unique"),
            "repeated_key",
            f"{self._at(repeat.row)} column '{self.name}' repeats {show(repeat.value)}"
            f"{_more(self.column.repeats)}.",
            "Look whether the export wrote rows twice; if ids may repeat, state unique: false "
            "under check.columns.",
            column=self.name,
            row=repeat.row,
            value=repeat.value,
            least=self.column.repeats,
            most=self.column.repeats,
            rows_help=True,
        )

    def _at(self, row: int) -> str:
        return f"{self.facts.place(row)}:".capitalize()


def _beyond(found: Range, bound: float, cells: int) -> tuple[int, int]:
    """Return between how many cells lie above *bound*, as 21 quantiles tell it."""
    above = next(step for step, value in enumerate(found.quantiles) if value > bound)
    if above == 0:
        return cells, cells
    places = quantile_places(cells)
    return cells - places[above], cells - 1 - places[above - 1]


def _mirrored(found: Range) -> Range:
    return Range(
        low=-found.high,
        low_row=found.high_row,
        high=-found.low,
        high_row=found.low_row,
        quantiles=tuple(-value for value in reversed(found.quantiles)),
    )


def _more(cells: int) -> str:
    return f" (and {cells - 1:,} more)" if cells > 1 else ""


def _number(value: float) -> str:
    return f"{value:,.6g}"
