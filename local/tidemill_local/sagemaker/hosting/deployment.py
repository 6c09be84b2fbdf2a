"""
How an endpoint comes to run a configuration: the work behind Create, Update and Delete.

Each change runs in a thread of its own; the record in the store says how far it is. An update
starts the new fleet beside the old one, moves the traffic (`shifting`), and only then stops the
old one, so that no request fails; when the new fleet cannot serve, or an alarm goes off, the old
one stays, as on SageMaker.
"""

import logging
import shutil
from functools import partial
from typing import Any

from tidemill_local.sagemaker import misfortune
from tidemill_local.sagemaker.context import Context
from tidemill_local.sagemaker.hosting.background import Background
from tidemill_local.sagemaker.hosting.deployment_plan import plan
from tidemill_local.sagemaker.hosting.deployments import (
    DEPLOYED,
    PENDING,
    directory_of,
    live_properties,
    make_fleet,
    remove_all_but,
    restore_properties,
    root_of,
)
from tidemill_local.sagemaker.hosting.fleets import Fleet
from tidemill_local.sagemaker.hosting.router import Router
from tidemill_local.sagemaker.hosting.serving import ServingError
from tidemill_local.sagemaker.hosting.shifting import MixedError, Shift
from tidemill_local.sagemaker.hosting.summaries import (
    KINDS,
    all_live,
    announce_deployment,
    announce_endpoint,
    capture_summary,
    tell_live,
    variant_summary,
)
from tidemill_local.sagemaker.hosting.vigil import AbortedError, StoppedError
from tidemill_local.sagemaker.operations import on_start, on_stop
from tidemill_local.sagemaker.store import MissingRecordError

logger = logging.getLogger(__name__)

_REASON_LIMIT = 1024
_RECOVERY_PAUSE = (0.5, 30.0)
_SETTLED = ("InService", "UpdateRollbackFailed")
INTERRUPTED = "The local SageMaker was stopped while the endpoint was being {}."


class Deployer:
    """Runs the changes of one service's endpoints; a part of its context."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._router = context.part(Router)
        self._background = Background("an endpoint")
        self._stopping = self._background.stopping

    def create(self, endpoint: str) -> None:
        """Bring a new endpoint into service, or to Failed."""
        self._background.run(partial(self._create, endpoint))

    def update(self, endpoint: str) -> None:
        """Bring an endpoint to its pending configuration, or leave it as it is."""
        self._background.run(partial(self._update, endpoint))

    def delete(self, endpoint: str) -> None:
        """Stop an endpoint and forget it."""
        self._background.run(partial(self._delete, endpoint))

    def reweigh(self, endpoint: str) -> None:
        """Let the weights and instance counts that the record desires take effect."""
        self._background.run(partial(self._reweigh, endpoint))

    def maintain(self, endpoint: str, seconds: float = 0.0) -> None:
        """
        Replace what serves by the same, as SageMaker's own maintenance does (SystemUpdating).

        Args:
            endpoint: Its name; one that is not in service is left alone.
            seconds: How long it takes at the least.
        """
        self._background.run(partial(self._maintain, endpoint, seconds))

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
                if status == "SystemUpdating":
                    self._settle(name)
                elif status not in _SETTLED:
                    self._settle(name, INTERRUPTED.format("updated"))
                used.add(directory_of(self._context, body[DEPLOYED]))
                self._background.run(partial(self._resume, name))
        remove_all_but(root_of(self._context), used)

    def stop(self) -> None:
        """End every change that is under way and every fleet; records stay as they are."""
        self._background.stop(self._router.fleets)
        self._router.stop()

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
        pending = body[PENDING]
        if misfortune.rolls_back_silently(self._context, endpoint):
            self._settle(endpoint)
            return
        unlucky = misfortune.before_fleet(self._context, endpoint, self._stopping)
        if unlucky is not None:
            if not self._stopping.is_set():
                self._settle(endpoint, unlucky)
            return
        fleet = make_fleet(self._context, endpoint, pending)
        steps = plan(pending.get("policy"), pending["config"]["ProductionVariants"])
        try:
            with self._background.cancellable(fleet):
                Shift(self._context, endpoint, steps, fleet, self._stopping).run()
        except StoppedError:
            return
        except MixedError as error:
            self._settle(endpoint, str(error), status="UpdateRollbackFailed")
        except AbortedError as error:
            self._settle(endpoint, str(error))
            self._resume(endpoint)  # if the service was started again just before the update
        except Exception as error:  # the endpoint must come to an end, whatever goes wrong
            logger.exception("endpoint %s", endpoint)
            self._router.withdraw(endpoint, fleet)
            fleet.stop()
            self._settle(endpoint, f"InternalServerError: the local SageMaker erred: {error!r}")
        else:
            old = self._router.switch(endpoint, fleet)
            self._in_service(endpoint, pending, fleet)
            for each in old:
                each.drain(self._stopping)
                each.stop()
            self._remove(body[DEPLOYED])

    def _resume(self, endpoint: str) -> None:
        """Serve again what served before; a store of models that is not up yet is waited for."""
        pause, longest = _RECOVERY_PAUSE
        while not self._stopping.is_set() and self._router.get(endpoint) is None:
            fleet = self._start(endpoint, self._record(endpoint)[DEPLOYED])
            if isinstance(fleet, Fleet):
                if not self._router.offer(endpoint, fleet):
                    fleet.stop()  # an update was faster
                elif self._gone(endpoint) and self._router.switch(endpoint, None):
                    fleet.stop()  # a delete was, and found no fleet to stop
                return
            logger.warning("endpoint %s does not serve again yet: %s", endpoint, fleet)
            self._stopping.wait(pause)
            pause = min(pause * 2, longest)

    def _gone(self, endpoint: str) -> bool:
        body = self._context.store.get("Endpoint", endpoint)
        return body is None or body["EndpointStatus"] == "Deleting"

    def _delete(self, endpoint: str) -> None:
        for fleet in self._router.switch(endpoint, None):
            fleet.drain(self._stopping)
            fleet.stop()
        shutil.rmtree(root_of(self._context) / endpoint, ignore_errors=True)
        self._context.store.delete("Endpoint", endpoint)

    def _reweigh(self, endpoint: str) -> None:
        desired = {v["VariantName"]: v for v in all_live(self._record(endpoint))}
        counts = {
            name: v["DesiredInstanceCount"]
            for name, v in desired.items()
            if v["DesiredInstanceCount"] != v["CurrentInstanceCount"]
        }
        fleet = self._router.get(endpoint)
        if fleet is not None:
            try:
                self._scale(endpoint, fleet, counts)
            except ServingError as error:
                if not self._stopping.is_set():
                    self._undo_reweigh(endpoint, str(error))
                return
            for name, variant in desired.items():
                fleet.everyone[name].weight = variant["DesiredWeight"]

        def change(body: dict[str, Any]) -> None:
            for variant in all_live(body):
                variant["CurrentWeight"] = variant["DesiredWeight"]
                variant["CurrentInstanceCount"] = variant["DesiredInstanceCount"]
                variant.pop("VariantStatus", None)
            body[DEPLOYED] |= live_properties(body)
            body["EndpointStatus"] = "InService"

        announce_endpoint(self._context, self._context.store.edit("Endpoint", endpoint, change))

    def _scale(self, endpoint: str, fleet: Fleet, counts: dict[str, int]) -> None:
        if not counts:
            return

        def change(body: dict[str, Any]) -> None:
            for variant in all_live(body):
                if variant["VariantName"] in counts:
                    now, wanted = variant["CurrentInstanceCount"], variant["DesiredInstanceCount"]
                    way = "out" if wanted > now else "in"
                    words = f"Scaling {way} desired instance count to {wanted}."
                    tell_live({"ProductionVariants": [variant]}, "Updating", words)

        announce_deployment(self._context, self._context.store.edit("Endpoint", endpoint, change))
        fleet.scale(counts)

    def _undo_reweigh(self, endpoint: str, reason: str) -> None:
        """Give up a change of weights and counts, of which nothing has taken effect."""
        body = self._context.store.update("Endpoint", endpoint, EndpointStatus="RollingBack")
        announce_endpoint(self._context, body)
        self._settle(endpoint, reason)

    def _maintain(self, endpoint: str, seconds: float) -> None:
        begun = False

        def change(body: dict[str, Any]) -> None:
            nonlocal begun
            begun = body["EndpointStatus"] == "InService"
            if begun:
                body["EndpointStatus"] = "SystemUpdating"

        body = self._context.store.edit("Endpoint", endpoint, change)
        if not begun:
            return
        announce_endpoint(self._context, body)
        self._stopping.wait(seconds)
        fleet = self._start(endpoint, body[DEPLOYED])
        if isinstance(fleet, Fleet):
            for old in self._router.switch(endpoint, fleet):
                old.drain(self._stopping)
                old.stop()
        if not self._stopping.is_set():
            self._settle(endpoint)

    def _start(self, endpoint: str, deployment: dict[str, Any]) -> Fleet | str:
        """Return a healthy fleet, or the sentence why there is none."""
        unlucky = misfortune.before_fleet(self._context, endpoint, self._stopping)
        if unlucky is not None:
            return unlucky
        fleet = make_fleet(self._context, endpoint, deployment)
        try:
            with self._background.cancellable(fleet):
                fleet.start()
        except ServingError as error:
            return str(error)
        except Exception as error:  # the endpoint must come to an end, whatever goes wrong
            logger.exception("endpoint %s", endpoint)
            return f"InternalServerError: the local SageMaker erred: {error!r}"
        return fleet

    def _in_service(self, endpoint: str, deployment: dict[str, Any], fleet: Fleet) -> None:
        config = deployment["config"]

        def image(variant: dict[str, Any]) -> str:
            return fleet.everyone[variant["VariantName"]].workload.image

        def change(body: dict[str, Any]) -> None:
            for kind in KINDS:
                variants = [variant_summary(each, image(each)) for each in config.get(kind, [])]
                body.pop(kind, None)
                if variants:
                    body[kind] = variants
            body["EndpointConfigName"] = config["EndpointConfigName"]
            body["DataCaptureConfig"] = capture_summary(config)
            body["AsyncInferenceConfig"] = config.get("AsyncInferenceConfig")
            body["EndpointStatus"] = "InService"
            body[DEPLOYED], body[PENDING] = deployment | live_properties(body), None
            body["PendingDeploymentSummary"] = None

        announce_endpoint(self._context, self._context.store.edit("Endpoint", endpoint, change))

    def _fail(self, endpoint: str, reason: str) -> None:
        body = self._context.store.update(
            "Endpoint", endpoint, EndpointStatus="Failed", FailureReason=reason[:_REASON_LIMIT]
        )
        announce_endpoint(self._context, body)

    def _settle(self, endpoint: str, reason: str = "", *, status: str = "InService") -> None:
        """End a change that took no effect, or only a part of it (UpdateRollbackFailed)."""
        pending = self._record(endpoint).get(PENDING)

        def change(body: dict[str, Any]) -> None:
            body["EndpointStatus"] = status
            body["FailureReason"] = reason[:_REASON_LIMIT] or None
            body["PendingDeploymentSummary"] = body[PENDING] = None
            for variant in all_live(body):
                variant.pop("VariantStatus", None)
                if status == "InService":
                    restore_properties(body[DEPLOYED], variant)

        announce_endpoint(self._context, self._context.store.edit("Endpoint", endpoint, change))
        if pending is not None and status == "InService":
            self._remove(pending)

    def _record(self, endpoint: str) -> dict[str, Any]:
        body = self._context.store.get("Endpoint", endpoint)
        if body is None:
            raise MissingRecordError("Endpoint", endpoint)
        return body

    def _remove(self, deployment: dict[str, Any]) -> None:
        shutil.rmtree(directory_of(self._context, deployment), ignore_errors=True)


@on_start
def recover_endpoints(context: Context) -> None:
    """Serve again what was in service when the last service ended."""
    context.part(Deployer).recover()


@on_stop
def stop_endpoints(context: Context) -> None:
    """End every serving process."""
    context.part(Deployer).stop()
