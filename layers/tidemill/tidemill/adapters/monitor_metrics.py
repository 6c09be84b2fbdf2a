"""CloudWatch metrics of an endpoint, with the dimensions that Model Monitor documents."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient

_MOST_DATA = 500  # of one PutMetricData; 1,000 are allowed, in 1 MB
_FORTNIGHT = 13 * 86_400.0  # what is older CloudWatch refuses

Datum = dict[str, Any]


class MonitorMetrics:
    """Puts metrics in one namespace; what is put again counts again, at the same time."""

    def __init__(self, client: "CloudWatchClient", namespace: str) -> None:
        self._client = client
        self._namespace = namespace

    def put(
        self, data: Iterable[tuple[float, Datum]], *, endpoint: str, schedule: str, now: float
    ) -> int:
        """
        Put metrics.

        Args:
            data: Each metric, with the time that it is of (seconds since 1970).
            endpoint: Its name, a dimension.
            schedule: The watch's schedule, the other one: as Model Monitor has it.
            now: Seconds since 1970; what is of two weeks ago is left out.

        Returns:
            How many were put.
        """
        dimensions = [
            {"Name": "Endpoint", "Value": endpoint},
            {"Name": "MonitoringSchedule", "Value": schedule},
        ]
        taken: list[Any] = [
            {**one, "Dimensions": dimensions, "Timestamp": datetime.fromtimestamp(at, UTC)}
            for at, one in data
            if at > now - _FORTNIGHT
        ]
        for first in range(0, len(taken), _MOST_DATA):
            self._client.put_metric_data(
                Namespace=self._namespace, MetricData=taken[first : first + _MOST_DATA]
            )
        return len(taken)


def datum(name: str, value: float) -> Datum:
    """Return a metric of one number."""
    return {"MetricName": name, "Value": float(value), "Unit": "None"}
