"""The part that all List operations share: filters, order, pages."""

import base64
import json
from collections.abc import Iterable
from typing import Any

from tidemill_local.sagemaker.errors import ValidationError

_DEFAULT_PAGE = 10
_MOMENTS = {  # the bounds' names in requests
    "CreationTime": "CreationTime",
    "LastModifiedTime": "LastModifiedTime",
    "Created": "CreationTime",
}
_Position = tuple[Any, str]


def page(
    request: dict[str, Any],
    rows: Iterable[dict[str, Any]],
    *,
    answer: str,
    name: str,
    status: str | None = None,
    order: str = "Ascending",
) -> dict[str, Any]:
    """
    Answer a List operation.

    Args:
        request: May hold NameContains, StatusEquals, CreationTimeAfter and -Before,
            LastModifiedTimeAfter and -Before, CreatedAfter and -Before, SortBy, SortOrder,
            MaxResults, NextToken.
        rows: Bodies of records; the answer's shape picks the summary's fields out of them.
        answer: The answer's member that holds the list.
        name: The field with a record's name; `SortBy: Name` and ties go by it.
        status: The field with its status, where there is one.
        order: The operation's SortOrder unless the request has one.

    Returns:
        The answer, with NextToken when there is more. A token names the last row shown, so that
        rows created or deleted between two pages neither repeat nor hide others.

    Raises:
        ValidationError: The token is none of ours.
    """
    sort_field = {"Name": name, "Status": status or name}.get(
        request.get("SortBy", "CreationTime"), request.get("SortBy", "CreationTime")
    )
    descending = request.get("SortOrder", order) == "Descending"

    def position(row: dict[str, Any]) -> _Position:
        return row.get(sort_field, row["CreationTime"]), str(row[name])

    found = sorted(
        (row for row in rows if _wanted(row, request, name, status)),
        key=position,
        reverse=descending,
    )
    if "NextToken" in request:
        last = _decode(request["NextToken"], sort_field)
        found = [
            row for row in found if (position(row) < last if descending else position(row) > last)
        ]
    size = request.get("MaxResults", _DEFAULT_PAGE)
    result: dict[str, Any] = {answer: found[:size]}
    if len(found) > size:
        result["NextToken"] = _encode(sort_field, position(found[size - 1]))
    return result


def _wanted(row: dict[str, Any], request: dict[str, Any], name: str, status: str | None) -> bool:
    if request.get("NameContains", "").lower() not in str(row[name]).lower():
        return False
    if "StatusEquals" in request and status and row.get(status) != request["StatusEquals"]:
        return False
    for word, field in _MOMENTS.items():
        moment = row.get(field, row["CreationTime"])
        if moment <= request.get(f"{word}After", float("-inf")):
            return False
        if moment >= request.get(f"{word}Before", float("inf")):
            return False
    return True


def _encode(sort_field: str, position: _Position) -> str:
    return base64.urlsafe_b64encode(json.dumps([sort_field, *position]).encode()).decode()


def _decode(token: str, sort_field: str) -> _Position:
    try:
        field, value, name = json.loads(base64.urlsafe_b64decode(token))
    except (ValueError, TypeError) as error:
        raise _bad_token() from error
    sorts_by_number = sort_field.endswith(("Time", "Value"))
    if (
        field != sort_field
        or isinstance(value, str) == sorts_by_number
        or not isinstance(name, str)
    ):
        raise _bad_token()
    return value, name


def _bad_token() -> ValidationError:
    return ValidationError(
        "NextToken is not one that this list gave out; repeat the call without it, "
        "and keep SortBy and SortOrder the same from page to page"
    )
