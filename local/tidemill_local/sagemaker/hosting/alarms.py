"""The alarms of the local CloudWatch that guard a deployment."""

import logging
from collections.abc import Sequence

from botocore.exceptions import BotoCoreError, ClientError

from tidemill_local.sagemaker.cloudwatch import CloudWatch

logger = logging.getLogger(__name__)

_PATIENCE = 5  # looks in a row that CloudWatch may leave unanswered


def alarm_states(cloudwatch: CloudWatch, names: Sequence[str]) -> dict[str, str]:
    """
    Return StateValue by name of metric and composite alarms; one that does not exist is left out.

    Raises:
        BotoCoreError: CloudWatch cannot be reached.
        ClientError: It refuses.
    """
    answer = cloudwatch.client.describe_alarms(
        AlarmNames=list(names), AlarmTypes=["MetricAlarm", "CompositeAlarm"]
    )
    found = [*answer.get("MetricAlarms", []), *answer.get("CompositeAlarms", [])]
    return {alarm["AlarmName"]: alarm["StateValue"] for alarm in found}


class Guard:
    """
    Says when the alarms of one deployment forbid it.

    Args:
        cloudwatch: Where to look.
        names: The alarms of AutoRollbackConfiguration; without any, nothing forbids.
    """

    def __init__(self, cloudwatch: CloudWatch, names: Sequence[str]) -> None:
        self._cloudwatch = cloudwatch
        self._names = names
        self._unanswered = 0

    def objection(self) -> str | None:
        """Return why the deployment must end, or None. What cannot be seen for long forbids too."""
        if not self._names:
            return None
        try:
            states = alarm_states(self._cloudwatch, self._names)
        except (BotoCoreError, ClientError) as error:
            self._unanswered += 1
            logger.warning("the alarms of a deployment cannot be read: %s", error)
            if self._unanswered < _PATIENCE:
                return None
            return f"The alarms of AutoRollbackConfiguration cannot be read: {error}"
        self._unanswered = 0
        missing = [name for name in self._names if name not in states]
        if missing:
            return f"The alarms of AutoRollbackConfiguration do not exist: {', '.join(missing)}."
        ringing = [name for name in self._names if states[name] == "ALARM"]
        if ringing:
            return f"The deployment was rolled back: in ALARM state: {', '.join(ringing)}."
        return None
