"""Times: seconds since 1970 (UTC) as a float inside, ISO 8601 with milliseconds outside."""

import math
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo


def iso(seconds: float) -> str:
    """Return `2026-11-20T10:00:00.000Z`: of fixed width, so that text order is time order."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def seconds(text: str) -> float:
    """Return the seconds since 1970 of an ISO 8601 text; without a zone it is UTC."""
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


@lru_cache(maxsize=64)
def zone(name: str) -> "ZoneInfo":
    """
    Return the IANA time zone of that name.

    Raises:
        zoneinfo.ZoneInfoNotFoundError: There is none.
    """
    from zoneinfo import ZoneInfo  # noqa: PLC0415  # few need it, and it is slow to import

    return ZoneInfo(name)


def local(moment: float, zone_name: str) -> str:
    """Return `Fri 2026-11-20 11:00 (Europe/Berlin)`, with seconds where there are any."""
    shown = datetime.fromtimestamp(math.ceil(moment), zone(zone_name))
    return f"{shown:%a %Y-%m-%d %H:%M}{f':{shown:%S}' if shown.second else ''} ({zone_name})"


def duration(length: float) -> str:
    """Return `6h`, `1h 30m`, `45s`: as people write it in model.yaml, in the two largest units."""
    left = round(length)
    parts = []
    for letter, size in (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count}{letter}")
    return " ".join(parts[:2]) or "0s"


def seconds_at(text: str, zone_name: str) -> float:
    """Return the seconds since 1970 of an ISO 8601 time on the clocks of a zone."""
    return datetime.fromisoformat(text).replace(tzinfo=zone(zone_name)).timestamp()
