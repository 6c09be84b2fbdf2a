"""
Which fleets answer for which endpoint, and with what share of its traffic.

Nearly always one fleet answers for an endpoint; while an update shifts traffic there are two.
A request leases the fleet that it gets; a fleet that has lost its traffic is stopped when its last
lease is back.
"""

import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from tidemill_local.sagemaker.context import Context
from tidemill_local.sagemaker.hosting.fleets import Fleet

Route = tuple[tuple[Fleet, float], ...]
"""Fleets and their shares of an endpoint's traffic; the shares sum to 1."""


class Router:
    """The live fleets by endpoint name: one per service, a part of its context."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self._routes: dict[str, Route] = {}
        self._lock = threading.Lock()

    def switch(self, endpoint: str, fleet: Fleet | None) -> list[Fleet]:
        """Give *fleet* all later requests; return the fleets that had them."""
        with self._lock:
            old = self._routes.pop(endpoint, ())
            if fleet is not None:
                self._routes[endpoint] = ((fleet, 1.0),)
            return [each for each, _ in old if each is not fleet]

    def shift(self, endpoint: str, fleet: Fleet, share: float) -> None:
        """Give *fleet* this share of all later requests; the others divide what is left."""
        with self._lock:
            route = self._routes.get(endpoint, ())
            others = [each for each, _ in route if each is not fleet]
            self._routes[endpoint] = (*_divided(others, 1.0 - share), (fleet, share))

    def withdraw(self, endpoint: str, fleet: Fleet) -> None:
        """Give *fleet* no more requests; the others have them all."""
        with self._lock:
            others = [each for each, _ in self._routes.pop(endpoint, ()) if each is not fleet]
            if others:
                self._routes[endpoint] = _divided(others, 1.0)

    def offer(self, endpoint: str, fleet: Fleet) -> bool:
        """Put *fleet* in place unless there is one already; say whether it is in place."""
        with self._lock:
            return self._routes.setdefault(endpoint, ((fleet, 1.0),))[0][0] is fleet

    def route(self, endpoint: str) -> Route:
        """Return the fleets in place, without a lease; the first has been there longest."""
        with self._lock:
            return self._routes.get(endpoint, ())

    def get(self, endpoint: str) -> Fleet | None:
        """Return the fleet in place, without a lease."""
        route = self.route(endpoint)
        return route[0][0] if route else None

    def fleets(self) -> list[Fleet]:
        """Return the fleets of all endpoints."""
        with self._lock:
            return [fleet for route in self._routes.values() for fleet, _ in route]

    @contextmanager
    def lease(self, endpoint: str) -> Iterator[Fleet | None]:
        """Hold one of the endpoint's fleets for a request: it will not be stopped meanwhile."""
        with self._lock:  # look and lease in one step, or a switch could come between
            fleet = _draw(self._routes.get(endpoint, ()))
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
            fleets = [fleet for route in self._routes.values() for fleet, _ in route]
            self._routes = {}
        with ThreadPoolExecutor(max(1, len(fleets))) as pool:
            for fleet in fleets:
                pool.submit(fleet.stop)


def _divided(fleets: list[Fleet], share: float) -> Route:
    whole = sum(fleet.portion for fleet in fleets)
    return tuple((fleet, share * fleet.portion / whole) for fleet in fleets)


def _draw(route: Route) -> Fleet | None:
    if len(route) == 1:
        return route[0][0]
    if not route:
        return None
    fleets, shares = zip(*route, strict=True)
    if not any(shares):  # an update has all the traffic, and its fleet is gone
        return fleets[0]  # type: ignore[no-any-return]
    drawn: Fleet = random.choices(fleets, shares)[0]  # noqa: S311 - traffic, no secret
    return drawn
