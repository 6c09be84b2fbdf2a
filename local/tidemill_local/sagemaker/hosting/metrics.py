"""
What SageMaker tells CloudWatch of every invocation: namespace AWS/SageMaker, per variant.

Each metric is put twice: by EndpointName and VariantName, and with EndpointConfigName besides, by
which an alarm tells the new fleet of an update from the old one; by InferenceComponentName where
one was asked. AWS aggregates a minute; here a
thread puts what came in every two seconds, so that alarms go off while a rollout bakes.
"""

import itertools
import logging
import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from tidemill_local.sagemaker.cloudwatch import CloudWatch
from tidemill_local.sagemaker.context import Context
from tidemill_local.sagemaker.operations import on_stop

logger = logging.getLogger(__name__)

NAMESPACE = "AWS/SageMaker"
FLUSH_SECONDS = 2.0
_MOST_DATA = 500  # of one PutMetricData
_MOST_VALUES = 8  # of one metric in one flush; more are thinned out to quantiles
_STOP_SECONDS = 10.0

_Metric = tuple[str, str, list[float], list[float]]
"""Name, unit, values, and how often each came."""


class Measured(NamedTuple):
    """One invocation. Latencies in microseconds; status 0 is a container that did not answer."""

    endpoint: str
    config: str
    variant: str
    status: int
    model_latency: float
    overhead_latency: float
    component: str = ""  # the inference component that was asked
    copies: int = 0  # which it had


class EndpointMetrics:
    """Collects invocations and puts their metrics; a part of the context."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._measured: deque[Measured] = deque()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def record(self, measured: Measured) -> None:
        """Count an invocation. Never blocks on CloudWatch and never raises."""
        self._measured.append(measured)
        if self._thread is None:
            self._start()

    def stop(self) -> None:
        """Put what is left, and end."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(_STOP_SECONDS)

    def flush(self) -> None:
        """Put what has come in; what CloudWatch refuses is lost, and logged."""
        found = [self._measured.popleft() for _ in range(len(self._measured))]
        data: list[Any] = list(metric_data(found, time.time()))
        for first in range(0, len(data), _MOST_DATA):
            try:
                self._context.part(CloudWatch).client.put_metric_data(
                    Namespace=NAMESPACE, MetricData=data[first : first + _MOST_DATA]
                )
            except (BotoCoreError, ClientError) as error:
                logger.warning("metrics of %d invocations were lost: %s", len(found), error)
                return

    def _start(self) -> None:
        with self._lock:
            if self._thread is None and not self._stopping.is_set():
                self._thread = threading.Thread(
                    target=self._run, name="endpoint-metrics", daemon=True
                )
                self._thread.start()

    def _run(self) -> None:
        while not self._stopping.wait(FLUSH_SECONDS):
            self.flush()
        self.flush()


def metric_data(measured: list[Measured], now: float) -> Iterator[dict[str, Any]]:
    """Yield the data of PutMetricData for these invocations, with *now* as their time."""
    groups: defaultdict[tuple[str, str, str], list[Measured]] = defaultdict(list)
    components: defaultdict[str, list[Measured]] = defaultdict(list)
    for each in measured:
        groups[each.endpoint, each.variant, each.config].append(each)
        if each.component:
            components[each.component].append(each)
    for (endpoint, variant, config), group in groups.items():
        dimensions = {"EndpointName": endpoint, "VariantName": variant}
        for metric in _metrics(group):
            yield _datum(metric, dimensions, now)
            yield _datum(metric, dimensions | {"EndpointConfigName": config}, now)
    for component, group in components.items():
        for metric in (*_metrics(group), _per_copy(group)):
            yield _datum(metric, {"InferenceComponentName": component}, now)


def _datum(metric: _Metric, dimensions: dict[str, str], now: float) -> dict[str, Any]:
    name, unit, values, counts = metric
    return {
        "MetricName": name,
        "Dimensions": [{"Name": each, "Value": value} for each, value in dimensions.items()],
        "Timestamp": now,
        "Unit": unit,
        "Values": values,
        "Counts": counts,
    }


def _per_copy(group: list[Measured]) -> _Metric:
    """Return the metric by which inference components are scaled: its sum is what a copy had."""
    shares = Counter(1.0 / max(1, each.copies) for each in group)
    return "InvocationsPerCopy", "None", list(shares), [float(n) for n in shares.values()]


def _metrics(group: list[Measured]) -> Iterator[_Metric]:
    yield "Invocations", "None", [1.0], [float(len(group))]
    statuses = [each.status for each in group]
    for name, least, most in _ERRORS:
        errors = sum(
            least <= status <= most or (status == 0 and least != HTTPStatus.BAD_REQUEST)
            for status in statuses
        )
        counts = {0.0: float(len(group) - errors), 1.0: float(errors)}
        kept = {value: count for value, count in counts.items() if count}
        yield name, "None", list(kept), list(kept.values())
    answered = [each for each in group if each.status]
    if answered:
        yield "ModelLatency", "Microseconds", *_thinned([e.model_latency for e in answered])
        yield "OverheadLatency", "Microseconds", *_thinned([e.overhead_latency for e in answered])


_ERRORS = (
    ("Invocation4XXErrors", HTTPStatus.BAD_REQUEST, 499),
    ("Invocation5XXErrors", HTTPStatus.INTERNAL_SERVER_ERROR, 599),
    ("InvocationModelErrors", 300, 599),
)


def _thinned(values: list[float]) -> tuple[list[float], list[float]]:
    """Return at most a few values that stand for all, and how many each stands for."""
    values.sort()
    bins = min(len(values), _MOST_VALUES)
    edges = [len(values) * number // bins for number in range(bins + 1)]
    spans = list(itertools.pairwise(edges))
    kept = [sum(values[low:high]) / (high - low) for low, high in spans]
    kept[0], kept[-1] = (values[0], values[-1]) if bins > 1 else (kept[0], kept[0])
    return [round(value, 1) for value in kept], [float(high - low) for low, high in spans]


@on_stop
def stop_metrics(context: Context) -> None:
    """Put what is left."""
    context.part(EndpointMetrics).stop()
