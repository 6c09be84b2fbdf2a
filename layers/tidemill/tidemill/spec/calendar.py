"""Times of the week in which nothing starts, and schedules, as people write them in model.yaml."""

import re
from collections.abc import Iterable
from zoneinfo import available_timezones

from tidemill.spec.compiled import Blackout
from tidemill.spec.fields import refusal, suggestion

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_MINUTES = 24 * 60

_BLACKOUT = re.compile(r"(?P<days>\S+) (?P<start>\d\d:\d\d)-(?P<end>\d\d:\d\d)")
_RATE = re.compile(r"rate\((?:1 (?:minute|hour|day)|(?!0|1 )\d{1,6} (?:minutes|hours|days))\)")
_AT = re.compile(r"at\(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\)")
_CRON_FIELD = re.compile(r"[0-9A-Za-z*?,/#-]+")
_CRON_FIELDS = 6
_DAY_OF_MONTH, _DAY_OF_WEEK = 2, 4


def time_zone(text: str) -> str:
    """Return *text* if it is an IANA time zone."""
    known = available_timezones()
    if text not in known:
        raise refusal(
            f"is '{text}', which is no IANA time zone such as Europe/Berlin"
            f"{suggestion(text, tuple(sorted(known)))}"
        )
    return text


def blackout(text: str) -> str:
    """Return *text* if it is days and hours."""
    read_blackout(text)
    return text


def read_blackout(text: str) -> Blackout:
    """
    Read `mon-fri 08:00-18:00`, `sat,sun 00:00-24:00` or `fri 22:00-06:00` (until Saturday).

    Raises:
        PydanticCustomError: It is none; says what is expected.
    """
    match = _BLACKOUT.fullmatch(text)
    days = _days(match["days"]) if match else None
    start, end = (_minutes(match[name]) if match else None for name in ("start", "end"))
    if days is None or start is None or end is None or start in (end, DAY_MINUTES):
        raise refusal(
            f"is '{text}'; write days and hours, as `mon-fri 08:00-18:00` or `sat,sun 00:00-24:00`"
        )
    return Blackout(text, days, start, end)


def schedule(text: str) -> str:
    """Return *text* if EventBridge Scheduler takes it, as far as its documentation says."""
    fields = text[len("cron(") : -1].split(" ") if text.startswith("cron(") else []
    cron = (
        text.endswith(")")
        and len(fields) == _CRON_FIELDS
        and all(_CRON_FIELD.fullmatch(field) for field in fields)
        and (fields[_DAY_OF_MONTH] == "?") != (fields[_DAY_OF_WEEK] == "?")
    )
    if not (cron or _RATE.fullmatch(text) or _AT.fullmatch(text)):
        raise refusal(
            f"is '{text}'; write rate(1 day), at(2026-12-01T03:00:00), or six cron fields of which "
            "the day of the month or of the week is ?, as cron(0 3 * * ? *)"
        )
    return text


def covers_the_week(blackouts: Iterable[Blackout]) -> bool:
    """Say whether no minute of the week is left."""
    covered = bytearray(len(DAYS) * DAY_MINUTES)
    for held in blackouts:
        length = (held.end - held.start) % DAY_MINUTES or DAY_MINUTES
        for day in held.days:
            first = day * DAY_MINUTES + held.start
            for minute in range(first, first + length):
                covered[minute % len(covered)] = 1
    return all(covered)


def _days(text: str) -> tuple[int, ...] | None:
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        if first not in DAYS or (last or first) not in DAYS:
            return None
        start, end = DAYS.index(first), DAYS.index(last or first)
        span = (end - start) % len(DAYS)
        found.update((start + step) % len(DAYS) for step in range(span + 1))
    return tuple(sorted(found))


def _minutes(text: str) -> int | None:
    hours, minutes = map(int, text.split(":"))
    total = hours * 60 + minutes
    return total if minutes < 60 and total <= DAY_MINUTES else None  # noqa: PLR2004  # an hour's minutes
