"""Threads that each follow one record to its end."""

import logging
import threading
from abc import ABC, abstractmethod
from typing import ClassVar

from tidemill_local.sagemaker.context import Context

logger = logging.getLogger(__name__)


class Follower(ABC):
    """
    One record on its way; all that is known of it is in the record, so that any service goes on.

    Args:
        context: Whose it is.
        name: The record's.
        closing: Set when the service stops.
    """

    #: What a step raises to end the record as Failed, with its message as the reason.
    expected: ClassVar[tuple[type[Exception], ...]] = ()

    def __init__(self, context: Context, name: str, closing: threading.Event) -> None:
        self.context = context
        self.name = name
        self.closing = closing

    def run(self) -> None:
        """Go on until the record has ended, or the service stops."""
        try:
            while not self.closing.is_set():
                if self.step():
                    return
        except self.expected as error:
            self.fail(str(error))
        except Exception as error:  # whatever goes wrong, the record must come to an end
            if self.closing.is_set():
                return
            logger.exception("%s", self.name)
            self.fail(f"InternalServerError: the local cloud erred: {error!r}")

    @abstractmethod
    def step(self) -> bool:
        """Do what is to be done now, or wait for something to happen; return whether it is over."""

    @abstractmethod
    def fail(self, reason: str) -> None:
        """End the record as Failed."""


class Followers:
    """The followers of one kind; a subclass, which names it, is a part of the context."""

    follower: ClassVar[type[Follower]]
    title: ClassVar[str]

    def __init__(self, context: Context) -> None:
        self._context = context
        self._closing = threading.Event()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()

    def start(self, name: str) -> None:
        """Follow a record, from wherever it says that it is."""
        follower = self.follower(self._context, name, self._closing)
        thread = threading.Thread(target=follower.run, name=f"{self.title}-{name}", daemon=True)
        with self._lock:
            if self._closing.is_set():  # the next start goes on
                return
            self._threads = [known for known in self._threads if known.is_alive()] + [thread]
            thread.start()

    def close(self) -> None:
        """End the threads; the records stay, and the next start goes on."""
        with self._lock:
            self._closing.set()
            threads = list(self._threads)
        for thread in threads:
            thread.join()

    def resume(self, kind: str) -> None:
        """Follow every record of a kind that an earlier service left underway."""
        for body in self._context.store.rows(kind):
            if body[f"{kind}Status"] in {"InProgress", "Stopping"}:
                self.start(body[f"{kind}Name"])
