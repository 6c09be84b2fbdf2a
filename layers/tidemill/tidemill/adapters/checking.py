"""The workflow of a delivery's check: started once per attempt, and again when it died."""

from typing import Any

from tidemill.adapters.checks import DONE, FAILED, UNDER_WAY
from tidemill.adapters.stores import Stores
from tidemill.adapters.workflows import Workflows
from tidemill.domain.check import execution_name
from tidemill.domain.failure import interrupted
from tidemill.errors import InvalidInputError, NotFoundError

#: A check that was begun may be so young without an execution: whoever began it is about to start.
STARTING_SECONDS = 60.0


class Checking:
    """Safe to repeat: an attempt's execution has its name from the delivery."""

    def __init__(self, stores: Stores, workflow: Workflows) -> None:
        self._stores = stores
        self._workflow = workflow

    def start(self, ref: str, delivery: str) -> None:
        """Start the execution of the attempt that is under way, if one is."""
        record = self._stores.checks.find(ref, delivery)
        if record is None or record.get("stands") != UNDER_WAY:
            return
        project, _, model = ref.partition("/")
        attempt = record["attempt"]
        self._workflow.start(
            execution_name(delivery, attempt),
            {"project": project, "model": model, "delivery": delivery, "attempt": attempt},
        )

    def again(self, ref: str, delivery: str, *, request: str, why: str, now: float) -> int:
        """
        Begin the next attempt of a check that failed, because a person asks for it.

        Args:
            ref: The model.
            delivery: Its id.
            request: The same for every attempt of one request: it begins one attempt at most.
            why: The person's reason.
            now: Seconds since 1970.

        Returns:
            The attempt's number.

        Raises:
            NotFoundError: The model has no spec, or no such closed delivery.
            InvalidInputError: The delivery's check did not fail, or goes on again already.
        """
        self._stores.specs.get(ref)
        record = self._closed(ref, delivery)
        if record.get("request") != request:
            _refuse_unless_failed(delivery, record)
            self._stores.checks.begin_again(
                ref, delivery, record["attempt"], now, request=request, why=why
            )
            record = self._closed(ref, delivery)
            if record.get("request") != request:  # another was faster
                _refuse_unless_failed(delivery, record)
                raise InvalidInputError(f"the check of {delivery} failed again just now; ask again")
        self.start(ref, delivery)
        return int(record["attempt"])

    def _closed(self, ref: str, delivery: str) -> dict[str, Any]:
        record = self._stores.checks.find(ref, delivery)
        if record is None:
            raise NotFoundError(
                f"{ref} has no closed delivery {delivery}; `tidemill why {ref}` names those it has"
            )
        return record

    def sweep(self, now: float) -> int:
        """
        Start what nobody started, record what died in silence, try again what is due.

        A check of a model without a spec waits until its model.yaml is applied again.

        Returns:
            How many checks needed it.
        """
        in_force = set(self._stores.specs.refs())
        return sum(
            self._mend(ref, delivery, now)
            for ref, delivery in self._stores.checks.unfinished()
            if ref in in_force
        )

    def _mend(self, ref: str, delivery: str, now: float) -> bool:
        checks = self._stores.checks
        record = checks.find(ref, delivery)
        if record is None:
            return False
        attempt = record["attempt"]
        if record["stands"] == FAILED:
            again_at = record.get("again_at")
            if again_at is None or again_at > now:
                return False
            if checks.begin_again(ref, delivery, attempt, now):
                self.start(ref, delivery)
            return True
        described = self._workflow.find(execution_name(delivery, attempt))
        if described is None:
            if record["since"] > now - STARTING_SECONDS:
                return False
            self.start(ref, delivery)
            return True
        if described["status"] == "RUNNING":
            return False
        reason = interrupted(
            described["status"], described.get("error") or "", described.get("cause") or ""
        )
        return checks.fail(ref, delivery, attempt, reason, now)


def _refuse_unless_failed(delivery: str, record: dict[str, Any]) -> None:
    match record.get("stands"):
        case state if state == FAILED:
            return
        case state if state == DONE:
            raise InvalidInputError(
                f"{delivery} was checked ({record['check']}); only a check that failed is repeated"
            )
        case state if state == UNDER_WAY:
            raise InvalidInputError(f"{delivery} is being checked now; wait for what it comes to")
        case _:
            raise InvalidInputError(f"{delivery} has no upload; there is nothing to check")
