"""
A function's room: disk, memory and time. What has too little of it goes on as a job.

State machines catch `OutOfRoomError` and start the job with the same plan; what the function wrote
until then stays.
"""

import errno
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tidemill.errors import OutOfRoomError


@contextmanager
def room(what: str) -> Iterator[Path]:
    """
    Lend a folder that is gone afterwards.

    Args:
        what: What is done in it, as the beginning of a sentence: `3 files`.

    Raises:
        OutOfRoomError: Memory or disk did not suffice.
    """
    try:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)
    except (MemoryError, OSError) as error:
        if isinstance(error, OSError) and error.errno != errno.ENOSPC:
            raise
        lacks = "memory" if isinstance(error, MemoryError) else "disk"
        raise OutOfRoomError(f"{what} need more {lacks} than this function has") from error


def seconds_left(context: Any) -> Callable[[], float]:
    """Return what tells how long the function may still run; *context* is Lambda's."""
    return lambda: context.get_remaining_time_in_millis() / 1000


def require_all(done: int, of: int, what: str) -> None:
    """
    Require that all of a plan was done before time ran out.

    Raises:
        OutOfRoomError: Some *what* (such as `uploads`) are left.
    """
    if done < of:
        raise OutOfRoomError(f"{of - done} of {of} {what} are left to read")
