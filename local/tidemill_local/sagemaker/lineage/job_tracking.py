"""What is tracked of each kind of job: its parameters, what it reads, writes and measures."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

_LONGEST_VALUE = 2500  # characters of a parameter's text, by the API
_MOST_PARAMETERS = 300


@dataclass(frozen=True, slots=True)
class Asset:
    """
    Something a job reads or writes.

    Attributes:
        name: Under which the job knows it.
        uri: Where it is.
        kind: The type of its artifact: DataSet, Image, Model, Checkpoint.
        media: Its content type; "" when it has none.
    """

    name: str
    uri: str
    kind: str
    media: str = ""


@dataclass(frozen=True, slots=True)
class JobTracking:
    """
    How one kind of job is read.

    Attributes:
        suffix: How its components' names end.
        started: The record's member with the time when its container began.
        ended: The record's member with the time of its end.
        parameters: Reads them from the record, in the API's shape.
        inputs: Yields what it reads.
        outputs: Yields what it has written, once it completed.
        metrics: Reads them, in the API's shape.
    """

    suffix: str
    started: str
    ended: str
    parameters: Callable[[dict[str, Any]], dict[str, Any]]
    inputs: Callable[[dict[str, Any]], Iterator[Asset]]
    outputs: Callable[[dict[str, Any]], Iterator[Asset]]
    metrics: Callable[[dict[str, Any]], list[dict[str, Any]]]


def _training_parameters(body: dict[str, Any]) -> dict[str, Any]:
    return _parameters(body.get("ResourceConfig", {}), body.get("HyperParameters", {}))


def _training_inputs(body: dict[str, Any]) -> Iterator[Asset]:
    image = body.get("AlgorithmSpecification", {}).get("TrainingImage")
    if image:
        yield Asset("SageMaker.ImageUri", image, "Image")
    for channel in body.get("InputDataConfig", []):
        source = channel["DataSource"].get("S3DataSource")
        if source is not None:
            media = channel.get("ContentType", "")
            yield Asset(channel["ChannelName"], source["S3Uri"], "DataSet", media)


def _training_outputs(body: dict[str, Any]) -> Iterator[Asset]:
    model = body.get("ModelArtifacts", {}).get("S3ModelArtifacts")
    if model:
        yield Asset("SageMaker.ModelArtifact", model, "Model")
    if "CheckpointConfig" in body:
        yield Asset("SageMaker.Checkpoints", body["CheckpointConfig"]["S3Uri"], "Checkpoint")


def _training_metrics(body: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the summaries; the record has each metric's last value only."""
    return [
        {
            "MetricName": metric["MetricName"],
            "SourceArn": body["TrainingJobArn"],
            "TimeStamp": metric["Timestamp"],
            "Last": metric["Value"],
        }
        for metric in body.get("FinalMetricDataList", [])
    ]


def _processing_parameters(body: dict[str, Any]) -> dict[str, Any]:
    cluster = body.get("ProcessingResources", {}).get("ClusterConfig", {})
    return _parameters(cluster, body.get("Environment", {}))


def _processing_inputs(body: dict[str, Any]) -> Iterator[Asset]:
    yield Asset("SageMaker.ImageUri", body["AppSpecification"]["ImageUri"], "Image")
    for each in body.get("ProcessingInputs", []):
        if "S3Input" in each:
            yield Asset(each["InputName"], each["S3Input"]["S3Uri"], "DataSet")


def _processing_outputs(body: dict[str, Any]) -> Iterator[Asset]:
    for each in body.get("ProcessingOutputConfig", {}).get("Outputs", []):
        if "S3Output" in each:
            yield Asset(each["OutputName"], each["S3Output"]["S3Uri"], "DataSet")


def _transform_parameters(body: dict[str, Any]) -> dict[str, Any]:
    return _parameters(body.get("TransformResources", {}), body.get("Environment", {})) | {
        "SageMaker.ModelName": {"StringValue": body["ModelName"]}
    }


def _transform_inputs(body: dict[str, Any]) -> Iterator[Asset]:
    source = body["TransformInput"]
    media = source.get("ContentType", "")
    uri = source["DataSource"]["S3DataSource"]["S3Uri"]
    yield Asset("SageMaker.TransformInput", uri, "DataSet", media)


def _transform_outputs(body: dict[str, Any]) -> Iterator[Asset]:
    output = body["TransformOutput"]
    media = output.get("Accept", "")
    yield Asset("SageMaker.TransformOutput", output["S3OutputPath"], "DataSet", media)


def _parameters(resources: dict[str, Any], texts: dict[str, str]) -> dict[str, Any]:
    known = {
        f"SageMaker.{field}": _value(resources[field])
        for field in ("InstanceCount", "InstanceType", "VolumeSizeInGB")
        if field in resources
    }
    own = {name: _value(_number(text)) for name, text in texts.items()}
    return dict(list((known | own).items())[:_MOST_PARAMETERS])


def _number(text: str) -> float | str:
    """Hyperparameters are text; what reads as a number is tracked as one, so that it compares."""
    try:
        number = float(text)
    except ValueError:
        return text
    return number if abs(number) < float("inf") else text


def _value(value: Any) -> dict[str, Any]:
    if isinstance(value, int | float):
        return {"NumberValue": float(value)}
    return {"StringValue": str(value)[:_LONGEST_VALUE]}


def _no_metrics(_: dict[str, Any]) -> list[dict[str, Any]]:
    return []


JOBS: dict[str, JobTracking] = {
    "TrainingJob": JobTracking(
        "aws-training-job", "TrainingStartTime", "TrainingEndTime",
        _training_parameters, _training_inputs, _training_outputs, _training_metrics,
    ),
    "ProcessingJob": JobTracking(
        "aws-processing-job", "ProcessingStartTime", "ProcessingEndTime",
        _processing_parameters, _processing_inputs, _processing_outputs, _no_metrics,
    ),
    "TransformJob": JobTracking(
        "aws-transform-job", "TransformStartTime", "TransformEndTime",
        _transform_parameters, _transform_inputs, _transform_outputs, _no_metrics,
    ),
}  # fmt: skip
