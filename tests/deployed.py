"""The real stack on a real local cloud, for tests/workflows and tests/e2e."""

import csv
import fcntl
import io
import json
import os
import random
import subprocess
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from local_cloud import LocalCloud, finished, wait_until
from tidemill.adapters.registry import Registry
from tidemill.adapters.stores import Stores
from tidemill.spec.compile import compile_spec
from tidemill.spec.compiled import Spec
from tidemill_local.faults import RemoteFaults

ROOT = Path(__file__).parent.parent
STACK = "tidemill"
TURN_SECONDS = 120.0
ENDED = ("succeeded", "refused", "failed", "stopped")


def soon(seconds: int = 20) -> str:
    """Return a schedule's time that is not over yet when a cold apply comes to it."""
    return f"at({datetime.fromtimestamp(time.time() + seconds, UTC):%Y-%m-%dT%H:%M:%S})"


class Deployed:
    """One deployed stack and what a person does with it."""

    def __init__(self, cloud: LocalCloud) -> None:
        self.cloud = cloud
        self._deploy()
        described = cloud.client("cloudformation").describe_stacks(StackName=STACK)
        self.outputs = {
            output["OutputKey"]: output["OutputValue"]
            for output in described["Stacks"][0]["Outputs"]
        }
        self.stores = Stores(
            cloud.client("dynamodb"),
            state_table=self.outputs["StateTable"],
            ledger_table=self.outputs["LedgerTable"],
        )
        self.registry = Registry(cloud.client("sagemaker"))
        self.faults = RemoteFaults(cloud.endpoint)
        self.lake = self.outputs["LakeBucket"]

    def _deploy(self) -> None:
        """Run `sam build` and `sam deploy --config-env local` on the unmodified template."""
        state = self.cloud.state
        shared = state.parents[2 if "PYTEST_XDIST_WORKER" in os.environ else 1]  # by the whole run
        with (shared / "built.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (shared / "built").exists():
                self._sam("build", "--no-cached", "--build-dir", str(shared / "building"))
                (shared / "building").rename(shared / "built")
        self._sam("deploy", "--template-file", str(shared / "built" / "template.yaml"))

    def _sam(self, *arguments: str) -> None:
        tools = ROOT / ".tools"
        environment = {
            **os.environ,
            **self.cloud.environment(),
            "SAM_CLI_TELEMETRY": "0",
            "LOCAL_PACKAGES": str(tools / "layers"),  # `make install` has filled it
        }
        config = ["--config-file", str(ROOT / "samconfig.toml"), "--config-env", "local"]
        done = subprocess.run(
            [str(tools / "sam/bin/sam"), *arguments, *config],
            cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr

    def invoke(self, output: str, payload: dict[str, Any]) -> Any:
        """Invoke one of the functions that people call; a function's error is raised by name."""
        answer = self.cloud.client("lambda").invoke(
            FunctionName=self.outputs[output], Payload=json.dumps(payload).encode()
        )
        document = json.loads(answer["Payload"].read() or b"null")
        if answer.get("FunctionError"):
            raise FunctionError(document["errorType"], document["errorMessage"])
        return document

    def apply(self, model: str, **changes: Any) -> str:
        """Apply a small spec, changed at dotted keys, and return `project/model`."""
        return self.put_in_force(compile_spec(spec_text(model, **changes), "model.yaml"))

    def put_in_force(self, spec: Spec) -> str:
        """Apply a compiled spec, also one that `compile_spec` would not have made."""
        self.invoke(
            "ApplyModelFunctionName", {"spec": json.loads(spec.to_json()), "digest": spec.digest}
        )
        return spec.ref

    def put(self, ref: str, name: str, body: bytes | str) -> str:
        """Put one object under the model's prefix and return its version id."""
        answer = self.cloud.client("s3").put_object(
            Bucket=self.lake,
            Key=f"raw/{ref}/{name}",
            Body=body.encode() if isinstance(body, str) else body,
        )
        return str(answer["VersionId"])

    def start(self, ref: str, why: str = "a test wants it") -> None:
        project, model = ref.split("/")
        self.invoke("RequestRunFunctionName", {"project": project, "model": model, "why": why})

    def drift(self, found: dict[str, Any]) -> None:
        """Tell the stack's bus of drift, as a watch does."""
        answer = self.cloud.client("events").put_events(
            Entries=[
                {
                    "Source": "tidemill",
                    "DetailType": "Drift Found",
                    "Detail": json.dumps(found),
                    "EventBusName": self.outputs["BusName"],
                }
            ]
        )
        assert not answer["FailedEntryCount"], answer

    def runs(self, ref: str) -> list[dict[str, Any]]:
        return self.stores.runs.of(ref)

    def ended_run(self, ref: str, number: int = 1, seconds: float = TURN_SECONDS) -> dict[str, Any]:
        """Wait until the model's run of that number has ended, and return it."""

        def ended() -> dict[str, Any] | None:
            runs = self.runs(ref)
            over = len(runs) >= number and runs[number - 1]["status"] in ENDED
            return runs[number - 1] if over else None

        run: dict[str, Any] = wait_until(ended, seconds, lambda: self.story(ref))
        return run

    def entry(
        self, ref: str, kind: str, *, count: int = 1, seconds: float = TURN_SECONDS, **wanted: str
    ) -> dict[str, Any]:
        """Wait for the ledger's entry of this kind and these attributes, the *count*-th."""

        def found() -> dict[str, Any] | None:
            entries = [
                entry
                for entry in self.stores.ledger.entries(ref)
                if entry["kind"] == kind
                and all(entry[name] == value for name, value in wanted.items())
            ]
            return entries[count - 1] if len(entries) >= count else None

        entry: dict[str, Any] = wait_until(found, seconds, lambda: self.story(ref))
        return entry

    def story(self, ref: str) -> str:
        """Return the ledger as lines, for a test that failed."""
        return "\n".join(
            " ".join((entry["at"], entry["kind"], entry["subject"], entry["verdict"]))
            + f": {entry['reason']}"
            for entry in self.stores.ledger.entries(ref)
        )

    def endpoint(self, ref: str) -> dict[str, Any] | None:
        client = self.cloud.client("sagemaker")
        try:
            return dict(client.describe_endpoint(EndpointName=aws_name(ref)))
        except client.exceptions.ClientError:
            return None

    def predict(self, ref: str, rows: list[dict[str, Any]]) -> list[Any]:
        answer = self.cloud.client("sagemaker-runtime").invoke_endpoint(
            EndpointName=aws_name(ref),
            ContentType="application/json",
            Accept="application/json",
            Body=json.dumps({"instances": rows}).encode(),
        )
        return list(json.loads(answer["Body"].read())["predictions"])

    def states(self, execution_arn: str) -> list[str]:
        """Return the names of the states that an execution entered, in order, once it is over."""
        finished(self.cloud, execution_arn, TURN_SECONDS)
        pages = self.cloud.client("stepfunctions").get_paginator("get_execution_history")
        return [
            event["stateEnteredEventDetails"]["name"]
            for page in pages.paginate(executionArn=execution_arn)
            for event in page["events"]
            if "stateEnteredEventDetails" in event
        ]

    def execution_status(self, execution_arn: str) -> str:
        """Return how Step Functions says that an execution ended, once it is over."""
        return str(finished(self.cloud, execution_arn, TURN_SECONDS)["status"])

    def rollout_execution(self, entry: dict[str, Any]) -> str:
        """Return the ARN of the execution that wrote this ledger entry."""
        machine = self.outputs["RolloutArn"].replace(":stateMachine:", ":execution:")
        return f"{machine}:{entry['facts']['execution']}"

    def start_rollout(
        self, ref: str, version: int, name: str, *, approved: bool = False
    ) -> dict[str, Any]:
        """Start the rollout machine by hand under a known name, and return how it ended."""
        package = self.registry.version(aws_name(ref), version)["package"]
        # The approval's own rollout would race with this one: nobody hears of it.
        with self._unheard("ModelApprovalStatus") if approved else nullcontext():
            if approved:
                self.registry.approve(package, "Approved", "a test approves")
            return finished(self.cloud, self.begin_rollout(ref, version, name), TURN_SECONDS)

    def begin_rollout(self, ref: str, version: int, name: str) -> str:
        """Start the rollout machine by hand, and return the execution's ARN."""
        project, model = ref.split("/")
        request = {
            "project": project,
            "model": model,
            "version": version,
            "package": self.registry.version(aws_name(ref), version)["package"],
            "why": "a test",
        }
        execution = self.cloud.client("stepfunctions").start_execution(
            stateMachineArn=self.outputs["RolloutArn"],
            name=f"{model}-{name}",
            input=json.dumps(request),
        )
        return str(execution["executionArn"])

    @contextmanager
    def _unheard(self, word: str) -> Iterator[None]:
        """Switch the rules off whose pattern has *word*."""
        client = self.cloud.client("events")
        pages = client.get_paginator("list_rules").paginate()
        rules = [rule for page in pages for rule in page["Rules"]]
        names = [rule["Name"] for rule in rules if word in rule.get("EventPattern", "")]
        assert names, f"no rule's pattern has {word}"
        for name in names:
            client.disable_rule(Name=name)
        try:
            yield
        finally:
            for name in names:
                client.enable_rule(Name=name)

    def until_run(self, ref: str, fact: str) -> Any:
        """Wait until the model's first run has this fact, such as its pipeline; return it."""

        def known() -> Any:
            runs = self.runs(ref)
            return runs[0].get(fact) if runs else None

        return wait_until(known, TURN_SECONDS, lambda: self.story(ref))

    def until_training(self, ref: str) -> None:
        """Wait until a training job of the local SageMaker is running."""
        client = self.cloud.client("sagemaker")
        wait_until(
            lambda: client.list_training_jobs(StatusEquals="InProgress")["TrainingJobSummaries"],
            TURN_SECONDS,
            lambda: self.story(ref),
        )

    def until_quiet(self, ref: str) -> dict[str, Any]:
        """Wait until no run goes on and no trigger or delivery is open; return the last run."""

        def quiet() -> bool:
            waits = self.stores.triggers.pending(ref) or self.stores.deliveries.open(ref)
            return not waits and all(run["status"] in ENDED for run in self.runs(ref))

        wait_until(quiet, TURN_SECONDS, lambda: self.story(ref))
        return self.runs(ref)[-1]

    def answers(self, ref: str, rows: list[dict[str, Any]]) -> list[Any] | None:
        """Return predictions, or None while the endpoint does not answer."""
        try:
            return self.predict(ref, rows)
        except ClientError:
            return None

    def captured(self, ref: str, holding: str) -> str:
        """Wait for the line of captured traffic that holds this text, and return it."""
        found: str = wait_until(
            lambda: next((line for line in self.capture(ref) if holding in line), None),
            TURN_SECONDS,
        )
        return found

    def capture(self, ref: str) -> Iterator[str]:
        """Yield the lines of captured traffic so far, a rollout's own questions among them."""
        client = self.cloud.client("s3")
        listed = client.list_objects_v2(Bucket=self.lake, Prefix=f"capture/{ref}/")
        for item in listed.get("Contents", []):
            body = client.get_object(Bucket=self.lake, Key=item["Key"])["Body"].read()
            yield from body.decode().splitlines()

    def read(self, uri: str) -> bytes:
        """Return an object's bytes."""
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        return bytes(self.cloud.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read())

    def until_endpoint(self, ref: str, status: str) -> None:
        wait_until(
            lambda: (self.endpoint(ref) or {}).get("EndpointStatus") == status,
            TURN_SECONDS,
            lambda: self.endpoint(ref),
        )

    def broken(self, logical_id: str) -> AbstractContextManager[None]:
        """Take a function's layers away while the block lasts: it fails at its cold start."""
        return self.configured(logical_id, Layers=[])

    @contextmanager
    def configured(self, logical_id: str, **changes: Any) -> Iterator[None]:
        """Change a function's configuration while the block lasts."""
        client = self.cloud.client("lambda")
        resource = self.cloud.client("cloudformation").describe_stack_resource(
            StackName=STACK, LogicalResourceId=logical_id
        )
        name = resource["StackResourceDetail"]["PhysicalResourceId"]
        before = client.get_function_configuration(FunctionName=name)
        before["Layers"] = [layer["Arn"] for layer in before["Layers"]]
        client.update_function_configuration(FunctionName=name, **changes)
        try:
            yield
        finally:
            restored = {key: before[key] for key in changes}
            client.update_function_configuration(FunctionName=name, **restored)


class FunctionError(Exception):
    """What a function of the stack raised."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind = kind


def aws_name(ref: str) -> str:
    return f"{STACK}--{ref.replace('/', '--')}"


def spec_text(model: str, **changes: Any) -> str:
    """Return a small model.yaml; `train__problem="regression"` changes a nested key."""
    document: dict[str, Any] = {
        "project": "tests",
        "model": model,
        "data": {"format": "csv", "target": "y", "id": "id"},
        "delivery": {"quiet": "1s", "max_wait": "5m"},
        "prepare": {"split": {"validation": 0.2, "test": 0.2}, "seed": 1},
        "train": {
            "algorithm": "xgboost",
            "problem": "binary",
            "hyperparameters": {"num_round": 20, "max_depth": 3},
        },
        "evaluate": {"metric": "auc", "minimum": 0.6},
        "approve": "auto",
        "deploy": {"instance": "ml.m5.large", "count": 1},
    }
    for path, value in changes.items():
        *parents, key = path.split("__")
        holder = document
        for parent in parents:
            holder = holder.setdefault(parent, {})
        holder[key] = value
    return json.dumps(document, indent=1)  # JSON is YAML


def table(rows: int = 400, *, seed: int = 1, first: int = 0, **columns: Any) -> str:
    """Return a CSV whose target follows from `x` and `colour`, with some noise and gaps."""
    chance = random.Random(seed)
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["id", "x", "z", "colour", "y", *columns])
    for number in range(first, first + rows):
        x, colour = chance.gauss(0, 1), chance.choice(["red", "green", "blue"])
        y = int(x + (colour == "red") + chance.gauss(0, 0.5) > 0.3)
        gap = chance.random() < 0.05
        writer.writerow(
            [f"r{number}", "" if gap else f"{x:.4f}", number % 7, colour, y, *columns.values()]
        )
    return out.getvalue()
