"""What lineage entities and experiments share: how they are named, found, changed and listed."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tidemill_local.sagemaker import paging
from tidemill_local.sagemaker.arns import arn_of, name_in
from tidemill_local.sagemaker.context import Context
from tidemill_local.sagemaker.errors import ResourceNotFoundError, ValidationError
from tidemill_local.sagemaker.store import DuplicateRecordError, MissingRecordError


@dataclass(frozen=True, slots=True)
class Tracked:
    """
    A kind of entity that tracks work.

    Attributes:
        kind: As the API names it, such as `TrialComponent`.
        resource: Its type in ARNs.
        words: Its type in sentences.
        listed: The member of its List operation's answer.
        type_field: The member that says what it stands for; "" where there is none.
    """

    kind: str
    resource: str
    words: str
    listed: str
    type_field: str = ""

    @property
    def name_field(self) -> str:
        """The member that holds its name."""
        return f"{self.kind}Name"

    @property
    def arn_field(self) -> str:
        """The member that holds its ARN."""
        return f"{self.kind}Arn"


ARTIFACT = Tracked("Artifact", "artifact", "Artifact", "ArtifactSummaries", "ArtifactType")
CONTEXT = Tracked("Context", "context", "Context", "ContextSummaries", "ContextType")
ACTION = Tracked("Action", "action", "Action", "ActionSummaries", "ActionType")
EXPERIMENT = Tracked("Experiment", "experiment", "Experiment", "ExperimentSummaries")
TRIAL = Tracked("Trial", "experiment-trial", "Trial", "TrialSummaries")
COMPONENT = Tracked(
    "TrialComponent", "experiment-trial-component", "Trial component", "TrialComponentSummaries"
)


def insert(
    context: Context, entity: Tracked, name: str, body: dict[str, Any], tags: Iterable[Any] = ()
) -> dict[str, Any]:
    """
    Add an entity; names differ in more than letter case, and ARNs are in lower case.

    Raises:
        ValidationError: The name is taken.
    """
    arn = arn_of(context, entity.resource, name.lower())
    whole = {"CreatedBy": {}, "LastModifiedBy": {}} | body | {entity.arn_field: arn}
    try:
        return context.store.insert(entity.kind, name.lower(), whole, tags)
    except DuplicateRecordError as error:
        raise ValidationError(f"{entity.words} with name {name} already exists: {arn}") from error


def find(context: Context, entity: Tracked, name_or_arn: str) -> dict[str, Any] | None:
    """Return an entity's body, by its name or ARN in any letter case; None when it is missing."""
    return context.store.get(entity.kind, name_in(name_or_arn).lower())


def found(context: Context, entity: Tracked, name_or_arn: str) -> dict[str, Any]:
    """
    Return an entity's body.

    Raises:
        ResourceNotFoundError: There is none.
    """
    body = find(context, entity, name_or_arn)
    if body is None:
        raise missing(entity, name_or_arn)
    return body


def edit(context: Context, entity: Tracked, name_or_arn: str, change: Any) -> dict[str, Any]:
    """
    Let *change* alter the body in one transaction; return the body.

    Raises:
        ResourceNotFoundError: There is none.
    """
    try:
        return context.store.edit(entity.kind, name_in(name_or_arn).lower(), change)
    except MissingRecordError:
        raise missing(entity, name_or_arn) from None


def delete(context: Context, entity: Tracked, name_or_arn: str) -> None:
    """
    Remove an entity.

    Raises:
        ResourceNotFoundError: There is none.
    """
    try:
        context.store.delete(entity.kind, name_in(name_or_arn).lower())
    except MissingRecordError:
        raise missing(entity, name_or_arn) from None


def missing(entity: Tracked, name_or_arn: str) -> ResourceNotFoundError:
    """Return the error for an entity that is not there."""
    return ResourceNotFoundError(f"{entity.words} {name_or_arn} does not exist.")


def page(
    request: dict[str, Any], entity: Tracked, rows: Iterable[dict[str, Any]]
) -> dict[str, Any]:
    """Answer the entity's List operation, newest first unless the request says otherwise."""
    return paging.page(
        request,
        rows,
        answer=entity.listed,
        # Artifacts have ARNs, and names only when somebody gave them one.
        name=entity.arn_field if entity is ARTIFACT else entity.name_field,
        order="Descending",
    )


def merge(body: dict[str, Any], field: str, added: Any, removed: Iterable[str]) -> None:
    """Add entries to a map of the body, or replace them, and remove others by key."""
    gone = set(removed)
    whole = {**body.get(field, {}), **(added or {})}
    body[field] = {key: value for key, value in whole.items() if key not in gone}
