"""`doctor`: what is wrong has a fix, what may not be seen is no fault, nothing stops the rest."""

import json
import socket
import time
from datetime import UTC, datetime
from email.utils import format_datetime
from types import SimpleNamespace

import boto3
import pytest
from botocore.exceptions import ClientError
from click.testing import CliRunner

from tidemill_cli import checkup_here
from tidemill_cli.checkup import Finding, Patient, examine
from tidemill_cli.checkup_here import installed
from tidemill_cli.failures import UnreachableError
from tidemill_cli.main import main
from tidemill_cli.session import Session

from ..functions.scenes import REF, close_delivery
from .conftest import deployed, physical

ORDER = [
    *("versions", "region", "credentials", "clock", "stack", "bucket events", "upload rule"),
    *("consumers", "dead letters", "roles", "image", "instance types", "quotas"),
    "in flight",
]


class Told:
    """A service's client: each operation answers what a test set, or raises it."""

    def __init__(self, **answers):
        self._answers = answers

    def __getattr__(self, name):
        answer = self._answers.get(name)

        def call(**request):
            if isinstance(answer, Exception):
                raise answer
            return answer(request) if callable(answer) else answer

        return call

    def set(self, **answers):
        self._answers |= answers

    def get_paginator(self, name):
        return SimpleNamespace(paginate=lambda **request: [getattr(self, name)(**request)])


def refusal(operation, code="AccessDenied"):
    return ClientError({"Error": {"Code": code, "Message": "no"}}, operation)


def dated(seconds):
    date = format_datetime(datetime.fromtimestamp(seconds, UTC), usegmt=True)
    return {"ResponseMetadata": {"HTTPHeaders": {"date": date}}}


@pytest.fixture
def whole(stack, template, model, monkeypatch, tmp_path):
    """A stack in which nothing is wrong; what a test sets on it breaks one thing."""
    monkeypatch.chdir(tmp_path)
    sqs, events = boto3.client("sqs"), boto3.client("events")
    told = {"EventBridgeConfiguration": {}}  # moto keeps it, and the date, to itself
    s3 = stack.clients.s3
    monkeypatch.setattr(s3, "get_bucket_notification_configuration", lambda **_: dict(told))
    monkeypatch.setattr(s3, "head_bucket", lambda **_: dated(time.time()))
    served = {}
    for name, body in template["Resources"].items():
        if body["Type"] == "AWS::SQS::Queue":
            sqs.create_queue(QueueName=name)
            policy = body["Properties"].get("RedrivePolicy")
            target = policy and policy["deadLetterTargetArn"]["Fn::GetAtt"]
            if target:
                served[name] = target[0] if isinstance(target, list) else target.partition(".")[0]
    for name, dead in served.items():
        policy = {"deadLetterTargetArn": deployed.queue_arn(dead), "maxReceiveCount": 5}
        sqs.set_queue_attributes(
            QueueUrl=deployed.queue_url(name), Attributes={"RedrivePolicy": json.dumps(policy)}
        )
    allowed = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "events.amazonaws.com"},
                "Action": "sqs:SendMessage",
                "Resource": "*",
            }
        ],
    }
    sqs.set_queue_attributes(
        QueueUrl=deployed.queue_url("IntakeQueue"), Attributes={"Policy": json.dumps(allowed)}
    )
    rule = physical("UploadRule", "AWS::Events::Rule")
    events.put_rule(Name=rule, EventPattern='{"source": ["aws.s3"]}', State="ENABLED")
    events.put_targets(
        Rule=rule, Targets=[{"Id": "intake", "Arn": deployed.queue_arn("IntakeQueue")}]
    )
    mappings = [
        {"EventSourceArn": deployed.queue_arn(name), "State": "Enabled", "UUID": f"u-{name}"}
        for name in served
    ]
    described = {
        "StackStatus": "UPDATE_COMPLETE",
        "Parameters": [{"ParameterKey": "JobsImageUri", "ParameterValue": deployed.IMAGE}],
    }
    stack.clients.cloudformation = Told(describe_stacks={"Stacks": [described]})
    role = {"Arn": deployed.ROLE, "AssumeRolePolicyDocument": {"s": "sagemaker.amazonaws.com"}}
    fakes = {
        "lambda": Told(list_event_source_mappings={"EventSourceMappings": mappings}),
        "iam": Told(
            get_role={"Role": role},
            simulate_principal_policy={"EvaluationResults": [{"EvalDecision": "allowed"}]},
            list_role_policies={"PolicyNames": ["jobs-and-endpoints"]},
        ),
        "service-quotas": Told(list_service_quotas={"Quotas": []}),
    }
    stack.clients._others.update(fakes)
    ecr = Told(describe_images={})
    real = boto3.Session.client
    monkeypatch.setattr(
        boto3.Session,
        "client",
        lambda self, name, **how: ecr if name == "ecr" else real(self, name, **how),
    )
    return SimpleNamespace(
        **{name.replace("-", "_"): fake for name, fake in fakes.items()},
        cloudformation=stack.clients.cloudformation,
        described=described,
        mappings=mappings,
        role=role,
        rule=rule,
        ecr=ecr,
        bucket=told,
        stack=stack,
    )


@pytest.fixture
def wrong(document):
    """Return what is wrong, after the checks that were seen came in their order."""

    def look():
        rows = document("doctor", status=1)
        return [(row["check"], row["said"], row["fix"]) for row in rows if row["status"] == "wrong"]

    return look


def test_where_nothing_is_wrong_every_check_says_what_it_saw(run, document, documented, whole):
    rows = document("doctor")

    assert tuple(rows[0]) == documented("doctor")
    assert [row["check"] for row in rows] == ORDER
    assert {row["status"] for row in rows} == {"ok"}
    printed = run("doctor")
    assert printed.exit_code == 0
    assert "0 of 14 findings are wrong" in printed.stderr


def test_without_a_stack_the_rest_is_unseen_and_the_fix_is_said(whole):
    def none(name):
        raise UnreachableError(f"there is no stack {name}")

    answer = CliRunner().invoke(main, ["doctor", "--json"], obj=Session(opener=none))

    rows = {row["check"]: row for row in json.loads(answer.stdout)}
    assert answer.exit_code == 1
    assert (rows["stack"]["status"], rows["stack"]["fix"]) == ("wrong", "make deploy")
    assert rows["credentials"]["status"] == "ok"
    assert {rows[name]["status"] for name in ORDER[5:] if name != "quotas"} == {"unseen"}


def test_a_stack_that_is_half_deployed_or_of_another_version(whole, wrong):
    whole.described["StackStatus"] = "UPDATE_ROLLBACK_FAILED"
    whole.stack.outputs["TidemillVersion"] = "0.0.9"
    first, *rest = whole.stack.resources
    whole.stack.resources = (
        type(first)(first.logical, first.physical, first.type, "CREATE_FAILED"),
        *rest,
    )

    assert [said for _, said, _ in wrong()] == [
        "tidemill is UPDATE_ROLLBACK_FAILED",
        f"its {first.logical} is CREATE_FAILED",
        f"it is of version 0.0.9, this command of {installed()}",
    ]


def test_the_version_in_the_template_is_the_commands(template):
    assert template["Outputs"]["TidemillVersion"]["Value"] == installed()


def test_events_that_the_bucket_does_not_send(whole, wrong):
    whole.bucket.clear()

    ((check, _, fix),) = wrong()
    assert check == "bucket events"
    assert f"put-bucket-notification-configuration --bucket {deployed.LAKE} " in fix


def test_a_rule_that_is_off(whole, wrong):
    boto3.client("events").disable_rule(Name=whole.rule)

    assert wrong() == [
        ("upload rule", f"{whole.rule} is DISABLED", f"aws events enable-rule --name {whole.rule}")
    ]


def test_a_rule_that_sends_elsewhere(whole, wrong):
    boto3.client("events").remove_targets(Rule=whole.rule, Ids=["intake"])

    assert "does not send to" in wrong()[0][1]


def test_a_queue_that_takes_no_events(whole, wrong):
    boto3.client("sqs").set_queue_attributes(
        QueueUrl=deployed.queue_url("IntakeQueue"), Attributes={"Policy": ""}
    )

    assert "does not let EventBridge send" in wrong()[0][1]


def test_a_queue_that_nobody_reads(whole, wrong):
    whole.mappings[0]["State"] = "Disabled"
    gone = whole.mappings.pop()

    found = wrong()

    assert found[0][2] == "aws lambda update-event-source-mapping --uuid u-IntakeQueue --enabled"
    name = gone["EventSourceArn"].rpartition(":")[2]
    assert found[1][1] == f"nobody takes messages of {name}"


def test_what_could_not_be_delivered(whole, wrong):
    boto3.client("sqs").send_message(
        QueueUrl=deployed.queue_url("TriggerDeadLetters"), MessageBody="x"
    )

    assert wrong() == [
        (
            "dead letters",
            "1 message waits in TriggerDeadLetters",
            "tidemill dlq show TriggerDeadLetters",
        )
    ]


@pytest.mark.parametrize(
    ("attempt", "said", "fix"),
    [
        (1, "It is tried again at 20", "tidemill why flights/delay"),
        (4, "Nobody tries it again", "tidemill recheck flights/delay {} --why TEXT"),
    ],
)
def test_a_check_that_failed_is_no_dead_letter(cloud, whole, wrong, *, attempt, said, fix):
    delivery = close_delivery(cloud)
    for number in range(1, attempt + 1):
        assert cloud.stores.checks.fail(REF, delivery, number, "no room", cloud.now)
        if number < attempt:
            assert cloud.stores.checks.begin_again(REF, delivery, number, cloud.now)

    ((check, found, how),) = wrong()

    assert check == "in flight"
    assert f"the check of {REF}'s {delivery} failed: no room. {said}" in found
    assert how == fix.format(delivery)


def test_a_message_that_somebody_has_may_have_failed(document, whole):
    url = deployed.queue_url("IntakeQueue")
    boto3.client("sqs").send_message(QueueUrl=url, MessageBody="x")
    boto3.client("sqs").receive_message(QueueUrl=url)

    (row,) = [row for row in document("doctor") if row["check"] == "in flight"]

    assert row["status"] == "unseen", "it is no fault"
    assert row["said"].startswith("1 message of IntakeQueue: a function works on it, or failed")


def test_a_role_that_may_not_do_its_work(whole, wrong):
    whole.iam.set(
        simulate_principal_policy=lambda request: {
            "EvaluationResults": [
                {"EvalDecision": "implicitDeny"}
                if request["ActionNames"] == ["s3:GetObjectVersion"]
                else {"EvalDecision": "allowed"}
            ]
        }
    )
    assert "may not s3:GetObjectVersion on tidemill-lake/raw/" in wrong()[0][1]

    whole.role["AssumeRolePolicyDocument"] = {"s": "lambda.amazonaws.com"}
    assert "SageMaker may not assume" in wrong()[0][1]


def test_roles_are_described_where_they_cannot_be_simulated(document, whole):
    whole.iam.set(simulate_principal_policy=refusal("SimulatePrincipalPolicy", "InvalidAction"))

    (row,) = [row for row in document("doctor") if row["check"] == "roles"]

    assert row["status"] == "unseen"
    assert "with the policies jobs-and-endpoints; not simulated: InvalidAction" in row["said"]


def test_an_image_that_is_not_there(whole, wrong):
    whole.ecr.set(describe_images=refusal("DescribeImages", "ImageNotFoundException"))

    assert wrong()[0][:2] == ("image", f"there is no image {deployed.IMAGE}")


def test_machines_that_are_not_offered_or_over_the_quota(cloud, make_spec, whole, wrong):
    cloud.apply(make_spec(train__compute__instance="ml.m1.tiny", deploy__count=4))
    quota = {"QuotaName": "ml.m5.large for endpoint usage", "QuotaCode": "L-1", "Value": 2.0}
    whole.service_quotas.set(list_service_quotas={"Quotas": [quota]})

    found = wrong()

    assert [said for _, said, _ in found] == [
        "SageMaker offers no ml.m1.tiny for a training job (flights/delay)",
        "SageMaker offers no ml.m1.tiny for a processing job (flights/delay)",
        "the quota of ml.m5.large for endpoints is 2; flights/delay needs 4",
    ]
    assert "--quota-code L-1 --desired-value 4" in found[2][2]


def test_what_may_not_be_seen_is_no_fault_and_stops_nothing(document, cloud, whole, monkeypatch):
    whole.iam.set(get_role=refusal("GetRole"))
    whole.service_quotas.set(list_service_quotas=refusal("ListServiceQuotas"))
    cloud.refuse("events", "DescribeRule", "AccessDeniedException")
    no = Told(get=refusal("GetBucketNotificationConfiguration", "403")).get
    monkeypatch.setattr(whole.stack.clients.s3, "get_bucket_notification_configuration", no)

    rows = document("doctor")

    unseen = {row["check"]: row for row in rows if row["status"] == "unseen"}
    assert set(unseen) == {"bucket events", "upload rule", "roles", "quotas"}
    assert unseen["roles"]["said"] == "cannot see: GetRole is not allowed"
    assert "GetRole" in unseen["roles"]["fix"]
    assert {row["check"] for row in rows} == set(ORDER)


def test_a_check_that_breaks_is_told_as_a_fault_of_its_own():
    def breaks(_):
        raise KeyError("x")

    found = list(
        examine(Patient("s", None), [("a", breaks), ("b", lambda _: [Finding("b", "ok", "fine")])])
    )

    assert [item.status for item in found] == ["unseen", "ok"]
    assert "this check itself failed (KeyError: 'x')" in found[0].said


@pytest.mark.parametrize(("off", "status"), [(0.0, "ok"), (-59.0, "ok"), (400.0, "wrong")])
def test_a_clock_that_is_off_is_told(off, status):
    now = 1_795_168_800.0
    stack = SimpleNamespace(lake_bucket="lake", clients=SimpleNamespace())
    stack.clients.s3 = Told(head_bucket=dated(now - off))
    patient = Patient("s", lambda _: stack)
    patient.found()

    (finding,) = checkup_here.clock(patient, now=lambda: now)

    assert finding.status == status
    if off:
        assert ("ahead of" if off > 0 else "behind") in finding.said


def test_no_credentials_is_wrong_and_says_how_to_come_by_some(whole, monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")

    (finding,) = checkup_here.credentials(Patient("s", None))

    assert finding.status == "wrong"
    assert 'eval "$(tidemill env)"' in finding.fix


def test_a_local_cloud_elsewhere_is_told(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")
    monkeypatch.setattr(checkup_here, "running_local_cloud", lambda: "http://127.0.0.1:4599")

    (finding,) = checkup_here.local_cloud(Patient("s", None))

    assert (finding.status, finding.fix) == ("wrong", 'eval "$(tidemill env)"')


def test_an_endpoint_at_which_nothing_answers_is_wrong(monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{free.getsockname()[1]}"
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setattr(checkup_here, "running_local_cloud", lambda: None)

    (finding,) = checkup_here.local_cloud(Patient("s", None))

    assert (finding.status, finding.fix) == ("wrong", "tidemill up")
    with socket.socket() as other:
        other.bind(("127.0.0.1", int(endpoint.rpartition(":")[2])))
        other.listen()
        (finding,) = checkup_here.local_cloud(Patient("s", None))
    assert finding.status == "unseen"


def test_without_a_region_the_variable_is_named(monkeypatch, tmp_path):
    for name in ("AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_REGION", "eu-west-1")  # boto3 does not read it

    (finding,) = checkup_here.region(Patient("s", None))

    assert (finding.status, finding.fix) == ("wrong", "export AWS_DEFAULT_REGION=eu-west-1")
