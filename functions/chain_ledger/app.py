"""
Chain what was added to the ledger, and raise the alarm about anything else that was done to it.

Called by the ledger table's stream, in order for each model, with batches that may come again.
"""

import time
from typing import Any

import boto3
from aws_lambda_powertools import Logger, single_metric
from aws_lambda_powertools.metrics import MetricUnit

from tidemill.adapters.chain import Chain
from tidemill.adapters.ledger import Ledger
from tidemill.adapters.ledger_changes import LedgerChanges
from tidemill.contracts.ledger import LedgerChange
from tidemill.settings import ChainLedgerSettings

logger = Logger()
settings = ChainLedgerSettings.from_env()
dynamodb = boto3.client("dynamodb")
ledger = LedgerChanges(
    Ledger(dynamodb, settings.ledger_table), Chain(dynamodb, settings.ledger_table)
)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> None:  # noqa: ARG001  # Lambda passes both
    changes = [LedgerChange.of_record(record) for record in event["Records"]]
    chained, tampering = ledger.take(changes, time.time())
    if tampering:
        alarm(len(tampering))
    for entry in tampering:
        logger.error("ledger_tampered", extra={"model": entry.ref, "reason": entry.reason})
    logger.info("ledger_chained", extra={"entries": chained})


def alarm(count: int) -> None:
    with single_metric(
        name="LedgerTampered",
        unit=MetricUnit.Count,
        value=count,
        namespace="Tidemill",
        default_dimensions={"stack": settings.stack_name},
    ):
        pass  # the metric is all there is to say
