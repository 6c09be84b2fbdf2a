"""How resources are named across services."""

from tidemill_local.sagemaker.context import Context

# SageMaker answers with these in lower case, whatever the caller wrote.
_LOWERED = frozenset({"endpoint", "endpoint-config"})


def arn_of(context: Context, resource: str, *name: str) -> str:
    """
    Return the ARN of a resource.

    Args:
        context: Whose account and region it is in.
        resource: The type in the ARN, such as `training-job` or `model-package`.
        name: The name, or its parts: a model package has its group and its version.
    """
    path = "/".join(name)
    if resource in _LOWERED:
        path = path.lower()
    return f"arn:aws:sagemaker:{context.region}:{context.account}:{resource}/{path}"


def name_in(arn_or_name: str) -> str:
    """Return the name in an ARN, or the name itself: many operations take either."""
    if not arn_or_name.startswith("arn:"):
        return arn_or_name
    return arn_or_name.partition("/")[2]
