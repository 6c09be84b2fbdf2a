"""What may end an update of what serves: its alarms, its deadline, and the service's own end."""

import threading
import time

from tidemill_local.sagemaker.hosting.alarms import Guard

LOOK_SECONDS = 1.0  # between two looks at the alarms


class AbortedError(Exception):
    """The update was rolled back; the sentence becomes the FailureReason."""


class StoppedError(Exception):
    """The service is stopped; its next start settles the update."""


class Vigil:
    """
    Says whether an update may go on.

    Args:
        guard: Its alarms.
        stopping: Set when the service stops.
        seconds: How long it may take, from now.
        late: What is said when it takes longer.
    """

    def __init__(self, guard: Guard, stopping: threading.Event, seconds: float, late: str) -> None:
        self._guard = guard
        self._stopping = stopping
        self._deadline = time.monotonic() + seconds
        self._late = late

    def check(self) -> None:
        """
        Return if the update may go on.

        Raises:
            AbortedError: It may not, and why.
            StoppedError: The service is being stopped.
        """
        self.unless_stopped()
        if time.monotonic() > self._deadline:
            raise AbortedError(self._late)
        objection = self._guard.objection()
        if objection is not None:
            raise AbortedError(objection)

    def wait(self, seconds: float) -> None:
        """
        Wait with an eye on all that `check` looks at; it looks at least once.

        Raises:
            AbortedError: The update may not go on, and why.
            StoppedError: The service is being stopped.
        """
        end = time.monotonic() + seconds
        while True:
            self.check()
            left = end - time.monotonic()
            if left <= 0:
                return
            self._stopping.wait(min(left, LOOK_SECONDS))

    def unless_stopped(self) -> None:
        """
        Return if the service goes on.

        Raises:
            StoppedError: It is being stopped.
        """
        if self._stopping.is_set():
            raise StoppedError
