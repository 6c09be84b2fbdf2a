"""The edges of the lineage graph, and questions about what they connect."""

from collections.abc import Iterable, Iterator
from typing import Any

from tidemill_local.sagemaker import paging
from tidemill_local.sagemaker.context import Context
from tidemill_local.sagemaker.errors import ResourceNotFoundError, ValidationError
from tidemill_local.sagemaker.lineage import tracking
from tidemill_local.sagemaker.lineage.tracking import (
    ACTION,
    ARTIFACT,
    COMPONENT,
    CONTEXT,
    EXPERIMENT,
)
from tidemill_local.sagemaker.operations import operation
from tidemill_local.sagemaker.store import DuplicateRecordError, MissingRecordError

_KIND = "Association"
_ENTITIES = {entity.kind: entity for entity in (ARTIFACT, CONTEXT, ACTION, COMPONENT, EXPERIMENT)}
_ENDS = ("Source", "Destination")


@operation("AddAssociation")
def add_association(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Say that one entity led to another."""
    source, destination = (_existing(context, request[f"{end}Arn"]) for end in _ENDS)
    if not add(context, source, destination, request.get("AssociationType")):
        raise ValidationError(
            f"Association between source {source} and destination {destination} already exists."
        )
    return {"SourceArn": source, "DestinationArn": destination}


@operation("DeleteAssociation")
def delete_association(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Take it back."""
    source, destination = request["SourceArn"], request["DestinationArn"]
    try:
        context.store.delete(_KIND, _key(source, destination))
    except MissingRecordError:
        raise ResourceNotFoundError(
            f"Association between source {source} and destination {destination} does not exist."
        ) from None
    return {"SourceArn": source, "DestinationArn": destination}


@operation("ListAssociations")
def list_associations(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return a page of edges, with the names and types of what they connect."""
    wanted = {
        field: request[field].lower()
        for field in ("SourceArn", "DestinationArn")
        if field in request
    }
    rows = []
    for body in context.store.rows(_KIND):
        if any(body[field].lower() != value for field, value in wanted.items()):
            continue
        if body.get("AssociationType") != request.get(
            "AssociationType", body.get("AssociationType")
        ):
            continue
        row = body | {"Key": _key(body["SourceArn"], body["DestinationArn"])}
        if all(_complete(context, row, end, request.get(f"{end}Type")) for end in _ENDS):
            rows.append(row)
    return paging.page(request, rows, answer="AssociationSummaries", name="Key", order="Descending")


def add(context: Context, source: str, destination: str, kind: str | None) -> bool:
    """Add an edge between two ARNs; say whether it is new."""
    body = {"SourceArn": source, "DestinationArn": destination, "CreatedBy": {}}
    if kind is not None:
        body["AssociationType"] = kind
    try:
        context.store.insert(_KIND, _key(source, destination), body)
    except DuplicateRecordError:
        return False
    return True


def forget(context: Context, arn: str) -> None:
    """Remove every edge to or from an entity that is about to be deleted."""
    for body in edges(context):
        if arn.lower() in {body["SourceArn"].lower(), body["DestinationArn"].lower()}:
            context.store.delete(_KIND, _key(body["SourceArn"], body["DestinationArn"]))


def edges(context: Context) -> list[dict[str, Any]]:
    """Return all edges."""
    return context.store.rows(_KIND)


def vertex(context: Context, arn: str) -> dict[str, Any] | None:
    """Return an entity's body with its LineageType, Type and Name; None when it is missing."""
    place = context.store.find_arn(arn)
    if place is None or place[0] not in _ENTITIES:
        return None
    entity = _ENTITIES[place[0]]
    body = context.store.get(*place)
    if body is None:
        return None
    return body | {
        "Arn": body[entity.arn_field],
        "LineageType": entity.kind,
        "Type": _type(entity, body),
        "Name": body.get(entity.name_field),
    }


def _type(entity: tracking.Tracked, body: dict[str, Any]) -> str:
    """Return what an entity stands for: a job's component says so in its source."""
    if entity.type_field:
        return str(body[entity.type_field])
    source = body.get("Source", {}).get("SourceType", "")
    return str(source).removeprefix("SageMaker") or entity.kind


def _complete(context: Context, row: dict[str, Any], end: str, wanted: str | None) -> bool:
    """Write into *row* what one of its ends is; say whether it is of the wanted type."""
    found = vertex(context, row[f"{end}Arn"]) or {}
    row[f"{end}Type"] = found.get("Type", "")
    row[f"{end}Name"] = found.get("Name")
    return wanted is None or wanted in {found.get("Type"), found.get("LineageType")}


def _existing(context: Context, arn: str) -> str:
    found = vertex(context, arn)
    if found is None:
        raise ResourceNotFoundError(f"Entity {arn} does not exist.")
    return str(found["Arn"])


def _key(source: str, destination: str) -> str:
    return f"{source}>{destination}".lower()


def neighbours(
    all_edges: Iterable[dict[str, Any]], direction: str
) -> dict[str, list[tuple[str, dict[str, Any]]]]:
    """
    Return where each entity leads to, by its ARN in lower case.

    Args:
        all_edges: Associations.
        direction: Ascendants go against the edges, Descendants along them, Both do both.
    """
    leads: dict[str, list[tuple[str, dict[str, Any]]]] = {}
    for edge in all_edges:
        for source, destination in _ways(edge, direction):
            leads.setdefault(source.lower(), []).append((destination, edge))
    return leads


def _ways(edge: dict[str, Any], direction: str) -> Iterator[tuple[str, str]]:
    if direction in {"Descendants", "Both"}:
        yield edge["SourceArn"], edge["DestinationArn"]
    if direction in {"Ascendants", "Both"}:
        yield edge["DestinationArn"], edge["SourceArn"]
