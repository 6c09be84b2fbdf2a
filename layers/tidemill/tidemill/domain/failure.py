"""One clear sentence for a run or rollout that did not succeed."""

import json
from dataclasses import dataclass
from typing import Any, Literal

Status = Literal["failed", "refused", "stopped"]

#: Exit messages of our jobs begin so when the data, not the machinery, is the reason.
REFUSED = "Refused: "
#: Errors of our functions that say the same.
_REFUSALS = ("NothingToTrainError", "RefusedError")
_LIMIT = 1000


@dataclass(frozen=True, slots=True)
class Outcome:
    """How it ended, and the sentence that says so."""

    status: Status
    reason: str


def explain(state: str, error: str, cause: str) -> Outcome:
    """
    Turn what Step Functions caught into a status and a sentence.

    Args:
        state: The workflow's state that failed, such as `Prepare`.
        error: The error name: a class of `tidemill.errors`, or one of AWS's.
        cause: Free text; for a `.sync` job the JSON of its description, for a Lambda
            function the JSON with `errorMessage`.
    """
    document = _document(cause)
    message = str(document.get("ExitMessage") or "")
    if message.startswith(REFUSED):
        return Outcome("refused", message.removeprefix(REFUSED)[:_LIMIT])
    if error in _REFUSALS:
        return Outcome("refused", str(document.get("errorMessage", cause))[:_LIMIT])
    said = (
        message
        or document.get("FailureReason")
        or document.get("errorMessage")
        or cause
        or "no cause was given"
    )
    if error == "States.Timeout":
        return Outcome("failed", f"{state} did not end within its time limit")
    status: Status = "stopped" if document.get("ProcessingJobStatus") == "Stopped" else "failed"
    return Outcome(status, f"{state}: {said}"[:_LIMIT])


def _document(cause: str) -> dict[str, Any]:
    try:
        document = json.loads(cause)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def interrupted(status: str, error: str, cause: str, run_of: str = "") -> str:
    """
    Return the sentence for a workflow that ended in *status* without recording why itself.

    *run_of* is the model whose run it was: then the sentence says how to start it again.
    """
    again = f"; `tidemill start {run_of} --why …` starts a run again" if run_of else ""
    match status:
        case "ABORTED":
            said = f"stopped by hand: {cause}" if cause else "stopped by hand"
        case "TIMED_OUT":
            said = "the workflow did not end within its time limit"
        case _:
            message = _document(cause).get("errorMessage") or cause  # a function's own words
            said = ": ".join(part for part in (error, message) if part)
    return (said or "the workflow failed and gave no cause")[: _LIMIT - len(again)] + again
