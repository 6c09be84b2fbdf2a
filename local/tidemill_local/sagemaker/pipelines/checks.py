"""
What the steps of a pipeline say about each other, checked when the pipeline is created.

References must name parameters, execution variables and steps that exist, arguments must fit the
request they will be, and nothing may wait for itself. `property_types` knows what fits.
"""

from graphlib import CycleError, TopologicalSorter

from tidemill_local.sagemaker.pipelines.definition import Definition, DefinitionError, Step
from tidemill_local.sagemaker.pipelines.expressions import ExpressionError, references
from tidemill_local.sagemaker.pipelines.property_types import Types, keys_of


def check_definition(definition: Definition) -> None:
    """
    Check the whole graph.

    Raises:
        DefinitionError: The first thing that is not true, with the step's name.
    """
    steps = {step.name: step for step in definition.steps}
    types = Types({parameter.name: parameter.type for parameter in definition.parameters}, steps)
    for step in definition.steps:
        for needed in sorted(step.needs):
            if needed not in steps:
                raise DefinitionError(f"Step [{step.name}] refers to step [{needed}], not defined.")
        for file in step.property_files:
            _check_output(step, file.output)
        try:
            for reference in references([step.arguments, step.target]):
                types.of_reference(reference)
            types.check_arguments(step)
            types.check_text(step.target)
        except ExpressionError as error:
            raise DefinitionError(f"Step [{step.name}]: {error}.") from None
    _check_experiment(definition, types)
    try:
        TopologicalSorter({step.name: step.needs for step in definition.steps}).prepare()
    except CycleError as error:
        raise DefinitionError(f"Steps wait for each other: {' → '.join(error.args[1])}.") from None


def _check_experiment(definition: Definition, types: Types) -> None:
    found = list(references(definition.experiment))
    if any(reference.kind == "Steps" for reference in found):
        raise DefinitionError("PipelineExperimentConfig is named before any step has run.")
    try:
        for reference in found:
            types.of_reference(reference)
        for name in definition.experiment.values():
            types.check_text(name)
    except ExpressionError as error:
        raise DefinitionError(f"PipelineExperimentConfig: {error}.") from None


def _check_output(step: Step, output: str) -> None:
    names = keys_of(step, "Outputs")
    if names is not None and output not in names:
        raise DefinitionError(
            f"Step [{step.name}] has no output {output!r}; it has {', '.join(sorted(names))}."
        )
