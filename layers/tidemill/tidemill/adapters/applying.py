"""How a spec comes into force: what it needs on AWS first, then the spec itself."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from tidemill.adapters.bus import Queue
from tidemill.adapters.entries import Entry
from tidemill.adapters.items import ConditionFailedError
from tidemill.adapters.jobs import Jobs
from tidemill.adapters.log_groups import LogGroups
from tidemill.adapters.monitoring import Monitoring
from tidemill.adapters.registry import Registry
from tidemill.adapters.schedules import Schedules, Target
from tidemill.adapters.specs import Applied
from tidemill.adapters.stores import Stores
from tidemill.contracts.models import ApplyModel
from tidemill.domain.learning import changes, learning_digest
from tidemill.domain.placement import are_names
from tidemill.domain.trigger import Trigger
from tidemill.errors import ApplyBusyError, BreakingChangeError, InvalidInputError
from tidemill.names import aws_name
from tidemill.spec.compiled import MalformedSpecError, Spec
from tidemill.spec.diff import breaking_changes
from tidemill.times import iso

#: Longer than apply_model and delete_model may take.
TURN_SECONDS = 150.0


@contextmanager
def turn(stores: Stores, ref: str, holder: str, now: float) -> Iterator[None]:
    """
    Let nobody else apply or delete the model meanwhile: two applies would mix what they make.

    Args:
        stores: Where the lease is.
        ref: The model.
        holder: Who asks, the same for every attempt: it goes on where the one before it died.
        now: Seconds since 1970.

    Raises:
        ApplyBusyError: Somebody else does.
    """
    if not stores.leases.acquire(ref, "apply", holder=holder, now=now, seconds=TURN_SECONDS):
        raise ApplyBusyError(
            f"another apply or delete of {ref} is under way; try again in a few minutes"
        )
    try:
        yield
    finally:
        stores.leases.release(ref, "apply", holder)


@dataclass(frozen=True, slots=True)
class InForce:
    """A spec is in force; *changed* is False when the same was before."""

    changed: bool
    warnings: tuple[str, ...]  # what could not be done and need not be, a sentence each


class Applying:
    """Its steps in their order; each is safe to repeat."""

    def __init__(
        self,
        stores: Stores,
        registry: Registry,
        jobs: Jobs,
        schedules: Schedules,
        queue: Queue,
        *,
        log_groups: LogGroups,
        monitoring: Monitoring,
        stack: str,
    ) -> None:
        self._stores = stores
        self._registry = registry
        self._jobs = jobs
        self._schedules = schedules
        self._log_groups = log_groups
        self._monitoring = monitoring
        self._queue = queue
        self._stack = stack

    def apply(
        self, spec: Spec, definition: str, target: Target, *, role: str, image: str, now: float
    ) -> InForce:
        """
        Put *spec* in force, and with it what it needs on AWS.

        Args:
            spec: What is applied.
            definition: Its pipeline's, JSON.
            target: What its schedules call.
            role: The ARN of the role that the pipeline's jobs run as.
            image: What trains it.
            now: Seconds since 1970.

        Raises:
            BreakingChangeError: Versions of the model forbid it.
            ApplyBusyError: Somebody else applies or deletes the model.
            InvalidInputError: A schedule has a time that is none.
        """
        with turn(self._stores, spec.ref, f"apply-{spec.digest}", now):
            before = self._stores.specs.in_force(spec.ref)
            breaking = breaking_changes(before.spec, spec) if before else []
            self.permit(spec, [f"{change}: {change.effect}" for change in breaking])
            self.upsert(spec, definition, role)
            self._schedules.sync(spec, target, now)
            warnings = self._log_groups.retain(self.name(spec), now)
            warnings += self._monitoring.change(spec, before.spec if before else None)
            return InForce(self.record(spec, before, image, now), tuple(warnings))

    def name(self, spec: Spec) -> str:
        """Return what the model's package group, pipeline and endpoint are called."""
        return aws_name(self._stack, spec.project, spec.model)

    def permit(self, spec: Spec, breaking: Sequence[str]) -> None:
        """
        Let *spec* pass unless it breaks with versions that there are.

        Args:
            spec: What is applied.
            breaking: What changes that versions would forbid, a sentence each.

        Raises:
            BreakingChangeError: Names the changes.
        """
        versions = len(self._registry.versions(self.name(spec))) if breaking else 0
        if versions:
            raise BreakingChangeError(f"{spec.ref} has {versions} versions. {'; '.join(breaking)}")

    def upsert(self, spec: Spec, definition: str, role_arn: str) -> None:
        """Create the package group unless there is one; give the pipeline *definition* (JSON)."""
        name = self.name(spec)
        self._registry.ensure_group(name, f"Versions of {spec.ref}")
        self._jobs.upsert_pipeline(name, definition, role_arn)

    def record(self, spec: Spec, before: Applied | None, image: str, now: float) -> bool:
        """
        Put *spec* in force, with its ledger entry; let triggers be decided that wait for it.

        A run that would learn otherwise than the last spec's is a reason to run, if the spec says
        so: its trigger is stored with the spec.

        Args:
            spec: What is applied.
            before: What it replaces; None for a new model.
            image: What trains it.
            now: Seconds since 1970.

        Returns:
            False when the same was in force before.

        Raises:
            ApplyBusyError: Another spec came into force meanwhile.
        """
        code = learning_digest(spec, image)
        changed = before is None or before.spec != spec or before.code != code
        if changed:
            trigger = _code_trigger(spec, before, code, now)
            also = [self._stores.triggers.put(spec.ref, trigger)] if trigger else []
            entry = _entry(spec, before, code, now)
            ledger = self._stores.ledger
            try:
                self._stores.specs.replace(
                    spec, now, ledger, entry, code=code, over=before, also=also
                )
            except ConditionFailedError as error:
                raise ApplyBusyError(
                    f"another spec of {spec.ref} came into force meanwhile; apply again"
                ) from error
        # Also when nothing changed: the attempt that changed it may have died before it said so.
        self._queue.send({"project": spec.project, "model": spec.model})
        return changed


def _entry(spec: Spec, before: Applied | None, code: str, now: float) -> Entry:
    return Entry(
        spec.ref,
        f"spec#{spec.digest}#{iso(now)}",
        now,
        "spec",
        "model.yaml",
        "change" if before else "create",
        f"spec {spec.digest} is in force",
        {"digest": spec.digest, "before": before.digest if before else None, "learns": code},
    )


def _code_trigger(spec: Spec, before: Applied | None, code: str, now: float) -> Trigger | None:
    if not spec.triggers.on_change or before is None or code in (before.code, ""):
        return None
    sections = changes(before.spec, spec)
    if not sections and not before.code:
        return None  # applied by a Tidemill that did not note what trains it
    said = f"{' and '.join(sections)} of model.yaml" if sections else "the training code"
    return Trigger(f"code-{code}-{round(now)}", "code", now, f"{said} changed at apply")


def read_spec(request: ApplyModel) -> Spec:
    """
    Return the spec that is asked for.

    Raises:
        InvalidInputError: It is malformed, or not what its digest says, or names no model.
    """
    try:
        spec = Spec.parse(request.spec)
    except MalformedSpecError as error:
        raise InvalidInputError(f"spec: {error}") from error
    if spec.digest != request.digest:
        raise InvalidInputError(
            "the spec and its digest differ: compile it again with this version"
        )
    if not are_names(spec.project, spec.model):
        raise InvalidInputError(
            f"spec: {spec.ref} is no model's name; a project and a model are words of a-z and 0-9 "
            "joined by single hyphens"
        )
    return spec
