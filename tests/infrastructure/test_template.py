"""What must hold of the stack's resources, as tests rather than as review comments."""

import tomllib

import pytest

from tidemill.adapters.watch_reports import MOST_PAST
from tidemill.domain.drift import LATE_WINDOWS
from tidemill.domain.truth import RETENTION_DAYS
from tidemill.spec.authored_watch import Drift

from .template_model import (
    ROOT,
    TEMPLATE,
    load_template,
    of_type,
    property_of,
    references,
    statements,
)

SOURCE = load_template()
RETAINED = {"Retain", "RetainExceptOnCreate"}
LONGEST_LAMBDA_SECONDS = 900
LONGEST_WINDOW_DAYS = 7  # watch.every's bound


def each(*types):
    return pytest.mark.parametrize("name", of_type(SOURCE, *types))


def test_the_template_has_what_these_tests_look_at(template):
    assert TEMPLATE.exists()
    there = {resource["Type"] for resource in template["Resources"].values()}
    assert {
        "AWS::Serverless::Function",
        "AWS::Serverless::StateMachine",
        "AWS::Serverless::LayerVersion",
        "AWS::DynamoDB::Table",
        "AWS::S3::Bucket",
        "AWS::SQS::Queue",
        "AWS::Logs::LogGroup",
    } <= there


# ── functions ────────────────────────────────────────────────────────────────


@each("AWS::Serverless::Function")
def test_a_function_has_a_deadline(name, template):
    seconds = property_of(template, name, "Timeout")
    assert isinstance(seconds, int), "set Timeout; Lambda's own default is 3 seconds"
    assert 0 < seconds <= LONGEST_LAMBDA_SECONDS


@each("AWS::Serverless::Function")
def test_a_function_says_what_it_is_for(name, template):
    assert template["Resources"][name]["Properties"].get("Description")


@each("AWS::Serverless::Function")
def test_a_function_logs_to_a_group_of_the_stack(name, template):
    """Else Lambda makes one of its own, which never expires."""
    logging = property_of(template, name, "LoggingConfig") or {}
    groups = of_type(template, "AWS::Logs::LogGroup")
    assert set(references(logging.get("LogGroup"))) & groups.keys()


@each("AWS::Serverless::Function", "AWS::Serverless::StateMachine")
def test_no_two_share_a_role(name, template):
    roles = [
        resource["Properties"]["Role"]
        for resource in template["Resources"].values()
        if "Role" in resource["Properties"] and resource["Type"].startswith("AWS::Serverless::")
    ]
    assert roles.count(template["Resources"][name]["Properties"].get("Role")) <= 1


# ── what persists ────────────────────────────────────────────────────────────


@each("AWS::DynamoDB::Table", "AWS::S3::Bucket")
def test_data_outlives_the_stack(name, template):
    resource = template["Resources"][name]
    assert resource.get("DeletionPolicy") in RETAINED
    assert resource.get("UpdateReplacePolicy") in RETAINED


@each("AWS::DynamoDB::Table")
def test_a_table_can_be_restored_and_is_encrypted(name, template):
    table = template["Resources"][name]["Properties"]
    recovery = table.get("PointInTimeRecoverySpecification", {})
    assert recovery.get("PointInTimeRecoveryEnabled") is True
    assert table.get("SSESpecification", {}).get("SSEEnabled") is True
    assert table.get("BillingMode") == "PAY_PER_REQUEST"


def test_the_ledger_s_stream_tells_what_was_and_what_is(template):
    table = template["Resources"]["LedgerTable"]["Properties"]
    assert table["StreamSpecification"] == {"StreamViewType": "NEW_AND_OLD_IMAGES"}


@each("AWS::Serverless::Function")
def test_a_stream_s_reader_keeps_what_it_cannot_take(name, template):
    events = template["Resources"][name]["Properties"].get("Events", {})
    for event in events.values():
        if event["Type"] in ("DynamoDB", "Kinesis"):
            source = event["Properties"]
            assert source["StartingPosition"] == "TRIM_HORIZON", "else what came first is lost"
            assert source["BisectBatchOnFunctionError"] is True
            assert source["MaximumRetryAttempts"] < 10_000
            assert source["MaximumRecordAgeInSeconds"] < 86_400, "sooner than the stream forgets"
            (queue,) = references(source["DestinationConfig"]["OnFailure"]["Destination"])
            assert template["Resources"][queue]["Type"] == "AWS::SQS::Queue"


def test_anchors_are_locked(template):
    bucket = template["Resources"]["AnchorBucket"]["Properties"]
    assert bucket["ObjectLockEnabled"] is True
    retention = bucket["ObjectLockConfiguration"]["Rule"]["DefaultRetention"]
    assert retention["Mode"] in ("GOVERNANCE", "COMPLIANCE")
    assert list(references(retention["Days"])) == ["AnchorRetentionDays"]


@each("AWS::S3::Bucket")
def test_a_bucket_keeps_versions_and_strangers_out(name, template):
    bucket = template["Resources"][name]["Properties"]
    assert bucket.get("VersioningConfiguration", {}).get("Status") == "Enabled"
    assert bucket.get("PublicAccessBlockConfiguration") == {
        "BlockPublicAcls": True,
        "BlockPublicPolicy": True,
        "IgnorePublicAcls": True,
        "RestrictPublicBuckets": True,
    }


@each("AWS::S3::Bucket")
def test_a_bucket_tells_eventbridge(name, template):
    notify = template["Resources"][name]["Properties"].get("NotificationConfiguration", {})
    assert notify.get("EventBridgeConfiguration", {}).get("EventBridgeEnabled") is True


@each("AWS::S3::Bucket")
def test_a_bucket_is_spoken_to_over_tls_only(name, template):
    policies = {
        owner
        for owner, policy in of_type(template, "AWS::S3::BucketPolicy").items()
        if name in references(policy["Properties"]["Bucket"])
    }
    denials = [
        s
        for s in statements(template)
        if s.owner in policies
        and s.body["Effect"] == "Deny"
        and s.actions == ["s3:*"]
        and s.body["Principal"] in ("*", {"AWS": "*"})
        and str(s.body.get("Condition", {}).get("Bool", {}).get("aws:SecureTransport")).lower()
        == "false"
    ]
    assert denials, "no statement denies s3:* without aws:SecureTransport"
    assert any({str(r).endswith("/*'}") for r in s.resources} == {True, False} for s in denials), (
        "deny both the bucket and what is in it"
    )


@each("AWS::Logs::LogGroup")
def test_logs_expire(name, template):
    assert template["Resources"][name]["Properties"].get("RetentionInDays")


def test_what_a_watch_writes_expires_after_everybody_who_reads_it(template):
    rules = property_of(template, "LakeBucket", "LifecycleConfiguration")["Rules"]
    (rule,) = [rule for rule in rules if rule.get("Prefix") == "watch/"]
    assert rule["Status"] == "Enabled"
    assert rule["NoncurrentVersionExpiration"]["NoncurrentDays"] >= 1, "summaries are rewritten"

    windows = max(MOST_PAST + 1, Drift.model_fields["of"].default + LATE_WINDOWS)
    needed = {
        "labels and predictions that are joined": RETENTION_DAYS + 1,
        "the windows that a look and its page go back to": windows * LONGEST_WINDOW_DAYS + 1,
    }
    assert {what: days for what, days in needed.items() if days >= rule["ExpirationInDays"]} == {}


# ── environments ─────────────────────────────────────────────────────────────


def keys(table, prefix=""):
    for key, value in table.items():
        if isinstance(value, dict):
            yield from keys(value, f"{prefix}{key}.")
        else:
            yield prefix + key


def test_every_environment_is_complete():
    """SAM does not inherit from `default`: what one environment sets, each must."""
    config = tomllib.loads((ROOT / "samconfig.toml").read_text())
    environments = {name: table for name, table in config.items() if isinstance(table, dict)}
    assert len(environments) > 1
    every = set().union(*map(keys, environments.values()))
    missing = {name: every - set(keys(table)) for name, table in environments.items()}
    assert {name: lacking for name, lacking in missing.items() if lacking} == {}
