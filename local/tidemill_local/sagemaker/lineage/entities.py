"""Lineage entities: artifacts, contexts and actions, made by people or by SageMaker itself."""

import hashlib
import json
from functools import partial
from typing import Any

from tidemill_local.sagemaker.context import Context
from tidemill_local.sagemaker.errors import ValidationError
from tidemill_local.sagemaker.lineage import associations, tracking
from tidemill_local.sagemaker.lineage.tracking import ACTION, ARTIFACT, CONTEXT, Tracked
from tidemill_local.sagemaker.operations import operation
from tidemill_local.sagemaker.store import without_tags

_MOST_PROPERTIES = 30
_WITH_EDGES = "its associations are deleted with it"


@operation("CreateArtifact")
def create_artifact(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Track something that has a URI; there is one artifact of a source."""
    name = artifact_key(request["Source"])
    body = without_tags(request)
    body = tracking.insert(context, ARTIFACT, name, body, request.get("Tags", []))
    return {"ArtifactArn": body["ArtifactArn"]}


@operation("DeleteArtifact", differs=_WITH_EDGES)
def delete_artifact(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Forget an artifact, by its ARN or its source."""
    if ("ArtifactArn" in request) == ("Source" in request):
        raise ValidationError("Exactly one of ArtifactArn and Source must be given.")
    name = request.get("ArtifactArn") or artifact_key(request["Source"])
    return _delete(ARTIFACT, context, name)


def artifact_key(source: dict[str, Any]) -> str:
    """Return the name in an artifact's ARN, which follows from its source."""
    types = sorted((each["SourceIdType"], each["Value"]) for each in source.get("SourceTypes", []))
    text = json.dumps([source["SourceUri"], types])
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _create(entity: Tracked, context: Context, request: dict[str, Any]) -> dict[str, Any]:
    name = request[entity.name_field]
    body = without_tags(request)
    body = tracking.insert(context, entity, name, body, request.get("Tags", []))
    return {entity.arn_field: body[entity.arn_field]}


def _describe(entity: Tracked, context: Context, request: dict[str, Any]) -> dict[str, Any]:
    return tracking.found(context, entity, _named(entity, request))


def _update(entity: Tracked, context: Context, request: dict[str, Any]) -> dict[str, Any]:
    def change(body: dict[str, Any]) -> None:
        changed = {"ArtifactName"} if entity is ARTIFACT else {"Description", "Status"}
        body.update({field: request[field] for field in changed & request.keys()})
        removed = request.get("PropertiesToRemove", [])
        tracking.merge(body, "Properties", request.get("Properties"), removed)
        if len(body["Properties"]) > _MOST_PROPERTIES:
            raise ValidationError(
                f"{entity.words} can have {_MOST_PROPERTIES} properties; remove some with "
                "PropertiesToRemove"
            )

    body = tracking.edit(context, entity, _named(entity, request), change)
    return {entity.arn_field: body[entity.arn_field]}


def _list(entity: Tracked, context: Context, request: dict[str, Any]) -> dict[str, Any]:
    wanted = {field: request[field] for field in {entity.type_field} & request.keys()}
    rows = [
        row
        for row in context.store.rows(entity.kind)
        if all(row.get(field) == value for field, value in wanted.items())
        and row["Source"]["SourceUri"] == request.get("SourceUri", row["Source"]["SourceUri"])
    ]
    return tracking.page(request, entity, rows)


def _delete(entity: Tracked, context: Context, name: str) -> dict[str, Any]:
    arn = tracking.found(context, entity, name)[entity.arn_field]
    with context.store.transaction():
        associations.forget(context, arn)
        tracking.delete(context, entity, name)
    return {entity.arn_field: arn}


def _delete_named(entity: Tracked, context: Context, request: dict[str, Any]) -> dict[str, Any]:
    return _delete(entity, context, _named(entity, request))


def _named(entity: Tracked, request: dict[str, Any]) -> str:
    return str(request[entity.arn_field if entity is ARTIFACT else entity.name_field])


for _entity in (ARTIFACT, CONTEXT, ACTION):
    operation(f"Describe{_entity.kind}")(partial(_describe, _entity))
    operation(f"Update{_entity.kind}")(partial(_update, _entity))
    operation(f"List{_entity.kind}s")(partial(_list, _entity))
for _entity in (CONTEXT, ACTION):
    operation(f"Create{_entity.kind}")(partial(_create, _entity))
    operation(f"Delete{_entity.kind}", differs=_WITH_EDGES)(partial(_delete_named, _entity))
