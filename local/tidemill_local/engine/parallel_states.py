"""Parallel states in JSONata: arguments, output and variables count, and one failure stops all."""

import contextvars
import copy
import threading
from typing import Any

from ministack.services import stepfunctions

from tidemill_local.engine.hooks import expect
from tidemill_local.engine.lifeline import Lifeline, current, hanging_on_current
from tidemill_local.engine.surroundings import Surroundings


def check() -> None:
    """Require what a Parallel state is made of."""
    expect(stepfunctions, "_run_parallel_branches", "(state_def, raw_input, execution, ctx)")
    expect(stepfunctions, "_run_sub_machine", "(states, start_at, input_data, execution, ctx)")
    expect(stepfunctions, "_apply_jsonata_arguments", "(state_def, raw_input, ctx=None)")
    expect(
        stepfunctions, "_apply_jsonata_output",
        "(state_def, raw_input, ctx=None, result=None, error_output=None, default=None)",
    )  # fmt: skip
    expect(
        stepfunctions, "_apply_state_assign",
        "(state_def, raw_input, ctx, result=None, error_output=None)",
    )  # fmt: skip
    expect(stepfunctions, "_next_or_end", "(state_def)")


def apply(_: Surroundings) -> None:
    """Run JSONata states our way; JSONPath states stay with ministack."""
    run_jsonpath = stepfunctions._run_parallel_branches

    def run(state: dict[str, Any], raw_input: Any, execution: Any, ctx: dict[str, Any]) -> Any:
        if stepfunctions._state_query_language(state, ctx) != "JSONata":
            return run_jsonpath(state, raw_input, execution, ctx)
        entered = copy.deepcopy(ctx)
        arguments = stepfunctions._apply_jsonata_arguments(state, raw_input, ctx)
        with hanging_on_current():
            branches = [_Branch(each, execution, entered) for each in state["Branches"]]
            results = _run_together(branches, arguments)
        output = stepfunctions._apply_jsonata_output(
            state, raw_input, ctx, result=results, default=results
        )
        stepfunctions._apply_state_assign(state, raw_input, ctx, result=results)
        return output, stepfunctions._next_or_end(state)

    stepfunctions._run_parallel_branches = run


class _Branch:
    """One branch on a thread of its own, with its own copy of context and variables."""

    def __init__(self, branch: dict[str, Any], execution: Any, ctx: dict[str, Any]) -> None:
        self._branch = branch
        self._execution = execution
        self._ctx = copy.deepcopy(ctx)
        self.result: Any = None
        self.error: BaseException | None = None

    def run(self, arguments: Any, lifeline: Lifeline, failures: "list[_Branch]") -> None:
        try:
            self.result = stepfunctions._run_sub_machine(
                self._branch["States"], self._branch["StartAt"], copy.deepcopy(arguments),
                self._execution, self._ctx,
            )  # fmt: skip
        except Exception as error:  # noqa: BLE001 - raised again by the state
            self.error = error
            failures.append(self)
            lifeline.cut()


def _run_together(branches: list[_Branch], arguments: Any) -> list[Any]:
    lifeline = current()
    failures: list[_Branch] = []
    threads = [
        threading.Thread(
            target=contextvars.copy_context().run,
            args=(branch.run, arguments, lifeline, failures),
            daemon=True,
        )
        for branch in branches
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        error = failures[0].error  # the others only followed
        if isinstance(error, stepfunctions._ExecutionError):
            raise error
        raise stepfunctions._ExecutionError("States.BranchFailed", str(error))
    return [branch.result for branch in branches]
