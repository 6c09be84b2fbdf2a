"""The quality of predictions as CloudWatch metrics, by the names that Model Monitor has."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tidemill.adapters.monitor_metrics import MonitorMetrics, datum
from tidemill.spec.compiled import Reported

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient

NAMESPACE = "aws/sagemaker/Endpoints/model-metrics"


class QualityMetrics:
    """Puts metrics; a point that is measured again puts its own again, at the same time."""

    def __init__(self, client: "CloudWatchClient", namespace: str = NAMESPACE) -> None:
        self._metrics = MonitorMetrics(client, namespace)

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
        data = (
            (start, datum(name, value))
            for start, held in sorted(documents.items())
            if reported != "none"
            for name, value in _values(held["statistics.json"])
            if reported == "all" or name == metric
        )
        return self._metrics.put(data, endpoint=endpoint, schedule=schedule, now=now)


def _values(statistics: Mapping[str, Any]) -> list[tuple[str, float]]:
    """Return the metrics that are numbers; curves, tables and what is undefined are none."""
    return [
        (name, found["value"])
        for section, held in statistics.items()
        if section.endswith("_metrics")
        for name, found in held.items()
        if isinstance(found.get("value"), int | float)
    ]
