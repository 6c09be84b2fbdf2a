"""A task that waits for its token fails when its call fails, and stops waiting when it is over."""

import concurrent.futures
import contextvars
import json
import math
import threading
import time
from typing import Any

from ministack.services import stepfunctions

from tidemill_local.engine.hooks import expect, expect_value
from tidemill_local.engine.lifeline import current, hanging_on_current
from tidemill_local.engine.step_functions import ended
from tidemill_local.engine.surroundings import Surroundings


def check() -> None:
    """Require the two ways in which ministack waits for a task."""
    expect(stepfunctions, "_invoke_with_callback", "(resource, input_data, token, state_def)")
    expect(stepfunctions, "_invoke_resource_with_timeout", "(resource, input_data, timeout)")
    expect(stepfunctions, "_invoke_resource", "(resource, input_data)")
    expect_value(stepfunctions, "_task_tokens", stepfunctions.AccountRegionScopedDict)


def apply(_: Surroundings) -> None:
    """Replace both."""
    stepfunctions._invoke_with_callback = _invoke_with_callback
    stepfunctions._invoke_resource_with_timeout = _invoke_with_timeout


def _invoke_with_callback(resource: str, arguments: Any, token: str, state: dict[str, Any]) -> Any:
    """
    Call the resource, then wait for SendTaskSuccess or SendTaskFailure.

    Raises:
        _ExecutionError: The call itself failed, the token was answered with a failure, the
            timeout or heartbeat ran out, or the execution is over.
    """
    started = time.monotonic()
    answered = threading.Event()
    ticket: dict[str, Any] = {"event": answered, "result": None, "error": None, "heartbeat": None}
    stepfunctions._task_tokens[token] = ticket
    try:
        with current().wakes(answered):
            stepfunctions._invoke_resource(resource.replace(".waitForTaskToken", ""), arguments)
            _wait(ticket, started, state)
    finally:
        stepfunctions._task_tokens.pop(token, None)
    if ticket["error"]:
        error = ticket["error"]
        raise stepfunctions._ExecutionError(error["Error"], error["Cause"])
    if ticket["result"] is None:
        raise ended()
    try:
        return json.loads(ticket["result"])
    except ValueError:
        return ticket["result"]


def _wait(ticket: dict[str, Any], started: float, state: dict[str, Any]) -> None:
    deadline = started + state.get("TimeoutSeconds", math.inf)
    heartbeat = state.get("HeartbeatSeconds", math.inf)
    while True:
        seen = ticket["heartbeat"]
        patience = min(deadline - time.monotonic(), heartbeat)
        if ticket["event"].wait(None if patience == math.inf else max(0.0, patience)):
            return
        if time.monotonic() >= deadline:
            raise stepfunctions._ExecutionError(
                "States.Timeout", f"No answer to the task token in {state['TimeoutSeconds']} s."
            )
        if ticket["heartbeat"] == seen:
            raise stepfunctions._ExecutionError(
                "States.HeartbeatTimeout", f"No heartbeat for the task token in {heartbeat} s."
            )


def _invoke_with_timeout(resource: str, arguments: Any, timeout: float) -> Any:
    """
    Call the resource for at most *timeout* seconds; a job that goes on is told to stop.

    Raises:
        _ExecutionError: States.Timeout, or whatever the call raises.
    """
    with hanging_on_current() as lifeline:
        answer: concurrent.futures.Future[Any] = concurrent.futures.Future()

        def call() -> None:
            try:
                answer.set_result(stepfunctions._invoke_resource(resource, arguments))
            except BaseException as error:  # noqa: BLE001 - raised again where it is awaited
                answer.set_exception(error)

        context = contextvars.copy_context()
        threading.Thread(target=context.run, args=(call,), daemon=True).start()
        try:
            return answer.result(timeout)
        except concurrent.futures.TimeoutError:
            if answer.done():  # the task itself raised a TimeoutError
                raise
            raise stepfunctions._ExecutionError(
                "States.Timeout", f"The task took longer than {timeout} seconds."
            ) from None
        finally:
            lifeline.cut()
