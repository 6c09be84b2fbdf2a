"""Which jobs run now, which wait, and what a new service does with those of the last one."""

import logging
import os
import threading
from collections import deque
from pathlib import Path

from tidemill_local.sagemaker.containers.volumes import free_bytes
from tidemill_local.sagemaker.containers.workspace import private_paths, prune, remove
from tidemill_local.sagemaker.context import Context
from tidemill_local.sagemaker.jobs.runnable import Outcome, Runnable, job_directory
from tidemill_local.sagemaker.operations import on_start, on_stop

logger = logging.getLogger(__name__)


class JobRunner:
    """The queue: jobs on as many hosts at once as the limits say, in the order of arrival."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._room = context.limits.jobs or max(2, os.cpu_count() or 2)
        self._free = self._room
        self._waiting: deque[Runnable] = deque()
        self._running: dict[tuple[str, str], tuple[Runnable, threading.Thread]] = {}
        self._closed = False
        self._lock = threading.RLock()

    def submit(self, job: Runnable) -> None:
        """Run a job when its turn comes."""
        with self._lock:
            self._waiting.append(job)
            self._admit()

    def stop(self, kind: str, name: str) -> None:
        """End a job; one that still waits for its turn ends at once."""
        with self._lock:
            job, _ = self._running.get((kind, name), (None, None))
            waiting = [each for each in self._waiting if (each.kind, each.name) == (kind, name)]
            for each in waiting:
                self._waiting.remove(each)
        if job is not None:
            job.stop()
        for each in waiting:
            each.conclude(Outcome("Stopped", "the job was stopped before it ran"))

    def running(self, kind: str, name: str) -> Runnable | None:
        """Return a job that runs; None when it waits, has ended or never was."""
        with self._lock:
            job, _ = self._running.get((kind, name), (None, None))
            return job

    def directories(self) -> set[Path]:
        """Return the directories of the jobs that run."""
        with self._lock:
            return {job_directory(self._context, *key) for key in self._running}

    def close(self) -> None:
        """Kill what runs, forget what waits; records stay as they are."""
        with self._lock:
            self._closed = True
            self._waiting.clear()
            running = list(self._running.values())
        for job, _ in running:
            job.abandon()
        for _, thread in running:
            thread.join()

    def _admit(self) -> None:
        """Start whoever is first as long as there is room; called with the lock held."""
        while self._waiting and not self._closed and self._need(self._waiting[0]) <= self._free:
            job = self._waiting.popleft()
            self._free -= self._need(job)
            thread = threading.Thread(target=self._run, args=(job,), name=f"job-{job.name}")
            self._running[job.kind, job.name] = (job, thread)
            thread.start()

    def _need(self, job: Runnable) -> int:
        """A job of more hosts than there is room for has the machine to itself."""
        return min(job.instances, self._room)

    def _run(self, job: Runnable) -> None:
        try:
            outcome = job.run()
            if outcome is not None:
                self._tidy(job, outcome)
        except Exception:  # the store is broken; the next start ends the job
            logger.exception("%s %s", job.kind, job.name)
        finally:
            with self._lock:
                del self._running[job.kind, job.name]
                self._free += self._need(job)
                self._admit()

    def _tidy(self, job: Runnable, outcome: Outcome) -> None:
        """Remove a job's files; those of the last failures stay for a look inside."""
        limits = self._context.limits
        directory = job_directory(self._context, job.kind, job.name)
        if limits.keep_job_directories or not directory.exists():
            return
        scarce = free_bytes(directory) < limits.free_disk_bytes
        if outcome.status != "Failed" or not limits.failed_job_directories or scarce:
            remove(directory)
            return
        running = self.directories()
        siblings = (path for path in directory.parent.iterdir() if path not in running)
        prune([*siblings, directory], limits.failed_job_directories)


@on_start
def find_out_what_the_kernel_allows(context: Context) -> None:  # noqa: ARG001 - a hook has it
    """Try out private paths while nobody waits, so that the first job need not."""
    threading.Thread(target=private_paths, name="probe", daemon=True).start()


@on_stop
def close_runner(context: Context) -> None:
    """End every job of this service."""
    context.part(JobRunner).close()
