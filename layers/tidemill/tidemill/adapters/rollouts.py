"""Rollouts as they are asked for: by an approval, or by a person who wants a version back."""

import hashlib
from typing import Any

from tidemill.adapters.entries import Entry
from tidemill.adapters.registry import Registry
from tidemill.adapters.stores import Stores
from tidemill.adapters.workflows import Workflows
from tidemill.contracts.rollouts import PackageChanged, RequestRollback
from tidemill.errors import InvalidInputError, NotFoundError
from tidemill.names import aws_name, model_ref

#: As many characters of a model's name begin its rollouts' names; Step Functions allows 80 in all.
_OF_THE_MODEL = 40


class Rollouts:
    """Starts them; the rollout machine does the rest."""

    def __init__(
        self, stores: Stores, registry: Registry, workflows: Workflows, *, stack: str
    ) -> None:
        self._stores = stores
        self._registry = registry
        self._workflows = workflows
        self._stack = stack

    def approved(self, changed: PackageChanged, now: float) -> str | None:
        """
        Start the rollout of a version that was approved; one an approval, however often it is told.

        SageMaker repeats its event with the current status after every update, so the described
        package decides, and the time of its last change names the execution.

        Returns:
            The execution's name, or None when this is no new approval of a version of ours.
        """
        fields = changed.UpdatedModelPackageFields  # where it is not said, the package decides
        if fields is not None and "ModelApprovalStatus" not in fields:
            return None
        package = self._registry.describe(changed.ModelPackageArn)
        if package["ModelApprovalStatus"] != "Approved":
            return None
        number = package["ModelPackageVersion"]
        ref = self._owner(changed.ModelPackageGroupName)
        if ref is None:
            self._refuse(changed, package, now)
            return None
        digest = _approval(changed, package)
        why = package.get("ApprovalDescription") or "approved"
        name, _ = self._start(ref, number, digest, changed.ModelPackageArn, why)
        return name

    def back(self, request: RequestRollback, now_ns: int) -> dict[str, Any]:
        """
        Start the rollout of an earlier version: the one named, or the one the champion replaced.

        Args:
            request: What was asked for.
            now_ns: Nanoseconds since 1970; they name the execution of a request without an id.

        Returns:
            `{"version", "execution"}`, the execution as an ARN.

        Raises:
            NotFoundError: There is no such version, or none was in service before.
            InvalidInputError: It is not approved.
        """
        ref = request.ref
        champion = self._stores.champions.find(ref)
        number = request.version or (champion or {}).get("previous")
        if number is None:
            raise NotFoundError(f"{ref} has no earlier version that was in service")
        group = aws_name(self._stack, request.project, request.model)
        found = self._registry.version(group, number)
        if found["approval"] != "Approved":
            raise InvalidInputError(
                f"version {number} is {found['approval']}; approve it first: "
                f"tidemill approve {ref} {number} --why …"
            )
        identity = f"rollback-{_short(request.id) if request.id else f'{now_ns:x}'}"
        why = f"rollback: {request.why}"
        _, execution = self._start(ref, number, identity, found["package"], why)
        return {"version": number, "execution": execution}

    def _refuse(self, changed: PackageChanged, package: dict[str, Any], now: float) -> None:
        """Write down that a version was approved whose model was deleted, if it is ours."""
        known = package.get("CustomerMetadataProperties", {})
        project, model = known.get("project", ""), known.get("model", "")
        if aws_name(self._stack, project, model) != changed.ModelPackageGroupName:
            return
        number, approval = package["ModelPackageVersion"], _approval(changed, package)
        self._stores.ledger.append(
            Entry(
                model_ref(project, model),
                f"rollout#refused#{approval}",
                now,
                "rollout",
                f"version {number}",
                "refuse",
                f"version {number} was approved, but the model was deleted: apply its model.yaml "
                "again, then approve the version again",
                {"version": number, "package": changed.ModelPackageArn},
            )
        )

    def _start(
        self, ref: str, number: int, identity: str, package: str, why: str
    ) -> tuple[str, str]:
        """Start the execution unless it was started before; return its name and ARN."""
        project, _, model = ref.partition("/")
        name = f"{name_begins(model)}{number}-{identity}"
        document = {
            "project": project,
            "model": model,
            "version": number,
            "package": package,
            "why": why,
        }
        return name, self._workflows.start(name, document)

    def _owner(self, group: str) -> str | None:
        """Return the model whose group this is; a group's name alone may carry a hash."""
        for ref in self._stores.specs.refs():
            project, _, model = ref.partition("/")
            if aws_name(self._stack, project, model) == group:
                return ref
        return None


def name_begins(model: str) -> str:
    """Return how the names of a model's rollouts begin; those of another's may begin alike."""
    return f"{model[:_OF_THE_MODEL]}-v"


def _approval(changed: PackageChanged, package: dict[str, Any]) -> str:
    """Return what is the same however often an approval is told: 12 hex digits."""
    changed_at = package.get("LastModifiedTime") or package["CreationTime"]
    approval = f"{changed.ModelPackageArn} {changed_at.timestamp()}"
    return hashlib.sha256(approval.encode()).hexdigest()[:12]


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
