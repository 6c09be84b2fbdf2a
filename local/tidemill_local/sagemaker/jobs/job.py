"""How a job runs: it gets its data, runs, delivers; the record tells each step."""

import logging
import threading
import time
from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from tidemill_local.images import UnknownImageError
from tidemill_local.sagemaker import misfortune
from tidemill_local.sagemaker.containers import exits
from tidemill_local.sagemaker.containers.channels import TransferError
from tidemill_local.sagemaker.containers.container import Container
from tidemill_local.sagemaker.containers.pipes import Pipes
from tidemill_local.sagemaker.containers.volumes import Volume, VolumeFullError
from tidemill_local.sagemaker.containers.workspace import Workspace, remove
from tidemill_local.sagemaker.context import Context
from tidemill_local.sagemaker.jobs.hosts import End, Hosts
from tidemill_local.sagemaker.jobs.live_uploads import LiveUploads
from tidemill_local.sagemaker.jobs.runnable import (
    AbandonedError,
    Outcome,
    Runnable,
    StoppedError,
    job_directory,
)
from tidemill_local.sagemaker.logs import LogStream

logger = logging.getLogger(__name__)

DEFAULT_RUNTIME_SECONDS = 86_400
_TAIL_LINES = 40


@dataclass(frozen=True)
class Limit:
    """
    How long a job may still take.

    Attributes:
        seconds: From now on.
        exceeded: What its end is called then.
        reason: What is said of it.
    """

    seconds: float
    exceeded: str
    reason: str

    def outcome(self, code: int | None = None) -> Outcome:
        """Return how the job ends when the time is over."""
        reason = f"{self.exceeded}: {self.reason}"
        return Outcome("Stopped", reason, exceeded=self.exceeded, exit_code=code)


def runtime_limit(most: int, taken: float = 0.0) -> Limit:
    """Return what MaxRuntimeInSeconds leaves of itself."""
    reason = f"the job ran longer than MaxRuntimeInSeconds ({most} s)"
    return Limit(most - taken, "MaxRuntimeExceeded", reason)


@dataclass(frozen=True)
class Launch:
    """What to run."""

    command: list[str]
    environment: dict[str, str]


class Job(Runnable):
    """
    One processing or training job; the subclasses know the contract with the container.

    Each of its hosts, algo-1 and so on, has a workspace and a container of its own.
    """

    log_group: ClassVar[str]

    def __init__(self, context: Context, name: str) -> None:
        super().__init__(context, name)
        self.tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self.live = LiveUploads()
        self.pipes = Pipes()
        self._hosts: Hosts | None = None
        self._stopping = False
        self._taken = False
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

    @property
    def volume_gigabytes(self) -> int | None:
        """How much each host's files may take; None for as much as there is."""
        return None

    def limit(self) -> Limit:
        """Return how long the job may still take."""
        return runtime_limit(self.body["StoppingCondition"]["MaxRuntimeInSeconds"])

    def begin(self) -> None:
        """Called before each attempt; may wait."""

    def tick(self) -> None:
        """Called a few times a second while the containers run."""

    def goes_on(self, outcome: Outcome) -> bool:  # noqa: ARG002 - for those that begin anew
        """Whether the job begins anew after this; if so, the record says it."""
        return False

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
        while True:
            outcome = self._once(directory)
            if outcome is None:
                return None
            if not self.goes_on(outcome):
                self.conclude(outcome)
                return outcome

    def _once(self, directory: Path) -> Outcome | None:
        """Return how one attempt ends; None when the service ends first."""
        try:
            return self._attempt(directory)
        except AbandonedError:
            return None
        except StoppedError:
            return Outcome("Stopped", "the job was stopped before it ran")
        except (misfortune.StruckError, VolumeFullError) as error:
            return Outcome("Failed", str(error))
        except (TransferError, UnknownImageError) as error:
            text = str(error)
            return Outcome("Failed", text if "Error: " in text else f"ClientError: {text}")
        except Exception as error:  # whatever goes wrong, the record must come to an end
            logger.exception("%s %s", self.kind, self.name)
            return Outcome("Failed", f"InternalServerError: the local cloud erred: {error!r}")

    def stop(self) -> None:
        """Ask the containers to end; they are killed after the grace period."""
        with self._lock:
            self._stopping = True
            if self._hosts is not None:
                self._hosts.terminate()

    def abandon(self) -> None:
        """End the containers at once and leave the record alone."""
        with self._lock:
            self._abandoned = True
            if self._hosts is not None:
                self._hosts.kill()

    def take_away(self) -> bool:
        """End the containers as if their instances were needed elsewhere; False if none runs."""
        with self._lock:
            if self._hosts is None or self._stopping:
                return False
            self._taken = True
            self._hosts.terminate()
            return True

    def check(self) -> None:
        """Raise if the job should not go on."""
        if self._abandoned:
            raise AbandonedError
        if self._stopping:
            raise StoppedError

    def _attempt(self, directory: Path) -> Outcome:
        self.check()
        self.begin()
        limit = self.limit()
        if limit.seconds <= 0:
            return limit.outcome()
        misfortune.before_job(self.context, self.kind, self.name, self.check)
        self.enter("Downloading")
        remove(directory)
        self.live, self.pipes = LiveUploads(), Pipes()
        hosts = [f"algo-{number}" for number in range(1, self.instances + 1)]
        workspaces = [Workspace.create(directory / host, host, hosts) for host in hosts]
        outcome = self._follow(workspaces, [self.prepare(workspace) for workspace in workspaces])
        if outcome.status != "Interrupted":
            self.enter("Uploading")
        self.deliver(workspaces, outcome)
        return outcome

    def _follow(self, workspaces: list[Workspace], launches: list[Launch]) -> Outcome:
        """Run the containers to their end and say how the job ended."""
        streams: list[LogStream] = []
        hosts = Hosts(self.context.limits.stop_grace_seconds)
        try:
            with self._lock:
                self.check()
                for workspace, launch in zip(workspaces, launches, strict=True):
                    name = f"{self.name}/{workspace.host}-{int(time.time())}"
                    streams.append(self.context.logs.open(self.log_group, name))
                    hosts.add(self._container(workspace, launch, streams[-1]))
                self._hosts, self._taken = hosts, False
            self.enter("Running")
            self.live.start()
            self.pipes.start()
            limit = self.limit()
            end = hosts.watch(time.monotonic() + limit.seconds, self._ticking(workspaces))
        finally:  # whatever went wrong, no process may outlive its job
            hosts.close()
            with self._lock:
                self._hosts = None
            self.live.stop()
            self.pipes.stop()
            for stream in streams:
                self.observe(self.context.logs.finish(stream))
        if self._abandoned:
            raise AbandonedError
        return self._judged(workspaces, end, self._outcome(end, limit))

    def _ticking(self, workspaces: list[Workspace]) -> Callable[[], None]:
        """Return what is looked at a few times a second."""
        free = self.context.limits.free_disk_bytes
        volumes = [Volume(each.directory, self.volume_gigabytes, free) for each in workspaces]

        def tick() -> None:
            self.tick()
            self.live.check()
            self.pipes.check()
            for volume in volumes:
                volume.check()

        return tick

    def _judged(self, workspaces: list[Workspace], end: End, outcome: Outcome) -> Outcome:
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

    def _outcome(self, end: End, limit: Limit) -> Outcome:
        code = exits.code_of(end.status)
        if end.timed_out:
            return limit.outcome(code)
        if self._stopping:
            return Outcome("Stopped", "the job was stopped on request", exit_code=code)
        if self._taken:
            return Outcome("Interrupted", "its instances were taken away", exit_code=code)
        if code == 0:
            return Outcome("Completed", exit_code=0)
        bounded = self.context.limits.job_memory_bytes is not None
        reason = exits.reason_of(code, self.tail, bounded=bounded)
        return Outcome("Failed", reason, exit_code=code)
