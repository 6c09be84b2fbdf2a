"""
A watch's metrics, in the namespace and by the names that Model Monitor documents.

Dashboards that were made for Model Monitor read them. Each metric is billed by the month, so by
default only the features that are farthest from the baseline have some of their own.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tidemill.adapters.analyst import FeatureSeen, WindowSeen
from tidemill.spec.compiled import Reported

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient

NAMESPACE = "aws/sagemaker/Endpoints/data-metrics"
WORST = 5
_MOST_DATA = 500  # of one PutMetricData; 1,000 are allowed, in 1 MB
_LONGEST_NAME = 255
_NAME_LEFT = _LONGEST_NAME - len("feature_baseline_drift_")
_FORTNIGHT = 13 * 86_400.0  # what is older CloudWatch refuses


class WatchMetrics:
    """Puts metrics; a window that is concluded again puts its own again, at the same time."""

    def __init__(self, client: "CloudWatchClient", namespace: str = NAMESPACE) -> None:
        self._client = client
        self._namespace = namespace

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
        dimensions = [
            {"Name": "Endpoint", "Value": endpoint},
            {"Name": "MonitoringSchedule", "Value": schedule},
        ]
        data = [
            {**datum, "Dimensions": dimensions, "Timestamp": datetime.fromtimestamp(start, UTC)}
            for start, seen in windows
            if start > now - _FORTNIGHT
            for datum in _data(seen, reported)
        ]
        for first in range(0, len(data), _MOST_DATA):
            batch: Any = data[first : first + _MOST_DATA]
            self._client.put_metric_data(Namespace=self._namespace, MetricData=batch)
        return len(data)


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


def _data(seen: WindowSeen, reported: Reported) -> Iterator[dict[str, Any]]:
    distances = [one.distance for one in seen.features if one.distance is not None]
    yield _datum("rows", seen.rows)
    yield _datum("drifted_features", len(seen.drifted))
    if distances:
        yield _datum("baseline_drift_max", max(distances))
    if not seen.rows:
        return
    for one in reported_features(seen.features, reported):
        name = one.feature[:_NAME_LEFT]
        yield _datum(f"feature_non_null_{name}", one.present)
        if one.distance is not None:
            yield _datum(f"feature_baseline_drift_{name}", one.distance)
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


def _datum(name: str, value: float) -> dict[str, Any]:
    return {"MetricName": name, "Value": float(value), "Unit": "None"}
