"""
One endpoint configuration at work: its variants, the instances that serve them, its capture.

An instance is a serving process. A variant may be told to have many; more than a few processes of
the same model do not help on one machine, so only `MOST_PROCESSES` of them run.
"""

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from tidemill_local.sagemaker.hosting.capture import CaptureWriter
from tidemill_local.sagemaker.hosting.model_client import ContainerUnreachableError
from tidemill_local.sagemaker.hosting.multi_model import MultiModelProcess
from tidemill_local.sagemaker.hosting.serving import ServingError, ServingProcess, Workload

logger = logging.getLogger(__name__)

MOST_PROCESSES = 4
DRAIN_SECONDS = 65.0  # a request may take 60
_DRAIN_LOOK_SECONDS = 0.2


class BareInstance:
    """
    Stands where a ServingProcess does, and serves nothing.

    It is the instance of a variant without a model, whose inference components have processes of
    their own.
    """

    client: None = None

    def __init__(self, workload: Workload) -> None:
        self.workload = workload

    def start(self) -> None:
        """Be there."""

    def cancel(self) -> None:
        """End nothing."""

    def die(self) -> None:
        """Have nothing that could die."""

    def stop(self) -> None:
        """Stop nothing."""


Process = ServingProcess | MultiModelProcess | BareInstance


class BusyError(Exception):
    """A serverless variant answers as many requests as it may."""


@dataclass(eq=False)
class Instance:
    """A serving process, and how many requests it has under way."""

    index: int
    process: Process
    asked: int = 0


class Variant:
    """
    A production variant at work; weight and instances may change while it runs.

    Args:
        workload: What every instance runs.
        weight: Its share of the traffic, in proportion to the others'.
        count: How many instances it is told to have.
        make: Makes the process of the instance of an index.
        concurrency: Requests at a time; None is no limit.
        least_outstanding: Ask the instance with the fewest requests under way, not any.
    """

    def __init__(
        self,
        workload: Workload,
        weight: float,
        count: int,
        make: Callable[[int], Process],
        *,
        concurrency: int | None = None,
        least_outstanding: bool = False,
    ) -> None:
        self.name = workload.variant
        self.workload = workload
        self.weight = weight
        self.count = count
        self.concurrency = concurrency
        self.make = make
        self.instances: list[Instance] = []
        self.starting: list[Instance] = []
        self._least_outstanding = least_outstanding
        self._asked = 0
        self._free = threading.Condition()

    @contextmanager
    def seat(self) -> Iterator[Process]:
        """
        Hold one of the variant's seats for a request; the instance stays until it is given back.

        Raises:
            BusyError: All are taken.
            ContainerUnreachableError: No instance is ready.
        """
        with self._free:
            if self.concurrency is not None and self._asked >= self.concurrency:
                raise BusyError
            instance = self._choose()
            self._asked += 1
            instance.asked += 1
        try:
            yield instance.process
        finally:
            with self._free:
                self._asked -= 1
                instance.asked -= 1
                if not instance.asked:
                    self._free.notify_all()

    def _choose(self) -> Instance:
        ready = [each for each in self.instances if each.process.client is not None]
        if not ready:
            raise ContainerUnreachableError("it is starting again")
        if len(ready) == 1:
            return ready[0]
        if self._least_outstanding:
            return min(ready, key=lambda each: (each.asked, random.random()))  # noqa: S311
        return random.choice(ready)  # noqa: S311 - traffic, no secret

    def prepare(self, count: int) -> list[Instance]:
        """Make the instances that lack for *count*; they are not started, and not asked."""
        used = {each.index for each in self.instances}
        lacking = min(count, MOST_PROCESSES) - len(self.instances)
        free = [index for index in range(MOST_PROCESSES) if index not in used]
        self.starting = [Instance(index, self.make(index)) for index in free[: max(0, lacking)]]
        return self.starting

    def adopt(self, count: int) -> None:
        """Let the prepared instances, which have started, be asked."""
        with self._free:
            self.instances = [*self.instances, *self.starting]
            self.starting = []
            self.count = count

    def dismiss(self, count: int) -> list[Instance]:
        """Have at most *count* instances; return the others, which are asked no more."""
        with self._free:
            kept = min(count, MOST_PROCESSES)
            gone, self.instances = self.instances[kept:], self.instances[:kept]
            self.count = count
            return gone

    def retire(self, instance: Instance, hurry: threading.Event) -> None:
        """Stop a dismissed instance when its last request is answered."""
        deadline = time.monotonic() + DRAIN_SECONDS
        with self._free:
            while instance.asked and not hurry.is_set() and time.monotonic() < deadline:
                self._free.wait(_DRAIN_LOOK_SECONDS)
        instance.process.stop()

    def cancel(self) -> None:
        """End starts that are under way, and all restarts."""
        for instance in [*self.instances, *self.starting]:
            instance.process.cancel()


class Fleet:
    """
    All variants of one endpoint configuration, and its data capture.

    Args:
        config: The configuration's name.
        variants: Those that answer.
        capture: Where what is asked and answered goes.
        shadows: Those that get copies of the requests, and answer nobody.
        asynchronous: The AsyncInferenceConfig of an endpoint that answers in S3.
    """

    def __init__(
        self,
        config: str,
        variants: list[Variant],
        capture: CaptureWriter | None,
        shadows: Sequence[Variant] = (),
        asynchronous: dict[str, Any] | None = None,
    ) -> None:
        self.asynchronous = asynchronous
        self.config = config
        self.shadows = {variant.name: variant for variant in shadows}
        self.variants = {variant.name: variant for variant in variants}
        self.capture = capture
        self.portion = 1.0  # of what an update leaves to the fleets that were there before
        self.leases = 0
        self.idle = threading.Condition()
        self.hurry = threading.Event()

    @property
    def everyone(self) -> dict[str, Variant]:
        """All variants, shadows among them."""
        return self.variants | self.shadows

    @property
    def bare(self) -> bool:
        """Whether inference components serve, and no models of the variants' own."""
        return any(variant.workload.bare for variant in self.variants.values())

    def start(self) -> None:
        """
        Start every instance of every variant, all at once.

        Raises:
            ServingError: The first variant that cannot serve; the others are stopped.
        """
        try:
            self.scale({variant.name: variant.count for variant in self.everyone.values()})
        except BaseException:
            self.stop()
            raise

    def scale(self, counts: Mapping[str, int]) -> None:
        """
        Bring variants to so many instances; those that are too many answer what they have first.

        Args:
            counts: Instances by the variant's name; the others keep theirs.

        Raises:
            ServingError: A new instance cannot serve; then there are as many as before.
        """
        variants = {self.everyone[name]: count for name, count in counts.items()}
        new = [each for variant, count in variants.items() for each in variant.prepare(count)]
        try:
            self._start_all(new)
        except BaseException:
            _each(new, lambda instance: instance.process.stop())
            for variant in variants:
                variant.starting = []
            raise
        for variant, count in variants.items():
            variant.adopt(count)
            _each(variant.dismiss(count), partial(variant.retire, hurry=self.hurry))

    def _start_all(self, instances: list[Instance]) -> None:
        if not instances:
            return
        if self.hurry.is_set():
            raise ServingError("The endpoint was stopped while its containers started.")
        with ThreadPoolExecutor(len(instances)) as pool:
            starts = [pool.submit(each.process.start) for each in instances]
        errors = [error for start in starts if (error := start.exception()) is not None]
        if errors:
            known = [error for error in errors if isinstance(error, ServingError)]
            raise known[0] if known else errors[0]

    def choose(self) -> Variant:
        """Pick a variant with a chance in proportion to its weight; equal ones if all are 0."""
        variants = list(self.variants.values())
        if len(variants) == 1:
            return variants[0]
        weights = [variant.weight for variant in variants]
        if not any(weights):
            weights = [1.0] * len(variants)
        return random.choices(variants, weights)[0]  # noqa: S311 - traffic, no secret

    def cancel(self) -> None:
        """End a start that is under way."""
        self.hurry.set()
        for variant in self.everyone.values():
            variant.cancel()

    def drain(self, hurry: threading.Event) -> None:
        """Wait until no request holds this fleet: at most 65 seconds, or until *hurry* is set."""
        deadline = time.monotonic() + DRAIN_SECONDS
        with self.idle:
            while self.leases and not hurry.is_set() and time.monotonic() < deadline:
                self.idle.wait(_DRAIN_LOOK_SECONDS)

    def stop(self) -> None:
        """Stop the processes, then write what data capture still holds."""
        self.cancel()
        everything = [each for variant in self.everyone.values() for each in variant.instances]
        _each(everything, lambda instance: instance.process.stop())
        if self.capture is not None:
            self.capture.close()


def _each(instances: list[Instance], work: Callable[[Instance], None]) -> None:
    """Do something with all instances at once, and wait for it."""
    if not instances:
        return
    with ThreadPoolExecutor(len(instances)) as pool:
        list(pool.map(work, instances))
