"""What a monitoring container left in /opt/ml/output/metrics/cloudwatch, put into CloudWatch."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from tidemill_local.sagemaker.cloudwatch import CloudWatch
from tidemill_local.sagemaker.context import Context

logger = logging.getLogger(__name__)

NAMESPACE = "aws/sagemaker/Endpoints/data-metrics"
_MOST = 500  # of one PutMetricData


class ContainerMetrics:
    """Puts the metrics of a service's monitoring jobs; a part of its context."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def publish(self, output: Path) -> None:
        """
        Put the metrics in a container's /opt/ml/output; neither a bad line nor CloudWatch fails it.

        Args:
            output: The folder that stands for /opt/ml/output.
        """
        found: list[Any] = list(_data(output / "metrics" / "cloudwatch"))
        for first in range(0, len(found), _MOST):
            try:
                self._context.part(CloudWatch).client.put_metric_data(
                    Namespace=NAMESPACE, MetricData=found[first : first + _MOST]
                )
            except (BotoCoreError, ClientError) as error:
                logger.warning("metrics of %s were lost: %s", output, error)


def _data(folder: Path) -> Iterator[dict[str, Any]]:
    for path in sorted(folder.glob("*.jsonl")):
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), start=1):
            if not line.strip():
                continue
            try:
                datum = json.loads(line)
            except ValueError:
                datum = None
            if isinstance(datum, dict):
                yield datum
            else:
                logger.warning("%s:%d is no metric", path, number)
