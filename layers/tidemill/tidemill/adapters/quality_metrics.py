"""The quality of predictions as CloudWatch metrics, by the names that Model Monitor has."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tidemill.spec.compiled import Reported

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient

NAMESPACE = "aws/sagemaker/Endpoints/model-metrics"
_MOST_DATA = 500  # of one PutMetricData
_FORTNIGHT = 13 * 86_400.0  # what is older CloudWatch refuses


class QualityMetrics:
    """Puts metrics; a point that is measured again puts its own again, at the same time."""

    def __init__(self, client: "CloudWatchClient", namespace: str = NAMESPACE) -> None:
        self._client = client
        self._namespace = namespace

    def put(
        self,
        documents: Mapping[float, Mapping[str, Any]],
        *,
        metric: str,
        endpoint: str,
        schedule: str,
        reported: Reported,
        now: float,
    ) -> int:
        """
        Put the metrics of some points.

        Args:
            documents: By a point's start (seconds since 1970), its `statistics.json` and others.
            metric: What the spec judges by: each metric is billed, so it is the only one unless
                all are *reported*.
            endpoint: Its name, a dimension.
            schedule: The watch's schedule, the other one: as Model Monitor has it.
            reported: `worst` (the spec's metric), `all` or `none`.
            now: Seconds since 1970; points of two weeks ago are not taken.

        Returns:
            How many there were.
        """
        dimensions = [
            {"Name": "Endpoint", "Value": endpoint},
            {"Name": "MonitoringSchedule", "Value": schedule},
        ]
        data: list[Any] = [
            {
                "MetricName": name,
                "Value": float(value),
                "Unit": "None",
                "Dimensions": dimensions,
                "Timestamp": datetime.fromtimestamp(start, UTC),
            }
            for start, held in sorted(documents.items())
            if start > now - _FORTNIGHT and reported != "none"
            for name, value in _values(held["statistics.json"])
            if reported == "all" or name == metric
        ]
        for first in range(0, len(data), _MOST_DATA):
            self._client.put_metric_data(
                Namespace=self._namespace, MetricData=data[first : first + _MOST_DATA]
            )
        return len(data)


def _values(statistics: Mapping[str, Any]) -> list[tuple[str, float]]:
    """Return the metrics that are numbers; curves, tables and what is undefined are none."""
    return [
        (name, found["value"])
        for section, held in statistics.items()
        if section.endswith("_metrics")
        for name, found in held.items()
        if isinstance(found.get("value"), int | float)
    ]
