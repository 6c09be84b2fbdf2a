"""
A watch's metrics, in the namespace and by the names that Model Monitor documents.

Dashboards that were made for Model Monitor read them. Each metric is billed by the month, so by
default only the features that are farthest from the baseline have some of their own.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from tidemill.adapters.analyst import FeatureSeen, WindowSeen
from tidemill.adapters.monitor_metrics import Datum, MonitorMetrics, datum
from tidemill.spec.compiled import Reported

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient

NAMESPACE = "aws/sagemaker/Endpoints/data-metrics"
WORST = 5
_LONGEST_NAME = 255
_NAME_LEFT = _LONGEST_NAME - len("feature_baseline_drift_")


class WatchMetrics:
    """Puts metrics; a window that is concluded again puts its own again, at the same time."""

    def __init__(self, client: "CloudWatchClient", namespace: str = NAMESPACE) -> None:
        self._metrics = MonitorMetrics(client, namespace)

    def put(
        self,
        windows: Sequence[tuple[float, WindowSeen]],
        *,
        endpoint: str,
        schedule: str,
        reported: Reported,
        now: float,
    ) -> int:
        """
        Put the metrics of some windows.

        Args:
            windows: Their starts (seconds since 1970), and what they came to.
            endpoint: Its name, a dimension.
            schedule: The watch's schedule, the other one: as Model Monitor has it.
            reported: Which features get metrics of their own.
            now: Seconds since 1970; windows of two weeks ago are not taken.

        Returns:
            How many there were.
        """
        data = ((start, one) for start, seen in windows for one in _data(seen, reported))
        return self._metrics.put(data, endpoint=endpoint, schedule=schedule, now=now)


def reported_features(features: Iterable[FeatureSeen], reported: Reported) -> list[FeatureSeen]:
    """Return the features with metrics of their own: the farthest ones, all, or none."""
    if reported == "none":
        return []
    ordered = sorted(
        features,
        key=lambda one: (-1.0 if one.distance is None else one.distance, one.feature),
        reverse=True,
    )
    return ordered if reported == "all" else ordered[:WORST]


def _data(seen: WindowSeen, reported: Reported) -> Iterator[Datum]:
    distances = [one.distance for one in seen.features if one.distance is not None]
    yield datum("rows", seen.rows)
    yield datum("drifted_features", len(seen.drifted))
    if distances:
        yield datum("baseline_drift_max", max(distances))
    if not seen.rows:
        return
    for one in reported_features(seen.features, reported):
        name = one.feature[:_NAME_LEFT]
        yield datum(f"feature_non_null_{name}", one.present)
        if one.distance is not None:
            yield datum(f"feature_baseline_drift_{name}", one.distance)
        if one.data is not None and all(map(math.isfinite, one.data.values())):
            yield {
                "MetricName": f"feature_data_{name}",
                "Unit": "None",
                "StatisticValues": {
                    "SampleCount": float(one.present),
                    "Sum": one.data["sum"],
                    "Minimum": one.data["low"],
                    "Maximum": one.data["high"],
                },
            }
