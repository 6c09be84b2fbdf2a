"""What a watch's CloudWatch metrics come to: how many there are, and for how much of a month."""

from dataclasses import dataclass

from tidemill.spec.compiled import Watch

OF_THE_MODEL = 3  # rows, features that drifted, the farthest one's distance
OF_A_FEATURE = 3  # cells with a value, distance, and of numbers their range and sum
OF_QUALITY = {"none": 0, "worst": 1, "all": 17}  # with a floor: the one judged; a binary model's
WORST = 5  # features with metrics of their own by `metrics: worst`
_HOUR = 3_600.0  # what CloudWatch bills a metric by


@dataclass(frozen=True, slots=True)
class MetricsCost:
    """
    The metrics that a look sends at the most, and how many months of one metric a month's are.

    *each* is what one column more adds to *metrics* where nobody knows how many there are.
    """

    metrics: int
    months: float
    each: int = 0


def metrics_cost(watch: Watch, features: int | None) -> MetricsCost:
    """
    Return what the watch's metrics come to.

    Which features are the worst changes from look to look, and each has metrics of its own: but a
    metric is billed only for the hours in which it is sent.

    Args:
        watch: The spec's.
        features: How many there are, the model's answers among them; None when nobody knows.
    """
    if not watch.every_seconds or not watch.capture.percent:
        return MetricsCost(0, 0.0)
    own = {"none": 0, "worst": WORST, "all": features}[watch.metrics]
    if own is not None and features is not None:
        own = min(own, features)
    quality = OF_QUALITY[watch.metrics] if watch.quality else 0
    metrics = OF_THE_MODEL + OF_A_FEATURE * (own or 0) + quality
    part = min(1.0, _HOUR / watch.every_seconds)
    return MetricsCost(metrics, metrics * part, each=OF_A_FEATURE if own is None else 0)
