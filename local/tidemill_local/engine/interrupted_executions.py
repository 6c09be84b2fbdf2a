"""An execution that ran when the local cloud stopped has failed, and its event is sent."""

from typing import Any

from ministack.services import stepfunctions

from tidemill_local.engine.hooks import expect
from tidemill_local.engine.surroundings import Surroundings

ERROR = "LocalCloudStopped"
CAUSE = (
    "the local cloud stopped while this was running; what it had done is kept, and it can be "
    "started again"
)


def check() -> None:
    """Require what an execution's end needs."""
    expect(stepfunctions, "_add_event", "(execution, event_type, details=None)")
    expect(stepfunctions, "_emit_execution_status_event", "(execution)")
    expect(stepfunctions, "now_iso", "()")


def apply(surroundings: Surroundings) -> None:
    """Fail what was running once the state is back; tell it once rules can hear it."""
    interrupted: list[dict[str, Any]] = []

    def fail() -> None:
        for execution in stepfunctions._executions.all_values():
            if execution["status"] == "RUNNING":
                execution |= {
                    "status": "FAILED",
                    "stopDate": stepfunctions.now_iso(),
                    "error": ERROR,
                    "cause": CAUSE,
                }
                interrupted.append(execution)

    def tell() -> None:
        for execution in interrupted:
            details = {"executionFailedEventDetails": {"error": ERROR, "cause": CAUSE}}
            stepfunctions._add_event(execution, "ExecutionFailed", details)
            stepfunctions._emit_execution_status_event(execution)
        interrupted.clear()

    surroundings.on_restored.append(fail)
    surroundings.on_ready.append(tell)
