"""
statistics.json: what the columns hold.

Numbers have ten buckets of equal width and the quantile sketch, whose level i weighs 2^i, as
Deequ writes it; text has the rows of each category. Where a column has more categories than a
profile keeps, the most frequent ones stand there.
"""

from typing import Any, Final

import numpy as np

from tidemill_jobs.monitor.text import VERSION
from tidemill_jobs.profile import Column, Kll, Numbers, Profile

BUCKETS: Final = 10
SHRINKING: Final = 0.64  # `c`: how fast a KLL sketch's lower levels get smaller, Deequ's default


def statistics(profile: Profile) -> dict[str, Any]:
    """Return statistics.json of a profile, features in the profile's order."""
    return {
        "version": VERSION,
        "dataset": {"item_count": profile.rows},
        "features": [_feature(name, column) for name, column in profile.columns.items()],
    }


def _feature(name: str, column: Column) -> dict[str, Any]:
    common = {"num_present": column.present, "num_missing": column.missing}
    feature: dict[str, Any] = {"name": name, "inferred_type": column.inferred_type}
    if column.inferred_type in ("Integral", "Fractional"):
        return feature | {"numerical_statistics": {"common": common} | _numbers(column.numbers)}
    return feature | {
        "string_statistics": {
            "common": common,
            "distinct_count": float(column.distinct),
            "distribution": {
                "categorical": {
                    "buckets": [
                        {"value": value, "count": rows} for value, rows in column.categories.items()
                    ]
                }
            },
        }
    }


def _numbers(numbers: Numbers | None) -> dict[str, Any]:
    if numbers is None or not numbers.count:  # all are infinite, of which JSON cannot tell
        return {}
    return {
        "mean": numbers.mean,
        "sum": float(numbers.sum),
        "std_dev": numbers.std_dev,
        "min": numbers.low,
        "max": numbers.high,
        "distribution": {
            "kll": {
                "buckets": buckets(numbers.sketch, numbers.low, numbers.high),
                "sketch": {
                    "parameters": {"c": SHRINKING, "k": float(numbers.sketch.k)},
                    "data": [level.tolist() for level in numbers.sketch.ordered_levels],
                },
            }
        },
    }


def buckets(sketch: Kll, low: float, high: float) -> list[dict[str, float]]:
    """
    Return ten buckets of equal width over [low, high].

    Each is [lower, upper), the last one closed; counts are the sketch's and add up to its own. A
    column of one value has it all in the last bucket, as in Deequ.
    """
    shares = np.arange(BUCKETS) / BUCKETS
    # Not low + (high - low) * share, whose difference may overflow; clipped, as it is rounded.
    bounds = np.clip(low * (1 - shares) + high * shares, low, high)
    values, weights = sketch.cdf()
    below = np.concatenate(([0.0], weights))[np.searchsorted(values, bounds, side="left")]
    counts = np.diff(below, append=float(sketch.count))
    return [
        {"lower_bound": lower, "upper_bound": upper, "count": count}
        for lower, upper, count in zip(
            bounds.tolist(), [*bounds[1:].tolist(), float(high)], counts.tolist(), strict=True
        )
    ]
