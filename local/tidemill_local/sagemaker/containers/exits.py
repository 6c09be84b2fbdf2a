"""What the exit status of a job's container says."""

import signal
from collections.abc import Iterable

_SIGNAL_BASE = 128  # a process that signal n killed has 128 + n as exit code, to a shell
_OUT_OF_MEMORY = ("MemoryError", "bad_alloc", "Cannot allocate memory", "memory allocation of")


def code_of(status: int) -> int:
    """Return an exit status as a shell would say it; a signal's number is negative in *status*."""
    return status if status >= 0 else _SIGNAL_BASE - status


def reason_of(code: int, tail: Iterable[str], *, bounded: bool) -> str:
    """
    Return the FailureReason for an exit code, in SageMaker's words.

    Args:
        code: Of the main process, as a shell would say it.
        tail: The last lines it printed.
        bounded: Whether its memory was limited, so that the lines may tell of it.
    """
    told = bounded and any(sign in line for line in tail for sign in _OUT_OF_MEMORY)
    if not told and code != _SIGNAL_BASE + signal.SIGKILL:
        return f"AlgorithmError: See job logs for more information, exit code: {code}"
    return (
        "AlgorithmError: Please use an instance type with more memory, or reduce the size of the "
        "data processed on an instance. The process was out of memory: it was killed without our "
        f"asking (SIGKILL) or hit its memory limit, exit code: {code}"
    )
