"""What the queue runs: a job of any kind, how it ends, where it lies."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from tidemill_local.sagemaker.context import Context

_REASON_LIMIT = 1024  # characters of a FailureReason, by the API


class StoppedError(Exception):
    """Somebody asked the job to stop."""


class AbandonedError(Exception):
    """The service stops; the next start says what became of the job."""


@dataclass(frozen=True)
class Outcome:
    """
    How a job's container ended.

    Attributes:
        status: Completed, Failed, Stopped, or Interrupted: its instances were taken away.
        reason: Why, unless it completed.
        exceeded: Which limit stopped it: MaxRuntimeExceeded or MaxWaitTimeExceeded.
        exit_code: Of the main process, as a shell would say it; None when it never ran.
    """

    status: str
    reason: str = ""
    exceeded: str = ""
    exit_code: int | None = None


class Runnable(ABC):
    """
    Something that the runner runs: a job of any kind.

    The record in the store is the truth. This object lives as long as the job is underway.
    """

    kind: ClassVar[str]

    def __init__(self, context: Context, name: str) -> None:
        self.context = context
        self.name = name
        self.body = context.store.get(self.kind, name) or {}

    @property
    def instances(self) -> int:
        """On how many hosts the job runs."""
        return 1

    def has_run(self) -> bool:
        """Whether the record says that a container was started."""
        return f"{self.kind.removesuffix('Job')}StartTime" in self.body

    def resumes(self, interrupted: str) -> bool:  # noqa: ARG002 - for those that begin anew
        """
        Whether the job goes on although the service that had it is gone.

        Args:
            interrupted: The reason it would fail for.
        """
        return not self.has_run()

    @abstractmethod
    def run(self) -> Outcome | None:
        """
        Run from start to end; nothing escapes but a defect in the store.

        Returns:
            How it ended, if its directory is still to be tidied up.
        """

    @abstractmethod
    def stop(self) -> None:
        """Ask for the end."""

    @abstractmethod
    def abandon(self) -> None:
        """End at once and leave the record alone."""

    @abstractmethod
    def conclude(self, outcome: Outcome) -> None:
        """Write the end into the record and announce it."""


def job_directory(context: Context, kind: str, name: str) -> Path:
    """Return where a job's workspace lies."""
    return context.root / "jobs" / kind.removesuffix("Job").lower() / name


def short_reason(reason: str) -> str:
    """Cut a FailureReason to what the API can carry."""
    return reason[:_REASON_LIMIT]
