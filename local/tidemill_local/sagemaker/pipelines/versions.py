"""The versions of a pipeline: each definition that it has had, under a number."""

from collections.abc import Mapping
from typing import Any

from tidemill_local.sagemaker.arns import name_in
from tidemill_local.sagemaker.context import Context
from tidemill_local.sagemaker.errors import ResourceNotFoundError
from tidemill_local.sagemaker.pipelines.record import DEFINITION

_KIND = "PipelineVersion"
_LATEST = "_LatestVersion"
_FIRST = 1


def add_version(context: Context, pipeline: Mapping[str, Any], text: str) -> int:
    """Keep a definition as a pipeline's next version; return its number."""
    name = pipeline["PipelineName"]
    with context.store.transaction():
        number = latest_version(context, pipeline) + 1
        _insert(context, pipeline, number, text)
        context.store.update("Pipeline", name, PipelineDefinition=text, **{_LATEST: number})
    return number


def latest_version(context: Context, pipeline: Mapping[str, Any]) -> int:
    """Return the number of a pipeline's newest version; a new pipeline gets its first."""
    number = pipeline.get(_LATEST)
    if number is None:
        number = _FIRST
        with context.store.transaction():
            _insert(context, pipeline, number, pipeline["PipelineDefinition"])
            context.store.update("Pipeline", pipeline["PipelineName"], **{_LATEST: number})
    return int(number)


def find_version(context: Context, pipeline: Mapping[str, Any], number: int) -> dict[str, Any]:
    """
    Return a version's record.

    Raises:
        ResourceNotFoundError: The pipeline has no such version.
    """
    latest_version(context, pipeline)
    body = context.store.get(_KIND, _key(pipeline["PipelineName"], number))
    if body is None:
        raise ResourceNotFoundError(
            f"Version {number} of pipeline '{pipeline['PipelineArn']}' does not exist."
        )
    return body


def change_version(
    context: Context, pipeline: Mapping[str, Any], number: int, changes: dict[str, Any]
) -> None:
    """Set fields of a version that exists."""
    context.store.update(_KIND, _key(pipeline["PipelineName"], number), **changes)


def versions_of(context: Context, pipeline: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the records of a pipeline's versions, oldest first."""
    latest_version(context, pipeline)
    rows = context.store.rows(_KIND)
    return [row for row in rows if row["PipelineArn"] == pipeline["PipelineArn"]]


def forget_versions(context: Context, pipeline: Mapping[str, Any]) -> None:
    """Remove the versions of a pipeline that is removed."""
    for row in versions_of(context, pipeline):
        context.store.delete(_KIND, _key(pipeline["PipelineName"], row["PipelineVersionId"]))


def definition_of(context: Context, execution: Mapping[str, Any]) -> str:
    """Return the definition that an execution runs, whatever became of the pipeline since."""
    if DEFINITION in execution:  # recorded before pipelines had versions
        return str(execution[DEFINITION])
    key = _key(name_in(execution["PipelineArn"]), execution["PipelineVersionId"])
    body = context.store.get(_KIND, key)
    return "" if body is None else str(body["PipelineDefinition"])


def _insert(context: Context, pipeline: Mapping[str, Any], number: int, text: str) -> None:
    body = {
        "PipelineArn": pipeline["PipelineArn"],
        "PipelineVersionId": number,
        "PipelineDefinition": text,
    }
    context.store.insert(_KIND, _key(pipeline["PipelineName"], number), body)


def _key(pipeline: str, number: int) -> str:
    return f"{pipeline}/{number}"
