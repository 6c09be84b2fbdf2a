"""The requests that put a version behind an endpoint, and who captures its traffic."""

import json
from dataclasses import replace

import pytest
from botocore.session import Session
from botocore.validate import ParamValidator

from tidemill.pipeline.hosting import VARIANT, requests
from tidemill.pipeline.own_capture import hash_key, is_own
from tidemill.spec.compiled import Capture, Serverless
from tidemill_jobs.capture.rule import Rule
from tidemill_jobs.container import WORKERS, Container

IMAGE = "000000000000.dkr.ecr.us-east-1.amazonaws.com/tidemill-jobs:local"
PACKAGE = {
    "InferenceSpecification": {
        "Containers": [
            {"Image": IMAGE, "ModelDataUrl": "s3://a/m.tar.gz", "Environment": {"GIVEN": "1"}}
        ]
    }
}


@pytest.fixture
def ask(spec):
    def ask(*, serverless=None, **capture):
        changed = replace(
            spec,
            watch=replace(spec.watch, capture=Capture(**capture)),
            deploy=replace(spec.deploy, serverless=serverless),
        )
        made = requests(
            "tm--flights--delay--1",
            changed,
            PACKAGE,
            endpoint="tm--flights--delay",
            role_arn="arn:aws:iam::000000000000:role/jobs",
            lake_bucket="lake",
            artifact_bucket="artifacts",
            tags={"stack": "tm"},
        )
        service = Session().get_service_model("sagemaker")
        for operation, request in zip(
            ("CreateModel", "CreateEndpointConfig"), made.values(), strict=True
        ):
            shape = service.operation_model(operation).input_shape
            report = ParamValidator().validate(request, shape)
            assert not report.has_errors(), report.generate_report()
        environment = made["create_model"]["PrimaryContainer"]["Environment"]
        assert environment.pop("GIVEN") == "1"
        assert all(len(value) <= 1_024 for value in environment.values())
        assert environment.get(WORKERS) == ("1" if serverless else None)
        told = Container(None, environment).capture
        return made["create_config"], json.loads(told) if told else None

    return ask


def test_sagemaker_captures_everything_of_an_endpoint_with_instances(ask):
    config, told = ask()

    assert told is None
    assert config["ProductionVariants"] == [
        {
            "VariantName": VARIANT,
            "ModelName": "tm--flights--delay--1",
            "InstanceType": "ml.m5.large",
            "InitialInstanceCount": 1,
            "InitialVariantWeight": 1,
        }
    ]
    capture = config["DataCaptureConfig"]
    assert capture["InitialSamplingPercentage"] == 100
    assert capture["DestinationS3Uri"] == "s3://lake/capture/flights/delay"


def test_a_share_is_sampled_and_none_is_not_captured(ask):
    assert ask(percent=20)[0]["DataCaptureConfig"]["InitialSamplingPercentage"] == 20
    config, told = ask(percent=0, redact={"tail": "hash"})
    assert "DataCaptureConfig" not in config
    assert told is None


def test_with_redaction_the_container_captures_and_sagemaker_does_not(ask):
    config, told = ask(percent=20, redact={"tail": "hash", "name": "drop"})

    assert "DataCaptureConfig" not in config
    assert told == {
        "uri": "s3://lake/capture/flights/delay",
        "endpoint": "tm--flights--delay",
        "variant": VARIANT,
        "percent": 20,
        "redact": {"tail": "hash", "name": "drop"},
        "key_uri": "s3://artifacts/keys/flights/delay/capture",
    }


def test_dropping_needs_no_key(ask):
    _, told = ask(redact={"name": "drop"})

    assert "key_uri" not in told


def test_a_serverless_endpoint_has_memory_instead_of_instances_and_captures_itself(ask):
    config, told = ask(serverless=Serverless(memory_mb=2048, max_concurrency=8))

    assert config["ProductionVariants"] == [
        {
            "VariantName": VARIANT,
            "ModelName": "tm--flights--delay--1",
            "InitialVariantWeight": 1,
            "ServerlessConfig": {"MemorySizeInMB": 2048, "MaxConcurrency": 8},
        }
    ]
    assert "DataCaptureConfig" not in config
    assert told["redact"] == {}
    assert told["flush_seconds"] == 5.0


def test_the_container_understands_what_it_is_told_however_long(ask):
    redact = {f"a column with the long name {n} é": "hash" for n in range(400)}

    _, told = ask(redact=redact)

    rule = Rule.parse(json.dumps(told))
    assert rule.redact == redact
    assert rule.prefix == "capture/flights/delay"
    assert rule.object_uri("x") == "s3://lake/x"


def test_without_hashes_there_is_no_key(spec):
    assert hash_key(spec, "artifacts") == ""
    assert not is_own(spec)
