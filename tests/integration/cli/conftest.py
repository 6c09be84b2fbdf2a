"""The command line on one stack in this process: its tables, its functions, its lake."""

import io
import json
import re
import time
from pathlib import Path
from types import SimpleNamespace

import boto3
import pytest
from click.testing import CliRunner

from tidemill.adapters.entries import Entry
from tidemill.adapters.items import transact
from tidemill.adapters.runs import Basis, Ended
from tidemill.domain.trigger import Standing, Trigger, decide
from tidemill.spec.compiled import Triggers
from tidemill.times import iso
from tidemill_cli.main import main
from tidemill_cli.session import Session
from tidemill_cli.stack import Clients, Resource, Stack

from ... import stack as deployed  # tests is no package to import from
from ..fake_workflows import FakeWorkflows  # likewise

REF = "flights/delay"
NAME = "tidemill--flights--delay"
DOCS = (Path(__file__).parents[3] / "docs" / "cli.md").read_text()


class NoSuchFunctionError(Exception):
    """Lambda's ResourceNotFoundException."""


class FakeFunctions:
    """Lambda's Invoke: runs the real handler, and tells its errors as Lambda does."""

    exceptions = SimpleNamespace(ResourceNotFoundException=NoSuchFunctionError)

    def __init__(self, cloud):
        self._cloud = cloud
        self.gone = False
        self.calls = []

    def invoke(self, FunctionName, Payload):  # boto3's own argument names
        if self.gone:
            raise NoSuchFunctionError
        self.calls.append((FunctionName, json.loads(Payload)))
        name = re.sub(r"(?<!^)(?=[A-Z])", "_", FunctionName.removesuffix("Function")).lower()
        try:
            answer = self._cloud.invoke(name, json.loads(Payload))
        except Exception as error:  # noqa: BLE001  # whatever it is, Lambda answers it
            told = {"errorType": type(error).__name__, "errorMessage": str(error)}
            return {"FunctionError": "Unhandled", "Payload": io.BytesIO(json.dumps(told).encode())}
        return {"Payload": io.BytesIO(json.dumps(answer).encode())}


class ToldWorkflows(FakeWorkflows):
    """Executions that have a history, which tests write."""

    def __init__(self):
        super().__init__()
        self.histories = {}

    def _GetExecutionHistory(self, request):  # the operation's name
        self._DescribeExecution(request)
        name = request["executionArn"].rpartition(":")[2]
        return {"events": self.histories.get(name, [])}


@pytest.fixture
def cloud(cloud, monkeypatch):
    """The stack, at the machine's own time: the command line reads the clock itself."""
    cloud.now = time.time()
    cloud.workflows = ToldWorkflows()
    for name in ("AWS_ENDPOINT_URL", "TIDEMILL_STACK", "TIDEMILL_STATE"):
        monkeypatch.delenv(name, raising=False)
    return cloud


@pytest.fixture
def outputs(template):
    """What DescribeStacks says of this template: every output, by its key."""
    return {key: _value(body["Value"]) for key, body in template["Outputs"].items()}


def _value(value):
    if isinstance(value, str):
        return value
    return deployed.REFS.get(value["Ref"], value["Ref"])


@pytest.fixture
def stack(cloud, outputs, template):
    clients = Clients(boto3._get_default_session())
    clients.functions = FakeFunctions(cloud)
    stack = Stack("tidemill", outputs, clients)
    stack.resources = tuple(  # moto's CloudFormation has no such stack
        Resource(name, physical(name, body["Type"]), body["Type"], "CREATE_COMPLETE")
        for name, body in template["Resources"].items()
    )
    return stack


def physical(name, kind):
    """Return what CloudFormation would call a resource of this template."""
    if kind == "AWS::SQS::Queue":
        return deployed.queue_url(name)
    return deployed.REFS.get(name, f"tidemill-{name}-1A2B3C")


@pytest.fixture
def functions(stack):
    return stack.clients.functions


@pytest.fixture
def run(stack):
    """Run the command on this stack."""

    def call(*arguments, **options):
        session = Session(opener=lambda _: stack)
        return CliRunner().invoke(main, [str(item) for item in arguments], obj=session, **options)

    return call


@pytest.fixture
def document(run):
    """Run the command with --json, and return the document it must print."""

    def call(*arguments, status=0, **options):
        answer = run(*arguments, "--json", **options)
        assert answer.exit_code == status, answer.output
        return json.loads(answer.stdout)

    return call


@pytest.fixture
def documented():
    """Return the JSON keys that docs/cli.md promises for a verb, or for a list within."""

    def keys(verb, part=""):
        section = re.search(rf"^### {verb}\n(.*?)(?=^##|\Z)", DOCS, re.DOTALL | re.MULTILINE)[1]
        line = re.search(
            rf"^JSON{f' {part}' if part else ''}: (?:object|array) of (.+)$", section, re.MULTILINE
        )[1]
        return tuple(re.findall(r"`(\w+)`", line))

    return keys


@pytest.fixture
def model(cloud, spec):
    """flights/delay, applied."""
    return cloud.apply(spec)


class Life:
    """What happens to flights/delay, written as the stack's functions write it."""

    def __init__(self, cloud):
        self._cloud = cloud
        self._stores = cloud.stores

    def begin(self, trigger="t1", why="delivery d-1 closed", ago=60.0):
        """Start a run and return its id."""
        at = self._cloud.now - ago
        waiting = Trigger(trigger, "data", at, why)
        self.trigger(waiting)
        lease = self._stores.leases.read(REF, "run")
        decision = decide([waiting], Triggers(), Standing(lease), at)
        assert self._stores.runs.start(REF, decision, Basis(lease), at)
        document = {"project": "flights", "model": "delay", "run": decision.run}
        execution = self._cloud.workflows.begin("retrain", decision.run, document)
        self._stores.runs.note(REF, decision.run, status="running", execution=execution)
        return decision.run

    def trigger(self, trigger):
        """Make a trigger pending."""
        transact(self._stores.state.client, [self._stores.triggers.put(REF, trigger)])

    def finish(self, run, status="succeeded", reason="auc 0.71 is good", version=None, ago=30.0):
        """End a run, with a version when it has one."""
        if version is not None:
            metric = {"name": "auc", "value": 0.71, "trivial": 0.5, "minimum": 0.6}
            self._stores.runs.note(REF, run, version=version, metric=metric)
            self._cloud.sagemaker.add_version(NAME, version)
        self._stores.runs.finish(REF, run, Ended(status, reason), self._cloud.now - ago)
        ended = "SUCCEEDED" if status in ("succeeded", "refused") else "FAILED"
        self._cloud.workflows.end("retrain", run, ended)

    def serve(self, version, ago=10.0):
        """Put a version in service, as a rollout that was verified does."""
        config = f"{NAME}--v{version}"
        at = self._cloud.now - ago
        self._cloud.sagemaker.add_endpoint(NAME, config)
        entry = self._rollout(version, at, "in service", f"version {version} answers as evaluated")
        self._stores.champions.crown(
            REF, version=version, config=config, package="arn", now=at, entry=entry
        )

    def fail_rollout(self, version, ago=5.0):
        """Record a rollout that went wrong."""
        at = self._cloud.now - ago
        reason = "row 3 is answered otherwise"
        self._stores.ledger.append(self._rollout(version, at, "roll back", reason))

    def approve(self, version, verdict="approve", ago=20.0):
        """Approve or reject a version; SageMaker's event has not come yet."""
        at = self._cloud.now - ago
        key = f"approval#{version}#{iso(at)}"
        facts = {"version": version, "by": "ada"}
        self._stores.ledger.append(
            Entry(REF, key, at, "approval", f"version {version}", verdict, "looks good", facts)
        )
        for package in self._cloud.sagemaker.packages.values():
            if package["ModelPackageVersion"] == version:
                status = "Approved" if verdict == "approve" else "Rejected"
                package["ModelApprovalStatus"] = status

    def begin_rollout(self, version):
        """Start a rollout's execution and return its name."""
        name = f"delay-v{version}-abc"
        document = {"project": "flights", "model": "delay", "version": version, "why": "approved"}
        self._cloud.workflows.begin("rollout", name, document)
        return name

    @staticmethod
    def _rollout(version, at, verdict, reason):
        key = f"rollout#delay-v{version}-{at}"
        subject = f"version {version}"
        return Entry(REF, key, at, "rollout", subject, verdict, reason, {"version": version})


@pytest.fixture
def life(cloud, model):
    """What happens to flights/delay, which is applied."""
    return Life(cloud)
