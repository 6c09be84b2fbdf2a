"""EventBridge's rules and schedules: dead letters tell of targets that cannot be reached."""

import contextvars
import json
import logging
from typing import Any

from ministack.services import eventbridge, lambda_svc, sns, sqs, stepfunctions

from tidemill_local.engine.hooks import expect, expect_value
from tidemill_local.engine.surroundings import Surroundings

logger = logging.getLogger(__name__)

_failures: contextvars.ContextVar[list["UndeliverableError"] | None] = contextvars.ContextVar(
    "failures", default=None
)


class UndeliverableError(Exception):
    """
    A target did not take an event.

    Args:
        code: EventBridge's name for the reason, as in the dead letter's ERROR_CODE.
        message: What is wrong, and with which target.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def check() -> None:
    """Require the dispatchers by target service."""
    expect(eventbridge, "_invoke_target", "(target, event, rule, view=None)")
    expect(eventbridge, "_pattern_event_view", "(event)")
    expect(eventbridge, "_dispatch_to_lambda", "(arn, payload)")
    expect(eventbridge, "_dispatch_to_stepfunctions", "(arn, payload)")
    expect(eventbridge, "_dispatch_to_sqs", "(spec, payload, sqs_parameters=None)")
    expect(eventbridge, "_dispatch_to_sns", "(arn, payload)")
    expect(
        eventbridge, "_dispatch_to_event_bus",
        "(spec, event, rule, event_path, target_input_payload=None)",
    )  # fmt: skip
    expect(sqs, "_act_send_message", "(data, qurl)")
    expect_value(eventbridge, "_event_buses", eventbridge.AccountRegionScopedDict)


def apply(_: Surroundings) -> None:
    """Let the dispatchers say when they fail, and send those events to the dead-letter queue."""
    invoke = eventbridge._invoke_target
    to_sqs, to_sns, to_bus = (
        eventbridge._dispatch_to_sqs,
        eventbridge._dispatch_to_sns,
        eventbridge._dispatch_to_event_bus,
    )

    def checked_sqs(spec: Any, payload: str, parameters: Any = None) -> None:
        _require(sqs._queue_by_arn(str(spec)) is not None, "NO_RESOURCE", f"queue {spec}")
        to_sqs(spec, payload, parameters)

    def checked_sns(arn: str, payload: str) -> None:
        _require(arn in sns._topics, "NO_RESOURCE", f"topic {arn}")
        to_sns(arn, payload)

    def checked_bus(spec: Any, *arguments: Any) -> None:
        name = spec.resource.partition("/")[2]
        _require(name in eventbridge._event_buses, "NO_RESOURCE", f"event bus {spec}")
        to_bus(spec, *arguments)

    def invoke_with_dead_letters(
        target: dict[str, Any], event: dict[str, Any], rule: dict[str, Any], view: Any = None
    ) -> None:
        failures: list[UndeliverableError] = []
        token = _failures.set(failures)
        try:
            invoke(target, event, rule, view)
        finally:
            _failures.reset(token)
        for failure in failures:
            _bury(failure, target, event, rule, view)

    eventbridge._dispatch_to_lambda = _noting(_invoke_function)
    eventbridge._dispatch_to_stepfunctions = _noting(_start_execution)
    eventbridge._dispatch_to_sqs = _noting(checked_sqs)
    eventbridge._dispatch_to_sns = _noting(checked_sns)
    eventbridge._dispatch_to_event_bus = _noting(checked_bus)
    eventbridge._invoke_target = invoke_with_dead_letters
    eventbridge._events_log_list = list  # ministack keeps every event ever sent; nobody reads them


def _noting(dispatch: Any) -> Any:
    """Ministack logs and drops what a dispatcher raises, so note it on the way."""

    def noting(*arguments: Any) -> None:
        try:
            dispatch(*arguments)
        except UndeliverableError as error:
            _note(error)
        except Exception as error:
            logger.exception("EventBridge could not deliver an event")
            _note(UndeliverableError("SDK_CLIENT_ERROR", str(error)))

    return noting


def _note(error: UndeliverableError) -> None:
    logger.warning("EventBridge: %s", error)
    failures = _failures.get()
    if failures is not None:
        failures.append(error)


def _require(found: bool, code: str, what: str) -> None:  # noqa: FBT001 - reads as a sentence
    if not found:
        raise UndeliverableError(code, f"The target {what} does not exist.")


def _invoke_function(arn: str, payload: str) -> None:
    function, config, _ = lambda_svc._get_func_record_for_ref(arn)
    _require(function is not None and config is not None, "NO_RESOURCE", f"function {arn}")
    record = lambda_svc._execution_record_for_config(function, config)
    lambda_svc.invoke_async_with_retry(record, json.loads(payload))


def _start_execution(arn: str, payload: str) -> None:
    known = stepfunctions._resolve_state_machine_arn(arn) is not None
    _require(known, "NO_RESOURCE", f"state machine {arn}")
    status, _, body = stepfunctions._start_execution({"stateMachineArn": arn, "input": payload})
    if status != 200:  # noqa: PLR2004 - an HTTP status
        answer = json.loads(body)
        raise UndeliverableError("SDK_CLIENT_ERROR", f"{arn}: {answer.get('message')}")


def _bury(
    failure: UndeliverableError,
    target: dict[str, Any],
    event: dict[str, Any],
    rule: dict[str, Any],
    view: Any,
) -> None:
    grave = (target.get("DeadLetterConfig") or {}).get("Arn", "")
    queue = sqs._queue_by_arn(grave) if grave else None
    if queue is None:
        return
    view = view or eventbridge._pattern_event_view(event)
    attributes = {
        "RULE_ARN": rule.get("Arn", ""),
        "TARGET_ARN": target.get("Arn", ""),
        "ERROR_CODE": failure.code,
        "ERROR_MESSAGE": str(failure),
    }
    letter = {
        "QueueUrl": queue["url"],
        "MessageBody": json.dumps(view.event_with_detail()),
        "MessageAttributes": {
            name: {"DataType": "String", "StringValue": value}
            for name, value in attributes.items()
            if value
        },
    }
    sqs._act_send_message(letter, queue["url"])
