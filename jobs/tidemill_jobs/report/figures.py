"""Numbers, shares and times as the report writes them: few digits, no exponents where avoidable."""

import math
from datetime import UTC, datetime

from tidemill_jobs.times import minutes_text

NONE = "\N{EN DASH}"
_LARGE, _SMALL = 1e6, 1e-3
_LITTLE, _NEARLY_ALL = 0.1, 99.9  # percent
_PLAIN = (10.0, 90.0)  # percent between which tenths say nothing


def number(value: float | None, digits: int = 4) -> str:
    """Return up to so many significant digits: `1,234`, `0.0123`, `1.2e+09`; a dash for none."""
    if value is None or math.isnan(value):
        return NONE
    if value == 0 or math.isinf(value):
        return "0" if value == 0 else ("∞" if value > 0 else "-∞")
    if not _SMALL <= abs(value) < _LARGE:
        return f"{value:.{digits}g}"
    places = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    text = f"{value:,.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def share(value: float | None) -> str:
    """Return a share of 1 as percent: `12 %`, `0.4 %`. What is not nothing is never `0 %`."""
    if value is None or math.isnan(value):
        return NONE
    percent = 100.0 * value
    if 0 < percent < _LITTLE:
        return "< 0.1 %"
    if _NEARLY_ALL < percent < 100:  # noqa: PLR2004  # all
        return "> 99.9 %"
    digits = 0 if _PLAIN[0] <= percent <= _PLAIN[1] or percent.is_integer() else 1
    return f"{percent:.{digits}f} %"


def distance(value: float | None) -> str:
    """Return a distance, 0 to 1, with two digits; a dash for none."""
    return NONE if value is None or math.isnan(value) else f"{value:.2f}"


def rows(count: float, what: str = "row") -> str:
    """Return `1 row`, `12,345 rows`."""
    return f"{count:,.0f} {what}" + ("" if count == 1 else "s")


def moment(seconds: float) -> str:
    """Return `2026-11-20 14:30` (UTC) of seconds since 1970."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")
    except (OverflowError, OSError, ValueError):
        return f"second {seconds:.0f}"


def day(minutes: float) -> str:
    """Return the date of minutes since 1970, as a time column holds them."""
    return minutes_text(minutes)[:10]


def cut(told: str, most: int) -> str:
    """Return *told* with at most so many characters; what is left out is an ellipsis."""
    return told if len(told) <= most else f"{told[: most - 1]}…"
