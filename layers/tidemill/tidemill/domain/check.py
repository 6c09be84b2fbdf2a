"""The check of a delivery: what an attempt is called, and when the next one may start."""

#: Seconds to wait after the first, second, … failed attempt; after the last one a person decides.
PAUSES_SECONDS = (60.0, 300.0, 1800.0)


def execution_name(delivery: str, attempt: int) -> str:
    """Return the name of an attempt's execution; attempts count from 1."""
    return delivery if attempt == 1 else f"{delivery}-r{attempt}"


def next_attempt_at(attempt: int, now: float) -> float | None:
    """Return when to try again after *attempt* failed at *now*, or None when a person decides."""
    if attempt > len(PAUSES_SECONDS):
        return None
    return now + PAUSES_SECONDS[attempt - 1]
