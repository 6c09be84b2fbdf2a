"""SageMaker's wire protocol (AWS JSON 1.1): what a request may say, what an answer looks like."""

import json
from functools import cache
from typing import Any

import botocore.session
from botocore.model import (
    ListShape,
    MapShape,
    OperationModel,
    ServiceModel,
    Shape,
    StructureShape,
)
from botocore.utils import parse_timestamp
from botocore.validate import ParamValidator

from tidemill_local.sagemaker.constraints import broken_constraints
from tidemill_local.sagemaker.errors import ServiceError, ValidationError


def parse(body: bytes) -> dict[str, Any]:
    """
    Read a request's JSON; an empty body is an empty request, as for SageMaker.

    Raises:
        ServiceError: SerializationException, when it is no JSON object.
    """
    try:
        request = json.loads(body.decode() or "{}")  # other encodings are no JSON of SageMaker's
    except (ValueError, RecursionError) as error:
        raise ServiceError(
            "SerializationException", f"the request's body is not JSON: {error}"
        ) from error
    if not isinstance(request, dict):
        raise ServiceError(
            "SerializationException", "the request's body must be a JSON object of the parameters"
        )
    return request


def knows(operation: str) -> bool:
    """Whether SageMaker has an operation of this name, supported here or not."""
    return operation in _service().operation_names


def operation_names() -> list[str]:
    """Return the names of all of SageMaker's operations, sorted."""
    return sorted(_service().operation_names)


def members(operation: str) -> set[str]:
    """Return the names of what an operation's request may hold."""
    shape = _operation(operation).input_shape
    return set() if shape is None else set(shape.members)


def accept(operation: str, request: dict[str, Any]) -> dict[str, Any]:
    """
    Check a request against the service model; return it with times as epoch seconds.

    Raises:
        ServiceError: ValidationException in SageMaker's words for broken constraints,
            SerializationException for a value of the wrong type.
    """
    shape = _operation(operation).input_shape
    if shape is None:
        return {}
    broken = broken_constraints(shape, request)
    if broken:
        plural = "s" if len(broken) > 1 else ""
        raise ValidationError(
            f"{len(broken)} validation error{plural} detected: {'; '.join(broken)}"
        )
    accepted: dict[str, Any] = _with_epoch_times(shape, request)
    report = ParamValidator().validate(accepted, shape)
    if report.has_errors():
        raise ServiceError("SerializationException", report.generate_report())
    return accepted


def shape(operation: str, answer: dict[str, Any]) -> dict[str, Any]:
    """Return the answer with only what the service model knows, as JSON can carry it."""
    output = _operation(operation).output_shape
    return {} if output is None else _shaped(output, answer)


def structure(shape_name: str) -> StructureShape:
    """Return a structure of the service model by its name."""
    found = _service().shape_for(shape_name)
    if not isinstance(found, StructureShape):
        raise TypeError(f"{shape_name} is no structure")
    return found


def timestamps(shape_name: str, body: dict[str, Any], scale: int) -> dict[str, Any]:
    """
    Return what of *body* a structure of the service model knows, as events carry it.

    Args:
        shape_name: The structure, such as DescribeTrainingJobResponse.
        body: A record's body.
        scale: Times become whole numbers of 1/scale seconds.
    """
    converted: dict[str, Any] = _shaped(_service().shape_for(shape_name), body, scale)
    return converted


@cache
def _service() -> ServiceModel:
    return botocore.session.get_session().get_service_model("sagemaker")


@cache
def _operation(name: str) -> OperationModel:
    return _service().operation_model(name)


def _with_epoch_times(shape: Shape, value: Any) -> Any:
    if isinstance(shape, StructureShape) and isinstance(value, dict):
        return {
            name: _with_epoch_times(shape.members[name], member)
            for name, member in value.items()
            if member is not None  # null stands for an absent member
        }
    if isinstance(shape, ListShape) and isinstance(value, list):
        return [_with_epoch_times(shape.member, element) for element in value]
    if isinstance(shape, MapShape) and isinstance(value, dict):
        return {key: _with_epoch_times(shape.value, element) for key, element in value.items()}
    if shape.type_name == "timestamp":
        try:
            return parse_timestamp(value).timestamp()
        except (ValueError, TypeError, OverflowError, RuntimeError) as error:
            raise ServiceError(
                "SerializationException", f"{value!r} is not a time; give epoch seconds"
            ) from error
    return value


def _shaped(shape: Shape, value: Any, scale: int | None = None) -> Any:
    if isinstance(shape, StructureShape):
        return {
            name: _shaped(member, value[name], scale)
            for name, member in shape.members.items()
            if value.get(name) is not None
        }
    if isinstance(shape, ListShape):
        return [_shaped(shape.member, element, scale) for element in value]
    if isinstance(shape, MapShape):
        return {key: _shaped(shape.value, element, scale) for key, element in value.items()}
    if shape.type_name == "timestamp":
        return round(value, 3) if scale is None else int(value * scale)
    return value
