"""One cell against one rule: in our own grammar, and as SQL for a second reader."""

import re
from collections.abc import MutableSet
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from tidemill_jobs.contract.document import ColumnContract, Contract, plain
from tidemill_jobs.contract.facts import Facts
from tidemill_jobs.errors import ValueRefusedError
from tidemill_jobs.values import (
    BLANK,
    BOOLEAN,
    CODE,
    LARGEST,
    MISSING,
    NOT_AVAILABLE,
    NUMBER,
    TIME,
    is_missing,
    read_number,
    read_time,
)

#: The rules that cells break, each by itself.
RULES = (
    "wrong_type",
    "out_of_range",
    "unknown_value",
    "unknown_class",
    "values_replaced",
    "repeated_key",
)
MINUTE = 60.0


@dataclass(frozen=True, slots=True)
class Test:
    """A rule of the contract, asked of every cell of a column."""

    rule: str
    column: str
    contract: Contract
    facts: Facts

    __test__ = False  # pytest, this is none of yours

    @property
    def said(self) -> ColumnContract:
        """What the contract says of the column."""
        return self.contract.columns[self.column]

    def is_broken(self, value: Any, seen: MutableSet[Any]) -> bool:
        """Return whether a cell breaks the rule; *seen* keeps a key's values from call to call."""
        if self._is_missing(value):
            return False
        if self.rule == "repeated_key":
            repeated = value in seen
            seen.add(value)
            return repeated
        if self.rule == "wrong_type":
            return not self._is_of_kind(value)
        if not self._is_of_kind(value):
            return False  # that is the other rule
        if self.rule == "out_of_range":
            return self._is_outside(value)
        return plain(_written(value), self.said.kind) not in (self.said.values or ())

    def _is_missing(self, value: Any) -> bool:
        if is_missing(value):
            return True
        absent = self.said.kind not in (None, "category") and isinstance(value, str)
        return absent and value.strip(BLANK) in NOT_AVAILABLE

    def _is_of_kind(self, value: Any) -> bool:
        kind = self.said.kind
        if kind in (None, "category"):
            return True
        if kind == "time" and isinstance(value, (datetime, date)):
            return True
        if not isinstance(value, str):
            is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
            fits = is_number and abs(value) <= LARGEST
            return isinstance(value, bool) if kind == "boolean" else kind == "number" and fits
        as_text = self.facts.typed and self.column != self.contract.timestamp
        if as_text and not (kind == "time" and self.facts.read_as.format == "jsonl"):
            return False
        return _meaning(value) == kind

    def _is_outside(self, value: Any) -> bool:
        if self.said.kind == "time":
            number = _minutes(value) if isinstance(value, date) else read_time(value)
        else:
            number = read_number(value)
        low, high = self.said.minimum, self.said.maximum
        return (low is not None and number < low) or (high is not None and number > high)

    def sql(self, cell: str, parameters: list[Any]) -> str:
        """Return the same question in DuckDB's SQL; values go into *parameters*."""
        text, kind = f"trim(CAST({cell} AS VARCHAR), ' \t')", self.said.kind
        missing = [*MISSING, *(NOT_AVAILABLE if kind not in (None, "category") else ())]
        there = f"({cell} IS NOT NULL AND {text} NOT IN ({_texts(missing)}))"
        if self.rule == "repeated_key":
            order = f"row_number() OVER (PARTITION BY {cell} ORDER BY number)"
            return f"({there} AND {order} > 1)"
        fits = self._fits(text)
        if self.rule == "wrong_type":
            return f"({there} AND NOT {fits})"
        if self.rule == "out_of_range":
            return f"({there} AND {fits} AND {self._outside(cell, text, parameters)})"
        values = list(self.said.values or ())
        if kind == "number":
            parameters.append([float(value) for value in values])
            known = f"list_contains(?, TRY_CAST({text} AS DOUBLE))"
        elif kind == "boolean":
            parameters.append(values)
            known = f"list_contains(?, lower({text}))"
        else:
            parameters.append(values)
            known = f"list_contains(?, CAST({cell} AS VARCHAR))"
        return f"({there} AND {fits} AND NOT {known})"

    def _fits(self, text: str) -> str:
        kind = self.said.kind
        column = self.facts.find(self.column)
        stored = column.stored if column else "text"
        as_text = self.facts.typed and self.column != self.contract.timestamp
        if kind in (None, "category"):
            return "TRUE"
        if stored != "text":
            size = f"abs(TRY_CAST({text} AS DOUBLE)) <= {LARGEST!r}" if kind == "number" else "TRUE"
            return f"COALESCE({size}, FALSE)" if stored == kind else "FALSE"
        if as_text:
            return "FALSE"
        if kind == "number":
            test = (
                f"regexp_full_match({text}, {_text(NUMBER)}) AND NOT regexp_matches({text}, "
                f"{_text(CODE)}) AND abs(TRY_CAST({text} AS DOUBLE)) <= {LARGEST!r}"
            )
        elif kind == "boolean":
            test = f"regexp_full_match({text}, {_text(BOOLEAN)})"
        else:
            test = (
                f"regexp_full_match({text}, {_text(TIME)}) AND "
                f"TRY_CAST(substr({text}, 1, 10) AS DATE) IS NOT NULL"
            )
        return f"COALESCE({test}, FALSE)"

    def _outside(self, cell: str, text: str, parameters: list[Any]) -> str:
        if self.said.kind == "number":
            number = f"TRY_CAST({text} AS DOUBLE)"
        elif self.facts.typed:
            number = f"floor(epoch({cell}) / 60)"
        else:
            number = _minutes_sql(text)
        asked = []
        if self.said.minimum is not None:
            parameters.append(self.said.minimum)
            asked.append(f"{number} < ?")
        if self.said.maximum is not None:
            parameters.append(self.said.maximum)
            asked.append(f"{number} > ?")
        return f"COALESCE({' OR '.join(asked) or 'FALSE'}, FALSE)"


def _meaning(text: str) -> str:
    """Return what a text cell is, as `schema.py` sorts them."""
    text = text.strip(BLANK)
    if _full(NUMBER, text) and abs(float(text)) <= LARGEST:
        return "code" if re.match(CODE, text) else "number"
    if _full(BOOLEAN, text):
        return "boolean"
    try:
        read_time(text)
    except ValueRefusedError:
        return "text"
    return "time"


def _written(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _minutes(value: date) -> float:
    if not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day, tzinfo=UTC)
    return value.replace(tzinfo=value.tzinfo or UTC).timestamp() // MINUTE


def _minutes_sql(text: str) -> str:
    """Return minutes since 1970, UTC, of a text that TIME matches."""
    part = {
        name: f"regexp_extract({text}, {_text(TIME)}, {group})"
        for group, name in ((4, "hour"), (5, "minute"), (6, "offset"))
    }
    days = f"date_diff('day', DATE '1970-01-01', TRY_CAST(substr({text}, 1, 10) AS DATE))"
    offset = part["offset"]
    east = (
        f"CASE WHEN {offset} IN ('', 'Z') THEN 0 ELSE (CASE WHEN {offset}[1] = '-' THEN -1 ELSE 1 "
        f"END) * (CAST({offset}[2:3] AS INTEGER) * 60 + CAST(right({offset}, 2) AS INTEGER)) END"
    )
    clock = " + ".join(
        f"COALESCE(TRY_CAST({part[name]} AS INTEGER), 0) * {size}"
        for name, size in (("hour", 60), ("minute", 1))
    )
    return f"({days} * 1440 + {clock} - {east})"


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _texts(values: list[str]) -> str:
    return ", ".join(map(_text, values))


def _full(pattern: str, text: str) -> bool:
    return re.fullmatch(pattern, text) is not None
