"""The tokens of Callback steps: who holds one tells how the step went."""

import secrets
import string
from collections.abc import Mapping, Sequence
from typing import Any

from tidemill_local.sagemaker.context import Context
from tidemill_local.sagemaker.errors import ConflictError, ResourceNotFoundError, ValidationError
from tidemill_local.sagemaker.operations import operation
from tidemill_local.sagemaker.pipelines.outputs import Output, OutputError, read_outputs
from tidemill_local.sagemaker.store import MissingRecordError

_KIND = "PipelineCallback"
_TOKEN_LENGTH = 10
_LETTERS = string.ascii_letters + string.digits
_WAITING = "Waiting"


@operation("SendPipelineExecutionStepSuccess")
def send_success(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """End a Callback step well, with the outputs that its definition promises."""
    token = request["CallbackToken"]
    given = request.get("OutputParameters", [])
    texts = {item["Name"]: item["Value"] for item in given}
    outputs = [Output(**output) for output in get(context, token)["Outputs"]]
    unknown = sorted(set(texts) - {output.name for output in outputs})
    if unknown or len(texts) < len(given):
        raise ValidationError(
            f"OutputParameters must be those of the step, each once; unknown: "
            f"{', '.join(unknown) or 'none'}."
        )
    try:
        read_outputs(outputs, texts)
    except OutputError as error:
        raise ValidationError(str(error)) from None
    return _answer(context, request, {"Status": "Succeeded", "Texts": texts})


@operation("SendPipelineExecutionStepFailure")
def send_failure(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """End a Callback step badly."""
    reason = request.get("FailureReason") or "The callback step failed; no reason was given."
    return _answer(context, request, {"Status": "Failed", "Reason": reason})


def add(
    context: Context,
    execution: str,
    *,
    step: str,
    outputs: Sequence[Output],
    url: str,
    arguments: Mapping[str, Any],
) -> str:
    """Record that a step waits for an answer; return its token."""
    token = "".join(secrets.choice(_LETTERS) for _ in range(_TOKEN_LENGTH))
    body = {
        "CallbackToken": token,
        "PipelineExecutionArn": execution,
        "StepName": step,
        "Outputs": [{"name": output.name, "type": output.type} for output in outputs],
        "SqsQueueUrl": url,
        "Arguments": arguments,
        "Status": _WAITING,
    }
    context.store.insert(_KIND, token, body)
    return token


def get(context: Context, token: str) -> dict[str, Any]:
    """
    Return what is known of a token.

    Raises:
        ResourceNotFoundError: No step waits under it.
    """
    body = context.store.get(_KIND, token)
    if body is None:
        raise ResourceNotFoundError(f"Callback token '{token}' does not exist.")
    return body


def note_sent(context: Context, token: str) -> None:
    """Record that the message with this token lies in its queue."""
    context.store.update(_KIND, token, Sent=True)


def answered(body: Mapping[str, Any]) -> bool:
    """Say whether the holder of the token has told how the step went."""
    return bool(body["Status"] != _WAITING)


def wait_for_answer(context: Context, token: str, timeout: float) -> dict[str, Any]:
    """Wait for the answer, or *timeout* seconds; return what is known of the token then."""
    body = context.store.wait_for(
        _KIND, token, lambda found: found is None or answered(found), timeout
    )
    return body or {"Status": "Failed", "Reason": "The pipeline was deleted."}


def forget(context: Context, execution: str) -> None:
    """Remove the tokens of an execution that is removed."""
    for body in context.store.rows(_KIND):
        if body["PipelineExecutionArn"] == execution:
            context.store.delete(_KIND, body["CallbackToken"])


def _answer(context: Context, request: dict[str, Any], outcome: dict[str, Any]) -> dict[str, Any]:
    """Record an answer; the same request sent again gets the same answer, another one none."""
    token, once = request["CallbackToken"], request.get("ClientRequestToken")

    def change(body: dict[str, Any]) -> None:
        if not answered(body):
            body.update(outcome, ClientRequestToken=once)
        elif once is None or body.get("ClientRequestToken") != once:
            raise ConflictError(f"Callback token '{token}' has been answered: {body['Status']}.")

    try:
        body = context.store.edit(_KIND, token, change)
    except MissingRecordError:
        raise ResourceNotFoundError(f"Callback token '{token}' does not exist.") from None
    return {"PipelineExecutionArn": body["PipelineExecutionArn"]}
