"""
Blackouts: times of the week, on the clocks of a time zone, in which no run starts by itself.

What counts is what the clock on the wall shows. When clocks are put forward a blackout is an hour
shorter or begins late; when they are put back, the hour that comes twice counts twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo

from tidemill.spec.compiled import Blackout
from tidemill.times import zone

_MINUTE = 60.0
_DAY_MINUTES = 1_440
#: A week of clocks and one change of them: who finds no free minute by then finds none.
_FAR = 8 * _DAY_MINUTES * _MINUTE


@dataclass(frozen=True, slots=True)
class Dark:
    """The blackouts that hold, as written, and the first minute without; None: there is none."""

    written: str
    until: float | None


def blackout_at(blackouts: Sequence[Blackout], zone_name: str, at: float) -> Dark | None:
    """
    Return what holds at *at* (seconds since 1970), or None.

    Args:
        blackouts: The spec's.
        zone_name: The IANA time zone whose clocks they mean.
        at: The moment.

    Raises:
        zoneinfo.ZoneInfoNotFoundError: There is no such zone.
    """
    clock = zone(zone_name)
    met: list[str] = []
    moment = at
    while (held := _longest(blackouts, clock, moment)) is not None:
        window, minutes = held
        if window.written not in met:
            met.append(window.written)
        if moment - at > _FAR:
            return Dark(" and ".join(met), None)
        moment = _later(clock, moment, minutes)
    return Dark(" and ".join(met), moment) if met else None


def _longest(
    blackouts: Sequence[Blackout], clock: tzinfo, at: float
) -> tuple[Blackout, int] | None:
    """Return the blackout that lasts longest from *at* on, and its minutes by the clock."""
    shown = datetime.fromtimestamp(at, clock)
    minute = shown.hour * 60 + shown.minute
    left = [(_left(window, shown.weekday(), minute), window) for window in blackouts]
    minutes, window = max(left, key=lambda pair: pair[0], default=(0, None))
    return (window, minutes) if window is not None and minutes else None


def _left(window: Blackout, day: int, minute: int) -> int:
    """Return for how many minutes more *window* lasts; 0 outside."""
    if window.start < window.end:
        inside = day in window.days and window.start <= minute < window.end
        return window.end - minute if inside else 0
    if day in window.days and minute >= window.start:
        return _DAY_MINUTES - minute + window.end
    if (day - 1) % 7 in window.days and minute < window.end:
        return window.end - minute
    return 0


def _later(clock: tzinfo, at: float, minutes: int) -> float:
    """Return the moment so many minutes on; the next minute when clocks are changed in between."""
    begun = at - at % _MINUTE
    end = begun + minutes * _MINUTE
    return end if _offset(clock, at) == _offset(clock, end) else begun + _MINUTE


def _offset(clock: tzinfo, at: float) -> object:
    return datetime.fromtimestamp(at, clock).utcoffset()
