"""Stream JSON Lines: one flat object a line, read as strictly as an upload."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from tidemill_jobs import jsonl
from tidemill_jobs.errors import ReadError
from tidemill_jobs.json_cells import as_series
from tidemill_jobs.values import show


def read(path: Path) -> Iterator[pl.DataFrame]:
    """
    Yield the rows in batches. A key that a line lacks is missing there; a mixture becomes text.

    Raises:
        ReadError: Names the line, the key and the rule.
    """
    names: dict[str, None] = {}
    for rows, lines in jsonl.objects(path):
        for row, line in zip(rows, lines, strict=True):
            if not row.keys() <= names.keys():
                _add_names(names, row, line)
        columns = []
        for name in names:
            cells = [row.get(name) for row in rows]
            if not {dict, list}.isdisjoint(map(type, cells)):
                raise _nested(name, cells, lines)
            columns.append(_series(name, cells, lines))
        yield pl.DataFrame(columns)


def _add_names(names: dict[str, None], row: dict[str, object], line: int) -> None:
    for name in row:
        if name not in names:
            jsonl.check_name(name, line)
            names[name] = None
    if len(names) > jsonl.WIDTH_LIMIT:
        raise jsonl.too_many_columns(line)


def _series(name: str, cells: list[object], lines: list[int]) -> pl.Series:
    try:
        return as_series(name, cells)
    except UnicodeEncodeError as exc:
        raise ReadError(
            f"line {lines[0]} or one soon after it: {show(name)} holds half a character (an escape "
            "such as \\ud83d without its other half)",
            rule="bad_encoding",
            next_step="write the text anew",
            column=name,
        ) from exc


def _nested(name: str, cells: list[object], lines: list[int]) -> ReadError:
    at = next(n for n, cell in enumerate(cells) if isinstance(cell, (dict, list)))
    return ReadError(
        f"line {lines[at]}: {show(name)} holds "
        f"{'an object' if isinstance(cells[at], dict) else 'a list'} instead of one value",
        rule="nested_column",
        next_step="leave the key out, or write its values as columns of their own",
        row=lines[at],
        column=name,
    )
