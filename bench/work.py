"""What one turn costs in calls: transitions, invocations, messages, reads and writes."""

import itertools
import json
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import rows
from cloud import Cloud, Workspace
from counted_cloud import CALLS_PATH
from figures import Figure, Result
from turning import Asker, turn

REF = "bench/work"
ROWS = 2_000
SETTLE_SECONDS = 3.0  # the last messages of a turn say "look at this model", and nothing is there
WRITES = ("PutItem", "UpdateItem", "DeleteItem")
READS = ("GetItem", "Query", "BatchGetItem")


def measure(workspace: Workspace) -> Result:
    """Turn twice on the counting cloud, and tell the turn that updates the endpoint."""
    with workspace.cloud("work", counted=True) as cloud:
        cloud.deploy()
        cloud.apply(rows.spec("work", quiet="1s"))
        asker = Asker(cloud, REF)
        counts = [_counted(cloud)]
        for seed in (1, 2):
            turn(cloud, REF, asker, rows.as_csv(rows.table(ROWS, seed)))
            time.sleep(SETTLE_SECONDS)
            counts.append(_counted(cloud))
    created, updated = (_figures(after - before) for before, after in itertools.pairwise(counts))
    samples = {
        name: [figure.value for figure in figures]
        for name, figures in (("created", created), ("updated", updated))
    }
    return Result("Calls per turn (one file; the endpoint is updated)", tuple(updated), samples)


def _figures(spent: Counter[str]) -> list[Figure]:
    def dynamodb(names: tuple[str, ...]) -> int:
        return sum(spent[f"dynamodb.{name}"] for name in names)

    tasks = spent["tasks.lambda"]
    in_transactions = spent["dynamodb.TransactWriteItems items"]
    sent = spent["sqs.SendMessage"] + spent["sqs.SendMessageBatch messages"]
    return [
        Figure(
            "state transitions", spent["states"] + spent["executions"],
            note=f"{spent['executions']} executions: states entered, and one start each",
        ),
        Figure(
            "Lambda invocations", spent["invocations"],
            note=f"{tasks} by workflows, {spent['invocations'] - tasks} by queues and events",
        ),
        Figure(
            "SQS messages", spent["judged"] + sent,
            note=f"{spent['judged']} by EventBridge, {sent} by functions; pollers not counted",
        ),
        Figure(
            "DynamoDB items written", dynamodb(WRITES) + in_transactions,
            note=f"{in_transactions} in {spent['dynamodb.TransactWriteItems']} transactions",
        ),
        Figure("DynamoDB reads", dynamodb(READS), note="GetItem and Query calls"),
    ]  # fmt: skip


def _counted(cloud: Cloud) -> Counter[str]:
    """Return all counts so far."""
    counts: Counter[str] = Counter(cloud.get(CALLS_PATH))
    counts["invocations"] = len(cloud.log_lines("START RequestId"))
    judged = map(json.loads, cloud.log_lines("uploads_judged"))
    counts["judged"] = sum(len(line["keys"]) for line in judged)
    for machine in ("RetrainArn", "RolloutArn"):
        for history in _histories(cloud, cloud.outputs[machine]):
            counts["executions"] += 1
            for event in history:
                counts["states"] += event["type"].endswith("StateEntered")
                details = event.get("taskScheduledEventDetails", {})
                counts["tasks.lambda"] += details.get("resourceType") == "lambda"
    return counts


def _histories(cloud: Cloud, machine: str) -> Iterator[list[dict[str, Any]]]:
    client = cloud.client("stepfunctions")
    for page in client.get_paginator("list_executions").paginate(stateMachineArn=machine):
        for execution in page["executions"]:
            pages = client.get_paginator("get_execution_history")
            yield [
                event
                for part in pages.paginate(executionArn=execution["executionArn"])
                for event in part["events"]
            ]
