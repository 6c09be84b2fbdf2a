"""Times: seconds since 1970 (UTC) as a float inside, ISO 8601 with milliseconds outside."""

from datetime import UTC, datetime


def iso(seconds: float) -> str:
    """Return `2026-11-20T10:00:00.000Z`: of fixed width, so that text order is time order."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def seconds(text: str) -> float:
    """Return the seconds since 1970 of an ISO 8601 text; without a zone it is UTC."""
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
