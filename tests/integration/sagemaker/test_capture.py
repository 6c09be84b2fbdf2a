"""Data capture of a live endpoint, as it lies in S3."""

import base64
import json
import re
from datetime import UTC, datetime, timedelta

import pytest

from tidemill_local.sagemaker.hosting import invocation

from .conftest import eventually
from .model_servers import CSV_AND_JSON, Hosting


@pytest.fixture
def hosting(cloud, s3, bucket):
    return Hosting(cloud, s3, bucket)


def capture_config(bucket, **changes):
    return {
        "EnableCapture": True,
        "InitialSamplingPercentage": 100,
        "DestinationS3Uri": f"s3://{bucket}/capture/p/m",
        "CaptureOptions": [{"CaptureMode": "InputAndOutput"}],
        "CaptureContentTypeHeader": CSV_AND_JSON,
    } | changes


def captured(s3, bucket):
    found = s3.list_objects_v2(Bucket=bucket, Prefix="capture/").get("Contents", [])
    lines = []
    for item in found:
        body = s3.get_object(Bucket=bucket, Key=item["Key"])["Body"].read().decode()
        lines += [(item["Key"], json.loads(line)) for line in body.splitlines()]
    return lines


def test_requests_and_answers_are_captured(hosting, s3, bucket):
    name = hosting.endpoint(hosting.config(DataCaptureConfig=capture_config(bucket)))
    hosting.invoke(
        name, b"1,2,3", ContentType="text/csv", InferenceId="row-1", CustomAttributes="a=b"
    )
    hosting.invoke(name, b'{"x":1}', ContentType="application/json")
    hosting.invoke(name, b"png", ContentType="image/png")

    eventually(lambda: len(captured(s3, bucket)) == 3, "three lines arrive")

    by_type = {
        line["captureData"]["endpointInput"]["observedContentType"]: (key, line)
        for key, line in captured(s3, bucket)
    }
    key, line = by_type["text/csv"]
    assert re.fullmatch(
        rf"capture/p/m/{name}/AllTraffic/\d{{4}}/\d\d/\d\d/\d\d/"
        r"\d\d-\d\d-\d{3}-[0-9a-f-]{36}\.jsonl",
        key,
    )
    assert line["captureData"] == {
        "endpointInput": {
            "observedContentType": "text/csv",
            "mode": "INPUT",
            "data": "1,2,3",
            "encoding": "CSV",
        },
        "endpointOutput": {
            "observedContentType": "text/csv; charset=utf-8",
            "mode": "OUTPUT",
            "data": "0.5",
            "encoding": "CSV",
        },
    }
    assert line["eventMetadata"]["inferenceId"] == "row-1"
    assert line["eventMetadata"]["customAttributes"] == ["a=b"]
    assert line["eventVersion"] == "0"
    document = by_type["application/json"][1]["captureData"]
    assert document["endpointInput"]["encoding"] == "JSON"
    assert json.loads(document["endpointOutput"]["data"])["text"] == '{"x":1}'
    picture = by_type["image/png"][1]["captureData"]["endpointOutput"]
    assert picture["encoding"] == "BASE64"
    assert base64.b64decode(picture["data"]) == bytes([0x89, 0x50, 0xFF])


def test_capture_is_described(hosting, bucket):
    config = capture_config(bucket, InitialSamplingPercentage=20)
    name = hosting.endpoint(hosting.config(DataCaptureConfig=config))

    described = hosting.sagemaker.describe_endpoint(EndpointName=name)
    assert described["DataCaptureConfig"] == {
        "EnableCapture": True,
        "CaptureStatus": "Started",
        "CurrentSamplingPercentage": 20,
        "DestinationS3Uri": f"s3://{bucket}/capture/p/m",
        "KmsKeyId": "",
    }


def test_a_share_of_the_requests_is_captured(hosting, s3, bucket):
    config = capture_config(bucket, InitialSamplingPercentage=50)
    name = hosting.endpoint(hosting.config(DataCaptureConfig=config))
    for _ in range(200):
        hosting.invoke(name, b"1,2", ContentType="text/csv")
    hosting.sagemaker.delete_endpoint(EndpointName=name)
    hosting.settled(name)

    lines = [line for _, line in captured(s3, bucket)]
    assert 55 < len(lines) < 145  # beyond by chance: once in ten million million
    ids = {line["eventMetadata"]["eventId"] for line in lines}
    assert len(ids) == len(lines)
    assert all("inferenceId" not in line["eventMetadata"] for line in lines)


def test_an_hour_has_keys_of_its_own(hosting, s3, bucket, monkeypatch):
    name = hosting.endpoint(hosting.config(DataCaptureConfig=capture_config(bucket)))
    for minute, second in ((59, 59), (60, 0), (60, 1)):
        at = datetime(2026, 11, 20, 10, tzinfo=UTC) + timedelta(minutes=minute, seconds=second)
        monkeypatch.setattr(invocation, "now", lambda at=at: at)
        hosting.invoke(name, b"1,2", ContentType="text/csv", InferenceId=f"{minute}-{second}")
    hosting.sagemaker.delete_endpoint(EndpointName=name)
    hosting.settled(name)

    found = sorted(
        (key.split("AllTraffic/")[1].rpartition("/")[0], line["eventMetadata"]["inferenceId"])
        for key, line in captured(s3, bucket)
    )
    assert found == [
        ("2026/11/20/10", "59-59"),
        ("2026/11/20/11", "60-0"),
        ("2026/11/20/11", "60-1"),
    ]


def test_what_is_pending_is_written_when_the_service_stops(make_cloud, s3, bucket):
    cloud = make_cloud()
    hosting = Hosting(cloud, s3, bucket)
    name = hosting.endpoint(hosting.config(DataCaptureConfig=capture_config(bucket)))
    for _ in range(7):
        hosting.invoke(name, b"1,2", ContentType="text/csv")
    cloud.stop()

    assert len(captured(s3, bucket)) == 7


def test_what_the_old_fleet_captured_survives_an_update(hosting, s3, bucket):
    capture = capture_config(bucket)
    name = hosting.endpoint(hosting.config(DataCaptureConfig=capture))
    hosting.invoke(name, b"1,2", ContentType="text/csv")
    hosting.sagemaker.update_endpoint(
        EndpointName=name,
        EndpointConfigName=hosting.config(),
        RetainAllVariantProperties=True,
    )
    assert hosting.settled(name)["DataCaptureConfig"]["CaptureStatus"] == "Started"
    hosting.invoke(name, b"1,2", ContentType="text/csv")

    eventually(lambda: len(captured(s3, bucket)) == 2, "both lines arrive")


@pytest.mark.parametrize(
    "changes", [{"EnableCapture": False}, {"InitialSamplingPercentage": 0}], ids=["off", "none"]
)
def test_nothing_is_captured_unasked(hosting, s3, bucket, changes):
    name = hosting.endpoint(hosting.config(DataCaptureConfig=capture_config(bucket, **changes)))
    hosting.invoke(name)
    hosting.sagemaker.delete_endpoint(EndpointName=name)
    hosting.settled(name)

    assert captured(s3, bucket) == []


def test_errors_are_not_captured(hosting, s3, bucket):
    name = hosting.endpoint(hosting.config(DataCaptureConfig=capture_config(bucket)))
    with pytest.raises(hosting.runtime.exceptions.ModelError):
        hosting.invoke(name, b"fail 500")
    hosting.sagemaker.delete_endpoint(EndpointName=name)
    hosting.settled(name)

    assert captured(s3, bucket) == []


def test_a_bucket_that_is_missing_does_not_harm_answers(hosting):
    capture = capture_config("nobody-s-bucket")
    name = hosting.endpoint(hosting.config(DataCaptureConfig=capture))

    for _ in range(5):
        assert hosting.invoke(name)["ResponseMetadata"]["HTTPStatusCode"] == 200
