"""How the threads of a Step Functions execution learn that it is over."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class Lifeline:
    """Uncut while an execution (or one task or branch of it) still has a purpose."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._watching: set[threading.Event | Lifeline] = set()
        self.is_cut = False

    def cut(self) -> None:
        """End it, and wake all who wait on events that were given to `wakes`."""
        with self._lock:
            self.is_cut = True
            watching = list(self._watching)
        for each in watching:
            each.set()

    set = cut  # so that one lifeline can hang on another as an event does

    @contextmanager
    def wakes(self, event: "threading.Event | Lifeline") -> Iterator[None]:
        """Set *event* if the lifeline is cut before the block ends."""
        with self._lock:
            self._watching.add(event)
            already = self.is_cut
        if already:
            event.set()
        try:
            yield
        finally:
            with self._lock:
                self._watching.discard(event)


_current: ContextVar[Lifeline | None] = ContextVar("lifeline", default=None)
_endless = Lifeline()


def current() -> Lifeline:
    """Return the lifeline of the code that runs; one that is never cut outside executions."""
    return _current.get() or _endless


@contextmanager
def hanging_on_current() -> Iterator[Lifeline]:
    """Run the block with a lifeline of its own, which is cut when the surrounding one is."""
    lifeline = Lifeline()
    with current().wakes(lifeline):
        token = _current.set(lifeline)
        try:
            yield lifeline
        finally:
            _current.reset(token)
