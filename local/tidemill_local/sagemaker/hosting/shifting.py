"""
One update under way: the new fleet beside the old one, and traffic that moves over in steps.

Blue/green starts the whole new fleet, gives it traffic step by step, and bakes after each step:
an alarm that goes off gives all traffic back to the old fleet, which has been there all the time.
Rolling replaces a batch of instances at a time; going back means starting old instances again,
and may fail, which leaves a mix of both.
"""

import logging
import math
import threading
from collections.abc import Callable, Mapping
from typing import Any

from tidemill_local.sagemaker.cloudwatch import CloudWatch
from tidemill_local.sagemaker.context import Context
from tidemill_local.sagemaker.hosting.alarms import Guard
from tidemill_local.sagemaker.hosting.deployment_plan import Plan, Step
from tidemill_local.sagemaker.hosting.fleets import Fleet
from tidemill_local.sagemaker.hosting.router import Router
from tidemill_local.sagemaker.hosting.serving import ServingError
from tidemill_local.sagemaker.hosting.summaries import (
    announce_deployment,
    tell_live,
    tell_pending,
)
from tidemill_local.sagemaker.hosting.vigil import AbortedError, StoppedError, Vigil

logger = logging.getLogger(__name__)


class MixedError(Exception):
    """Neither the update nor its rollback came to an end: both fleets serve."""


class Shift:
    """
    Moves an endpoint's traffic to a new fleet, or leaves it where it was.

    Args:
        context: The service's.
        endpoint: Its name.
        plan: The steps.
        new: The fleet of the new configuration, not started.
        stopping: Set when the service stops.
    """

    def __init__(
        self, context: Context, endpoint: str, plan: Plan, new: Fleet, stopping: threading.Event
    ) -> None:
        self._context = context
        self._router = context.part(Router)
        self._endpoint = endpoint
        self._plan = plan
        self._new = new
        self._stopping = stopping
        self._vigil = Vigil(
            Guard(context.part(CloudWatch), plan.alarms),
            stopping,
            plan.timeout,
            f"The deployment took longer than {plan.timeout} seconds, its "
            "MaximumExecutionTimeoutInSeconds.",
        )

    def run(self) -> None:
        """
        Move the traffic; afterwards the new fleet has all of it, and the old ones still run.

        Raises:
            AbortedError: It was rolled back, for the reason in the sentence.
            MixedError: It could not be rolled back.
            StoppedError: The service was stopped meanwhile.
        """
        try:
            route = self._router.route(self._endpoint)
            if self._plan.rolling and len(route) == 1:
                self._roll(route[0][0])
            else:
                self._blue_green()
        except StoppedError:
            self._new.stop()
            raise

    def _blue_green(self) -> None:
        try:
            self._vigil.check()
            self._new.start()
            for step in self._plan.steps:
                self._activate(step)
                self._bake(step)
        except (AbortedError, ServingError) as error:
            self._discard()
            self._vigil.unless_stopped()
            raise AbortedError(str(error)) from error
        self._tell_live("Deleting", "Terminating the instance(s) of the previous configuration.")

    def _roll(self, old: Fleet) -> None:
        before = {name: variant.count for name, variant in old.variants.items()}
        shadows = {name: variant.count for name, variant in self._new.shadows.items()}
        done: Mapping[str, int] = {}
        try:
            self._vigil.check()
            for step in self._plan.steps:
                batch = sum(step.instances.values()) - sum(done.values())
                self._tell_pending("Creating", f"Launching {batch} instance(s).", done)
                self._new.scale(shadows | dict(step.instances))
                self._activate(step)
                self._bake(step)
                done = step.instances
                left = {name: _left(count, 1.0 - step.share) for name, count in before.items()}
                going = sum(variant.count for variant in old.variants.values()) - sum(left.values())
                self._tell_live("Deleting", f"Terminating {going} instance(s).", left)
                old.scale(left)
        except (AbortedError, ServingError) as error:
            self._vigil.unless_stopped()
            self._roll_back(old, before, str(error))
            raise AbortedError(str(error)) from error

    def _roll_back(self, old: Fleet, before: dict[str, int], reason: str) -> None:
        """Bring old instances back in the batches of the plan, and let the new ones go."""
        share = next((s for f, s in self._router.route(self._endpoint) if f is self._new), 0.0)
        counts = {name: variant.count for name, variant in self._new.variants.items()}
        for part in self._plan.rollback:
            back = {
                name: max(old.variants[name].count, math.ceil(count * part))
                for name, count in before.items()
            }
            try:
                old.scale(back)
            except ServingError as error:
                self._vigil.unless_stopped()
                old.portion, self._new.portion = 1.0 - share, share
                raise MixedError(f"{reason} The rollback failed, too: {error}") from error
            share = min(share, 1.0 - part)
            if part < 1.0 and share > 0.0:
                self._router.shift(self._endpoint, self._new, share)
                self._new.scale(
                    {
                        name: min(self._new.variants[name].count, _left(count, share))
                        for name, count in counts.items()
                    }
                )
            self._tell_live("Updating", f"Launching {sum(back.values())} instance(s).", back)
        self._discard()

    def _activate(self, step: Step) -> None:
        self._vigil.check()
        words = f"Activating traffic on {step.words}."
        self._tell_pending("ActivatingTraffic", words, step.instances)
        self._router.shift(self._endpoint, self._new, step.share)

    def _bake(self, step: Step) -> None:
        """Wait as the step says, with an eye on the alarms."""
        if step.bake_seconds:
            words = (
                f"Baking for {step.bake_seconds} seconds ({step.bake_name}) with traffic enabled "
                f"on {step.words}."
            )
            self._tell_pending("Baking", words, step.instances)
        self._vigil.wait(step.bake_seconds)

    def _discard(self) -> None:
        """Take all traffic from the new fleet, and stop it."""
        self._router.withdraw(self._endpoint, self._new)
        self._new.drain(self._stopping)
        self._new.stop()

    def _tell_pending(self, status: str, message: str, active: Mapping[str, int]) -> None:
        self._tell(lambda body: tell_pending(body, status, message, active))

    def _tell_live(self, status: str, message: str, left: Mapping[str, int] | None = None) -> None:
        self._tell(lambda body: tell_live(body, status, message, left))

    def _tell(self, change: Callable[[dict[str, Any]], None]) -> None:
        body = self._context.store.edit("Endpoint", self._endpoint, change)
        announce_deployment(self._context, body)


def _left(count: int, share: float) -> int:
    """Return how many of *count* instances keep a share of the traffic: one at least, if any."""
    return max(1, math.floor(count * share + 1e-9)) if share > 0 else 0
