"""
A storm of uploads, repeated, poisoned and killed: is anything lost, and what does it cost?

20,000 uploads over 20 models, shuffled: 70 % files, 15 % of them put again with the same bytes,
15 % events that come twice. One in a hundred is poisoned: a file that is no table, or a message
that is not ours. The cloud is killed twice on the way. Nothing trains to an end: tables are tiny
and their runs fail at Prepare; decisions and executions are real.

A storm comes faster than functions work, which this machine cannot send. So while a third of it is
sent the queue is not read, and then it is read as fast as it goes; the kills come in the middle.
"""

import json
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import rows
from botocore.exceptions import BotoCoreError, ClientError
from cloud import STACK, BenchError, Cloud, Workspace, until
from counted_cloud import CALLS_PATH
from figures import Figure, Result
from prices import DIRECT_DOLLARS_PER_MILLION, POLLED_MESSAGES, PRICES, Price

UPLOADS, MODELS = 20_000, 20
QUICK_UPLOADS, QUICK_MODELS = 600, 3
SENDERS = 6
#: The template says 1,000 and 10; ten such batches on two processors would outlast the function.
BATCH, AT_ONCE = 100, 2
QUICK_QUIET_SECONDS, QUIET_SECONDS = 60, 120
PATIENCE_SECONDS = 3600.0
GOAL_DOLLARS = 4.0
_REPORT = re.compile(
    r"RequestId: (\S+)\s+Duration: ([\d.]+) ms\s+Billed Duration: \d+ ms\s+Memory Size: (\d+) MB"
)


@dataclass
class Storm:
    """What is to happen, and what has."""

    cloud: Cloud
    uploads: int
    models: int
    chance: random.Random = field(default_factory=lambda: random.Random(3))  # noqa: S311  # no secret
    put: dict[str, dict[str, Any]] = field(default_factory=dict)  # by key: the event of its PUT
    foreign: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    intake: dict[str, float] = field(default_factory=dict)  # by price: units until all was judged

    def acts(self) -> list[tuple[str, str]]:
        """Return everything that is sent: (what, key), shuffled."""
        found: list[tuple[str, str]] = []
        each = self.uploads // self.models
        for model in range(self.models):
            files = [f"raw/bench/storm-{model}/part {n:05d}+é.csv" for n in range(7 * each // 10)]
            found += [("file", key) for key in files]
            found += [("again", key) for key in files[: 15 * each // 100]]
            found += [("event", key) for key in files[-(15 * each // 100) :]]
        found += [("foreign", "")] * (self.uploads // 200)
        self.chance.shuffle(found)
        return found

    def send(self, act: tuple[str, str]) -> None:
        """Do one act; while the cloud is down, wait for it."""
        what, key = act
        self._until_heard(lambda: self._once(what, key))

    def _once(self, what: str, key: str) -> None:
        if what == "foreign":
            self.cloud.client("sqs").send_message(QueueUrl=self.queue, MessageBody='{"who": "me"}')
            self.foreign += 1
            return
        if what in ("file", "again") or key not in self.put:
            self.put[key] = self._put(key)
        if what == "event":
            body = json.dumps(self.put[key])
            self.cloud.client("sqs").send_message(QueueUrl=self.queue, MessageBody=body)

    def _put(self, key: str) -> dict[str, Any]:
        number = int(key[-11:-6])
        broken = key.endswith(("00007+é.csv", "00107+é.csv", "00207+é.csv", "00307+é.csv"))
        body = b"\0\0\0" if broken else b"id,late\nrow-%d,1\n" % number
        lake = self.cloud.outputs["LakeBucket"]
        answer = self.cloud.client("s3").put_object(Bucket=lake, Key=key, Body=body)
        held = {"key": key, "version-id": answer["VersionId"], "sequencer": ""}
        return {"detail": {"bucket": {"name": lake}, "object": held}}

    def _until_heard(self, act: Callable[[], None]) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                act()
            except (BotoCoreError, ClientError, OSError):
                if time.monotonic() > deadline:
                    raise
                time.sleep(1)
            else:
                return

    def hold(self, held: bool) -> None:  # noqa: FBT001  # what it says
        """Let nobody read the intake queue, or let it be read again."""
        client = self.cloud.client("lambda")
        function = physical(self.cloud, "AdmitUploadFunction")
        (mapping,) = client.list_event_source_mappings(FunctionName=function)["EventSourceMappings"]
        client.update_event_source_mapping(
            UUID=mapping["UUID"], Enabled=not held, BatchSize=BATCH,
            ScalingConfig={"MaximumConcurrency": AT_ONCE},
        )  # fmt: skip

    @cached_property
    def queue(self) -> str:
        """The intake queue's URL."""
        return physical(self.cloud, "IntakeQueue")

    def kill(self) -> None:
        """Kill the cloud and start it again; the counts so far are kept."""
        self.counts += Counter(self.cloud.get(CALLS_PATH))
        self.cloud.kill()
        self.cloud.start(counted=True)

    def spent(self) -> Counter[str]:
        """Return all counts so far."""
        return self.counts + Counter(self.cloud.get(CALLS_PATH))


def measure(workspace: Workspace) -> Result:
    """Let the storm come, wait until all has settled, and hold what is written against S3."""
    quick = workspace.quick
    with workspace.cloud("storm", counted=True) as cloud:
        cloud.deploy()
        usual = (QUICK_UPLOADS, QUICK_MODELS) if quick else (UPLOADS, MODELS)
        storm = Storm(cloud, *(workspace.storm or usual))
        for model in range(storm.models):
            quiet = QUICK_QUIET_SECONDS if quick else QUIET_SECONDS
            text = rows.spec(f"storm-{model}", quiet=f"{quiet}s")
            cloud.apply(text.replace(", timestamp: at", ""))
        acts = storm.acts()
        began, sent = time.monotonic(), 0.0
        with ThreadPoolExecutor(SENDERS) as senders:
            third = -(-len(acts) // 3)
            for first in range(0, len(acts), third):
                storm.hold(True)
                sending = time.monotonic()
                list(senders.map(storm.send, acts[first : first + third]))
                sent += time.monotonic() - sending
                storm.hold(False)
                if first < 2 * third:
                    time.sleep(3 if quick else 10)  # in the middle of it
                    storm.kill()
        _until_judged(storm)
        judged = time.monotonic() - began
        storm.intake = _units(storm, storm.spent())
        swept = _sweep(storm)
        _until_decided(storm)
        found = _check(storm)
        found["swept"] = swept
        return _result(storm, found, sent, judged)


def price(name: str) -> Price:
    """Return the price of a line; what follows a comma says what of it the line is about."""
    return PRICES[name.partition(",")[0]]


def physical(cloud: Cloud, logical: str) -> str:
    """Return the physical name of a resource of the stack."""
    described = cloud.client("cloudformation").describe_stack_resource(
        StackName=STACK, LogicalResourceId=logical
    )
    return str(described["StackResourceDetail"]["PhysicalResourceId"])


def _waiting(storm: Storm) -> int:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    answer = storm.cloud.client("sqs").get_queue_attributes(
        QueueUrl=storm.queue, AttributeNames=names
    )
    return sum(int(answer["Attributes"][name]) for name in names)


def _until_judged(storm: Storm) -> None:
    """Wait until the queue holds the foreign messages only."""
    until(
        lambda: _waiting(storm) <= storm.foreign,
        PATIENCE_SECONDS,
        lambda: f"{_waiting(storm)} messages wait; {storm.foreign} are not ours",
        pause=2.0,
    )


def _visible(storm: Storm) -> int:
    name = "ApproximateNumberOfMessages"
    answer = storm.cloud.client("sqs").get_queue_attributes(
        QueueUrl=storm.queue, AttributeNames=[name]
    )
    return int(answer["Attributes"][name])


def _sweep(storm: Storm) -> int:
    """Sweep as the schedule would, until nothing is missed; return how many events were."""
    client = storm.cloud.client("lambda")
    name, missed = physical(storm.cloud, "SweepFunction"), 0
    for _ in range(20):
        until(
            lambda: not _visible(storm),
            PATIENCE_SECONDS,
            lambda: "the queue is not empty",
            pause=1.0,
        )
        answer = json.loads(client.invoke(FunctionName=name)["Payload"].read())
        if not isinstance(answer, dict) or "missed" not in answer:
            raise BenchError(f"the sweep failed: {answer}")
        missed += answer["missed"]
        if not answer["missed"]:
            return missed
        time.sleep(3)
    raise BenchError("twenty sweeps found something missing each")


def _until_decided(storm: Storm) -> None:
    """Wait until no delivery is open and each closed one has its run."""

    def decided() -> bool:
        items = list(_items(storm.cloud, "StateTable"))
        facts = [item["fact"]["S"] for item in items if item["owner"]["S"].startswith("bench/")]
        runs = sum(fact.startswith("run#") for fact in facts)
        waits = [fact for fact in facts if fact == "delivery#open" or fact.startswith("trigger#")]
        return runs >= storm.models and not waits

    until(decided, PATIENCE_SECONDS, lambda: "deliveries or triggers are still open", pause=3.0)


def _items(cloud: Cloud, table: str) -> Iterator[dict[str, Any]]:
    pages = (
        cloud.client("dynamodb").get_paginator("scan").paginate(TableName=physical(cloud, table))
    )
    return (item for page in pages for item in page["Items"])


def _check(storm: Storm) -> Counter[str]:
    """
    Hold S3, ledger and State against each other.

    Raises:
        BenchError: Something was lost, or happened twice.
    """
    cloud = storm.cloud
    pages = (
        cloud.client("s3")
        .get_paginator("list_object_versions")
        .paginate(Bucket=cloud.outputs["LakeBucket"], Prefix="raw/")
    )
    there = {(v["Key"], v["VersionId"]) for page in pages for v in page.get("Versions", [])}
    verdicts: Counter[str] = Counter()
    judged: Counter[tuple[str, str]] = Counter()
    accepted: Counter[str] = Counter()
    taken: Counter[str] = Counter()
    for item in _items(cloud, "LedgerTable"):
        kind, facts = item.get("kind", {}).get("S"), item.get("facts", {}).get("M", {})
        if kind == "upload" and item["entry"]["S"].count("#") == 2:  # noqa: PLR2004  # admission's
            judged[facts["key"]["S"], facts["version_id"]["S"]] += 1
            verdicts[item["verdict"]["S"]] += 1
            if item["verdict"]["S"] == "accept":
                accepted[facts["delivery"]["S"]] += 1
        if kind == "trigger" and item["verdict"]["S"] in ("start", "coalesce"):
            taken[facts["trigger"]["S"]] += 1
    lost = there - judged.keys()
    if lost or set(judged.values()) != {1}:
        raise BenchError(f"{len(lost)} of {len(there)} versions have no verdict: {list(lost)[:3]}")
    closed: dict[str, int] = {}
    runs = 0
    for item in _items(cloud, "StateTable"):
        fact = item["fact"]["S"]
        if fact.startswith("delivery#") and item["owner"]["S"].startswith("bench/"):
            closed[item["id"]["S"]] = int(item["uploads"]["N"])
        runs += fact.startswith("run#")
    if dict(accepted) != {name: count for name, count in closed.items() if count}:
        raise BenchError("the accepted uploads of the ledger are not those of the deliveries")
    if taken != Counter(dict.fromkeys(accepted, 1)):
        raise BenchError(f"{len(accepted)} deliveries were taken by runs so often: {taken}")
    return verdicts + Counter(versions=len(there), deliveries=len(accepted), runs=runs)


def _units(storm: Storm, counts: Counter[str]) -> dict[str, float]:
    """Return by price how many units the storm took so far."""
    reports = [_REPORT.search(line) for line in storm.cloud.log_lines("REPORT RequestId")]
    timed = {found[1]: float(found[2]) / 1000 * int(found[3]) / 1024 for found in reports if found}
    judging = map(json.loads, storm.cloud.log_lines("uploads_judged"))
    intake = {line["function_request_id"] for line in judging}
    transitions = sum(
        event["type"].endswith("StateEntered") or event["type"] == "ExecutionStarted"
        for machine in ("CheckArn", "RetrainArn")
        if machine in storm.cloud.outputs
        for event in _history(storm.cloud, storm.cloud.outputs[machine])
    )
    sent = counts["sqs.SendMessage"] + counts["sqs.SendMessageBatch"]
    return {
        "EventBridge": float(storm.uploads + counts["events.PutEvents messages"]),
        "SQS": storm.uploads * (1 + 2 / POLLED_MESSAGES) + 3 * sent,
        "Lambda requests": float(len(timed)),
        "Lambda time": sum(spent for request, spent in timed.items() if request in intake),
        "Lambda time, the rest": sum(
            spent for request, spent in timed.items() if request not in intake
        ),
        "S3 GET": float(counts["s3.GET"]),
        "S3 PUT": float(counts["s3.PUT"]),
        "DynamoDB writes": float(counts["dynamodb write units"]),
        "DynamoDB reads": counts["dynamodb half read units"] / 2,
        "Step Functions": float(transitions),
        "Logs": sum(map(len, storm.cloud.log_lines(""))) / 1e9,
    }


def _history(cloud: Cloud, machine: str) -> Iterator[dict[str, Any]]:
    client = cloud.client("stepfunctions")
    for page in client.get_paginator("list_executions").paginate(stateMachineArn=machine):
        for execution in page["executions"]:
            pages = client.get_paginator("get_execution_history")
            for part in pages.paginate(executionArn=execution["executionArn"]):
                yield from part["events"]


def _result(storm: Storm, found: Counter[str], sent: float, judged: float) -> Result:
    counts = storm.spent()
    units = _units(storm, counts)
    each = 1e6 / storm.uploads
    lines = [
        Figure(
            name, each * count * price(name).dollars, "$ per million",
            note=f"{count:,.2f} x {price(name).unit} x ${price(name).dollars:.3g} x {each:,.0f}; "
            f"{storm.intake[name]:,.2f} until all was judged",
        )
        for name, count in units.items()
    ]  # fmt: skip
    timed = [line for line in lines if line.name.startswith("Lambda time")]
    intake = sum(
        each * count * price(name).dollars
        for name, count in storm.intake.items()
        if not name.startswith("Lambda time")
    )
    total = sum(line.value for line in lines) - sum(line.value for line in timed)
    batches = len(storm.cloud.log_lines("uploads_judged"))
    told = ", ".join(f"{found[name]:,} {name}" for name in ("accept", "duplicate", "quarantine"))
    figures = (
        Figure(
            "lost", 0,
            note=f"{found['versions']:,} object versions: {told}; {found['swept']} by the sweep",
        ),
        Figure("deliveries", found["deliveries"], note=f"{found['runs']} runs; each taken once"),
        Figure(
            "judged per second", storm.uploads / (judged - sent), "/s",
            note=f"{storm.uploads:,} in {judged - sent:.0f} s, two kills included; sent before in "
            f"{sent:.0f} s",
        ),
        Figure("batches", batches, note=f"of {storm.uploads / batches:.0f} uploads on average"),
        *lines,
        Figure("intake, until all was judged", intake, "$ per million", note="no Lambda time"),
        Figure("together, without Lambda time", total, "$ per million", GOAL_DOLLARS),
        Figure("direct S3 → Step Functions", DIRECT_DOLLARS_PER_MILLION, "$ per million"),
    )  # fmt: skip
    samples = {name: [float(count)] for name, count in counts.items()}
    return Result("A storm of uploads", figures, samples)
