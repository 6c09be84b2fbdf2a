"""
Metrics, written as log lines in CloudWatch's embedded metric format: no call, no client.

docs/observability.md lists them. Projects and models are no dimensions: each combination would be
billed as a metric of its own, and the ledger knows them.
"""

from collections import Counter
from collections.abc import Iterable

from aws_lambda_powertools import single_metric
from aws_lambda_powertools.metrics import MetricUnit

NAMESPACE = "Tidemill"


def count(metric: str, number: int, *, stack: str, **dimensions: str) -> None:
    """
    Count something that happened.

    Args:
        metric: Its name, such as `Uploads`.
        number: How often it happened.
        stack: The CloudFormation stack's name.
        dimensions: What kind it was, such as `verdict="accept"`; few values each.
    """
    with single_metric(
        name=metric,
        unit=MetricUnit.Count,
        value=number,
        namespace=NAMESPACE,
        default_dimensions={"stack": stack, **dimensions},
    ):
        pass  # written on leaving


def tally(metric: str, verdicts: Iterable[str], *, stack: str) -> Counter[str]:
    """Count each of these verdicts, with one line for each kind, and return how many there are."""
    counted = Counter(verdicts)
    for verdict, number in counted.items():
        count(metric, number, stack=stack, verdict=verdict)
    return counted
