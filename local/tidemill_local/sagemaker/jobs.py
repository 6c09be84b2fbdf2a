"""How a job runs: it gets its data, runs, delivers; the record tells each step."""

import logging
import signal
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from tidemill_local.images import UnknownImageError
from tidemill_local.sagemaker import misfortune
from tidemill_local.sagemaker.channels import TransferError
from tidemill_local.sagemaker.container import Container
from tidemill_local.sagemaker.context import Context
from tidemill_local.sagemaker.errors import ResourceLimitExceededError, ValidationError
from tidemill_local.sagemaker.hosts import End, Hosts
from tidemill_local.sagemaker.logs import LogStream
from tidemill_local.sagemaker.workspace import Workspace, remove

logger = logging.getLogger(__name__)

DEFAULT_RUNTIME_SECONDS = 86_400
_REASON_LIMIT = 1024  # characters of a FailureReason, by the API
_TAIL_LINES = 40
_SIGNAL_BASE = 128  # a process that signal n killed has 128 + n as exit code, to a shell
_OUT_OF_MEMORY = ("MemoryError", "bad_alloc", "Cannot allocate memory", "memory allocation of")


class StoppedError(Exception):
    """Somebody asked the job to stop."""


class AbandonedError(Exception):
    """The service stops; the next start says what became of the job."""


@dataclass(frozen=True)
class Outcome:
    """
    How a job's container ended.

    Attributes:
        status: Completed, Failed or Stopped.
        reason: Why, unless it completed.
        timed_out: It was stopped because of MaxRuntimeInSeconds.
        exit_code: Of the main process, as a shell would say it; None when it never ran.
    """

    status: str
    reason: str = ""
    timed_out: bool = False
    exit_code: int | None = None


@dataclass(frozen=True)
class Launch:
    """What to run."""

    command: list[str]
    environment: dict[str, str]


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


class Job(Runnable):
    """
    One processing or training job; the subclasses know the contract with the container.

    Each of its hosts, algo-1 and so on, has a workspace and a container of its own.
    """

    log_group: ClassVar[str]

    def __init__(self, context: Context, name: str) -> None:
        super().__init__(context, name)
        self.tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self._hosts = Hosts(context.limits.stop_grace_seconds)
        self._stopping = False
        self._abandoned = False
        self._lock = threading.Lock()

    @abstractmethod
    def enter(self, phase: str) -> None:
        """Record and announce that Downloading, Running or Uploading begins."""

    @abstractmethod
    def prepare(self, workspace: Workspace) -> Launch:
        """Fetch a host's inputs and write the contract's files."""

    @abstractmethod
    def judge(self, workspace: Workspace, outcome: Outcome) -> Outcome:
        """
        Read what a host's container left to say, such as its failure file.

        Asked of the host that failed, or of each in turn when none did.
        """

    @abstractmethod
    def deliver(self, workspaces: Sequence[Workspace], outcome: Outcome) -> None:
        """Upload what the contract promises for this outcome, from all hosts."""

    def tick(self) -> None:
        """Called a few times a second while the containers run."""

    def observe(self, lines: list[str]) -> None:
        """Called with the lines that a container prints."""
        self.tail.extend(lines)

    def run(self) -> Outcome | None:
        """
        Run from start to end; nothing escapes but a defect in the store.

        Returns:
            How it ended; None if the service ends first.
        """
        directory = job_directory(self.context, self.kind, self.name)
        try:
            outcome = self._attempt(directory)
        except AbandonedError:
            return None
        except StoppedError:
            outcome = Outcome("Stopped", "the job was stopped before it ran")
        except misfortune.StruckError as error:
            outcome = Outcome("Failed", str(error))
        except (TransferError, UnknownImageError) as error:
            text = str(error)
            outcome = Outcome("Failed", text if "Error: " in text else f"ClientError: {text}")
        except Exception as error:  # whatever goes wrong, the record must come to an end
            logger.exception("%s %s", self.kind, self.name)
            outcome = Outcome("Failed", f"InternalServerError: the local cloud erred: {error!r}")
        self.conclude(outcome)
        return outcome

    def stop(self) -> None:
        """Ask the containers to end; they are killed after the grace period."""
        with self._lock:
            self._stopping = True
            self._hosts.terminate()

    def abandon(self) -> None:
        """End the containers at once and leave the record alone."""
        with self._lock:
            self._abandoned = True
            self._hosts.kill()

    def check(self) -> None:
        """Raise if the job should not go on."""
        if self._abandoned:
            raise AbandonedError
        if self._stopping:
            raise StoppedError

    def _attempt(self, directory: Path) -> Outcome:
        self.check()
        misfortune.before_job(self.context, self.kind, self.name, self.check)
        self.enter("Downloading")
        remove(directory)
        hosts = [f"algo-{number}" for number in range(1, self.instances + 1)]
        workspaces = [Workspace.create(directory / host, host, hosts) for host in hosts]
        outcome = self._follow(workspaces, [self.prepare(workspace) for workspace in workspaces])
        self.enter("Uploading")
        self.deliver(workspaces, outcome)
        return outcome

    def _follow(self, workspaces: list[Workspace], launches: list[Launch]) -> Outcome:
        """Run the containers to their end and say how the job ended."""
        streams = []
        try:
            with self._lock:
                self.check()
                for workspace, launch in zip(workspaces, launches, strict=True):
                    name = f"{self.name}/{workspace.host}-{int(time.time())}"
                    streams.append(self.context.logs.open(self.log_group, name))
                    self._hosts.add(self._container(workspace, launch, streams[-1]))
            try:
                self.enter("Running")
                limit = self.body["StoppingCondition"]["MaxRuntimeInSeconds"]
                end = self._hosts.watch(time.monotonic() + limit, self.tick)
            finally:  # whatever went wrong, no process may outlive its job
                self._hosts.close()
        finally:
            for stream in streams:
                self.observe(self.context.logs.finish(stream))
        if self._abandoned:
            raise AbandonedError
        outcome = self._outcome(end, limit)
        if outcome.status == "Failed":
            return self.judge(workspaces[end.host], outcome)
        for workspace in workspaces:
            if outcome.status != "Failed":
                outcome = self.judge(workspace, outcome)
        return outcome

    def _container(self, workspace: Workspace, launch: Launch, stream: LogStream) -> Container:
        return Container(
            launch.command,
            env=launch.environment,
            directory=workspace.directory,
            output=lambda data: self.observe(stream.write(data)),
            memory_bytes=self.context.limits.job_memory_bytes,
            overlay=workspace.overlay,
        )

    def _outcome(self, end: End, limit: int) -> Outcome:
        code = end.status if end.status >= 0 else _SIGNAL_BASE - end.status
        if end.timed_out:
            reason = f"MaxRuntimeExceeded: the job ran longer than MaxRuntimeInSeconds ({limit} s)"
            return Outcome("Stopped", reason, timed_out=True, exit_code=code)
        if self._stopping:
            return Outcome("Stopped", "the job was stopped on request", exit_code=code)
        if code == 0:
            return Outcome("Completed", exit_code=0)
        if code == _SIGNAL_BASE + signal.SIGKILL or self._ran_out_of_memory():
            return Outcome("Failed", _memory_reason(code), exit_code=code)
        reason = f"AlgorithmError: See job logs for more information, exit code: {code}"
        return Outcome("Failed", reason, exit_code=code)

    def _ran_out_of_memory(self) -> bool:
        if self.context.limits.job_memory_bytes is None:
            return False
        return any(sign in line for line in self.tail for sign in _OUT_OF_MEMORY)


def job_directory(context: Context, kind: str, name: str) -> Path:
    """Return where a job's workspace lies."""
    return context.root / "jobs" / kind.removesuffix("Job").lower() / name


def request_stop(context: Context, kind: str, name: str, words: str) -> dict[str, Any]:
    """
    Turn a running job's status into Stopping; return the body. The runner is told by the caller.

    Raises:
        ValidationError: The job has ended already, in SageMaker's words.
    """
    field = f"{kind}Status"

    def change(body: dict[str, Any]) -> None:
        if body[field] not in {"InProgress", "Stopping"}:
            raise ValidationError(
                f"The request was rejected because the {words} is in status {body[field]}."
            )
        body[field] = "Stopping"

    return context.store.edit(kind, name, change)


def short_reason(reason: str) -> str:
    """Cut a FailureReason to what the API can carry."""
    return reason[:_REASON_LIMIT]


def check_instance_count(context: Context, count: int, instance: str, usage: str) -> None:
    """
    Refuse a job on more hosts than the local cloud has, in the words of a service quota.

    Raises:
        ResourceLimitExceededError: It asks for too many.
    """
    limit = context.limits.hosts
    if count > limit:
        raise ResourceLimitExceededError(
            f"The account-level service limit '{instance} for {usage}' is {limit} Instances, with "
            f"current utilization of 0 Instances and a request delta of {count} Instances. Please "
            "use AWS Service Quotas to request an increase for this quota. If AWS Service Quotas "
            "is not available, contact AWS support to request an increase for this quota."
        )


def _memory_reason(code: int) -> str:
    return (
        "AlgorithmError: Please use an instance type with more memory, or reduce the size of the "
        "data processed on an instance. The process was out of memory: it was killed without our "
        f"asking (SIGKILL) or hit its memory limit, exit code: {code}"
    )
