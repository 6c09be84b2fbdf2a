"""
The types in a pipeline definition: what a reference stands for, and what an argument takes.

Both come from botocore's service model: a step's properties have the types of the matching Describe
answer, its arguments those of the matching Create request. As on SageMaker a number is no string:
an Integer parameter cannot be a hyperparameter unless Std:Join makes a string of it.
"""

import functools
from collections.abc import Mapping
from typing import Any

import botocore.session
from botocore.model import ListShape, MapShape, ServiceModel, Shape, StructureShape

from tidemill_local.sagemaker.pipelines.definition import DefinitionError, Step
from tidemill_local.sagemaker.pipelines.expressions import (
    ExpressionError,
    Reference,
    is_expression,
    parse_reference,
    path_segments,
)
from tidemill_local.sagemaker.pipelines.step_types import KINDS

EXECUTION_VARIABLES = frozenset(
    {"PipelineName", "PipelineArn", "PipelineExecutionId", "PipelineExecutionArn"}
    | {"StartDateTime", "CurrentDateTime", "TrainingJobName", "ProcessingJobName"}
)
# Lists that pipelines show as maps, and the field that is their key.
KEYED_LISTS = {"ProcessingInputs": "InputName", "Outputs": "OutputName"}
_TYPES = {
    "string": "String",
    "integer": "Integer",
    "long": "Integer",
    "float": "Float",
    "double": "Float",
    "boolean": "Boolean",
    "timestamp": "Timestamp",
    "list": "List",
    "structure": "Object",
    "map": "Object",
}


class AssignmentError(DefinitionError):
    """A reference stands where its type does not fit; the sentence is SageMaker's own."""


@functools.cache
def service_model() -> ServiceModel:
    """Return botocore's model of SageMaker; reading it takes a moment, so once."""
    return botocore.session.get_session().get_service_model("sagemaker")


def _request(operation: str) -> StructureShape:
    shape = service_model().operation_model(operation).input_shape
    assert shape is not None  # noqa: S101  # every SageMaker operation we name takes and gives one
    return shape


def _answer(operation: str) -> StructureShape:
    shape = service_model().operation_model(operation).output_shape
    assert shape is not None  # noqa: S101  # as above
    return shape


class Types:
    """
    What the references of one definition stand for.

    Args:
        parameters: Each parameter's type.
        steps: Every step by name.
    """

    def __init__(self, parameters: Mapping[str, str], steps: Mapping[str, Step]) -> None:
        self._parameters = parameters
        self._steps = steps

    def of_reference(self, reference: Reference) -> str | None:
        """
        Return the type that a reference stands for; None where only the execution tells.

        Raises:
            ExpressionError: It names something that is not there.
        """
        match reference.kind:
            case "Parameters":
                if reference.name not in self._parameters:
                    raise ExpressionError(f"Parameters.{reference.name} is not defined")
                return self._parameters[reference.name]
            case "Execution":
                if reference.name not in EXECUTION_VARIABLES:
                    raise ExpressionError(f"Execution.{reference.name} is no execution variable")
                return "String"
        if reference.name not in self._steps:
            raise ExpressionError(f"step [{reference.name}] is not defined")
        return _property_type(self._steps[reference.name], reference.path)

    def check_arguments(self, step: Step) -> None:
        """
        Check a step's Arguments against the request that they will be.

        Raises:
            DefinitionError: A member is unknown or missing, or a reference is of another type.
        """
        kind = KINDS[step.type]
        if not kind.create:
            return
        shape = _request(kind.create)
        missing = sorted(set(shape.required_members) - set(step.arguments) - {kind.name})
        if missing:
            raise DefinitionError(f"Step [{step.name}]: {kind.create} needs {', '.join(missing)}.")
        self._check(step, shape, step.arguments)

    def check_text(self, value: Any) -> None:
        """
        Check that an expression stands for a string, such as a queue's URL.

        Raises:
            AssignmentError: It does not.
        """
        if is_expression(value):
            self._check_expression("String", value)

    def _check(self, step: Step, shape: Shape, value: Any) -> None:
        if is_expression(value):
            self._check_expression(_TYPES.get(shape.type_name, ""), value)
        elif isinstance(shape, StructureShape | MapShape):
            if not isinstance(value, dict):
                raise DefinitionError("Expecting start of Json Object.")
            for name, member in value.items():
                self._check_member(step, shape, name, member)
        elif isinstance(shape, ListShape):
            if not isinstance(value, list):
                raise DefinitionError("Expecting start of Json Array.")
            for member in value:
                self._check(step, shape.member, member)

    def _check_member(
        self, step: Step, shape: StructureShape | MapShape, name: str, value: Any
    ) -> None:
        inner = shape.value if isinstance(shape, MapShape) else shape.members.get(name)
        if inner is None:
            where = f"(step [{step.name}], {KINDS[step.type].create})"
            raise DefinitionError(f"Unknown Argument member '{name}' {where}")
        if value is not None:
            self._check(step, inner, value)

    def _check_expression(self, wanted: str, value: dict[str, Any]) -> None:
        ((function, body),) = value.items()
        if function == "Get":
            found, words = self.of_reference(parse_reference(body)), f"property reference [{body}]"
        elif function == "Std:Join":
            found, words = "String", "function [Std:Join]"
        else:
            return  # what is in a file, only the execution tells
        fits = found is None or found == wanted or (found, wanted) == ("Integer", "Float")
        if not fits:
            raise AssignmentError(f"Cannot assign {words} to argument of type [{wanted}].")


def _property_type(step: Step, path: str) -> str | None:
    kind = KINDS[step.type]
    if path.startswith("PropertyFiles."):
        name = path.removeprefix("PropertyFiles.")
        if name not in {file.name for file in step.property_files}:
            raise ExpressionError(f"step {step.name!r} has no property file {name!r}")
        return None
    if step.type == "Condition" and path == "Outcome":
        return "String"
    if kind.target:
        return _output_type(step, path)
    if not kind.describe:
        raise ExpressionError(f"a {step.type} step such as {step.name!r} has no property {path!r}")
    described = _answer(kind.describe)
    shape: Shape = described
    field = ""
    segments = path_segments(path)
    if kind.listing and segments[0] not in described.members:
        shape = _answer(kind.listing)
    for segment in segments:
        inner = _member(shape, segment, field, step)
        if inner is None:
            raise ExpressionError(
                f"Steps.{step.name}.{path}: {kind.describe} answers no {segment!r} there"
            )
        shape, field = inner, str(segment)
    return _TYPES.get(shape.type_name)


def _output_type(step: Step, path: str) -> str:
    match path_segments(path):
        case ["OutputParameters", str() as name]:
            for output in step.outputs:
                if output.name == name:
                    return output.type
    declared = ", ".join(f"OutputParameters['{output.name}']" for output in step.outputs)
    raise ExpressionError(
        f"step {step.name!r} has no property {path!r}; it has {declared or 'no outputs'}"
    )


def _member(shape: Shape, segment: str | int, field: str, step: Step) -> Shape | None:
    inner: Shape | None = None
    if isinstance(shape, StructureShape):
        inner = shape.members.get(str(segment))
    elif isinstance(shape, MapShape):
        inner = shape.value
    elif isinstance(shape, ListShape) and field in KEYED_LISTS:
        keys = keys_of(step, field)
        inner = shape.member if keys is None or segment in keys else None
    elif isinstance(shape, ListShape) and isinstance(segment, int):
        inner = shape.member
    return inner


def keys_of(step: Step, field: str) -> set[str] | None:
    """Return the names in one of a processing step's lists; None where an expression hides them."""
    holder: Any = step.arguments
    if field == "Outputs":
        holder = holder.get("ProcessingOutputConfig", {})
    if not isinstance(holder, dict) or is_expression(holder):
        return None
    items = holder.get(field, [])
    if not isinstance(items, list):
        return None
    names = [item.get(KEYED_LISTS[field]) for item in items if isinstance(item, dict)]
    known = {name for name in names if isinstance(name, str)}
    return known if len(known) == len(names) else None
