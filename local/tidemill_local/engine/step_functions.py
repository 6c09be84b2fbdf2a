"""Executions start once, end once, time out, and stop waiting when they are stopped."""

import json
import threading
from typing import Any

from ministack.services import stepfunctions

from tidemill_local.engine.hooks import expect, expect_value
from tidemill_local.engine.lifeline import Lifeline, current, hanging_on_current
from tidemill_local.engine.surroundings import Surroundings

_lifelines: dict[str, Lifeline] = {}


def check() -> None:
    """Require the functions that an execution's life goes through."""
    expect(stepfunctions, "_start_execution", "(data)")
    expect(stepfunctions, "_stop_execution", "(data)")
    expect(stepfunctions, "_run_execution", "(exec_arn)")
    expect(stepfunctions, "_fail_execution", "(execution, error, cause)")
    expect(stepfunctions, "_scaled_sleep", "(seconds)")
    expect(stepfunctions, "_execute_task", "(state_def, raw_input, execution, ctx)")
    expect(
        stepfunctions, "_evaluate_jsonata",
        "(expression, raw_input, ctx=None, result=None, error_output=None)",
    )  # fmt: skip
    expect(stepfunctions, "_jsonata_state_field", "(state_def, field, expected, raw_input, ctx)")
    expect(stepfunctions, "_resolve_state_machine_arn", "(arn)")
    expect(stepfunctions, "_state_query_language", "(state_def, ctx=None)")
    expect_value(stepfunctions, "_SFN_WAIT_SCALE", (int, float))


def apply(_: Surroundings) -> None:
    """Replace how executions start, run, wait and end."""
    _start_once()
    _end_once()
    _run_with_lifeline()
    _wait_until_over()
    _complete_context()
    _evaluate_task_timeouts()


def ended() -> Exception:
    """Return the error that unwinds the threads of an execution that is over."""
    error: Exception = stepfunctions._ExecutionError(
        "States.Runtime", "The execution is over; this part of it was told to stop."
    )
    return error


def _start_once() -> None:
    """StartExecution is idempotent on AWS: same name and input while running is the same run."""
    start = stepfunctions._start_execution
    one_at_a_time = threading.RLock()  # an execution's first event may start another

    def start_once(data: dict[str, Any]) -> Any:
        with one_at_a_time:
            execution = _running(data)
            if execution is None or not _same_json(execution["input"], data.get("input", "{}")):
                return start(data)
            return stepfunctions.json_response({
                "executionArn": execution["executionArn"],
                "startDate": execution["startDate"],
            })  # fmt: skip

    stepfunctions._start_execution = start_once


def _running(data: dict[str, Any]) -> dict[str, Any] | None:
    machine = stepfunctions._resolve_state_machine_arn(data.get("stateMachineArn", ""))
    if machine is None or not data.get("name"):
        return None
    arn = f"{machine.replace(':stateMachine:', ':execution:')}:{data['name']}"
    execution: dict[str, Any] | None = stepfunctions._executions.get(arn)
    return execution if execution and execution["status"] == "RUNNING" else None


def _same_json(one: str, other: str) -> bool:
    try:
        return bool(json.loads(one) == json.loads(other))
    except ValueError:
        return one == other


def _end_once() -> None:
    """What fails after an execution was stopped or timed out does not change how it ended."""
    fail, stop = stepfunctions._fail_execution, stepfunctions._stop_execution

    def fail_if_running(execution: dict[str, Any], error: str, cause: str) -> None:
        if execution["status"] == "RUNNING":
            fail(execution, error, cause)

    def stop_and_wake(data: dict[str, Any]) -> Any:
        answer = stop(data)
        lifeline = _lifelines.get(data.get("executionArn", ""))
        if lifeline is not None and answer[0] == 200:  # noqa: PLR2004 - an HTTP status
            lifeline.cut()
        return answer

    stepfunctions._fail_execution = fail_if_running
    stepfunctions._stop_execution = stop_and_wake


def _run_with_lifeline() -> None:
    run = stepfunctions._run_execution

    def run_with_lifeline(arn: str) -> None:
        execution = stepfunctions._executions.get(arn)
        with hanging_on_current() as lifeline:
            _lifelines[arn] = lifeline
            timer = _timer(execution, lifeline)
            try:
                run(arn)
            finally:
                _lifelines.pop(arn, None)
                if timer is not None:
                    timer.cancel()
                lifeline.cut()

    stepfunctions._run_execution = run_with_lifeline


def _timer(execution: dict[str, Any] | None, lifeline: Lifeline) -> threading.Timer | None:
    machine = execution and stepfunctions._state_machines.get(execution["stateMachineArn"])
    try:
        seconds = json.loads(machine["definition"]).get("TimeoutSeconds") if machine else None
    except ValueError:
        return None  # ministack itself fails an execution without a definition
    if seconds is None:
        return None
    timer = threading.Timer(seconds, _time_out, (execution, seconds, lifeline))
    timer.daemon = True
    timer.start()
    return timer


def _time_out(execution: dict[str, Any], seconds: float, lifeline: Lifeline) -> None:
    if execution["status"] != "RUNNING":
        return
    cause = f"The execution ran longer than its TimeoutSeconds ({seconds})."
    execution |= {
        "status": "TIMED_OUT",
        "stopDate": stepfunctions.now_iso(),
        "error": "States.Timeout",
        "cause": cause,
    }
    details = {"executionTimedOutEventDetails": {"error": "States.Timeout", "cause": cause}}
    stepfunctions._add_event(execution, "ExecutionTimedOut", details)
    stepfunctions._emit_execution_status_event(execution)
    lifeline.cut()


def _wait_until_over() -> None:
    def sleep(seconds: float) -> None:
        over = threading.Event()
        with current().wakes(over):
            over.wait(max(0.0, seconds * stepfunctions._SFN_WAIT_SCALE))
        if current().is_cut:
            raise ended()

    stepfunctions._scaled_sleep = sleep


def _complete_context() -> None:
    """`$states.context.Execution` has RoleArn and RedriveCount on AWS."""
    evaluate = stepfunctions._evaluate_jsonata

    def evaluate_with_context(
        expression: str, raw_input: Any, ctx: Any = None, result: Any = None,
        error_output: Any = None,
    ) -> Any:  # fmt: skip
        if ctx and "Execution" in ctx and "RedriveCount" not in ctx["Execution"]:
            machine = stepfunctions._state_machines.get(ctx["StateMachine"]["Id"]) or {}
            ctx["Execution"] |= {"RedriveCount": 0, "RoleArn": machine.get("roleArn", "")}
        return evaluate(expression, raw_input, ctx, result, error_output)

    stepfunctions._evaluate_jsonata = evaluate_with_context


def _evaluate_task_timeouts() -> None:
    """TimeoutSeconds and HeartbeatSeconds of a task may be JSONata."""
    execute = stepfunctions._execute_task

    def execute_with_timeouts(
        state: dict[str, Any], raw_input: Any, execution: Any, ctx: dict[str, Any]
    ) -> Any:
        if current().is_cut:
            raise ended()
        if stepfunctions._state_query_language(state, ctx) == "JSONata":
            for field in ("TimeoutSeconds", "HeartbeatSeconds"):
                if isinstance(state.get(field), str):
                    seconds = stepfunctions._jsonata_state_field(
                        state, field, "number", raw_input, ctx
                    )
                    state = {**state, field: seconds}
        return execute(state, raw_input, execution, ctx)

    stepfunctions._execute_task = execute_with_timeouts
