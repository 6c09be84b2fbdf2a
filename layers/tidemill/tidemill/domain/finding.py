"""What preflight says about an upload, and how its sentences name sizes and columns."""

from collections.abc import Sequence
from dataclasses import dataclass

_SHOWN_CHARACTERS = 40
_SHOWN_NAMES = 20
_KIBI = 1024


@dataclass(frozen=True, slots=True)
class Finding:
    """Why an upload is refused. The sentences never hold more than a few KiB of the file."""

    rule: str  # a stable snake_case name; people filter the ledger by it
    reason: str  # a sentence for the data's owner: what was found
    next_step: str  # a sentence for the data's owner: what to do
    row: int | None = None  # the line of a text file, counted from 1, when it is one line's matter
    column: str | None = None  # the column's name, when it is one column's matter


@dataclass(frozen=True, slots=True)
class NeedMore:
    """The sample cannot decide; read this much and ask again with it as the sample's tail."""

    bytes: int  # the last so many bytes of the object


def shown(text: str) -> str:
    """Return *text* quoted, control characters escaped, at most 40 characters of it."""
    return repr(text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…")


def listed(names: Sequence[str]) -> str:
    """Return the first 20 names quoted, and how many more there are."""
    more = len(names) - _SHOWN_NAMES
    text = ", ".join(shown(name) for name in names[:_SHOWN_NAMES])
    return f"{text} and {more} more" if more > 0 else text


def amount(count: int) -> str:
    """Return a number of bytes as people say it: 512 bytes, 1.5 MiB, 3.0 GiB."""
    if count < _KIBI:
        return "1 byte" if count == 1 else f"{count} bytes"
    value = count / _KIBI
    for unit in ("KiB", "MiB"):
        if value < _KIBI:
            return f"{value:.1f} {unit}"
        value /= _KIBI
    return f"{value:.1f} GiB"
