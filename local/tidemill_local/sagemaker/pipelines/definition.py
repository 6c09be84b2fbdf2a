"""
A SageMaker pipeline definition (version 2020-12-01), read into frozen dataclasses.

Reading checks shape: fields, types, names, retry policies. `checks` then checks that what
the steps say about each other is true. The sentence of every error names the step or parameter.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tidemill_local.sagemaker.pipelines.expressions import (
    ExpressionError,
    check_condition,
    references,
)
from tidemill_local.sagemaker.pipelines.outputs import MOST_OUTPUTS, OUTPUT_TYPES, Output
from tidemill_local.sagemaker.pipelines.policies import (
    CacheConfig,
    PolicyError,
    RetryPolicy,
    read_cache,
    read_retries,
)
from tidemill_local.sagemaker.pipelines.step_types import KINDS

VERSION = "2020-12-01"
_STEP_NAME = re.compile(r"[A-Za-z0-9\-_]{1,64}")
_PARAMETER_NAME = re.compile(r"[A-Za-z0-9\-_]{1,64}")
_STEP_FIELDS = frozenset(
    {"Name", "Type", "Arguments", "DependsOn", "DisplayName", "Description"}
    | {"CacheConfig", "RetryPolicies", "PropertyFiles", "OutputParameters"}
    | {kind.target for kind in KINDS.values() if kind.target}
)
_OUTPUT_FIELDS = frozenset({"OutputName", "OutputType"})
_PARAMETER_TYPES: dict[str, tuple[type, ...]] = {
    "String": (str,),
    "Integer": (int,),
    "Float": (float, int),
    "Boolean": (bool,),
}


class DefinitionError(ValueError):
    """A definition cannot be accepted; the sentence names the step or parameter."""


@dataclass(frozen=True)
class Parameter:
    """One parameter; `default` is None when the caller must give a value."""

    name: str
    type: str
    default: str | int | float | bool | None = None
    choices: tuple[str, ...] = ()

    def read(self, text: str) -> str | int | float | bool:
        """
        Turn a caller's text into the parameter's type.

        Raises:
            DefinitionError: It is no such value, or not one of the choices.
        """
        value: str | int | float | bool
        try:
            match self.type:
                case "Integer":
                    value = int(text)
                case "Float":
                    value = float(text)
                case "Boolean":
                    value = {"true": True, "false": False}[text.lower()]
                case _:
                    value = text
        except (ValueError, KeyError):
            raise DefinitionError(
                f"Parameter [{self.name}] has value [{text}], which is not of type {self.type}."
            ) from None
        if self.choices and value not in self.choices:
            raise DefinitionError(
                f"Parameter [{self.name}] has value [{text}]; it takes one of "
                f"{', '.join(self.choices)}."
            )
        return value


@dataclass(frozen=True)
class PropertyFile:
    """A JSON file in one of a processing step's outputs."""

    name: str
    output: str
    path: str


@dataclass(frozen=True)
class Branch:
    """Where a nested step stands: in which arm of which condition."""

    condition: str
    outcome: bool


@dataclass(frozen=True)
class Step:
    """
    One step.

    `needs` are all steps it waits for, explicit or by reference; `target` is the function or queue
    of a Lambda or Callback step, text or an expression.
    """

    name: str
    type: str
    arguments: dict[str, Any]
    needs: frozenset[str]
    target: Any = None
    outputs: tuple[Output, ...] = ()
    property_files: tuple[PropertyFile, ...] = ()
    retries: tuple[RetryPolicy, ...] = ()
    cache: CacheConfig | None = None
    branch: Branch | None = None
    display_name: str = ""
    description: str = ""


@dataclass(frozen=True)
class Definition:
    """A whole pipeline; nested steps stand in the same list, after their condition."""

    parameters: tuple[Parameter, ...]
    steps: tuple[Step, ...]
    experiment: dict[str, Any] = field(default_factory=dict)  # PipelineExperimentConfig

    def values(self, given: dict[str, str]) -> dict[str, str | int | float | bool]:
        """
        Return every parameter's typed value for one execution.

        Raises:
            DefinitionError: A name is unknown, a value is of the wrong type or missing.
        """
        unknown = sorted(set(given) - {parameter.name for parameter in self.parameters})
        if unknown:
            raise DefinitionError(f"Unknown pipeline parameters: {', '.join(unknown)}.")
        values: dict[str, str | int | float | bool] = {}
        for parameter in self.parameters:
            if parameter.name in given:
                values[parameter.name] = parameter.read(given[parameter.name])
            elif parameter.default is not None:
                values[parameter.name] = parameter.default
            else:
                raise DefinitionError(f"Parameter [{parameter.name}] has no default; give a value.")
        return values


def read_definition(text: str) -> Definition:
    """
    Read a definition's JSON.

    Raises:
        DefinitionError: Something in it is malformed or of a kind that is not run here.
    """
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise DefinitionError(f"The definition is not JSON: {error}.") from None
    except RecursionError:
        raise DefinitionError("The definition is nested too deeply.") from None
    if not isinstance(document, dict) or document.get("Version") != VERSION:
        raise DefinitionError(f'The definition needs "Version": "{VERSION}".')
    if document.get("MlflowConfig") is not None:
        raise DefinitionError("MlflowConfig is not supported by the local SageMaker; leave it out.")
    parameters = tuple(_parameter(item) for item in _list(document, "Parameters", "The definition"))
    _unique("parameter", [parameter.name for parameter in parameters])
    steps = tuple(_steps(_list(document, "Steps", "The definition"), None))
    if not steps:
        raise DefinitionError("The definition has no steps.")
    _unique("step", [step.name for step in steps])
    experiment = document.get("PipelineExperimentConfig") or {}
    if not isinstance(experiment, dict) or set(experiment) - {"ExperimentName", "TrialName"}:
        raise DefinitionError("PipelineExperimentConfig holds an ExperimentName and a TrialName.")
    return Definition(parameters, steps, experiment)


def _list(document: dict[str, Any], key: str, owner: str) -> list[Any]:
    value = document.get(key)
    if value is not None and not isinstance(value, list):
        raise DefinitionError(f"{owner}: {key} must be a list.")
    return value or []


def _unique(kind: str, names: list[str]) -> None:
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        raise DefinitionError(f"Every {kind} needs a name of its own; twice: {', '.join(twice)}.")


def _parameter(item: Any) -> Parameter:
    name = item.get("Name") if isinstance(item, dict) else None
    if not isinstance(name, str) or not _PARAMETER_NAME.fullmatch(name):
        raise DefinitionError(f"Parameter name {name!r} must match {_PARAMETER_NAME.pattern}.")
    this = f"Parameter [{name}]"
    kind = item.get("Type")
    if kind not in _PARAMETER_TYPES:
        raise DefinitionError(f"{this}: Type {kind!r} is not one of {', '.join(_PARAMETER_TYPES)}.")
    default = _default(kind, item.get("DefaultValue"), this)
    choices = tuple(_list(item, "EnumValues", this))
    if choices and (kind != "String" or not all(isinstance(choice, str) for choice in choices)):
        raise DefinitionError(f"{this}: EnumValues are strings of a String parameter.")
    if choices and default is not None and default not in choices:
        raise DefinitionError(f"{this}: DefaultValue {default!r} is not in EnumValues.")
    return Parameter(name, kind, default, choices)


def _default(kind: str, value: Any, owner: str) -> str | int | float | bool | None:
    if value is None:
        return None
    of_type = isinstance(value, _PARAMETER_TYPES[kind])
    if not of_type or isinstance(value, bool) != (kind == "Boolean"):
        raise DefinitionError(f"{owner}: DefaultValue {value!r} is not of type {kind}.")
    typed: str | int | float | bool = float(value) if kind == "Float" else value
    return typed


def _steps(items: list[Any], branch: Branch | None) -> Iterator[Step]:
    for item in items:
        name = item.get("Name") if isinstance(item, dict) else None
        if not isinstance(name, str) or not _STEP_NAME.fullmatch(name):
            raise DefinitionError(f"Step name {name!r} must match {_STEP_NAME.pattern}.")
        try:
            yield _step(item, name, branch)
        except (ExpressionError, PolicyError) as error:
            raise DefinitionError(f"Step [{name}]: {error}.") from None
        if item["Type"] == "Condition":
            arms = item["Arguments"]
            for arm, outcome in (("IfSteps", True), ("ElseSteps", False)):
                nested = _list(arms, arm, f"Step [{name}]")
                yield from _steps(nested, Branch(name, outcome))


def _step(item: dict[str, Any], name: str, branch: Branch | None) -> Step:
    kind, arguments = item.get("Type"), item.get("Arguments")
    if not isinstance(kind, str) or kind not in KINDS:
        raise DefinitionError(
            f"Step [{name}]: step type {kind!r} is not run by the local SageMaker; "
            f"it runs {', '.join(KINDS)}."
        )
    unknown = sorted(set(item) - _STEP_FIELDS)
    if unknown:
        raise DefinitionError(f"Step [{name}]: unknown fields {', '.join(unknown)}.")
    _check_fields(item, name)
    if arguments is None and KINDS[kind].target:
        arguments = {}
    if not isinstance(arguments, dict):
        raise DefinitionError(f"Step [{name}]: Arguments must be an object.")
    own = {key: value for key, value in arguments.items() if key not in {"IfSteps", "ElseSteps"}}
    if kind == "Condition":
        own = _conditions(name, arguments)
    elif kind == "Fail" and "ErrorMessage" not in own:
        raise DefinitionError(f"Step [{name}]: Arguments need an ErrorMessage.")
    target = item.get(KINDS[kind].target)
    needs = {found.name for found in references([own, target]) if found.kind == "Steps"}
    needs |= set(_dependencies(item, name)) | ({branch.condition} if branch else set())
    return Step(
        name=name,
        type=kind,
        arguments=own,
        needs=frozenset(needs),
        target=target,
        outputs=tuple(_outputs(item, name)),
        property_files=tuple(_property_files(item, name)),
        retries=tuple(read_retries(_list(item, "RetryPolicies", f"Step [{name}]"))),
        cache=read_cache(item.get("CacheConfig")),
        branch=branch,
        display_name=str(item.get("DisplayName") or name),
        description=str(item.get("Description") or ""),
    )


def _check_fields(item: dict[str, Any], name: str) -> None:
    """Refuse what a step of this type cannot have."""
    kind = KINDS[item["Type"]]
    if kind.target and not item.get(kind.target):
        raise DefinitionError(f"Step [{name}]: a {item['Type']} step needs {kind.target}.")
    allowed = {
        "RetryPolicies": kind.retries,
        "CacheConfig": bool(kind.cache_key),
        "OutputParameters": bool(kind.target),
        **{other.target: other is kind for other in KINDS.values() if other.target},
    }
    for key, may in allowed.items():
        if not may and item.get(key) is not None:
            raise DefinitionError(f"Step [{name}]: a {item['Type']} step takes no {key}.")


def _outputs(item: dict[str, Any], name: str) -> Iterator[Output]:
    entries = _list(item, "OutputParameters", f"Step [{name}]")
    if len(entries) > MOST_OUTPUTS:
        raise DefinitionError(f"Step [{name}]: at most {MOST_OUTPUTS} OutputParameters.")
    for entry in entries:
        match entry:
            case {"OutputName": str() as output, "OutputType": str() as kind} if (
                kind in OUTPUT_TYPES and set(entry) == _OUTPUT_FIELDS
            ):
                yield Output(output, kind)
            case _:
                raise DefinitionError(
                    f"Step [{name}]: OutputParameters need an OutputName, and an OutputType out of "
                    f"{', '.join(OUTPUT_TYPES)}."
                )
    _unique(f"output of step [{name}]", [entry["OutputName"] for entry in entries])


def _conditions(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    conditions = _list(arguments, "Conditions", f"Step [{name}]")
    if not conditions or set(arguments) - {"Conditions", "IfSteps", "ElseSteps"}:
        raise DefinitionError(f"Step [{name}]: Arguments are Conditions, IfSteps and ElseSteps.")
    for condition in conditions:
        check_condition(condition)
    return {"Conditions": conditions}


def _dependencies(item: dict[str, Any], name: str) -> Iterator[str]:
    for needed in _list(item, "DependsOn", f"Step [{name}]"):
        if isinstance(needed, dict):
            raise DefinitionError(
                f"Step [{name}]: DependsOn with a Trigger is not run by the local SageMaker; "
                "name the step alone to run after its success."
            )
        yield str(needed)


def _property_files(item: dict[str, Any], name: str) -> Iterator[PropertyFile]:
    for entry in _list(item, "PropertyFiles", f"Step [{name}]"):
        match entry:
            case {
                "PropertyFileName": str() as file,
                "OutputName": str() as output,
                "FilePath": str() as path,
            } if item["Type"] == "Processing":
                yield PropertyFile(file, output, path)
            case _:
                raise DefinitionError(
                    f"Step [{name}]: PropertyFiles belong to Processing steps and need "
                    "PropertyFileName, OutputName and FilePath."
                )
