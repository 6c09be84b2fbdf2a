"""An asynchronous invocation is on disk until it has succeeded or was handed to its destination."""

import concurrent.futures
import logging
import threading
import time
import uuid
from dataclasses import asdict, dataclass
from typing import Any

from ministack.services import lambda_svc

from tidemill_local.engine.hooks import expect, expect_value
from tidemill_local.engine.records import Records
from tidemill_local.engine.surroundings import Surroundings

logger = logging.getLogger(__name__)

_STORE = "asynchronous-invocation"
_THREADS = 8
_RETRIES = 2  # AWS's default
_MAXIMUM_AGE = 6 * 3600  # seconds, AWS's default
_THROTTLED_SECONDS = 1.0


def check() -> None:
    """Require ministack's way in, and what a finished invocation is handed to."""
    expect(lambda_svc, "invoke_async_with_retry", "(func, event)")
    expect(lambda_svc, "_execute_function_with_config_scope", "(func, event)")
    expect(lambda_svc, "_execution_record_for_config", "(func, config)")
    expect(lambda_svc, "_get_func_record_for_ref", "(function_ref)")
    expect(lambda_svc, "_route_async_failure", "(target_arn, func_name, event, result)")
    expect_value(lambda_svc, "_LAMBDA_ASYNC_RETRY_BASE_SECONDS", float)
    expect_value(lambda_svc, "_LAMBDA_ASYNC_RETRY_MAX_SECONDS", float)


def apply(surroundings: Surroundings) -> None:
    """Replace ministack's threads, which a kill -9 forgets, by a queue on disk."""
    queue = AsynchronousInvocations(surroundings.records)

    def submit(record: dict[str, Any], event: Any) -> None:
        queue.submit((record.get("config") or record)["FunctionArn"], event)

    lambda_svc.invoke_async_with_retry = submit
    surroundings.on_ready.append(queue.resume)
    surroundings.on_stop.append(queue.close)


@dataclass(frozen=True)
class _Request:
    arn: str
    event: Any
    submitted: float  # epoch seconds
    attempts: int = 0


class AsynchronousInvocations:
    """Lambda's internal queue: retries with growing pauses, then the failure destination."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._threads = concurrent.futures.ThreadPoolExecutor(
            _THREADS, thread_name_prefix="asynchronous-invocation"
        )
        self._closed = threading.Event()

    def submit(self, arn: str, event: Any) -> None:
        """Accept an invocation; it is on disk when this returns."""
        self._run_soon(str(uuid.uuid4()), _Request(arn, event, time.time()))

    def resume(self) -> None:
        """Go on with what a former engine accepted."""
        for _, key, body in self._records.rows(_STORE):
            self._threads.submit(self._attempt, key, _Request(**body))

    def close(self) -> None:
        """Start nothing more; what is not finished goes on at the next start."""
        self._closed.set()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _run_soon(self, key: str, request: _Request) -> None:
        self._records.put(_STORE, "", key, asdict(request))
        if not self._closed.is_set():
            self._threads.submit(self._attempt, key, request)

    def _attempt(self, key: str, request: _Request) -> None:
        if self._closed.is_set():
            return
        try:
            function, config, _ = lambda_svc._get_func_record_for_ref(request.arn)
            if function is None or config is None:
                logger.warning("%s is gone; its invocation is dropped", request.arn)
                self._records.delete(_STORE, "", key)
                return
            record = lambda_svc._execution_record_for_config(function, config)
            result = lambda_svc._execute_function_with_config_scope(record, request.event)
            if not self._closed.is_set():
                self._settle(key, request, record, result)
        except Exception:
            logger.exception("the asynchronous invocation of %s failed", request.arn)

    def _settle(
        self, key: str, request: _Request, record: dict[str, Any], result: dict[str, Any]
    ) -> None:
        pause = self._pause(request, record, result)
        if pause is None:
            if result.get("error"):
                self._give_up(request, record, result)
            self._records.delete(_STORE, "", key)
            return
        attempts = request.attempts + (0 if result.get("throttle") else 1)
        again = _Request(request.arn, request.event, request.submitted, attempts)
        timer = threading.Timer(pause, self._run_soon, (key, again))
        timer.daemon = True
        timer.start()

    @staticmethod
    def _pause(request: _Request, record: dict[str, Any], result: dict[str, Any]) -> float | None:
        """Return the seconds until the next attempt, or None when there is none."""
        if not result.get("error"):
            return None
        rules = _rules(record)
        retries = rules.get("MaximumRetryAttempts", _RETRIES)
        pause = min(
            lambda_svc._LAMBDA_ASYNC_RETRY_BASE_SECONDS * 2**request.attempts,
            lambda_svc._LAMBDA_ASYNC_RETRY_MAX_SECONDS,
        )
        if result.get("throttle"):
            retries, pause = request.attempts + 1, _THROTTLED_SECONDS
        age = time.time() - request.submitted + pause
        too_old = age > rules.get("MaximumEventAgeInSeconds", _MAXIMUM_AGE)
        return None if request.attempts >= retries or too_old else float(pause)

    @staticmethod
    def _give_up(request: _Request, record: dict[str, Any], result: dict[str, Any]) -> None:
        config = record["config"]
        destination = (_rules(record).get("DestinationConfig") or {}).get("OnFailure") or {}
        target = destination.get("Destination") or (config.get("DeadLetterConfig") or {}).get(
            "TargetArn"
        )
        if target:
            lambda_svc._route_async_failure(target, config["FunctionName"], request.event, result)


def _rules(record: dict[str, Any]) -> dict[str, Any]:
    configured = record.get("event_invoke_configs") or {}
    rules: dict[str, Any] = record.get("event_invoke_config") or configured.get("$LATEST") or {}
    return rules
