"""Endpoints really serve: they start, answer as the runtime does, or fail with a cause."""

import json
import tarfile

import pytest

from tidemill_local.sagemaker.hosting import configurations as hosting_module
from tidemill_local.sagemaker.hosting import invocation

from .conftest import ACCOUNT, eventually
from .model_servers import BROKEN, SICK, Hosting, archive, refused, said, statuses


@pytest.fixture
def hosting(cloud, s3, bucket):
    return Hosting(cloud, s3, bucket)


def test_endpoint_answers_as_sagemaker_does(hosting):
    name = hosting.endpoint(hosting.config(hosting.model("a", Environment={"GIVEN": "here"})))

    answer = hosting.invoke(
        name,
        b"[1, 2]",
        ContentType="application/json",
        Accept="application/json",
        CustomAttributes="team=a",
        InferenceId="id-1",
    )

    assert answer["InvokedProductionVariant"] == "AllTraffic"
    assert answer["ContentType"] == "application/json"
    assert answer["CustomAttributes"] == "seen=yes"
    body = said(answer)
    assert (body["model"], body["text"], body["env"]) == ("a", "[1, 2]", "here")
    assert body["argv"] == ["serve"]
    assert body["headers"]["content-type"] == "application/json"
    assert body["headers"]["accept"] == "application/json"
    assert body["headers"]["x-amzn-sagemaker-custom-attributes"] == "team=a"
    assert body["headers"]["x-amzn-sagemaker-inference-id"] == "id-1"


def test_endpoint_is_described_and_announced(hosting):
    model = hosting.model()
    config = hosting.config(variants=[hosting.variant(model, count=2)])
    name = hosting.endpoint(
        config, EndpointName="Upper-Case", Tags=[{"Key": "project", "Value": "p"}]
    )

    described = hosting.sagemaker.describe_endpoint(EndpointName=name)
    arn = f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:endpoint/upper-case"
    assert described["EndpointArn"] == arn
    assert described["EndpointConfigName"] == config
    (variant,) = described["ProductionVariants"]
    (image,) = variant.pop("DeployedImages")
    assert image["SpecifiedImage"] == hosting.echo
    assert variant == {
        "VariantName": "AllTraffic",
        "CurrentWeight": 1.0,
        "DesiredWeight": 1.0,
        "CurrentInstanceCount": 2,
        "DesiredInstanceCount": 2,
    }
    assert "PendingDeploymentSummary" not in described
    first, last = hosting.cloud.details("Endpoint", "upper-case", until="IN_SERVICE")
    assert (first["EndpointStatus"], last["EndpointStatus"]) == ("CREATING", "IN_SERVICE")
    assert last["EndpointName"] == "Upper-Case"
    assert last["EndpointConfigName"] == config
    assert last["Tags"] == {"project": "p"}
    assert isinstance(last["CreationTime"], int)
    assert last["CreationTime"] > 1_700_000_000_000
    listed = hosting.sagemaker.list_endpoints(StatusEquals="InService")["Endpoints"]
    assert [endpoint["EndpointName"] for endpoint in listed] == [name]
    assert hosting.sagemaker.list_endpoints(StatusEquals="Failed")["Endpoints"] == []


def test_serving_logs_reach_cloudwatch(hosting, logs):
    name = hosting.endpoint()
    group = f"/aws/sagemaker/Endpoints/{name}"

    def messages():
        found = logs.describe_log_streams(logGroupName=group)["logStreams"]
        return [
            event["message"]
            for stream in found
            for event in logs.get_log_events(
                logGroupName=group, logStreamName=stream["logStreamName"]
            )["events"]
        ]

    eventually(
        lambda: group in {g["logGroupName"] for g in logs.describe_log_groups()["logGroups"]},
        "the log group exists",
    )
    eventually(lambda: "loaded a" in messages(), "the line arrives")
    (stream,) = logs.describe_log_streams(logGroupName=group)["logStreams"]
    assert stream["logStreamName"].startswith("AllTraffic/i-")


def test_names_differ_in_more_than_letter_case(hosting):
    config = hosting.config()
    hosting.endpoint(config, EndpointName="one")

    for name in ("one", "ONE"):
        refused(
            hosting.sagemaker.create_endpoint,
            "Cannot create already existing endpoint",
            EndpointName=name,
            EndpointConfigName=config,
        )


def test_endpoint_needs_a_configuration(hosting):
    refused(
        hosting.sagemaker.create_endpoint,
        "Could not find endpoint configuration",
        EndpointName="e",
        EndpointConfigName="nobody",
    )


@pytest.mark.parametrize("call", ["describe_endpoint", "delete_endpoint", "update_endpoint"])
def test_unknown_endpoint(hosting, call):
    request = {"EndpointConfigName": hosting.config()} if call == "update_endpoint" else {}

    refused(
        getattr(hosting.sagemaker, call), "Could not find endpoint", EndpointName="e", **request
    )


def test_invoking_what_is_not_there(hosting):
    refused(
        hosting.runtime.invoke_endpoint,
        f"Endpoint nobody of account {ACCOUNT} not found.",
        code="ValidationError",
        EndpointName="nobody",
        Body=b"",
    )


def test_body_that_is_too_large(hosting):
    name = hosting.endpoint()

    full = hosting.invoke(name, bytes(6_291_456))
    assert said(full)["length"] == 6_291_456
    status, headers, body = hosting.cloud.service.invoke(
        "POST", f"/endpoints/{name}/invocations", {}, bytes(6_291_457)
    )

    assert status == 400
    assert headers["x-amzn-ErrorType"] == "ValidationError"
    assert "less than or equal to 6291456" in json.loads(body)["message"]


@pytest.mark.parametrize(
    ("method", "path", "headers", "says"),
    [
        ("GET", "/endpoints/e/invocations", {}, "offers POST"),
        ("GET", "/endpoints/e/async-invocations", {}, "offers POST"),
        (
            "POST",
            "/endpoints/e/invocations",
            {"X-Amzn-SageMaker-Target-Container-Hostname": "m"},
            "Target-Container-Hostname",
        ),
        (
            "POST",
            "/endpoints/e/invocations",
            {"X-Amzn-SageMaker-Custom-Attributes": "a" * 1025},
            "Custom-Attributes",
        ),
    ],
)
def test_requests_that_the_runtime_refuses(cloud, method, path, headers, says):
    status, _, body = cloud.service.invoke(method, path, headers, b"")

    assert status == 400
    assert says in json.loads(body)["message"]


@pytest.mark.parametrize(("status", "side"), [(500, "server"), (503, "server"), (400, "client")])
def test_container_that_answers_an_error(hosting, status, side):
    name = hosting.endpoint()

    with pytest.raises(hosting.runtime.exceptions.ModelError) as raised:
        hosting.invoke(name, f"fail {status}".encode())

    response = raised.value.response
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert response["OriginalStatusCode"] == status
    assert response["OriginalMessage"] == "the model is unwell"
    assert response["LogStreamArn"].endswith(f":log-group:/aws/sagemaker/Endpoints/{name}")
    assert f"Received {side} error ({status})" in response["Error"]["Message"]


def test_container_that_takes_too_long(hosting, monkeypatch):
    monkeypatch.setattr(invocation, "INVOCATION_SECONDS", 0.2)
    name = hosting.endpoint()

    with pytest.raises(hosting.runtime.exceptions.ModelError) as raised:
        hosting.invoke(name, b"sleep 5")

    assert raised.value.response["OriginalStatusCode"] == 0
    assert "timed out" in raised.value.response["Error"]["Message"]


def test_container_that_exits_fails_the_endpoint(hosting):
    model = hosting.model(image=hosting.cloud.image(BROKEN))
    hosting.sagemaker.create_endpoint(EndpointName="e", EndpointConfigName=hosting.config(model))

    described = hosting.settled("e")

    assert described["EndpointStatus"] == "Failed"
    reason = described["FailureReason"]
    assert "variant AllTraffic did not pass the ping health check" in reason
    assert "exited with status 1" in reason
    assert "ValueError: this is no ONNX file" in reason
    assert statuses(hosting.cloud, "/e") == ["CREATING", "FAILED"]


def test_container_that_never_gets_healthy_fails_the_endpoint(hosting, monkeypatch):
    monkeypatch.setattr(hosting_module, "STARTUP_SECONDS", 0.5)
    model = hosting.model(image=hosting.cloud.image(SICK))
    hosting.sagemaker.create_endpoint(EndpointName="e", EndpointConfigName=hosting.config(model))

    described = hosting.settled("e")

    assert described["EndpointStatus"] == "Failed"
    assert "did not answer 200 within 0.5 s" in described["FailureReason"]


def test_failed_endpoint_accepts_only_delete(hosting):
    model = hosting.model(image=hosting.cloud.image(BROKEN))
    hosting.sagemaker.create_endpoint(EndpointName="e", EndpointConfigName=hosting.config(model))
    hosting.settled("e")

    refused(
        hosting.sagemaker.update_endpoint,
        "Cannot update failed endpoint",
        EndpointName="e",
        EndpointConfigName=hosting.config(),
    )
    refused(
        hosting.runtime.invoke_endpoint,
        "not found",
        code="ValidationError",
        EndpointName="e",
        Body=b"",
    )
    hosting.sagemaker.delete_endpoint(EndpointName="e")

    assert hosting.settled("e") is None
    assert hosting.endpoint(EndpointName="e") == "e"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (archive([("../name.txt", b"x")]), "leads out of the directory"),
        (archive([("name.txt", b"x"), ("link", tarfile.SYMTYPE)]), "link or a device"),
        (b"no archive", "cannot be read"),
    ],
    ids=["dots", "link", "damaged"],
)
def test_hostile_archive_fails_the_endpoint(hosting, content, says):
    model = hosting.model(uri=hosting.put_model(content))
    hosting.sagemaker.create_endpoint(EndpointName="e", EndpointConfigName=hosting.config(model))

    described = hosting.settled("e")

    assert described["EndpointStatus"] == "Failed"
    assert says in described["FailureReason"]


def test_model_data_that_vanished_fails_the_endpoint(hosting, s3):
    uri = hosting.put_model()
    config = hosting.config(hosting.model(uri=uri))
    s3.delete_object(Bucket=hosting.bucket, Key=uri.split("/", 3)[3])
    hosting.sagemaker.create_endpoint(EndpointName="e", EndpointConfigName=config)

    described = hosting.settled("e")

    assert described["EndpointStatus"] == "Failed"
    assert uri in described["FailureReason"]


def test_image_without_a_command_fails_the_endpoint(hosting):
    config = hosting.config(hosting.model(image="somewhere/unknown:1"))
    hosting.sagemaker.create_endpoint(EndpointName="e", EndpointConfigName=config)

    described = hosting.settled("e")

    assert described["EndpointStatus"] == "Failed"
    assert "tidemill images add" in described["FailureReason"]


def test_uncompressed_model_is_served_from_its_prefix(hosting, s3):
    s3.put_object(Bucket=hosting.bucket, Key="plain/name.txt", Body=b"plain")
    hosting.sagemaker.create_model(
        ModelName="plain",
        PrimaryContainer={
            "Image": hosting.echo,
            "ModelDataSource": {
                "S3DataSource": {
                    "S3Uri": f"s3://{hosting.bucket}/plain/",
                    "S3DataType": "S3Prefix",
                    "CompressionType": "None",
                }
            },
        },
    )

    name = hosting.endpoint(hosting.config("plain"))

    assert said(hosting.invoke(name))["model"] == "plain"
