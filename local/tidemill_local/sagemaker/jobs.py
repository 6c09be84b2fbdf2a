"""How a job runs: it waits its turn, gets its data, runs, delivers; the record tells each step."""

import logging
import os
import signal
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from tidemill_local.images import UnknownImageError
from tidemill_local.sagemaker import misfortune
from tidemill_local.sagemaker.channels import TransferError
from tidemill_local.sagemaker.container import Container
from tidemill_local.sagemaker.context import Context
from tidemill_local.sagemaker.errors import ValidationError
from tidemill_local.sagemaker.operations import on_stop
from tidemill_local.sagemaker.workspace import Workspace, prune

logger = logging.getLogger(__name__)

DEFAULT_RUNTIME_SECONDS = 86_400
_TICK_SECONDS = 0.5
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

    @abstractmethod
    def run(self) -> None:
        """Run from start to end; nothing escapes but a defect in the store."""

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
    """One processing or training job; the subclasses know the contract with the container."""

    log_group: ClassVar[str]

    def __init__(self, context: Context, name: str) -> None:
        super().__init__(context, name)
        self.tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self._container: Container | None = None
        self._stopping = False
        self._abandoned = False
        self._lock = threading.Lock()

    @abstractmethod
    def enter(self, phase: str) -> None:
        """Record and announce that Downloading, Running or Uploading begins."""

    @abstractmethod
    def prepare(self, workspace: Workspace) -> Launch:
        """Fetch the inputs and write the contract's files."""

    @abstractmethod
    def judge(self, workspace: Workspace, outcome: Outcome) -> Outcome:
        """Read what the container left to say, such as its failure file."""

    @abstractmethod
    def deliver(self, workspace: Workspace, outcome: Outcome) -> None:
        """Upload what the contract promises for this outcome."""

    def tick(self) -> None:
        """Called a few times a second while the container runs."""

    def observe(self, lines: list[str]) -> None:
        """Called with the lines that the container prints."""
        self.tail.extend(lines)

    def run(self) -> None:
        """Run from start to end; nothing escapes but a defect in the store."""
        directory = job_directory(self.context, self.kind, self.name)
        workspace = Workspace(directory)
        try:
            workspace = Workspace.create(directory)
            outcome = self._attempt(workspace)
        except AbandonedError:
            return
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
        self._tidy(workspace, outcome)

    def stop(self) -> None:
        """Ask the container to end; it is killed after the grace period."""
        with self._lock:
            self._stopping = True
            if self._container is not None:
                self._container.terminate()

    def abandon(self) -> None:
        """End the container at once and leave the record alone."""
        with self._lock:
            self._abandoned = True
            if self._container is not None:
                self._container.kill()

    def check(self) -> None:
        """Raise if the job should not go on."""
        if self._abandoned:
            raise AbandonedError
        if self._stopping:
            raise StoppedError

    def _attempt(self, workspace: Workspace) -> Outcome:
        self.check()
        misfortune.before_job(self.context, self.kind, self.name, self.check)
        self.enter("Downloading")
        launch = self.prepare(workspace)
        outcome = self.judge(workspace, self._follow(workspace, launch))
        self.enter("Uploading")
        self.deliver(workspace, outcome)
        return outcome

    def _follow(self, workspace: Workspace, launch: Launch) -> Outcome:
        stream = self.context.logs.open(self.log_group, f"{self.name}/algo-1-{int(time.time())}")
        try:
            with self._lock:
                self.check()
                self._container = container = Container(
                    launch.command,
                    env=launch.environment,
                    directory=workspace.directory,
                    output=lambda data: self.observe(stream.write(data)),
                    memory_bytes=self.context.limits.job_memory_bytes,
                )
            try:
                self.enter("Running")
                outcome = self._watch(container)
            finally:  # whatever went wrong, the process must not outlive its job
                container.kill()
                container.wait()
        finally:
            self.observe(self.context.logs.finish(stream))
        if self._abandoned:
            raise AbandonedError
        return outcome

    def _watch(self, container: Container) -> Outcome:
        """Wait for the container's end, and see to it if it must come early."""
        limit = self.body["StoppingCondition"]["MaxRuntimeInSeconds"]
        deadline = time.monotonic() + limit
        timed_out = False
        kill_at: float | None = None
        while (status := container.wait(_TICK_SECONDS)) is None:
            now = time.monotonic()
            if now >= deadline and not timed_out and not self._stopping:
                timed_out = True
                container.terminate()
            if (timed_out or self._stopping) and kill_at is None:
                kill_at = now + self.context.limits.stop_grace_seconds
            if kill_at is not None and now >= kill_at:
                container.kill()
            self.tick()
        return self._outcome(status, limit, timed_out=timed_out)

    def _outcome(self, status: int, limit: int, *, timed_out: bool) -> Outcome:
        code = status if status >= 0 else _SIGNAL_BASE - status
        if timed_out:
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

    def _tidy(self, workspace: Workspace, outcome: Outcome) -> None:
        limits = self.context.limits
        if limits.keep_job_directories:
            return
        if outcome.status != "Failed" or not limits.failed_job_directories:
            workspace.remove()
            return
        underway = self.context.part(JobRunner).directories()
        siblings = (path for path in workspace.directory.parent.iterdir() if path not in underway)
        prune([*siblings, workspace.directory], limits.failed_job_directories)


class JobRunner:
    """The queue: as many jobs at once as the limits say, the others in order of arrival."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._pool = ThreadPoolExecutor(
            context.limits.jobs or max(2, os.cpu_count() or 2), thread_name_prefix="job"
        )
        self._underway: dict[tuple[str, str], tuple[Runnable, Future[None]]] = {}
        self._lock = threading.RLock()

    def submit(self, job: Runnable) -> None:
        """Run a job when its turn comes."""
        with self._lock:
            future = self._pool.submit(job.run)
            self._underway[job.kind, job.name] = (job, future)
        future.add_done_callback(lambda done: self._done(job, done))

    def stop(self, kind: str, name: str) -> None:
        """End a job; one that still waits for its turn ends at once."""
        with self._lock:
            job, future = self._underway.get((kind, name), (None, None))
        if job is None or future is None:
            return
        if future.cancel():
            job.conclude(Outcome("Stopped", "the job was stopped before it ran"))
        else:
            job.stop()

    def directories(self) -> set[Path]:
        """Return the directories of the jobs that are underway."""
        with self._lock:
            return {job_directory(self._context, *key) for key in self._underway}

    def close(self) -> None:
        """Kill what runs, forget what waits; records stay as they are."""
        with self._lock:
            jobs = [job for job, _ in self._underway.values()]
        for job in jobs:
            job.abandon()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _done(self, job: Runnable, future: Future[None]) -> None:
        with self._lock:
            self._underway.pop((job.kind, job.name), None)
        if not future.cancelled() and future.exception() is not None:
            logger.error("%s %s", job.kind, job.name, exc_info=future.exception())


@on_stop
def close_runner(context: Context) -> None:
    """End every job of this service."""
    context.part(JobRunner).close()


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


def recover(context: Context, job: type[Runnable], interrupted: str) -> None:
    """
    End the jobs that an earlier service left underway: their processes died with it.

    Args:
        context: The service that starts now.
        job: Which kind of job.
        interrupted: The FailureReason to record.
    """
    for body in context.store.rows(job.kind):
        status = body[f"{job.kind}Status"]
        if status in {"InProgress", "Stopping"}:
            ended = "Failed" if status == "InProgress" else "Stopped"
            job(context, body[f"{job.kind}Name"]).conclude(Outcome(ended, interrupted))
    if context.limits.keep_job_directories:
        return
    for directory in job_directory(context, job.kind, ".").glob("*"):
        body = context.store.get(job.kind, directory.name) or {}
        if body.get("FailureReason", interrupted) == interrupted:  # no failure of its own to show
            Workspace(directory).remove()


def _memory_reason(code: int) -> str:
    return (
        "AlgorithmError: Please use an instance type with more memory, or reduce the size of the "
        "data processed on an instance. The process was out of memory: it was killed without our "
        f"asking (SIGKILL) or hit its memory limit, exit code: {code}"
    )
