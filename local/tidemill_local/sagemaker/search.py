"""Search: find what the service knows by any of its properties."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StructureShape

from tidemill_local.sagemaker import paging, protocol, search_filters
from tidemill_local.sagemaker.context import Context
from tidemill_local.sagemaker.errors import ValidationError
from tidemill_local.sagemaker.lineage import tracking
from tidemill_local.sagemaker.lineage.experiments import TRIALS, is_part
from tidemill_local.sagemaker.lineage.tracking import TRIAL
from tidemill_local.sagemaker.operations import operation

_SUGGESTIONS = 10
_NAMED = {"Key": "Value", "MetricName": "Value", "Name": "Value"}  # lists that read as maps
_JOB_KINDS = ("TrainingJob", "ProcessingJob", "TransformJob")


@dataclass(frozen=True, slots=True)
class _Searched:
    """
    A resource that can be searched.

    Attributes:
        kind: Of its records.
        record: The member of a SearchRecord, whose structure says what properties there are.
        shape: The name of that structure.
        more: Adds what its record does not hold.
    """

    kind: str
    record: str
    shape: str
    more: Callable[[Context, dict[str, Any]], dict[str, Any]] = lambda _context, _body: {}

    @property
    def arn_field(self) -> str:
        """The member with its ARN."""
        return f"{self.kind}Arn"


def _trial_parts(context: Context, body: dict[str, Any]) -> dict[str, Any]:
    parts = [row for row in context.store.rows("TrialComponent") if is_part(row, body)]
    return {
        "TrialComponentSummaries": [
            row | {"TrialComponentSource": row.get("Source")} for row in parts
        ]
    }


def _component_parents(context: Context, body: dict[str, Any]) -> dict[str, Any]:
    trials = [tracking.find(context, TRIAL, name) for name in body.get(TRIALS, [])]
    parents = [
        {"TrialName": trial["TrialName"], "ExperimentName": trial["ExperimentName"]}
        for trial in trials
        if trial is not None
    ]
    source = body.get("Source", {})
    detail: dict[str, Any] = {"SourceArn": source.get("SourceArn")}
    place = context.store.find_arn(source.get("SourceArn", ""))
    if place is not None and place[0] in _JOB_KINDS:
        detail[place[0]] = context.store.get(*place)
    return {"Parents": parents, "SourceDetail": detail}


def _execution_parameters(_: Context, body: dict[str, Any]) -> dict[str, Any]:
    given = body.get("_Parameters", {})
    return {"PipelineParameters": [{"Name": k, "Value": str(v)} for k, v in given.items()]}


_RESOURCES = {
    "TrainingJob": _Searched("TrainingJob", "TrainingJob", "TrainingJob"),
    "HyperParameterTuningJob": _Searched(
        "HyperParameterTuningJob",
        "HyperParameterTuningJob",
        "HyperParameterTuningJobSearchEntity",
    ),
    "Experiment": _Searched("Experiment", "Experiment", "Experiment"),
    "ExperimentTrial": _Searched("Trial", "Trial", "Trial", _trial_parts),
    "ExperimentTrialComponent": _Searched(
        "TrialComponent", "TrialComponent", "TrialComponent", _component_parents
    ),
    "Endpoint": _Searched("Endpoint", "Endpoint", "Endpoint"),
    "ModelPackage": _Searched("ModelPackage", "ModelPackage", "ModelPackage"),
    "ModelPackageGroup": _Searched("ModelPackageGroup", "ModelPackageGroup", "ModelPackageGroup"),
    "FeatureGroup": _Searched("FeatureGroup", "FeatureGroup", "FeatureGroup"),
    "Pipeline": _Searched("Pipeline", "Pipeline", "Pipeline"),
    "PipelineExecution": _Searched(
        "PipelineExecution", "PipelineExecution", "PipelineExecution", _execution_parameters
    ),
}


@operation(
    "Search",
    refused=("VisibilityConditions",),
    idle=("CrossAccountFilterOption",),
    differs=f"of the resources {', '.join(_RESOURCES)}",
)
def search(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return a page of what satisfies the expression, what changed last first."""
    searched = _searched(request)
    expression = request.get("SearchExpression")
    if expression is not None:
        search_filters.check(expression)
        for name in search_filters.names(expression):
            _check_property(searched, name)
    sort_by = request.get("SortBy", "LastModifiedTime")
    _check_property(searched, sort_by)
    rows = []
    for body in _documents(context, searched):
        document = _searchable(body)
        if expression is None or search_filters.matches(expression, document):
            key = next(iter(search_filters.values(document, sort_by)), None)
            rows.append(body | {"SortKey": search_filters.sortable(key)})
    order = request.get("SortOrder", "Descending")
    paged: dict[str, Any] = {"SortBy": "SortKey", "SortOrder": order}
    paged |= {field: request[field] for field in ("MaxResults", "NextToken") if field in request}
    answer = paging.page(paged, rows, answer="Results", name=searched.arn_field)
    answer["Results"] = [{searched.record: body} for body in answer["Results"]]
    return answer | {"TotalHits": {"Value": len(rows), "Relation": "EqualTo"}}


@operation("GetSearchSuggestions", differs=f"of the resources {', '.join(_RESOURCES)}")
def get_search_suggestions(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return names of properties that begin as the hint does, those of maps as they are in use."""
    searched = _searched(request)
    query = request.get("SuggestionQuery", {}).get("PropertyNameQuery", {})
    hint = query.get("PropertyNameHint", "").lower()
    known = set(_paths(protocol.structure(searched.shape)))
    for body in _documents(context, searched):
        known.update(_used(_searchable(body)))
    found = sorted(name for name in known if name.lower().startswith(hint))
    return {"PropertyNameSuggestions": [{"PropertyName": n} for n in found[:_SUGGESTIONS]]}


def _searched(request: dict[str, Any]) -> _Searched:
    resource = request["Resource"]
    if resource not in _RESOURCES:
        raise ValidationError(
            f"The local SageMaker cannot search for {resource}; it can for {', '.join(_RESOURCES)}"
        )
    return _RESOURCES[resource]


def _documents(context: Context, searched: _Searched) -> Iterator[dict[str, Any]]:
    for body in context.store.rows(searched.kind):
        tags = context.store.tags(body[searched.arn_field])
        yield body | {"Tags": tags} | searched.more(context, body)


def _searchable(body: dict[str, Any]) -> dict[str, Any]:
    """Return a document whose lists of named things are maps, and whose parameters are values."""
    document = {field: value for field, value in body.items() if not field.startswith("_")}
    document["Tags"] = {tag["Key"]: tag["Value"] for tag in body["Tags"]}
    if "FinalMetricDataList" in body:
        final = body["FinalMetricDataList"]
        document["Metrics"] = {each["MetricName"]: each["Value"] for each in final}
    elif "Metrics" in body:
        document["Metrics"] = {each["MetricName"]: each for each in body["Metrics"]}
    if "Parameters" in body:
        document["Parameters"] = {
            name: value.get("NumberValue", value.get("StringValue"))
            for name, value in body["Parameters"].items()
        }
    if "PipelineParameters" in body:
        parameters = body["PipelineParameters"]
        document["PipelineParameters"] = {each["Name"]: each["Value"] for each in parameters}
    return document


def _check_property(searched: _Searched, name: str) -> None:
    if name.startswith("Metrics.") and searched.kind == "TrainingJob":
        return
    if not _is_property(protocol.structure(searched.shape), name.split(".")):
        raise ValidationError(f"Unknown property name: {name}")


def _is_property(shape: Shape, path: list[str]) -> bool:
    if not path:
        return True
    if isinstance(shape, ListShape):
        named = isinstance(shape.member, StructureShape) and _NAMED.keys() & set(
            shape.member.members
        )
        return bool(named) or _is_property(shape.member, path)
    if isinstance(shape, MapShape):
        return True
    if isinstance(shape, StructureShape):
        return path[0] in shape.members and _is_property(shape.members[path[0]], path[1:])
    return False


def _paths(shape: Shape, path: str = "", depth: int = 3) -> Iterator[str]:
    """Yield the properties that a structure can have, but for those in maps and lists."""
    if isinstance(shape, StructureShape) and depth:
        for name, member in shape.members.items():
            yield from _paths(member, f"{path}.{name}" if path else name, depth - 1)
    elif path and not isinstance(shape, StructureShape | ListShape | MapShape):
        yield path


def _used(value: Any, path: str = "") -> Iterator[str]:
    """Yield the properties that a document has."""
    if isinstance(value, dict):
        for name, member in value.items():
            yield from _used(member, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for element in value:
            yield from _used(element, path)
    elif value is not None:
        yield path
