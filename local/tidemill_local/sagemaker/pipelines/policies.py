"""When a step is tried again, and when an earlier result is taken in its place."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_RETRYABLE = (
    "SageMaker.CAPACITY_ERROR",
    "SageMaker.JOB_INTERNAL_ERROR",
    "SageMaker.RESOURCE_LIMIT",
    "Step.SERVICE_FAULT",
    "Step.THROTTLING",
)
_RETRY_FIELDS = frozenset(
    {"ExceptionType", "IntervalSeconds", "BackoffRate", "MaxAttempts", "ExpireAfterMin"}
)
_MAX_INTERVAL_SECONDS = 43_200
_MAX_ATTEMPTS = 20
_MAX_EXPIRE_MINUTES = 14_400
_DEFAULT_ATTEMPTS = 5
_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86_400.0
# SageMaker's own examples leave the P out and write small letters: 30d, T16m, 30dT5h.
_DURATION = re.compile(
    r"P?(?:(?P<years>\d+)Y)?(?:(?P<months>\d+)M)?(?:(?P<weeks>\d+)W)?(?:(?P<days>\d+)D)?"
    r"(?:T(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+)S)?)?",
    re.IGNORECASE,
)
_UNITS = {
    "years": 365 * _DAY,
    "months": 30 * _DAY,
    "weeks": 7 * _DAY,
    "days": _DAY,
    "hours": _HOUR,
    "minutes": _MINUTE,
    "seconds": 1.0,
}


class PolicyError(ValueError):
    """A policy cannot be accepted."""


@dataclass(frozen=True)
class RetryPolicy:
    """When a step that failed is tried again; intervals are seconds."""

    exceptions: frozenset[str]
    interval: float
    backoff: float
    attempts: int | None  # further tries; one of the two bounds is always set
    expires: float | None  # seconds since the first attempt

    def covers(self, error: str, attempt: int, elapsed: float) -> bool:
        """Say whether a try that failed with *error* is followed by another."""
        in_time = self.expires is None or elapsed < self.expires
        in_count = self.attempts is None or attempt <= self.attempts
        return error in self.exceptions and in_time and in_count

    def pause(self, attempt: int) -> float:
        """Return the seconds between this attempt and the next."""
        return float(min(self.interval * self.backoff ** (attempt - 1), _MAX_INTERVAL_SECONDS))


@dataclass(frozen=True)
class CacheConfig:
    """Whether an earlier result may be taken, and how many seconds old it may be."""

    enabled: bool
    expires: float


def read_retries(items: list[Any]) -> Iterator[RetryPolicy]:
    """
    Read a step's RetryPolicies.

    Raises:
        PolicyError: One of them is malformed.
    """
    for item in items:
        if not isinstance(item, dict) or set(item) - _RETRY_FIELDS:
            raise PolicyError(
                f"a retry policy is an object of {', '.join(sorted(_RETRY_FIELDS))}, not {item!r}"
            )
        attempts, minutes = item.get("MaxAttempts"), item.get("ExpireAfterMin")
        if attempts is not None and minutes is not None:
            raise PolicyError("a retry policy has either MaxAttempts or ExpireAfterMin, not both")
        if attempts is None and minutes is None:
            attempts = _DEFAULT_ATTEMPTS
        interval = _whole(item, "IntervalSeconds", _MAX_INTERVAL_SECONDS, 1)
        backoff = item.get("BackoffRate", 2.0)
        if isinstance(backoff, bool) or not isinstance(backoff, int | float) or backoff < 0:
            raise PolicyError(f"BackoffRate is a number of at least 0, not {backoff!r}")
        _whole(item, "MaxAttempts", _MAX_ATTEMPTS, 1)
        _whole(item, "ExpireAfterMin", _MAX_EXPIRE_MINUTES, 1)
        yield RetryPolicy(
            exceptions=_exceptions(item.get("ExceptionType")),
            interval=float(interval),
            backoff=float(backoff),
            attempts=attempts,
            expires=None if minutes is None else _MINUTE * minutes,
        )


def _exceptions(given: Any) -> frozenset[str]:
    kinds = [given] if isinstance(given, str) else given
    if not isinstance(kinds, list) or not kinds or any(k not in _RETRYABLE for k in kinds):
        raise PolicyError(
            f"RetryPolicies need an ExceptionType out of {', '.join(_RETRYABLE)}, not {given!r}"
        )
    return frozenset(kinds)


def _whole(item: dict[str, Any], field: str, most: int, default: int) -> int:
    value = item.get(field)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise PolicyError(f"{field} is a whole number from 1 to {most}, not {value!r}")
    return value


def read_cache(item: Any) -> CacheConfig | None:
    """
    Read a step's CacheConfig, if it has one.

    Raises:
        PolicyError: It is malformed.
    """
    if item is None:
        return None
    if not isinstance(item, dict) or set(item) - {"Enabled", "ExpireAfter"}:
        raise PolicyError(f"CacheConfig is an object of Enabled and ExpireAfter, not {item!r}")
    enabled, duration = item.get("Enabled", False), item.get("ExpireAfter")
    if not isinstance(enabled, bool):
        raise PolicyError(f"Enabled is true or false, not {enabled!r}")
    if duration is None and enabled:
        raise PolicyError("CacheConfig needs ExpireAfter when it is enabled")
    return CacheConfig(enabled, 0.0 if duration is None else seconds_of(duration))


def seconds_of(duration: Any) -> float:
    """
    Return the length of an ISO 8601 duration; a month counts 30 days, a year 365.

    Raises:
        PolicyError: It is none.
    """
    match = _DURATION.fullmatch(duration) if isinstance(duration, str) else None
    parts = {} if match is None else {k: v for k, v in match.groupdict().items() if v is not None}
    if not parts:
        raise PolicyError(f"ExpireAfter is an ISO 8601 duration such as P30D, not {duration!r}")
    return sum(int(value) * _UNITS[unit] for unit, value in parts.items())
