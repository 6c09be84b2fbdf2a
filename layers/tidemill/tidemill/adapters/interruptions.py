"""Executions that ended without a word: stopped, timed out, or failed before they could say."""

import json

from tidemill.adapters.closing import Closing
from tidemill.adapters.jobs import Jobs
from tidemill.adapters.runs import Ended
from tidemill.adapters.stores import Stores
from tidemill.adapters.workflows import Workflows
from tidemill.contracts.rollouts import RolloutRef
from tidemill.contracts.runs import ExecutionChanged, RunRef
from tidemill.contracts.uploads import CheckRef
from tidemill.contracts.watch import WatchRef
from tidemill.domain.failure import interrupted


class Interruptions:
    """Safe to repeat: what a workflow recorded itself stays as it did."""

    def __init__(self, stores: Stores, jobs: Jobs, closing: Closing) -> None:
        self._stores = stores
        self._jobs = jobs
        self._closing = closing

    def settle(self, changed: ExecutionChanged, workflow: Workflows, now: float) -> bool:
        """
        Record how an execution ended, for it could not do so itself.

        Args:
            changed: What Step Functions told.
            workflow: The machine whose execution it is.
            now: Seconds since 1970.

        Returns:
            False when its end had been recorded.
        """
        # The event leaves out a long input, and the cause of an execution that was stopped.
        described = workflow.find(changed.name) or {}
        document = json.loads(changed.input or described.get("input") or "{}")
        ended = (changed.status, described.get("error") or "", described.get("cause") or "")
        if "run" in document:
            return self._run(RunRef.parse(document), ended, now)
        if "delivery" in document:
            check = CheckRef.parse(document)
            return self._stores.checks.fail(
                check.ref, check.delivery, check.attempt, interrupted(*ended), now
            )
        if "watch" in document:
            watch = WatchRef.parse(document)
            return self._stores.watches.fail(watch.ref, watch.watch, interrupted(*ended), now)
        rollout = RolloutRef.parse(document)
        return self._closing.rollout(
            rollout.ref, changed.name, rollout.version, interrupted(*ended), now
        )

    def _run(self, request: RunRef, ended: tuple[str, str, str], now: float) -> bool:
        record = self._stores.runs.get(request.ref, request.run)
        if record.get("pipeline"):  # also of a run that recorded its own end: nobody waits for it
            self._jobs.stop_pipeline(record["pipeline"])
        status, *_ = ended
        end = Ended(
            "stopped" if status == "ABORTED" else "failed", interrupted(*ended, run_of=request.ref)
        )
        return self._closing.run(request.ref, request.run, end, now)
