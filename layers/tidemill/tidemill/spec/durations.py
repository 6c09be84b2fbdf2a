"""Durations as people write them: `30s`, `2m`, `1h30m`, `2d`."""

import re

_UNITS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
# Nine digits are 31 years in seconds: enough, and no number too long for int() gets through.
_PATTERN = re.compile("".join(rf"(?:(?P<{unit}>[0-9]{{1,9}}){unit})?" for unit in _UNITS))


def parse_duration(text: str) -> int | None:
    """Return the seconds that *text* means, or None when it is not a duration."""
    match = _PATTERN.fullmatch(text)
    if not text or match is None:
        return None
    return sum(int(match[unit] or 0) * seconds for unit, seconds in _UNITS.items())


def format_duration(seconds: int) -> str:
    """Return the shortest text that `parse_duration` reads as *seconds*."""
    parts = []
    rest = seconds
    for unit, length in _UNITS.items():
        count, rest = divmod(rest, length)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"
