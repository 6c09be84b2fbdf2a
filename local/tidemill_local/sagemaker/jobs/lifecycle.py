"""What the operations of all kinds of jobs share: one begins, is found, stopped, taken up again."""

from collections.abc import Callable, Iterable
from typing import Any

from tidemill_local.sagemaker.containers.workspace import remove
from tidemill_local.sagemaker.context import Context
from tidemill_local.sagemaker.errors import ResourceInUseError, ValidationError
from tidemill_local.sagemaker.events import announce
from tidemill_local.sagemaker.jobs.job_queue import JobRunner
from tidemill_local.sagemaker.jobs.runnable import Outcome, Runnable, job_directory
from tidemill_local.sagemaker.store import DuplicateRecordError, Tag

#: The FailureReason of a job whose containers died with the service.
INTERRUPTED = (
    "InternalServerError: the local cloud stopped while this job ran; start it again "
    "under a new name"
)


_TAKEN = (
    "Job name must be unique within an AWS account and region, and a job with this name already "
    "exists"
)


def record(
    context: Context, kind: str, body: dict[str, Any], tags: Iterable[Tag], *, taken: str
) -> dict[str, Any]:
    """
    Write down a new job; return its body.

    Args:
        context: Whose it is.
        kind: The record's kind, such as `TrainingJob`.
        body: The record, with name and ARN.
        tags: The request's.
        taken: What the error says of a name that another job has; its ARN follows.

    Raises:
        ResourceInUseError: Another job has the name.
    """
    try:
        return context.store.insert(kind, body[f"{kind}Name"], body, tags)
    except DuplicateRecordError as error:
        raise ResourceInUseError(f"{taken} ({error.body[f'{kind}Arn']})") from error


def begin(
    context: Context,
    job: type[Runnable],
    body: dict[str, Any],
    tags: Iterable[Tag],
    *,
    taken: str = _TAKEN,
) -> None:
    """
    Write down a new job, announce it, and let it wait its turn; the arguments are `record`'s.

    Raises:
        ResourceInUseError: Another job has the name.
    """
    body = record(context, job.kind, body, tags, taken=taken)
    announce(context, job.kind, body)
    context.part(JobRunner).submit(job(context, body[f"{job.kind}Name"]))


def find(context: Context, kind: str, name: str) -> dict[str, Any]:
    """
    Return the record of a processing or transform job.

    Raises:
        ValidationError: There is none, in SageMaker's words.
    """
    body = context.store.get(kind, name)
    if body is None:
        raise ValidationError(f"Could not find requested job with name: {name}")
    return body


def request_stop(
    context: Context,
    kind: str,
    name: str,
    words: str,
    also: Callable[[dict[str, Any]], None] = lambda _: None,
) -> dict[str, Any]:
    """
    Turn a running job's status into Stopping; return the body. Who runs it is told by the caller.

    Args:
        context: Whose it is.
        kind: The record's kind.
        name: The job's.
        words: What the error calls it, such as `training job`.
        also: What else changes in the record.

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
        also(body)

    return context.store.edit(kind, name, change)


def stop(
    context: Context,
    kind: str,
    name: str,
    words: str,
    also: Callable[[dict[str, Any]], None] = lambda _: None,
) -> None:
    """
    Ask a job of the queue to end, and announce it; the arguments are `request_stop`'s.

    Raises:
        ValidationError: The job has ended already.
    """
    announce(context, kind, request_stop(context, kind, name, words, also))
    context.part(JobRunner).stop(kind, name)


def recover(context: Context, job: type[Runnable]) -> None:
    """
    Take up what an earlier service left underway: its containers died with it.

    A job that had not run yet waits its turn again, as does one that can begin anew; others end.
    """
    for body in context.store.rows(job.kind):
        status = body[f"{job.kind}Status"]
        if status not in {"InProgress", "Stopping"}:
            continue
        found = job(context, body[f"{job.kind}Name"])
        if status == "Stopping":
            found.conclude(Outcome("Stopped", INTERRUPTED))
        elif found.resumes(INTERRUPTED):
            context.part(JobRunner).submit(found)
        else:
            found.conclude(Outcome("Failed", INTERRUPTED))
    if context.limits.keep_job_directories:
        return
    underway = context.part(JobRunner).directories()
    for directory in job_directory(context, job.kind, ".").glob("*"):
        body = context.store.get(job.kind, directory.name) or {}
        ended = body.get("FailureReason", INTERRUPTED) == INTERRUPTED
        if ended and directory not in underway:  # no failure of its own to show
            remove(directory)
