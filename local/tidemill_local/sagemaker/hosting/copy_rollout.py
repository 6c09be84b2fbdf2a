"""
One update of an inference component under way: new copies beside the old ones, batch by batch.

The old copies all stay until the new ones have baked, so that going back needs nothing to start.
"""

import threading
from typing import Any

from tidemill_local.sagemaker.cloudwatch import CloudWatch
from tidemill_local.sagemaker.context import Context
from tidemill_local.sagemaker.hosting.alarms import Guard
from tidemill_local.sagemaker.hosting.component_routes import ComponentRouter, copies_of
from tidemill_local.sagemaker.hosting.fleets import Fleet
from tidemill_local.sagemaker.hosting.serving import ServingError
from tidemill_local.sagemaker.hosting.vigil import AbortedError, StoppedError, Vigil

_TIMEOUT_SECONDS = 28_800
_ALL = 100


class Rollout:
    """
    Moves a component's traffic to new copies, or leaves it where it was.

    Args:
        context: The service's.
        new: The new copies, not started.
        policy: The DeploymentConfig; empty, all copies come at once.
        stopping: Set when the service stops.
    """

    def __init__(
        self, context: Context, new: Fleet, policy: dict[str, Any], stopping: threading.Event
    ) -> None:
        self._router = context.part(ComponentRouter)
        self._new = new
        self._copies = copies_of(new)
        self._rolling = policy.get("RollingUpdatePolicy", {})
        self._stopping = stopping
        alarms = policy.get("AutoRollbackConfiguration", {}).get("Alarms", [])
        self._vigil = Vigil(
            Guard(context.part(CloudWatch), [alarm["AlarmName"] for alarm in alarms]),
            stopping,
            self._rolling.get("MaximumExecutionTimeoutInSeconds", _TIMEOUT_SECONDS),
            "The update took longer than its MaximumExecutionTimeoutInSeconds allows.",
        )

    def run(self) -> None:
        """
        Move the traffic; afterwards the new copies have all of it, and the old ones still run.

        Raises:
            AbortedError: It was rolled back, for the reason in the sentence.
            StoppedError: The service was stopped meanwhile.
        """
        total = self._copies.count
        component, variant = self._copies.workload.component, self._copies.name
        done, batch = 0, self._batch(total)
        try:
            self._vigil.check()
            while True:
                done = min(total, done + batch)
                self._new.scale({variant: done})
                self._vigil.check()
                self._router.shift(component, self._new, self._share(component, done, total))
                self._vigil.wait(self._rolling.get("WaitIntervalInSeconds", 0))
                if done == total:
                    return
        except (AbortedError, ServingError) as error:
            self._router.withdraw(component, self._new)
            self._new.drain(self._stopping)
            self._new.stop()
            if self._stopping.is_set():
                raise StoppedError from error
            raise AbortedError(str(error)) from error
        except StoppedError:
            self._new.stop()
            raise

    def _share(self, component: str, done: int, total: int) -> float:
        """Return the new copies' part of the requests; old ones that are none get no others."""
        route = self._router.route(component)
        others = sum(copies_of(fleet).count for fleet, _ in route if fleet is not self._new)
        return done / total if total and others else 1.0

    def _batch(self, total: int) -> int:
        size = self._rolling.get("MaximumBatchSize")
        if size is None:
            return total
        if size["Type"] == "COPY_COUNT":
            return int(size["Value"])
        return max(1, int(total * size["Value"] / _ALL))
