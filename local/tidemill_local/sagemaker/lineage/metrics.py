"""SageMaker's metrics service: what programs measure becomes metrics of a trial component."""

import json
from collections.abc import Mapping
from functools import cache
from http import HTTPStatus
from typing import Any

import botocore.session
from botocore.model import ServiceModel
from botocore.utils import parse_timestamp
from botocore.validate import ParamValidator

from tidemill_local.sagemaker import misfortune, protocol
from tidemill_local.sagemaker.constraints import broken_constraints
from tidemill_local.sagemaker.context import Context
from tidemill_local.sagemaker.errors import ValidationError
from tidemill_local.sagemaker.lineage import tracking
from tidemill_local.sagemaker.lineage.tracking import COMPONENT

Answer = tuple[int, dict[str, str], bytes]
_PUT, _GET = "/BatchPutMetrics", "/BatchGetMetrics"


def is_ours(path: str) -> bool:
    """Whether a request's path is one of the metrics service's."""
    return path in {_PUT, _GET}


def answer(context: Context, method: str, path: str, body: bytes) -> Answer:
    """
    Answer one request to `sagemaker-metrics`.

    Raises:
        ServiceError: ValidationException or ResourceNotFound.
    """
    if (method, path) != ("PUT", _PUT):
        raise ValidationError(
            f"{method} {path} is not offered by the local SageMaker, which has BatchPutMetrics; "
            "read a trial component's metrics with DescribeTrialComponent."
        )
    asked = protocol.parse(body)
    misfortune.refuse(context, "BatchPutMetrics", asked)
    _check(asked)

    def change(component: dict[str, Any]) -> None:
        metrics = {each["MetricName"]: each for each in component.get("Metrics", [])}
        for point in asked["MetricData"]:
            name = point["MetricName"]
            metrics[name] = _with_value(metrics.get(name, {}), point) | {
                "MetricName": name,
                "SourceArn": component["TrialComponentArn"],
            }
        component["Metrics"] = list(metrics.values())

    tracking.edit(context, COMPONENT, asked["TrialComponentName"], change)
    return HTTPStatus.OK, {"Content-Type": "application/json"}, json.dumps({}).encode()


def kept_beside(
    measured: list[dict[str, Any]], reported: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return what a job reported at its end, and what was put here under other names."""
    names = {metric["MetricName"] for metric in reported}
    return reported + [metric for metric in measured if metric["MetricName"] not in names]


def _with_value(summary: Mapping[str, Any], point: Mapping[str, Any]) -> dict[str, Any]:
    """Return a metric's summary with one more value; the last is that of the latest time."""
    value, moment = float(point["Value"]), parse_timestamp(point["Timestamp"]).timestamp()
    seen = summary.get("Count", 0)  # a job's own has its last value only
    if seen == 0:
        return {
            "TimeStamp": moment, "Max": value, "Min": value, "Last": value, "Count": 1,
            "Avg": value, "StdDev": 0.0,
        }  # fmt: skip
    count, old = seen + 1, summary["Avg"]
    mean = old + (value - old) / count
    squares = summary["StdDev"] ** 2 * seen + (value - old) * (value - mean)
    later = moment >= summary["TimeStamp"]
    return {
        "TimeStamp": moment if later else summary["TimeStamp"],
        "Max": max(summary["Max"], value),
        "Min": min(summary["Min"], value),
        "Last": value if later else summary["Last"],
        "Count": count,
        "Avg": mean,
        "StdDev": (squares / count) ** 0.5,
    }


def _check(asked: dict[str, Any]) -> None:
    shape = _model().operation_model("BatchPutMetrics").input_shape
    if shape is None:
        return
    report = ParamValidator().validate(asked, shape)
    broken = broken_constraints(shape, asked)
    if broken or report.has_errors():
        raise ValidationError("; ".join(broken) or report.generate_report())


@cache
def _model() -> ServiceModel:
    return botocore.session.get_session().get_service_model("sagemaker-metrics")
