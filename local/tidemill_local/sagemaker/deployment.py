"""
How an endpoint comes to run a configuration: the work behind Create, Update and Delete.

Each change runs in a thread of its own; the record in the store says how far it is. An update
starts the new fleet beside the old one, switches, and only then stops the old one, so that no
request fails; when the new fleet cannot serve, the old one stays, as on SageMaker.
"""

import logging
import shutil
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from tidemill_local.sagemaker import misfortune, protocol
from tidemill_local.sagemaker.capture import CaptureWriter, read_rule
from tidemill_local.sagemaker.context import Context
from tidemill_local.sagemaker.hosting import endpoint_config, variant_summary, workloads
from tidemill_local.sagemaker.operations import on_start, on_stop
from tidemill_local.sagemaker.router import Fleet, Router, Variant
from tidemill_local.sagemaker.serving import ServingError, ServingProcess, Workload
from tidemill_local.sagemaker.store import MissingRecordError

logger = logging.getLogger(__name__)

_REASON_LIMIT = 1024
_RECOVERY_PAUSE = (0.5, 30.0)
_JOIN_SECONDS = 60.0
INTERRUPTED = "The local SageMaker was stopped while the endpoint was being {}."

# Fields of an endpoint's record that the API does not know.
DEPLOYED = "_Deployed"  # the configuration and directory that serve
PENDING = "_Pending"  # those of the update that is under way


def announce_endpoint(context: Context, body: dict[str, Any]) -> None:
    """Emit `SageMaker Endpoint State Change`; events write the status in upper snake case."""
    detail = protocol.timestamps("DescribeEndpointOutput", body, 1000)
    status = "".join(f"_{c}" if c.isupper() else c for c in body["EndpointStatus"])
    detail["EndpointStatus"] = status.lstrip("_").upper()
    detail["Tags"] = context.store.tag_map(body["EndpointArn"])
    context.emit("SageMaker Endpoint State Change", detail, [body["EndpointArn"]])


class Deployer:
    """Runs the changes of one service's endpoints; a part of its context."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._router = context.part(Router)
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._threads: set[threading.Thread] = set()
        self._starting: set[Fleet] = set()

    def create(self, endpoint: str) -> None:
        """Bring a new endpoint into service, or to Failed."""
        self._in_background(partial(self._create, endpoint))

    def update(self, endpoint: str) -> None:
        """Bring an endpoint to its pending configuration, or leave it as it is."""
        self._in_background(partial(self._update, endpoint))

    def delete(self, endpoint: str) -> None:
        """Stop an endpoint and forget it."""
        self._in_background(partial(self._delete, endpoint))

    def reweigh(self, endpoint: str) -> None:
        """Let the weights that the record desires take effect."""
        self._in_background(partial(self._reweigh, endpoint))

    def recover(self) -> None:
        """Finish what an earlier service left: serve, fail, roll back or delete."""
        used = set()
        for body in self._context.store.rows("Endpoint"):
            name, status = body["EndpointName"], body["EndpointStatus"]
            if status == "Deleting":
                self.delete(name)
            elif status == "Creating":
                self._fail(name, INTERRUPTED.format("created"))
            elif status != "Failed":
                if status != "InService":
                    self._roll_back(name, INTERRUPTED.format("updated"))
                used.add(self._directory(body[DEPLOYED]))
                self._in_background(partial(self._resume, name))
        self._remove_all_but(used)

    def stop(self) -> None:
        """End every change that is under way and every fleet; records stay as they are."""
        self._stopping.set()
        with self._lock:
            fleets, threads = list(self._starting), list(self._threads)
        for fleet in fleets:
            fleet.cancel()
        for thread in threads:
            thread.join(_JOIN_SECONDS)
        self._router.stop()

    def _in_background(self, work: Callable[[], None]) -> None:
        def run() -> None:
            try:
                work()
            except MissingRecordError:
                logger.warning("an endpoint was deleted while it changed")
            except Exception:  # the thread ends here; the record tells how far it came
                logger.exception("an endpoint's change failed")
            finally:
                with self._lock:
                    self._threads.discard(threading.current_thread())

        with self._lock:
            if self._stopping.is_set():
                return
            thread = threading.Thread(target=run, name="deployment", daemon=True)
            self._threads.add(thread)
            thread.start()

    def _create(self, endpoint: str) -> None:
        body = self._record(endpoint)
        fleet = self._start(endpoint, body[PENDING])
        if isinstance(fleet, str):
            if not self._stopping.is_set():
                self._fail(endpoint, fleet)
            return
        self._router.switch(endpoint, fleet)
        self._in_service(endpoint, body[PENDING], fleet)

    def _update(self, endpoint: str) -> None:
        body = self._record(endpoint)
        if misfortune.rolls_back_silently(self._context, endpoint):
            self._roll_back(endpoint, None)
            return
        fleet = self._start(endpoint, body[PENDING])
        if isinstance(fleet, str):
            if not self._stopping.is_set():
                self._roll_back(endpoint, fleet)
            return
        old = self._router.switch(endpoint, fleet)
        self._in_service(endpoint, body[PENDING], fleet)
        if old is not None:
            old.drain(self._stopping)
            old.stop()
        self._remove(body[DEPLOYED])

    def _resume(self, endpoint: str) -> None:
        """Serve again what served before; a store of models that is not up yet is waited for."""
        pause, longest = _RECOVERY_PAUSE
        while not self._stopping.is_set() and self._router.get(endpoint) is None:
            fleet = self._start(endpoint, self._record(endpoint)[DEPLOYED])
            if isinstance(fleet, Fleet):
                if not self._router.offer(endpoint, fleet):
                    fleet.stop()  # an update was faster
                elif self._gone(endpoint) and self._router.switch(endpoint, None) is not None:
                    fleet.stop()  # a delete was, and found no fleet to stop
                return
            logger.warning("endpoint %s does not serve again yet: %s", endpoint, fleet)
            self._stopping.wait(pause)
            pause = min(pause * 2, longest)

    def _gone(self, endpoint: str) -> bool:
        body = self._context.store.get("Endpoint", endpoint)
        return body is None or body["EndpointStatus"] == "Deleting"

    def _delete(self, endpoint: str) -> None:
        fleet = self._router.switch(endpoint, None)
        if fleet is not None:
            fleet.drain(self._stopping)
            fleet.stop()
        shutil.rmtree(self._root / endpoint, ignore_errors=True)
        self._context.store.delete("Endpoint", endpoint)

    def _reweigh(self, endpoint: str) -> None:
        fleet = self._router.get(endpoint)

        def change(body: dict[str, Any]) -> None:
            for variant in body["ProductionVariants"]:
                variant["CurrentWeight"] = variant["DesiredWeight"]
                variant["CurrentInstanceCount"] = variant["DesiredInstanceCount"]
            body[DEPLOYED] = body[DEPLOYED] | {"weights": weights_of(body)}
            body["EndpointStatus"] = "InService"

        body = self._context.store.edit("Endpoint", endpoint, change)
        if fleet is not None:
            for name, weight in weights_of(body).items():
                fleet.variants[name].weight = weight
        announce_endpoint(self._context, body)

    def _start(self, endpoint: str, deployment: dict[str, Any]) -> Fleet | str:
        """Return a healthy fleet, or the sentence why there is none."""
        unlucky = misfortune.before_fleet(self._context, endpoint, self._stopping)
        if unlucky is not None:
            return unlucky
        fleet = self._build(endpoint, deployment)
        with self._lock:
            self._starting.add(fleet)
        try:
            if self._stopping.is_set():
                fleet.cancel()
            fleet.start()
        except ServingError as error:
            return str(error)
        except Exception as error:  # the endpoint must come to an end, whatever goes wrong
            logger.exception("endpoint %s", endpoint)
            return f"InternalServerError: the local SageMaker erred: {error!r}"
        finally:
            with self._lock:
                self._starting.discard(fleet)
        return fleet

    def _build(self, endpoint: str, deployment: dict[str, Any]) -> Fleet:
        config = deployment["config"]
        directory = self._directory(deployment)
        weights = deployment.get("weights", {})
        variants = []
        for variant, fields in zip(
            config["ProductionVariants"], deployment["workloads"], strict=True
        ):
            workload = Workload(**fields)
            process = ServingProcess(self._context, workload, directory / workload.variant)
            weight = weights.get(workload.variant, variant["InitialVariantWeight"])
            limit = variant.get("ServerlessConfig", {}).get("MaxConcurrency")
            variants.append(Variant(workload.variant, process, weight, limit))
        rule = read_rule(config.get("DataCaptureConfig"))
        capture = None if rule is None else CaptureWriter(endpoint, rule, self._put)
        return Fleet(variants, capture)

    def _put(self, bucket: str, key: str, body: bytes) -> None:
        self._context.s3.put_object(
            Bucket=bucket, Key=key, Body=body, ContentType="application/jsonlines"
        )

    def _in_service(self, endpoint: str, deployment: dict[str, Any], fleet: Fleet) -> None:
        config = deployment["config"]

        def image(variant: dict[str, Any]) -> str:
            return fleet.variants[variant["VariantName"]].process.workload.image

        def change(body: dict[str, Any]) -> None:
            body["ProductionVariants"] = [
                variant_summary(variant, image(variant)) for variant in config["ProductionVariants"]
            ]
            body["EndpointConfigName"] = config["EndpointConfigName"]
            body["DataCaptureConfig"] = capture_summary(config)
            body["EndpointStatus"] = "InService"
            body[DEPLOYED], body[PENDING] = deployment, None
            body["PendingDeploymentSummary"] = None

        announce_endpoint(self._context, self._context.store.edit("Endpoint", endpoint, change))

    def _fail(self, endpoint: str, reason: str) -> None:
        body = self._context.store.update(
            "Endpoint", endpoint, EndpointStatus="Failed", FailureReason=reason[:_REASON_LIMIT]
        )
        announce_endpoint(self._context, body)

    def _roll_back(self, endpoint: str, reason: str | None) -> None:
        """Serve on as before; why is told where SageMaker tells it."""
        pending = self._record(endpoint).get(PENDING)
        changes: dict[str, Any] = {
            "EndpointStatus": "InService",
            "FailureReason": None if reason is None else reason[:_REASON_LIMIT],
            "PendingDeploymentSummary": None,
            PENDING: None,
        }
        body = self._context.store.update("Endpoint", endpoint, **changes)
        announce_endpoint(self._context, body)
        if pending is not None:
            self._remove(pending)

    def _record(self, endpoint: str) -> dict[str, Any]:
        body = self._context.store.get("Endpoint", endpoint)
        if body is None:
            raise MissingRecordError("Endpoint", endpoint)
        return body

    @property
    def _root(self) -> Path:
        return self._context.root / "endpoints"

    def _directory(self, deployment: dict[str, Any]) -> Path:
        return self._root / str(deployment["directory"])

    def _remove(self, deployment: dict[str, Any]) -> None:
        shutil.rmtree(self._directory(deployment), ignore_errors=True)

    def _remove_all_but(self, used: set[Path]) -> None:
        # Deletions that the recovery took up again remove directories at the same time.
        for endpoint in _listed(self._root):
            for directory in _listed(endpoint):
                if directory not in used:
                    shutil.rmtree(directory, ignore_errors=True)


def _listed(directory: Path) -> list[Path]:
    """Return what is in a directory; nothing when it is gone, or no directory."""
    try:
        return list(directory.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def new_deployment(context: Context, endpoint: str, config_name: str) -> dict[str, Any]:
    """
    Return what a deployment needs for good: copies, and the name of its directory.

    Configuration and models may be deleted while the endpoint goes on.

    Raises:
        ValidationError: There is no such configuration, or a model of it has been deleted.
    """
    config = endpoint_config(context, config_name)
    return {
        "config": config,
        "workloads": [asdict(workload) for workload in workloads(context, endpoint, config)],
        "directory": f"{endpoint}/{time.strftime('%Y%m%dT%H%M%S')}-{uuid.uuid4().hex[:8]}",
    }


def weights_of(body: dict[str, Any]) -> dict[str, float]:
    """Return the current weights of an endpoint's variants."""
    return {v["VariantName"]: v["CurrentWeight"] for v in body["ProductionVariants"]}


def capture_summary(config: dict[str, Any]) -> dict[str, Any] | None:
    """Return DataCaptureConfig as DescribeEndpoint shows it; None without one."""
    capture = config.get("DataCaptureConfig")
    if capture is None:
        return None
    enabled = bool(capture.get("EnableCapture"))
    return {
        "EnableCapture": enabled,
        "CaptureStatus": "Started" if enabled else "Stopped",
        "CurrentSamplingPercentage": capture["InitialSamplingPercentage"],
        "DestinationS3Uri": capture["DestinationS3Uri"],
        "KmsKeyId": capture.get("KmsKeyId", ""),
    }


@on_start
def recover_endpoints(context: Context) -> None:
    """Serve again what was in service when the last service ended."""
    context.part(Deployer).recover()


@on_stop
def stop_endpoints(context: Context) -> None:
    """End every serving process."""
    context.part(Deployer).stop()
