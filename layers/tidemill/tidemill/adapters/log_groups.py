"""SageMaker's log groups: made before SageMaker makes them, so that what they hold expires."""

from contextlib import suppress
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient

DAY = 86_400.0  # seconds
#: One of each for all jobs of an account and region, whoever runs them.
SHARED = ("/aws/sagemaker/ProcessingJobs", "/aws/sagemaker/TrainingJobs")


class LogGroups:
    """Safe to repeat. A refusal is an answer: logs that stay too long are no reason to stop."""

    def __init__(self, client: "CloudWatchLogsClient", days: int) -> None:
        self._client = client
        self._days = days

    def retain(self, endpoint: str, now: float) -> list[str]:
        """
        Have the logs of the model's jobs and of its endpoint expire.

        The endpoint's group is ours. Those of the jobs are shared: one that has a retention, or may
        hold lines that are older than ours allows, is left as it is for whoever wants them.

        Args:
            endpoint: Its name.
            now: Seconds since 1970.

        Returns:
            What could not be done, a sentence each.
        """
        refused = []
        for group, ours in ((f"/aws/sagemaker/Endpoints/{endpoint}", True), *_shared()):
            try:
                self._make(group)
                if ours or self._loses_nothing(group, now):
                    self._client.put_retention_policy(
                        logGroupName=group, retentionInDays=self._days
                    )
            except ClientError as error:
                refused.append(f"{group} keeps its lines for ever: {error}")
        return refused

    def _make(self, group: str) -> None:
        with suppress(self._client.exceptions.ResourceAlreadyExistsException):
            self._client.create_log_group(logGroupName=group)

    def _loses_nothing(self, group: str, now: float) -> bool:
        """Say whether *group* never expires, and is too young for a line that would go at once."""
        found = self._client.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
        return any(
            one["logGroupName"] == group
            and "retentionInDays" not in one
            and one["creationTime"] / 1000 > now - self._days * DAY
            for one in found
        )


def _shared() -> tuple[tuple[str, bool], ...]:
    return tuple((group, False) for group in SHARED)
