"""
How the copies of inference components come and go: the work behind Create, Update and Delete.

A component's copies are a fleet of one variant, beside the endpoint's own: they live as long as
the component, whatever configuration the endpoint moves to. The record in the store says how far
a change is.
"""

import logging
import shutil
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from tidemill_local.sagemaker.context import Context
from tidemill_local.sagemaker.hosting.background import Background
from tidemill_local.sagemaker.hosting.component_routes import KIND, ComponentRouter, copies_of
from tidemill_local.sagemaker.hosting.component_specs import ComponentWorkload, described
from tidemill_local.sagemaker.hosting.copy_rollout import Rollout
from tidemill_local.sagemaker.hosting.deployments import (
    DEPLOYED,
    PENDING,
    new_directory,
    remove_all_but,
    serving_process,
)
from tidemill_local.sagemaker.hosting.fleets import Fleet, Variant
from tidemill_local.sagemaker.hosting.serving import ServingError
from tidemill_local.sagemaker.hosting.vigil import AbortedError, StoppedError
from tidemill_local.sagemaker.operations import on_start, on_stop
from tidemill_local.sagemaker.store import MissingRecordError

logger = logging.getLogger(__name__)

_REASON_LIMIT = 1024
_RECOVERY_PAUSE = (0.5, 30.0)
INTERRUPTED = "The local SageMaker was stopped while the inference component was being {}."


def new_copies(
    workload: ComponentWorkload, specification: dict[str, Any], count: int, routing: str | None
) -> dict[str, Any]:
    """
    Return what copies need for good; it is a part of the component's record.

    Args:
        workload: What each runs.
        specification: As the API has it.
        count: How many.
        routing: The RoutingStrategy of the variant.
    """
    return {
        "specification": specification,
        "workload": asdict(workload),
        "count": count,
        "routing": routing,
        "directory": new_directory(workload.component),
    }


def make_copies(context: Context, deployment: dict[str, Any]) -> Fleet:
    """Return the copies that `new_copies` described, with nothing started."""
    workload = ComponentWorkload(**deployment["workload"])
    directory = _root(context) / deployment["directory"]
    variant = Variant(
        workload,
        1.0,
        deployment["count"],
        partial(serving_process, context, workload, directory),
        least_outstanding=deployment["routing"] == "LEAST_OUTSTANDING_REQUESTS",
    )
    return Fleet(workload.component, [variant], None)


class Copies:
    """Runs the changes of one service's inference components; a part of its context."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._router = context.part(ComponentRouter)
        self._background = Background("an inference component")
        self._stopping = self._background.stopping

    def create(self, component: str) -> None:
        """Bring a new component into service, or to Failed."""
        self._background.run(partial(self._create, component))

    def update(self, component: str) -> None:
        """Bring a component to its pending copies, or leave it as it is."""
        self._background.run(partial(self._update, component))

    def scale(self, component: str) -> None:
        """Bring a component to the number of copies that its record desires."""
        self._background.run(partial(self._scale, component))

    def delete(self, component: str) -> None:
        """Stop a component's copies and forget it."""
        self._background.run(partial(self._delete, component))

    def recover(self) -> None:
        """Finish what an earlier service left: serve, fail, settle or delete."""
        used = set()
        for body in self._context.store.rows(KIND):
            name, status = body["InferenceComponentName"], body["InferenceComponentStatus"]
            if status == "Deleting":
                self.delete(name)
            elif status == "Creating":
                self._fail(name, INTERRUPTED.format("created"))
            elif status != "Failed":
                if status == "Updating":
                    self._settle(name, INTERRUPTED.format("updated"))
                used.add(_root(self._context) / body[DEPLOYED]["directory"])
                self._background.run(partial(self._resume, name))
        remove_all_but(_root(self._context), used)

    def stop(self) -> None:
        """End every change that is under way and all copies; records stay as they are."""
        self._background.stop(self._router.fleets)
        self._router.stop()

    def _create(self, component: str) -> None:
        pending = self._record(component)[PENDING]
        fleet = self._start(pending)
        if isinstance(fleet, str):
            if not self._stopping.is_set():
                self._fail(component, fleet)
                self._remove(pending)
            return
        self._router.switch(component, fleet)
        self._in_service(component, pending)

    def _update(self, component: str) -> None:
        body = self._record(component)
        pending = body[PENDING]
        new = make_copies(self._context, pending)
        try:
            with self._background.cancellable(new):
                policy = body.get("LastDeploymentConfig", {})
                Rollout(self._context, new, policy, self._stopping).run()
        except StoppedError:
            return
        except AbortedError as error:
            self._settle(component, str(error))
            self._remove(pending)
            self._resume(component)  # if the service was started again just before the update
        except Exception as error:  # the component must come to an end, whatever goes wrong
            logger.exception("inference component %s", component)
            self._router.withdraw(component, new)
            new.stop()
            self._settle(component, f"InternalServerError: the local SageMaker erred: {error!r}")
        else:
            old = self._router.switch(component, new)
            self._in_service(component, pending)
            for each in old:
                each.drain(self._stopping)
                each.stop()
            self._remove(body[DEPLOYED])

    def _scale(self, component: str) -> None:
        body = self._record(component)
        count = body["RuntimeConfig"]["DesiredCopyCount"]
        fleet = self._router.get(component)
        if fleet is not None:
            try:
                fleet.scale({copies_of(fleet).name: count})
            except ServingError as error:
                if not self._stopping.is_set():
                    self._settle(component, str(error))
                return
        self._in_service(component, body[DEPLOYED] | {"count": count})
        self._match(component)

    def _match(self, component: str) -> None:
        """Scale copies that came back while their number was changed."""
        fleet, body = self._router.get(component), self._record(component)
        if fleet is None or body["InferenceComponentStatus"] != "InService":
            return
        copies, count = copies_of(fleet), body[DEPLOYED]["count"]
        if copies.count != count:
            fleet.scale({copies.name: count})

    def _resume(self, component: str) -> None:
        """Serve again what served before; a store of models that is not up yet is waited for."""
        pause, longest = _RECOVERY_PAUSE
        while not self._stopping.is_set() and self._router.get(component) is None:
            fleet = self._start(self._record(component)[DEPLOYED])
            if isinstance(fleet, Fleet):
                if not self._router.offer(component, fleet):
                    fleet.stop()  # an update was faster
                elif self._gone(component) and self._router.switch(component, None):
                    fleet.stop()  # a delete was, and found no copies to stop
                else:
                    self._match(component)
                return
            logger.warning("component %s does not serve again yet: %s", component, fleet)
            self._stopping.wait(pause)
            pause = min(pause * 2, longest)

    def _delete(self, component: str) -> None:
        for fleet in self._router.switch(component, None):
            fleet.drain(self._stopping)
            fleet.stop()
        shutil.rmtree(_root(self._context) / component, ignore_errors=True)
        self._context.store.delete(KIND, component)

    def _start(self, deployment: dict[str, Any]) -> Fleet | str:
        """Return copies that serve, or the sentence why there are none."""
        fleet = make_copies(self._context, deployment)
        try:
            with self._background.cancellable(fleet):
                fleet.start()
        except ServingError as error:
            return str(error)
        except Exception as error:  # the component must come to an end, whatever goes wrong
            logger.exception("inference component %s", copies_of(fleet).workload.component)
            return f"InternalServerError: the local SageMaker erred: {error!r}"
        return fleet

    def _in_service(self, component: str, deployment: dict[str, Any]) -> None:
        count = deployment["count"]
        self._context.store.update(
            KIND,
            component,
            InferenceComponentStatus="InService",
            FailureReason=None,
            Specification=described(deployment["specification"]),
            RuntimeConfig={"DesiredCopyCount": count, "CurrentCopyCount": count},
            **{DEPLOYED: deployment, PENDING: None},
        )

    def _fail(self, component: str, reason: str) -> None:
        self._context.store.update(
            KIND,
            component,
            InferenceComponentStatus="Failed",
            FailureReason=reason[:_REASON_LIMIT],
            **{PENDING: None},
        )

    def _settle(self, component: str, reason: str) -> None:
        """End a change that took no effect."""

        def change(body: dict[str, Any]) -> None:
            count = body[DEPLOYED]["count"]
            body["InferenceComponentStatus"] = "InService"
            body["FailureReason"] = reason[:_REASON_LIMIT]
            body["RuntimeConfig"] = {"DesiredCopyCount": count, "CurrentCopyCount": count}
            body[PENDING] = None

        self._context.store.edit(KIND, component, change)

    def _gone(self, component: str) -> bool:
        body = self._context.store.get(KIND, component)
        return body is None or body["InferenceComponentStatus"] == "Deleting"

    def _record(self, component: str) -> dict[str, Any]:
        body = self._context.store.get(KIND, component)
        if body is None:
            raise MissingRecordError(KIND, component)
        return body

    def _remove(self, deployment: dict[str, Any]) -> None:
        shutil.rmtree(_root(self._context) / deployment["directory"], ignore_errors=True)


def _root(context: Context) -> Path:
    return context.root / "components"


@on_start
def recover_components(context: Context) -> None:
    """Serve again what was in service when the last service ended."""
    context.part(Copies).recover()


@on_stop
def stop_components(context: Context) -> None:
    """End every copy."""
    context.part(Copies).stop()
