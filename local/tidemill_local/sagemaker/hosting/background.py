"""Changes of what serves, each in a thread of its own, until the service stops."""

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from tidemill_local.sagemaker.hosting.fleets import Fleet
from tidemill_local.sagemaker.store import MissingRecordError

logger = logging.getLogger(__name__)

_JOIN_SECONDS = 60.0


class Background:
    """
    Runs changes, and ends them with the service.

    Args:
        what: Whose changes they are, such as `an endpoint`; the log says so.
    """

    def __init__(self, what: str) -> None:
        self.stopping = threading.Event()
        self._what = what
        self._lock = threading.Lock()
        self._threads: set[threading.Thread] = set()
        self._starting: set[Fleet] = set()

    def run(self, work: Callable[[], None]) -> None:
        """Do something soon, unless the service is being stopped; what it raises is logged."""

        def run() -> None:
            try:
                work()
            except MissingRecordError:
                logger.warning("%s was deleted while it changed", self._what)
            except Exception:  # the thread ends here; the record tells how far it came
                logger.exception("a change of %s failed", self._what)
            finally:
                with self._lock:
                    self._threads.discard(threading.current_thread())

        with self._lock:
            if self.stopping.is_set():
                return
            thread = threading.Thread(target=run, name="deployment", daemon=True)
            self._threads.add(thread)
            thread.start()

    @contextmanager
    def cancellable(self, fleet: Fleet) -> Iterator[None]:
        """Let `stop` end the fleet's start."""
        with self._lock:
            self._starting.add(fleet)
            if self.stopping.is_set():
                fleet.cancel()
        try:
            yield
        finally:
            with self._lock:
                self._starting.discard(fleet)

    def stop(self, serving: Callable[[], Iterable[Fleet]]) -> None:
        """End every change that is under way, and those of the fleets that serve."""
        self.stopping.set()
        with self._lock:
            fleets, threads = list(self._starting), list(self._threads)
        for fleet in [*fleets, *serving()]:
            fleet.cancel()
        for thread in threads:
            thread.join(_JOIN_SECONDS)
