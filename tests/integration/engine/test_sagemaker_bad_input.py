"""What no client would send: SageMaker answers in its own words, and answers the next as well."""

import http.client
import json
import socket
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

MEGABYTE = 1024 * 1024
LONGEST = 32 * MEGABYTE
SIGNED = (
    "AWS4-HMAC-SHA256 Credential=000000000000/20261122/us-east-1/sagemaker/aws4_request, "
    "SignedHeaders=host, Signature=00"
)
ROLE = "arn:aws:iam::000000000000:role/anything"


def post(cloud, body=b"{}", path="/", **headers):
    """Return (status, error's name, document, headers)."""
    connection = http.client.HTTPConnection("127.0.0.1", cloud.port, timeout=60)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request("POST", path, body, named)
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    assert answer.headers["x-amzn-RequestId"]
    return answer.status, answer.headers["x-amzn-ErrorType"], json.loads(text), answer.headers


@pytest.fixture
def still_up(cloud):
    yield cloud
    status, _, document, _ = post(cloud, X_Amz_Target="SageMaker.ListModels")
    assert (status, list(document)) == (200, ["Models"])


@pytest.mark.parametrize(
    "body",
    [b"{", b"nonsense", b"[1]", b'{"NameContains": "\xff\xfe"}', '{"a": 1}'.encode("utf-16"),
     b"\x00" * 1_000, b"[" * 200_000, b'{"MaxResults": ' + b"9" * 10_000 + b"}"],
)  # fmt: skip
def test_a_body_that_is_no_json_of_a_request(still_up, body):
    status, code, document, headers = post(still_up, body, X_Amz_Target="SageMaker.ListModels")

    assert (status, code) == (400, "SerializationException")
    assert document["__type"] == code
    assert document["message"]
    assert headers["Content-Type"] == "application/x-amz-json-1.1"


@pytest.mark.parametrize("operation", ["", "ListCoffee", "listModels", "x" * 5_000])
def test_an_operation_that_does_not_exist(still_up, operation):
    status, code, document, _ = post(still_up, X_Amz_Target=f"SageMaker.{operation}")

    assert (status, code) == (400, "UnknownOperationException")
    assert "is not a SageMaker operation" in document["message"]


@pytest.mark.parametrize("path", ["/", "/endpoints", "/endpoints//invocations", "/endpoints/a/b/c"])
def test_a_request_for_sagemaker_that_names_no_operation(still_up, path):
    status, code, document, _ = post(still_up, path=path, Authorization=SIGNED)

    assert (status, code) == (400, "ValidationError")
    assert f"POST {path} is not offered" in document["message"]


def test_a_target_of_another_service_is_that_services(still_up):
    connection = http.client.HTTPConnection("127.0.0.1", still_up.port, timeout=60)
    target = {"X-Amz-Target": "AWSNoSuchService.ListModels", "Authorization": SIGNED}
    connection.request("POST", "/", b"{}", target)
    answer = connection.getresponse()
    text = answer.read()
    connection.close()

    assert 400 <= answer.status < 500, text


def test_six_megabytes_and_one_byte_for_a_model(still_up):
    status, code, document, _ = post(
        still_up, bytes(6 * MEGABYTE + 1), "/endpoints/none/invocations"
    )

    assert (status, code) == (400, "ValidationError")
    assert "Member must have length less than or equal to 6291456" in document["message"]


@pytest.mark.parametrize("path", ["/", "/endpoints/none/invocations"])
def test_a_body_larger_than_any_is_not_kept(still_up, path):
    target = {"X_Amz_Target": "SageMaker.ListModels"} if path == "/" else {}
    status, code, document, _ = post(still_up, bytes(LONGEST + 1), path, **target)

    assert (status, code) == (413, "RequestEntityTooLargeException")
    assert document["message"].startswith(f"the request's body has {LONGEST + 1} bytes")


@pytest.mark.parametrize(
    "name", ["none", "a%2Fb", "%ff%fe", "..%2f..%2fetc", "x" * 3_000, "%00", "a%0d%0aX-Evil:%201"]
)
def test_an_endpoint_that_cannot_be(still_up, name):
    status, code, document, headers = post(still_up, b"1", f"/endpoints/{name}/invocations")

    assert (status, code) == (400, "ValidationError")
    assert document["message"]
    assert "X-Evil" not in headers


@pytest.mark.parametrize(
    "header",
    [{"X_Amzn_SageMaker_Custom_Attributes": "a" * 1025}, {"X_Amzn_SageMaker_Inference_Id": "\xe9"},
     {"X_Amzn_SageMaker_Target_Variant": "a" * 64}, {"Content_Type": "\xff\xff"}],
)  # fmt: skip
def test_headers_that_no_client_sends(still_up, header):
    status, code, _, _ = post(still_up, b"1", "/endpoints/none/invocations", **header)

    assert (status, code) == (400, "ValidationError")


def test_who_leaves_in_the_middle_of_a_request_changes_nothing(still_up):
    name = f"half-{uuid.uuid4().hex[:8]}"
    body = json.dumps({"ModelPackageGroupName": name}).encode()
    with socket.create_connection(("127.0.0.1", still_up.port)) as line:
        line.sendall(
            b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Amz-Target: SageMaker."
            b"CreateModelPackageGroup\r\nContent-Length: %d\r\n\r\n" % (len(body) + 1) + body
        )

    groups = still_up.client("sagemaker").list_model_package_groups(NameContains=name)
    assert groups["ModelPackageGroupSummaryList"] == []


@pytest.mark.parametrize(
    ("operation", "member", "most"),
    [("CreateModelPackageGroup", "ModelPackageGroupName", 63),
     ("CreatePipeline", "PipelineName", 256),
     ("CreateEndpointConfig", "EndpointConfigName", 63)],
)  # fmt: skip
def test_a_name_at_its_limit_is_taken_and_one_over_it_is_not(still_up, operation, member, most):
    request = {
        "CreateModelPackageGroup": {},
        "CreatePipeline": {
            "PipelineDefinition": '{"Version": "2020-12-01", "Steps": [{"Name": "F",'
            ' "Type": "Fail", "Arguments": {"ErrorMessage": "m"}}]}',
            "RoleArn": ROLE,
            "ClientRequestToken": "t" * 32,
        },
        "CreateEndpointConfig": {
            "ProductionVariants": [
                {"VariantName": "A", "ModelName": "none", "InstanceType": "ml.m5.large",
                 "InitialInstanceCount": 1}
            ]
        },
    }[operation]  # fmt: skip
    start = uuid.uuid4().hex[:12]

    def named(length):
        body = json.dumps(request | {member: start + "x" * (length - len(start))}).encode()
        return post(still_up, body, X_Amz_Target=f"SageMaker.{operation}")

    status, _, document, _ = named(most)
    assert status == 200 or "Could not find model" in document["message"], document
    status, code, document, _ = named(most + 1)
    assert (status, code) == (400, "ValidationException")
    assert f"Member must have length less than or equal to {most}" in document["message"]


def test_of_many_who_create_one_name_at_once_one_does(still_up):
    name = f"race-{uuid.uuid4().hex[:8]}"
    job = {
        "ProcessingJobName": name,
        "RoleArn": ROLE,
        "AppSpecification": {"ImageUri": "000000000000.dkr.ecr.us-east-1.amazonaws.com/none:1"},
        "ProcessingResources": {"ClusterConfig": {
            "InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1}},
    }  # fmt: skip
    group = {"ModelPackageGroupName": name}
    for operation, request, code in (
        ("CreateModelPackageGroup", group, "ValidationException"),
        ("CreateProcessingJob", job, "ResourceInUse"),
    ):
        body = json.dumps(request).encode()
        target = {"X_Amz_Target": f"SageMaker.{operation}"}
        with ThreadPoolExecutor(12) as pool:
            asked = [pool.submit(post, still_up, body, **target) for _ in range(12)]
        answers = [each.result()[:2] for each in asked]
        assert answers.count((200, None)) == 1
        assert answers.count((400, code)) == 11
