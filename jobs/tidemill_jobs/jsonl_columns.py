"""
A column of a JSON Lines file: gathered chunk by chunk, of one kind or refused.

JSON says of each value whether it is text, a number or a truth value, and that is kept: `"1"` is
never 1. Beside numbers and truth values, text that means missing (`""`, `"NA"`, …) is missing.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, Literal

import polars as pl

from tidemill_jobs.errors import ReadError
from tidemill_jobs.values import BLANK, EXACT, MISSING, NOT_AVAILABLE, show

Kind = Literal["text", "number", "boolean"]
LineOf = Callable[[int], int]
LONGEST: Final = 2**63  # 64 bits hold whole numbers below

_KINDS: Final[dict[type, Kind]] = {str: "text", int: "number", float: "number", bool: "boolean"}
_NAMES: Final[dict[Kind, str]] = {
    "text": "text",
    "number": "a number",
    "boolean": "true or false",
}


class Column:
    """
    One column.

    Args:
        name: The key.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._parts: dict[Kind, list[tuple[int, pl.Series]]] = {}
        self._first: dict[Kind, tuple[int, Any]] = {}  # row and value

    def add(self, cells: Sequence[Any], row: int, line_of: LineOf) -> None:
        """
        Take the cells of a chunk whose first row is *row*.

        Raises:
            ReadError: A cell is nested, or a number that would lose digits.
        """
        types = set(map(type, cells)) - {type(None)}
        for other in types & {dict, list}:
            at = row + next(n for n, cell in enumerate(cells) if type(cell) is other)
            raise self._refusal(
                line_of(at),
                f"holds {'an object' if other is dict else 'a list'} instead of one value",
                rule="nested_column",
                next_step="list it under data.exclude, or write its values as columns of their own",
            )
        for kind in {_KINDS[other] for other in types}:
            own = (
                cells
                if len(types) == 1
                else [cell if _KINDS.get(type(cell)) == kind else None for cell in cells]
            )
            part = self._part(kind, own, types, row, line_of)
            present = _first(part.is_not_null())
            if present is not None:
                self._parts.setdefault(kind, []).append((row, part))
                self._first.setdefault(kind, (row + present, part[present]))

    def series(self, rows: int, line_of: LineOf) -> pl.Series:
        """
        Return the column of *rows* rows.

        Raises:
            ReadError: Its cells are of two kinds, or whole numbers among fractions lose digits.
        """
        if len(self._parts) > 1 and self._only_not_available():
            del self._parts["text"], self._first["text"]
        if len(self._parts) > 1:
            (_, (first, _)), (kind, (row, value)) = sorted(
                self._first.items(), key=lambda item: item[1][0]
            )[:2]
            other = next(name for name, (at, _) in self._first.items() if at == first)
            raise self._refusal(
                line_of(row),
                f"holds {show(value)}, {_NAMES[kind]}, where line {line_of(first)} has "
                f"{_NAMES[other]}",
                rule="mixed_types",
                next_step="write the column's values all with quotes or all without",
            )
        if not self._parts:
            return pl.repeat(None, rows, dtype=pl.String, eager=True).alias(self._name)
        (parts,) = self._parts.values()
        if any(part.dtype == pl.Float64 for _, part in parts):
            parts = [(row, self._as_fractions(part, row, line_of)) for row, part in parts]
        return _joined(parts, rows).alias(self._name)

    def _part(
        self, kind: Kind, cells: Sequence[Any], types: set[type], row: int, line_of: LineOf
    ) -> pl.Series:
        if kind == "boolean":
            return pl.Series(cells, dtype=pl.Boolean)
        if kind == "text":
            return self._texts(cells, row, line_of)
        if float in types:
            return self._fractions(cells, row, line_of, mixed=int in types)
        try:
            return pl.Series(cells, dtype=pl.Int64)
        except (OverflowError, TypeError):  # more bits, one way or another
            at = next(n for n, cell in enumerate(cells) if cell and not -LONGEST <= cell < LONGEST)
        raise self._inexact(line_of(row + at), cells[at], "beyond the 64 bits of whole numbers")

    def _fractions(
        self, cells: Sequence[Any], row: int, line_of: LineOf, *, mixed: bool
    ) -> pl.Series:
        if mixed:
            for n, cell in enumerate(cells):
                if type(cell) is int and abs(cell) > EXACT:
                    raise self._inexact(line_of(row + n), cell, "too long beside fractions")
            cells = [None if cell is None else float(cell) for cell in cells]
        part = pl.Series(cells, dtype=pl.Float64)
        at = _first(part.is_infinite())
        if at is not None:
            raise self._refusal(
                line_of(row + at),
                "holds Infinity, or a number beyond 1.8e308",
                rule="infinite_number",
                next_step="write null where the value is not known",
            )
        return part

    def _texts(self, cells: Sequence[Any], row: int, line_of: LineOf) -> pl.Series:
        try:
            part = pl.Series("text", cells, dtype=pl.String).to_frame()
            missing = pl.col("text").str.strip_chars(BLANK).is_in(MISSING)
            return part.select(pl.when(~missing).then("text")).to_series()
        except UnicodeEncodeError:
            at = next(n for n, cell in enumerate(cells) if cell and not _is_text(cell))
        raise self._refusal(
            line_of(row + at),
            "holds half a character (an escape such as \\ud83d without its other half)",
            rule="bad_encoding",
            next_step="write the text anew",
        )

    def _as_fractions(self, part: pl.Series, row: int, line_of: LineOf) -> pl.Series:
        if part.dtype == pl.Int64:
            at = _first((part > EXACT) | (part < -EXACT))
            if at is not None:
                raise self._inexact(line_of(row + at), part[at], "too long beside fractions")
        return part.cast(pl.Float64)

    def _only_not_available(self) -> bool:
        return all(
            part.drop_nulls().str.strip_chars(BLANK).is_in(NOT_AVAILABLE).all()
            for _, part in self._parts.get("text", [(0, pl.Series(["text"]))])
        )

    def _inexact(self, line: int, value: int, why: str) -> ReadError:
        return self._refusal(
            line,
            f"holds {show(value)}, {why}: it would lose digits",
            rule="number_not_exact",
            next_step="write the column in quotes: then every value keeps its digits",
        )

    def _refusal(self, line: int, what: str, *, rule: str, next_step: str) -> ReadError:
        return ReadError(
            f"line {line}: {show(self._name)} {what}",
            rule=rule,
            next_step=next_step,
            row=line,
            column=self._name,
        )


def _first(found: pl.Series) -> int | None:
    """Return the first row that is true."""
    row = found.fill_null(value=False).arg_max()
    return row if row is not None and found[row] else None


def _joined(parts: Sequence[tuple[int, pl.Series]], rows: int) -> pl.Series:
    """Put the parts at their rows, nulls between them."""
    dtype = parts[0][1].dtype
    joined, end = [], 0
    for row, part in parts:
        if row > end:
            joined.append(pl.repeat(None, row - end, dtype=dtype, eager=True))
        joined.append(part)
        end = row + len(part)
    if rows > end:
        joined.append(pl.repeat(None, rows - end, dtype=dtype, eager=True))
    return pl.concat([part.alias("") for part in joined], rechunk=True)


def _is_text(cell: str) -> bool:
    try:
        cell.encode()
    except UnicodeEncodeError:
        return False
    return True
