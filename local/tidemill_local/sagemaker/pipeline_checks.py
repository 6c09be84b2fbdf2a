"""
What the steps of a pipeline say about each other, checked when the pipeline is created.

References must name parameters, execution variables and steps that exist; a step's properties are
those of the matching Describe answer in botocore's service model; arguments are those of the
matching Create request; nothing may wait for itself.
"""

import functools
from graphlib import CycleError, TopologicalSorter
from typing import Any

import botocore.session
from botocore.model import ListShape, MapShape, ServiceModel, Shape, StructureShape

from tidemill_local.sagemaker.pipeline_definition import (
    KINDS,
    Definition,
    DefinitionError,
    Step,
)
from tidemill_local.sagemaker.pipeline_expressions import (
    ExpressionError,
    Reference,
    is_expression,
    path_segments,
    references,
)

EXECUTION_VARIABLES = frozenset(
    {"PipelineName", "PipelineArn", "PipelineExecutionId", "PipelineExecutionArn"}
    | {"StartDateTime", "CurrentDateTime", "TrainingJobName", "ProcessingJobName"}
)
# Lists that pipelines show as maps, and the field that is their key.
KEYED_LISTS = {"ProcessingInputs": "InputName", "Outputs": "OutputName"}


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


def check_definition(definition: Definition) -> None:
    """
    Check the whole graph.

    Raises:
        DefinitionError: The first thing that is not true, with the step's name.
    """
    steps = {step.name: step for step in definition.steps}
    parameters = {parameter.name for parameter in definition.parameters}
    for step in definition.steps:
        for needed in sorted(step.needs):
            if needed not in steps:
                raise DefinitionError(f"Step [{step.name}] refers to step [{needed}], not defined.")
        _check_arguments(step)
        for file in step.property_files:
            _check_output(step, file.output)
        for reference in references(step.arguments):
            try:
                _check_reference(reference, parameters, steps)
            except ExpressionError as error:
                raise DefinitionError(f"Step [{step.name}]: {error}.") from None
    try:
        TopologicalSorter({step.name: step.needs for step in definition.steps}).prepare()
    except CycleError as error:
        raise DefinitionError(f"Steps wait for each other: {' → '.join(error.args[1])}.") from None


def _check_arguments(step: Step) -> None:
    kind = KINDS[step.type]
    if not kind.create:
        return
    shape = _request(kind.create)
    unknown = sorted(set(step.arguments) - set(shape.members))
    if unknown:
        raise DefinitionError(
            f"Step [{step.name}]: {kind.create} has no argument {', '.join(unknown)}."
        )
    missing = sorted(set(shape.required_members) - set(step.arguments) - {kind.name})
    if missing:
        raise DefinitionError(f"Step [{step.name}]: {kind.create} needs {', '.join(missing)}.")


def _check_output(step: Step, output: str) -> None:
    names = _keys_of(step, "Outputs")
    if names is not None and output not in names:
        raise DefinitionError(
            f"Step [{step.name}] has no output {output!r}; it has {', '.join(sorted(names))}."
        )


def _check_reference(reference: Reference, parameters: set[str], steps: dict[str, Step]) -> None:
    match reference.kind:
        case "Parameters":
            if reference.name not in parameters:
                raise ExpressionError(f"Parameters.{reference.name} is not defined")
        case "Execution":
            if reference.name not in EXECUTION_VARIABLES:
                raise ExpressionError(f"Execution.{reference.name} is no execution variable")
        case _:
            _check_property(steps[reference.name], reference.path)


def _check_property(step: Step, path: str) -> None:
    kind = KINDS[step.type]
    if path.startswith("PropertyFiles."):
        name = path.removeprefix("PropertyFiles.")
        if name not in {file.name for file in step.property_files}:
            raise ExpressionError(f"step {step.name!r} has no property file {name!r}")
        return
    if step.type == "Condition" and path == "Outcome":
        return
    if not kind.describe:
        raise ExpressionError(f"a {step.type} step such as {step.name!r} has no property {path!r}")
    shape: Shape = _answer(kind.describe)
    field = ""
    for segment in path_segments(path):
        inner = _member(shape, segment, field, step)
        if inner is None:
            raise ExpressionError(
                f"Steps.{step.name}.{path}: {kind.describe} answers no {segment!r} there"
            )
        shape, field = inner, str(segment)


def _member(shape: Shape, segment: str | int, field: str, step: Step) -> Shape | None:
    inner: Shape | None = None
    if isinstance(shape, StructureShape):
        inner = shape.members.get(str(segment))
    elif isinstance(shape, MapShape):
        inner = shape.value
    elif isinstance(shape, ListShape) and field in KEYED_LISTS:
        keys = _keys_of(step, field)
        inner = shape.member if keys is None or segment in keys else None
    elif isinstance(shape, ListShape) and isinstance(segment, int):
        inner = shape.member
    return inner


def _keys_of(step: Step, field: str) -> set[str] | None:
    """Return the names in one of a processing step's lists; None where an expression hides them."""
    holder: Any = step.arguments
    if field == "Outputs":
        holder = holder.get("ProcessingOutputConfig", {})
        if is_expression(holder):
            return None
    items = holder.get(field, [])
    names = [item.get(KEYED_LISTS[field]) for item in items if isinstance(item, dict)]
    known = {name for name in names if isinstance(name, str)}
    return known if len(known) == len(names) else None
