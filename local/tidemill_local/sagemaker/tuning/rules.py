"""What a tuning job makes of its training jobs: which is best, and when to stop one, or all."""

import math
import statistics
from collections.abc import Sequence
from typing import Any

_IMPROVEMENT = 0.01  # by this share an objective must get better to count as improving
_EARLIER_JOBS = 3  # whose epochs must be known before a job is stopped early
GIVES_UP_AFTER = 5  # training jobs without a success


def objective_value(job: dict[str, Any], metric: str) -> float | None:
    """Return the last value of a metric in a training job's record; None when it has none."""
    for item in job.get("FinalMetricDataList", []):
        if item["MetricName"] == metric and math.isfinite(item["Value"]):
            value: float = item["Value"]
            return value
    return None


def better(value: float, than: float, *, minimize: bool) -> bool:
    """Whether an objective is better than another."""
    return value < than if minimize else value > than


def not_improving(values: Sequence[float], *, minimize: bool) -> int:
    """Return how many of the last values did not improve on the best before them by 1 % or more."""
    best: float | None = None
    count = 0
    for value in values:
        gain = 0.0 if best is None else (best - value if minimize else value - best)
        if best is None or (gain > 0 and gain >= _IMPROVEMENT * abs(best)):
            best, count = value, 0
        else:
            count += 1
    return count


def unpromising(
    epochs: Sequence[float], earlier: Sequence[Sequence[float]], *, minimize: bool
) -> bool:
    """
    Whether a training job should stop early.

    Args:
        epochs: Its objective after each epoch so far.
        earlier: The same of training jobs before it.
        minimize: Whether a smaller objective is better.

    Source:
        The developer guide, "Stop Training Jobs Early": a job stops when its objective is worse
        than the median of the running averages of earlier jobs up to the same epoch. That three
        jobs must have got so far is ours.
    """
    reached = len(epochs)
    as_far = [job[:reached] for job in earlier if len(job) >= reached]
    if not reached or len(as_far) < _EARLIER_JOBS:
        return False
    averages = [statistics.fmean(job) for job in as_far]
    return better(statistics.median(averages), epochs[-1], minimize=minimize)


def hopeless(failed: int, completed: int, most: float) -> bool:
    """Whether so many training jobs failed, with none that completed, that it is time to stop."""
    return not completed and failed >= min(GIVES_UP_AFTER, most)


def comparable(values: Sequence[float]) -> list[float]:
    """Return the values as distances from their mean, in standard deviations."""
    mean = statistics.fmean(values) if values else 0.0
    spread = statistics.pstdev(values) if values else 0.0
    return [(value - mean) / spread if spread else 0.0 for value in values]
