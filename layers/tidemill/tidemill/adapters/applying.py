"""How a spec comes into force: its package group and pipeline first, then the spec itself."""

from collections.abc import Sequence

from tidemill.adapters.jobs import Jobs
from tidemill.adapters.ledger import Entry
from tidemill.adapters.registry import Registry
from tidemill.adapters.stores import Stores
from tidemill.contracts import ApplyModel
from tidemill.errors import BreakingChangeError, InvalidInputError
from tidemill.names import aws_name
from tidemill.spec.compiled import MalformedSpecError, Spec
from tidemill.times import iso


class Applying:
    """Its steps in their order; each is safe to repeat."""

    def __init__(self, stores: Stores, registry: Registry, jobs: Jobs, *, stack: str) -> None:
        self._stores = stores
        self._registry = registry
        self._jobs = jobs
        self._stack = stack

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

    def record(self, spec: Spec, before: Spec | None, now: float) -> None:
        """
        Put *spec* in force, with its ledger entry.

        Args:
            spec: What is applied.
            before: The spec that it replaces; None for a new model.
            now: Seconds since 1970.
        """
        entry = Entry(
            spec.ref,
            f"spec#{spec.digest}#{iso(now)}",
            now,
            "spec",
            "model.yaml",
            "change" if before else "create",
            f"spec {spec.digest} is in force",
            {"digest": spec.digest, "before": before.digest if before else None},
        )
        self._stores.specs.replace(spec, now, self._stores.ledger, entry)


def read_spec(request: ApplyModel) -> Spec:
    """
    Return the spec that is asked for.

    Raises:
        InvalidInputError: It is malformed, or not what its digest says.
    """
    try:
        spec = Spec.parse(request.spec)
    except MalformedSpecError as error:
        raise InvalidInputError(f"spec: {error}") from error
    if spec.digest != request.digest:
        raise InvalidInputError(
            "the spec and its digest differ: compile it again with this version"
        )
    return spec
