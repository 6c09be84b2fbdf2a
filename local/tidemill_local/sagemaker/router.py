"""
Which processes answer for which endpoint: fleets, weights, and the switch between fleets.

A fleet is one endpoint configuration at work. Requests lease a fleet; a switch puts the new fleet
in place at once for all later requests, and the old one is stopped when its last lease is back.
"""

import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

from tidemill_local.sagemaker.capture import CaptureWriter
from tidemill_local.sagemaker.context import Context
from tidemill_local.sagemaker.serving import ServingError, ServingProcess

DRAIN_SECONDS = 65.0  # a request may take 60
_DRAIN_LOOK_SECONDS = 0.2


class BusyError(Exception):
    """A serverless variant answers as many requests as it may."""


@dataclass
class Variant:
    """A production variant at work; the weight may change while it runs."""

    name: str
    process: ServingProcess
    weight: float
    concurrency: int | None = None  # requests at a time; None is no limit
    _asked: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def seat(self) -> Iterator[None]:
        """
        Hold one of the variant's seats for a request.

        Raises:
            BusyError: All are taken.
        """
        with self._lock:
            if self.concurrency is not None and self._asked >= self.concurrency:
                raise BusyError
            self._asked += 1
        try:
            yield
        finally:
            with self._lock:
                self._asked -= 1


class Fleet:
    """All variants of one endpoint configuration, and its data capture."""

    def __init__(self, variants: list[Variant], capture: CaptureWriter | None) -> None:
        self.variants = {variant.name: variant for variant in variants}
        self.capture = capture
        self.leases = 0
        self.idle = threading.Condition()

    def start(self) -> None:
        """
        Start every variant, all at once.

        Raises:
            ServingError: The first variant that cannot serve; the others are stopped.
        """
        processes = [variant.process for variant in self.variants.values()]
        with ThreadPoolExecutor(len(processes)) as pool:
            starts = [pool.submit(process.start) for process in processes]
        errors = [error for start in starts if (error := start.exception()) is not None]
        if errors:
            self.stop()
            known = [error for error in errors if isinstance(error, ServingError)]
            raise known[0] if known else errors[0]

    def choose(self) -> Variant:
        """Pick a variant with a chance in proportion to its weight; equal ones if all are 0."""
        variants = list(self.variants.values())
        weights = [variant.weight for variant in variants]
        if not any(weights):
            weights = [1.0] * len(variants)
        return random.choices(variants, weights)[0]  # noqa: S311 - traffic, no secret

    def cancel(self) -> None:
        """End a start that is under way."""
        for variant in self.variants.values():
            variant.process.cancel()

    def drain(self, hurry: threading.Event) -> None:
        """Wait until no request holds this fleet: at most 65 seconds, or until *hurry* is set."""
        deadline = time.monotonic() + DRAIN_SECONDS
        with self.idle:
            while self.leases and not hurry.is_set() and time.monotonic() < deadline:
                self.idle.wait(_DRAIN_LOOK_SECONDS)

    def stop(self) -> None:
        """Stop the processes, then write what data capture still holds."""
        self.cancel()
        with ThreadPoolExecutor(max(1, len(self.variants))) as pool:
            for variant in self.variants.values():
                pool.submit(variant.process.stop)
        if self.capture is not None:
            self.capture.close()


class Router:
    """The live fleets by endpoint name: one per service, a part of its context."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self._fleets: dict[str, Fleet] = {}
        self._lock = threading.Lock()

    def switch(self, endpoint: str, fleet: Fleet | None) -> Fleet | None:
        """Put *fleet* in place for all later requests; return the one that was there."""
        with self._lock:
            old = self._fleets.pop(endpoint, None)
            if fleet is not None:
                self._fleets[endpoint] = fleet
            return old

    def offer(self, endpoint: str, fleet: Fleet) -> bool:
        """Put *fleet* in place unless there is one already; say whether it is in place."""
        with self._lock:
            return self._fleets.setdefault(endpoint, fleet) is fleet

    def get(self, endpoint: str) -> Fleet | None:
        """Return the fleet in place, without a lease."""
        with self._lock:
            return self._fleets.get(endpoint)

    @contextmanager
    def lease(self, endpoint: str) -> Iterator[Fleet | None]:
        """Hold the endpoint's fleet for one request: it will not be stopped meanwhile."""
        with self._lock:  # look and lease in one step, or a switch could come between
            fleet = self._fleets.get(endpoint)
            if fleet is not None:
                with fleet.idle:
                    fleet.leases += 1
        try:
            yield fleet
        finally:
            if fleet is not None:
                with fleet.idle:
                    fleet.leases -= 1
                    if not fleet.leases:
                        fleet.idle.notify_all()

    def stop(self) -> None:
        """Stop every fleet, all at once."""
        with self._lock:
            fleets, self._fleets = list(self._fleets.values()), {}
        with ThreadPoolExecutor(max(1, len(fleets))) as pool:
            for fleet in fleets:
                pool.submit(fleet.stop)
