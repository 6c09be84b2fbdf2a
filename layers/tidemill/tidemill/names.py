"""What things are called on AWS: one rule, checked against SageMaker's 63 characters."""

import hashlib

LIMIT = 63
_DIGEST = 8


def aws_name(stack: str, project: str, model: str, *rest: str) -> str:
    """
    Join the parts with `--`; a name that would be too long keeps its start and gets a hash.

    Args:
        stack: The CloudFormation stack's name.
        project: Words of `[a-z0-9]` joined by single hyphens, as `model` is.
        model: The model within the project.
        rest: What tells this resource from the model's others, such as a run id.

    Returns:
        At most 63 characters that match SageMaker's name pattern; equal parts give equal names.
    """
    name = "--".join((stack, project, model, *rest))
    if len(name) <= LIMIT:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:_DIGEST]
    return f"{name[: LIMIT - _DIGEST - 1].rstrip('-')}-{digest}"


def rollout_name(stack: str, project: str, model: str, execution: str) -> str:
    """Return what a rollout calls its SageMaker model and configuration: unique, found again."""
    return aws_name(stack, project, model, execution.rpartition("-")[2])


def watch_name(project: str, model: str, what: str) -> str:
    """Return what the execution of a look is called; *what* tells it from the model's others."""
    return aws_name(project, model, what)


def model_ref(project: str, model: str) -> str:
    """Return how people and tables name a model: `project/model`."""
    return f"{project}/{model}"
