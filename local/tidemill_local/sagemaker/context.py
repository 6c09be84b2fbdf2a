"""What every operation gets: the records, the bus, S3, the logs, and where it all lives."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from tidemill_local.sagemaker.store import Store

if TYPE_CHECKING:  # the stubs are a development dependency
    from mypy_boto3_s3 import S3Client

    from tidemill_local.sagemaker.logs import JobLogs

Emit = Callable[[str, dict[str, Any], list[str]], None]
"""(detail type, detail, resource ARNs) → EventBridge, source `aws.sagemaker`. Must not block."""

_Part = TypeVar("_Part")


@dataclass(frozen=True)
class Limits:
    """
    How much the local cloud may use, and how patient it is.

    Attributes:
        jobs: Hosts of processing and training jobs that run at once; None is one per CPU, at
            least two. Further jobs wait their turn.
        hosts: How many hosts one job may have.
        job_memory_bytes: Data memory a job's process may allocate (RLIMIT_DATA); None is no limit.
        stop_grace_seconds: Between SIGTERM and SIGKILL; SageMaker gives 120 s.
        failed_job_directories: How many directories of failed jobs are kept for a look inside.
        keep_job_directories: Keep the directory of every job.
        free_disk_bytes: What jobs must leave free on the disk; one that does not fails.
        spot_price: The share of its training time that a spot job is billed.
    """

    jobs: int | None = None
    hosts: int = 20
    job_memory_bytes: int | None = None
    stop_grace_seconds: float = 120.0
    failed_job_directories: int = 5
    keep_job_directories: bool = False
    free_disk_bytes: int = 2**30
    spot_price: float = 0.3


@dataclass(frozen=True, eq=False)
class Context:
    """
    One running service's surroundings; operations keep no state of their own.

    What must live as long as the service (a queue of jobs, a router) is a *part*: a class that
    takes the context, made on first use by `context.part(Router)` and the same ever after.
    """

    store: Store
    emit: Emit
    root: Path
    endpoint_url: str
    account: str
    region: str
    s3: S3Client
    logs: JobLogs
    limits: Limits = Limits()
    _parts: dict[Any, Any] = field(default_factory=dict)
    _making: threading.RLock = field(default_factory=threading.RLock)

    def part(self, make: Callable[[Context], _Part]) -> _Part:
        """Return this service's one instance of *make*, making it when first asked for."""
        with self._making:
            if make not in self._parts:
                self._parts[make] = make(self)
            return cast("_Part", self._parts[make])
