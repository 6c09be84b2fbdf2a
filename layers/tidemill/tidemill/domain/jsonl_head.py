"""
Judge the beginning of a JSON Lines file: one flat object a line, each key once.

The same rules under the same names as the jobs' reader, which sees every line.
"""

import json
from typing import Any, Final

from tidemill.domain import column_names
from tidemill.domain.finding import Finding, shown
from tidemill.spec.compiled import Data

_BLANK = " \t\r"  # JSON's own white space but the line feed


class _TwiceError(Exception):
    """A key is twice in one object."""


def judge(text: str, data: Data, *, whole: bool) -> Finding | None:
    """
    Judge *text*, the first characters of the file without a byte order mark.

    Args:
        text: Decoded; may stop anywhere.
        data: What the spec says of the file's columns.
        whole: Nothing follows *text*. Otherwise its last line is not judged, and a column may
            still come: a key that a line lacks is a missing cell.
    """
    if text.lstrip().startswith("["):
        return Finding(
            "json_array",
            "The file is one JSON array, not JSON Lines.",
            "Write one object on each line (`jq -c '.[]'` does), and upload again.",
        )
    lines = text.split("\n") if whole else text.split("\n")[:-1]
    names: dict[str, None] = {}
    rows = 0
    for number, line in enumerate(lines, 1):
        content = line.strip(_BLANK)
        if not content:
            continue
        row = _parse(content, number)
        if isinstance(row, Finding):
            return row
        finding = _flat(row, number, data)
        if finding is not None:
            return finding
        names.update(dict.fromkeys(row))
        rows += 1
    if not whole:
        return None
    return _blank(rows) or column_names.judge(list(names), data)


def _blank(rows: int) -> Finding | None:
    if rows:
        return None
    return Finding(
        "empty",
        "The file holds only blank lines.",
        "Export the table again and upload a file with an object on each line.",
    )


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) != len(pairs):
        names = [name for name, _ in pairs]
        raise _TwiceError(next(name for name in names if names.count(name) > 1))
    return row


# Numbers are not looked at: the jobs' reader holds them against their whole column.
_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=str, parse_float=str, parse_constant=str
)


def _parse(line: str, number: int) -> dict[str, Any] | Finding:
    try:
        value, end = _DECODER.raw_decode(line)
    except _TwiceError as error:
        return Finding(
            "duplicate_key",
            f"Line {number} has the key {shown(error.args[0])} twice.",
            "Write each key once: which of its values is meant cannot be known.",
            row=number,
            column=error.args[0],
        )
    except json.JSONDecodeError as error:
        return _invalid(number, f"at character {error.pos + 1}: {error.msg}")
    except RecursionError:
        return _nested(f"Line {number} is nested too deep to be read.", number, None)
    if not isinstance(value, dict):
        return Finding(
            "not_an_object",
            f"Line {number} holds {shown(line)}, not an object.",
            'Write each line as {"column": value, …}, and upload again.',
            row=number,
        )
    if end != len(line):
        return _invalid(number, f"at character {end + 1}: more follows the object")
    return value


def _invalid(number: int, what: str) -> Finding:
    return Finding(
        "invalid_json",
        f"Line {number} is no JSON object, {what}.",
        "Write one whole object on each line (`jq -c .` does), and upload again.",
        row=number,
    )


def _flat(row: dict[str, Any], number: int, data: Data) -> Finding | None:
    for name, value in row.items():
        if isinstance(value, dict | list) and name not in data.exclude:
            what = "an object" if isinstance(value, dict) else "a list"
            return _nested(
                f"Line {number}: the column {shown(name)} holds {what} instead of one value.",
                number,
                name,
            )
    return None


def _nested(reason: str, row: int, column: str | None) -> Finding:
    return Finding(
        "nested_column",
        reason,
        "Write each value into a column of its own, or list the column under data.exclude.",
        row=row,
        column=column,
    )
