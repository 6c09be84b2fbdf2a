"""What people and scripts read: aligned tables, local times, one JSON document."""

import json
import os
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import click

NOTHING = "–"  # noqa: RUF001  # what a table shows where there is no value
#: How a word that says how something ended is coloured.
COLOURS = {
    "green": ("succeeded", "in service", "accept", "Approved", "approve", "start", "register"),
    "red": ("failed", "fail", "refused", "quarantine", "Rejected", "reject", "roll back"),
    "yellow": ("running", "starting", "defer", "stopped", "PendingManualApproval", "going", "open"),
}
_COLOUR_OF = {word: colour for colour, words in COLOURS.items() for word in words}
_NARROWEST_LAST_COLUMN = 24
_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400


def put_json(document: Any) -> None:
    """Print one JSON document."""
    click.echo(json.dumps(document, indent=2, ensure_ascii=False))


def say(text: str) -> None:
    """Tell the person something that is not the answer: on stderr, so that pipes stay clean."""
    click.echo(text, err=True)


def put_live(text: str = "") -> None:
    """Replace the live line on stderr; no text leaves a clean line behind."""
    # The sequence moves the cursor and colours nothing, so NO_COLOR must not take it away.
    click.echo(f"\r\x1b[K{text}", nl=False, err=True, color=True)


def is_terminal() -> bool:
    """Say whether a person watches stderr, where progress goes."""
    return sys.stderr.isatty()


def wants_colour() -> bool | None:
    """Return False under NO_COLOR (https://no-color.org), else None: only on a terminal."""
    return False if os.environ.get("NO_COLOR") else None


def coloured(word: str) -> str:
    """Return *word* in the colour of what it means; others stay as they are."""
    colour = _COLOUR_OF.get(word)
    return click.style(word, fg=colour) if colour else word


def painted(text: str, word: str) -> str:
    """Return *text* in the colour of *word*."""
    colour = _COLOUR_OF.get(word)
    return click.style(text, fg=colour) if colour else text


def table(rows: Iterable[Mapping[str, Any]], columns: Mapping[str, str]) -> list[str]:
    """
    Return *rows* as aligned lines under a header.

    Args:
        rows: What to show; values may be None.
        columns: Header by key, in order. The last column takes what is left of the terminal.
    """
    headers = [title.upper() for title in columns.values()]
    cells = [[_cell(row.get(key)) for key in columns] for row in rows]
    widths = [max(map(len, column)) for column in zip(headers, *cells, strict=True)]
    widths[-1] = min(widths[-1], _room(widths[:-1]))
    lines = [_line(headers, widths, style=False)]
    return lines + [_line(row, widths, style=True) for row in cells]


def put_table(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str], empty: str) -> None:
    """Print *rows*, or say on stderr what it means that there are none."""
    if not rows:
        say(empty)
        return
    for line in table(rows, columns):
        click.echo(line)


def _room(widths: Sequence[int]) -> int:
    """Return how wide the last column may be: cut for a terminal, whole in a pipe."""
    if not sys.stdout.isatty():
        return sys.maxsize
    rest = shutil.get_terminal_size().columns - sum(widths) - 2 * len(widths)
    return max(_NARROWEST_LAST_COLUMN, rest)


def _line(cells: Sequence[str], widths: Sequence[int], *, style: bool) -> str:
    parts = []
    for cell, width in zip(cells, widths, strict=True):
        cut = cell if len(cell) <= width else cell[: width - 1] + "…"
        padding = " " * (width - len(cut))
        parts.append((coloured(cut) if style else cut) + padding)
    return "  ".join(parts).rstrip()


def _cell(value: Any) -> str:
    if value is None or value == "":
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    return " ".join(str(value).split())


def local_time(seconds: float | None, now: float) -> str:
    """Return a moment as a person of this place says it: today only the time of day."""
    if seconds is None:
        return NOTHING
    moment = datetime.fromtimestamp(seconds).astimezone()
    today = datetime.fromtimestamp(now).astimezone()
    if moment.date() == today.date():
        return f"{moment:%H:%M:%S}"
    if moment.year == today.year:
        return f"{moment:%d %b %H:%M}"
    return f"{moment:%Y-%m-%d}"


def span(seconds: float | None) -> str:
    """Return a duration as people say it: `4.2 s`, `2 m 05 s`, `1 h 03 m`, `3 d 04 h`."""
    if seconds is None:
        return NOTHING
    seconds = max(0.0, seconds)
    if seconds < 10:  # noqa: PLR2004  # below it tenths are worth showing
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} m {whole % _MINUTE:02d} s"
    if whole < _DAY:
        return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE:02d} m"
    return f"{whole // _DAY} d {whole % _DAY // _HOUR:02d} h"


def named(kind: str, subject: str) -> str:
    """Return what a line is about: `rollout version 1`, but `run-…` and `version 1` by itself."""
    return subject if subject.startswith(kind) else f"{kind} {subject}"


def size(count: float) -> str:
    """Return bytes as people say it: `812 B`, `4.1 MB` (powers of ten)."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:  # noqa: PLR2004  # powers of ten, as S3's own pages
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
