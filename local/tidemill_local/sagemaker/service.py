"""The local SageMaker: bytes in, bytes out; whoever listens on a port lends it the HTTP."""

import importlib
import json
import logging
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tidemill_local.sagemaker import clients, operations, protocol
from tidemill_local.sagemaker.context import Context, Emit, Limits
from tidemill_local.sagemaker.errors import ServiceError
from tidemill_local.sagemaker.lineage import recorder
from tidemill_local.sagemaker.logs import JobLogs
from tidemill_local.sagemaker.misfortune import Faults
from tidemill_local.sagemaker.store import Store

logger = logging.getLogger(__name__)

Answer = tuple[int, dict[str, str], bytes]

# Importing a module registers its operations and hooks; they start in this order, stop in reverse.
_MODULES = (
    "jobs.processing",
    "jobs.training",
    "tuning.operations",
    "automl.operations",
    "transform.operations",
    "registry.model_packages",
    "registry.access",
    "lineage.associations",
    "lineage.entities",
    "lineage.query",
    "lineage.experiments",
    "lineage.trial_components",
    "search",
    "feature_store.groups",
    "tags",
    "hosting.configurations",
    "hosting.endpoints",
    "hosting.components",
    "hosting.runtime",
    "hosting.async_inference",
    "pipelines.operations",
    "pipelines.executions",
    "pipelines.callbacks",
    "monitoring.executions",
    "monitoring.schedules",
    "monitoring.data_quality",
)


def load_operations() -> None:
    """Register every operation that the service offers."""
    for module in _MODULES:
        importlib.import_module(f"tidemill_local.sagemaker.{module}")


class Service:
    """
    SageMaker's control plane and runtime on this machine.

    Args:
        root: The state directory; the service owns everything in it.
        endpoint_url: Where S3 and CloudWatch Logs answer, for the service and for its jobs.
        account: The twelve digits in every ARN.
        region: The region in every ARN.
        emit: Takes (detail type, detail, resource ARNs) to EventBridge. Called from several
            threads; what it raises is logged and goes no further.
        limits: How much the jobs may use.
    """

    def __init__(
        self,
        *,
        root: Path,
        endpoint_url: str,
        account: str,
        region: str,
        emit: Emit,
        limits: Limits | None = None,
    ) -> None:
        load_operations()
        self._runtime = importlib.import_module("tidemill_local.sagemaker.hosting.runtime")
        self._features = importlib.import_module("tidemill_local.sagemaker.feature_store.records")
        self._metrics = importlib.import_module("tidemill_local.sagemaker.lineage.metrics")
        root = root.resolve()
        session = clients.session(account, region)
        self.context = Context(
            store=Store(root / "sagemaker.sqlite"),
            emit=self._recorded(_shielded(emit)),
            root=root,
            endpoint_url=endpoint_url,
            account=account,
            region=region,
            s3=session.client("s3", endpoint_url=endpoint_url, config=clients.CONFIG),
            logs=JobLogs(session.client("logs", endpoint_url=endpoint_url, config=clients.CONFIG)),
            limits=limits or Limits(),
        )

    @property
    def faults(self) -> Faults:
        """What somebody asked to go wrong."""
        return self.context.part(Faults)

    def start(self) -> None:
        """Bring back what was there: interrupted work fails with a cause, endpoints serve again."""
        operations.start(self.context)

    def stop(self) -> None:
        """End every process and thread of the service; its records stay."""
        operations.stop(self.context)
        self.context.logs.close()
        self.context.s3.close()
        self.context.store.close()

    def _recorded(self, emit: Emit) -> Emit:
        """Track each state change before anybody hears of it."""

        def recorded(detail_type: str, detail: dict[str, Any], resources: list[str]) -> None:
            try:
                for arn in resources:
                    recorder.record(self.context, arn)
            except Exception:  # what tracks the work must not break it
                logger.exception("the lineage of %s is not whole", resources)
            emit(detail_type, detail, resources)

        return recorded

    def handle(self, operation: str, body: bytes) -> Answer:
        """
        Answer one control-plane request (AWS JSON 1.1).

        Args:
            operation: The name after the dot in `X-Amz-Target: SageMaker.<name>`.
            body: The request's JSON.

        Returns:
            HTTP status, headers, and the answer's JSON. Never raises.
        """
        request_id = str(uuid.uuid4())
        try:
            request = protocol.parse(body)
            answer: dict[str, Any] = operations.call(self.context, operation, request)
            return _answer(200, request_id, answer)
        except ServiceError as error:
            return _failure(error, request_id)
        except Exception as error:  # one bad request must not end the service
            logger.exception("%s failed", operation)
            fault = ServiceError("InternalFailure", f"{operation} failed: {error!r}", status=500)
            return _failure(fault, request_id)

    def invoke(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Answer one request to `runtime.sagemaker`, such as POST /endpoints/<name>/invocations."""
        request_id = str(uuid.uuid4())
        try:
            if self._features.is_ours(path):
                answered = self._features.answer(self.context, method, path, body)
            elif self._metrics.is_ours(path):
                answered = self._metrics.answer(self.context, method, path, body)
            else:
                answered = self._runtime.invoke(self.context, method, path, headers, body)
            status, answer_headers, answer = answered
        except ServiceError as error:
            return _failure(error, request_id)
        except Exception as error:  # one bad request must not end the service
            logger.exception("%s %s failed", method, path)
            fault = ServiceError("InternalFailure", f"the request failed: {error!r}", status=500)
            return _failure(fault, request_id)
        return status, {"x-amzn-RequestId": request_id} | answer_headers, answer


def _answer(status: int, request_id: str, document: dict[str, Any]) -> Answer:
    headers = {"Content-Type": "application/x-amz-json-1.1", "x-amzn-RequestId": request_id}
    return status, headers, json.dumps(document).encode()


def _failure(error: ServiceError, request_id: str) -> Answer:
    document = {"__type": error.code, "message": error.message}
    status, headers, body = _answer(error.status, request_id, document)
    return status, headers | {"x-amzn-ErrorType": error.code}, body


def _shielded(emit: Emit) -> Emit:
    """A bus that is down must fail neither the job nor the request that had something to tell."""

    def shielded(detail_type: str, detail: dict[str, Any], resources: list[str]) -> None:
        try:
            emit(detail_type, detail, resources)
        except Exception:  # whatever the bus raises, the state change has happened
            logger.exception("the event %r was lost: %s", detail_type, resources)

    return shielded
