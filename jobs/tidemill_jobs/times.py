"""Times as people read them, from the minutes that columns hold."""

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def minutes_text(minutes: float) -> str:
    """Return `2026-11-20T14:30Z` of minutes since 1970; out of a calendar's years, the number."""
    try:
        return (EPOCH + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%MZ")
    except OverflowError:
        return f"minute {minutes:.0f}"
