"""How much a request may ask for."""

from tidemill_local.sagemaker.context import Context
from tidemill_local.sagemaker.errors import ResourceLimitExceededError


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
