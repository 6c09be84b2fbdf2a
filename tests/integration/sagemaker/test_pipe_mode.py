"""Pipe mode: channels streamed into FIFOs, one for each epoch."""

import gzip
import json
import struct

import pytest

from .job_requests import archive, channel

# Reads two epochs of every channel, the third not to its end, and the fourth of one.
READING = """
    import json, os, pathlib, shutil
    base = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"])
    data = base / "input" / "data"
    config = json.loads((base / "input/config/inputdataconfig.json").read_text())
    read = {name: [(data / f"{name}_{n}").read_bytes().hex() for n in (0, 1)] for name in config}
    first = sorted(config)[0]
    (data / f"{first}_2").open("rb").close()
    read["again"] = (data / f"{first}_3").read_bytes().hex()
    shutil.rmtree(data)  # nobody minds
    (base / "model/read.json").write_text(json.dumps({"config": config, "read": read}))
"""
# Reads until there is no more.
READER = """
    import os, pathlib
    pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"], "input/data/train_0").read_bytes()
"""


@pytest.fixture(scope="module")
def cloud(shared_cloud):
    return shared_cloud


@pytest.fixture
def lake(s3, bucket):
    return s3, bucket


def piped(name, uri, data_type="S3Prefix", *, source=None, **fields):
    made = channel(name, uri, data_type) | {"InputMode": "Pipe"} | fields
    made["DataSource"]["S3DataSource"] |= source or {}
    return made


def record(data):
    return struct.pack("<II", 0xCED7230A, len(data)) + data + bytes(-len(data) % 4)


def test_every_epoch_is_streamed_as_the_channel_says(cloud, s3, bucket):
    def put(key, body):
        s3.put_object(Bucket=bucket, Key=key, Body=body)
        return f"s3://{bucket}/{key}"

    put("packed/a", gzip.compress(b"one ") + gzip.compress(b"two "))
    put("packed/b", gzip.compress(b"three"))
    for number in range(9):
        put(f"shuffled/{number}", str(number).encode())
    image = put("image.png", b"\x89PNG!")
    lines = [{"image-ref": image, "cat": 1, "name": "Tom"}, {"image-ref": image, "cat": 0}]
    manifest = put("told.manifest", "\n".join(map(json.dumps, lines)).encode())
    name = cloud.train(
        cloud.image(READING),
        bucket=bucket,
        InputDataConfig=[
            piped("packed", f"s3://{bucket}/packed/", CompressionType="Gzip"),
            piped("shuffled", f"s3://{bucket}/shuffled/", ShuffleConfig={"Seed": 7}),
            piped(
                "told",
                manifest,
                "AugmentedManifestFile",
                source={"AttributeNames": ["image-ref", "cat"]},
                RecordWrapperType="RecordIO",
            ),
        ],
    )

    job = cloud.trained(name)
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    said = json.loads(archive(s3, bucket, f"models/{name}/output/model.tar.gz")["read.json"])
    assert said["config"]["told"]["TrainingInputMode"] == "Pipe"
    assert said["config"]["told"]["RecordWrapperType"] == "RecordIO"
    read = {
        key: [bytes.fromhex(epoch) for epoch in epochs]
        for key, epochs in said["read"].items()
        if key != "again"
    }
    assert read["packed"] == [b"one two three"] * 2
    assert bytes.fromhex(said["read"]["again"]) == b"one two three"
    assert sorted(read["shuffled"][0]) == sorted(read["shuffled"][1]) == list(b"012345678")
    assert read["shuffled"][0] != read["shuffled"][1]
    told = b"".join(map(record, (b"\x89PNG!", b"1", b"\x89PNG!", b"0")))
    assert read["told"] == [told, told]


def test_hosts_share_the_objects_of_a_piped_channel(cloud, s3, bucket):
    for number in range(4):
        s3.put_object(Bucket=bucket, Key=f"data/{number}", Body=str(number).encode())
    sharing = """
        import os, pathlib
        base = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"])
        read = (base / "input/data/train_0").read_text()
        (base / "model" / os.environ["SM_CURRENT_HOST"]).write_text(read)
    """
    sharded = {"S3DataDistributionType": "ShardedByS3Key"}
    name = cloud.train(
        cloud.image(sharing),
        bucket=bucket,
        AlgorithmSpecification={"TrainingInputMode": "Pipe"},
        ResourceConfig={"InstanceCount": 2},
        InputDataConfig=[
            piped("train", f"s3://{bucket}/data/", source=sharded),
        ],
    )

    assert cloud.trained(name)["TrainingJobStatus"] == "Completed"
    model = archive(s3, bucket, f"models/{name}/output/model.tar.gz")
    assert model == {"algo-1": "02", "algo-2": "13"}


@pytest.mark.parametrize(
    ("body", "fields", "why"),
    [
        (b"plain", {"CompressionType": "Gzip"}, "is not gzip, as CompressionType says"),
        (b'{"a": 1}\nno', {}, "manifest, line 2 is not JSON"),
        (b'{"b": 1}', {}, "line 1 has no 'a', which AttributeNames asks for"),
    ],
)
def test_data_that_are_not_what_the_channel_says_fail_the_job(cloud, lake, body, fields, why):
    s3, bucket = lake
    s3.put_object(Bucket=bucket, Key="manifest", Body=body)
    told = "S3Prefix" if fields else "AugmentedManifestFile"
    source = {"AttributeNames": ["a"]}
    wrong = piped("train", f"s3://{bucket}/manifest", told, source=source, **fields)

    job = cloud.trained(cloud.train(cloud.image(READER), bucket=bucket, InputDataConfig=[wrong]))

    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("ClientError: ")
    assert why in job["FailureReason"]
