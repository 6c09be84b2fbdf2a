"""Approvals and rejections of versions: in the ledger first, then in the Model Registry."""

from tidemill.adapters.bus import Bus
from tidemill.adapters.entries import Entry
from tidemill.adapters.registry import Approval, Registry
from tidemill.adapters.stores import Stores
from tidemill.contracts.domain_events import VersionApproved, VersionRejected
from tidemill.contracts.rollouts import JudgeVersion
from tidemill.errors import InvalidInputError, NotFoundError
from tidemill.names import aws_name
from tidemill.times import iso


class Approvals:
    """Safe to repeat. SageMaker's own event then starts the rollout, whoever approved."""

    def __init__(self, stores: Stores, registry: Registry, bus: Bus, *, stack: str) -> None:
        self._stores = stores
        self._registry = registry
        self._bus = bus
        self._stack = stack

    def judge(self, request: JudgeVersion, now: float) -> Approval:
        """
        Approve or reject a version, with a reason.

        Args:
            request: Which version, the verdict, and why.
            now: Seconds since 1970.

        Returns:
            The approval status that the version has now.

        Raises:
            InvalidInputError: No reason is given.
            NotFoundError: There is no such version, or no spec to put it in service by.
        """
        self._refuse(request)
        group = aws_name(self._stack, request.project, request.model)
        found = self._registry.version(group, request.version)
        status: Approval = "Approved" if request.verdict == "approve" else "Rejected"
        new = self._stores.ledger.append(_entry(request, found["package"], now))
        if new and found["approval"] == status == "Approved":
            # SageMaker names what changed: approved again must be a change to start a rollout.
            self._registry.approve(found["package"], "PendingManualApproval", request.why)
        self._registry.approve(found["package"], status, request.why)
        announced = VersionApproved if status == "Approved" else VersionRejected
        self._bus.put(
            announced(
                request.project,
                request.model,
                number=request.version,
                why=request.why,
                by=request.by,
            )
        )
        return status

    def _refuse(self, request: JudgeVersion) -> None:
        if not request.why.strip():
            raise InvalidInputError("an approval or rejection needs a reason: --why")
        if request.verdict == "approve" and self._stores.specs.applied(request.ref) is None:
            raise NotFoundError(
                f"{request.ref} is deleted or was never applied, so nothing can be put in service; "
                "`tidemill apply` its model.yaml first"
            )


def _entry(request: JudgeVersion, package: str, now: float) -> Entry:
    return Entry(
        request.ref,
        f"approval#{request.version}#{request.id or iso(now)}",
        now,
        "approval",
        f"version {request.version}",
        request.verdict,
        f"{request.why.rstrip('.')} (by {request.by})",
        {"version": request.version, "package": package, "by": request.by},
    )
