"""A Step Functions execution is on disk when it starts, at each event, and when it ends."""

import copy
import threading
from typing import Any

from ministack.services import stepfunctions

from tidemill_local.engine.hooks import expect, expect_saved, expect_value
from tidemill_local.engine.records import Records
from tidemill_local.engine.surroundings import Surroundings

_EXECUTION, _EVENT = "execution", "execution-event"
_OTHERS = (
    "state_machines", "tags", "activities", "state_machine_versions", "state_machine_aliases",
    "map_runs",
)  # fmt: skip


def check() -> None:
    """Require the two functions through which every change of an execution goes."""
    expect(stepfunctions, "_emit_execution_status_event", "(execution)")
    expect(stepfunctions, "_add_event", "(execution, event_type, details=None)")
    expect_value(stepfunctions, "_executions", stepfunctions.AccountRegionScopedDict)
    for name in _OTHERS:
        expect_value(stepfunctions, f"_{name}", stepfunctions.AccountRegionScopedDict)
    expect_saved(stepfunctions, {"executions", *_OTHERS})


def apply(surroundings: Surroundings) -> None:
    """Record executions and their histories; leave both out of the snapshots."""
    records = surroundings.records
    numbering = threading.Lock()  # parallel branches add events to one history
    emit, add_event = stepfunctions._emit_execution_status_event, stepfunctions._add_event

    def emit_durably(execution: dict[str, Any]) -> None:
        if not execution.get("sync"):
            _save(records, execution)
        emit(execution)

    def add_durably(execution: dict[str, Any], kind: str, details: Any = None) -> dict[str, Any]:
        with numbering:
            event: dict[str, Any] = add_event(execution, kind, details)
        if not execution.get("sync"):
            _save_event(records, execution, event)
        return event

    stepfunctions._emit_execution_status_event = emit_durably
    stepfunctions._add_event = add_durably
    stepfunctions.get_state = _state
    surroundings.on_restored.append(lambda: _restore(records))


def _save(records: Records, execution: dict[str, Any]) -> None:
    for event in execution["events"][:1]:  # the first is not added but born with the execution
        _save_event(records, execution, event)
    body = {name: value for name, value in execution.items() if name != "events"}
    records.put(_EXECUTION, _scope(execution), execution["executionArn"], body)


def _save_event(records: Records, execution: dict[str, Any], event: dict[str, Any]) -> None:
    records.put(_EVENT, execution["executionArn"], f"{event['id']:08}", event)


def _restore(records: Records) -> None:
    for scope, arn, execution in records.rows(_EXECUTION):
        account, region = scope.split("/")
        execution["events"] = [event for _, _, event in records.rows(_EVENT, arn)]
        stepfunctions._executions.set_scoped(account, region, arn, execution)


def _state() -> dict[str, Any]:
    return {name: copy.deepcopy(getattr(stepfunctions, f"_{name}")) for name in _OTHERS}


def forget(records: Records, arn: str) -> None:
    """Drop a finished execution with its history."""
    execution = stepfunctions._executions.get(arn)
    if execution is None:
        return
    del stepfunctions._executions[arn]
    records.delete(_EXECUTION, _scope(execution), arn)
    records.clear(_EVENT, arn)


def _scope(execution: dict[str, Any]) -> str:
    _, _, _, region, account, *_ = execution["executionArn"].split(":")
    return f"{account}/{region}"
