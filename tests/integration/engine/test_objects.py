"""What S3 answers to those who read exact versions."""

import pytest
from botocore.exceptions import ClientError


@pytest.fixture(scope="module")
def read(cloud):
    """Return a reader of ranges of the older of two versions."""
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="lake-ranges")
    s3.put_bucket_versioning(Bucket="lake-ranges", VersioningConfiguration={"Status": "Enabled"})
    older = {
        key: s3.put_object(Bucket="lake-ranges", Key=key, Body=body, ChecksumAlgorithm="SHA256")
        for key, body in (("ten", b"0123456789"), ("empty", b""))
    }
    for key in older:
        s3.put_object(Bucket="lake-ranges", Key=key, Body=b"newer")

    def get(key, **more):
        version = older[key]["VersionId"]
        return s3.get_object(Bucket="lake-ranges", Key=key, VersionId=version, **more)

    return get


@pytest.mark.parametrize(
    ("asked", "content", "told"),
    [
        ("bytes=0-3", b"0123", "bytes 0-3/10"),
        ("bytes=7-99", b"789", "bytes 7-9/10"),
        ("bytes=-2", b"89", "bytes 8-9/10"),
    ],
)
def test_a_range_of_an_older_version_is_that_part_of_it(read, asked, content, told):
    answer = read("ten", Range=asked, ChecksumMode="ENABLED")

    assert answer["Body"].read() == content
    assert answer["ContentRange"] == told
    assert answer["ContentLength"] == len(content)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 206
    assert "ChecksumSHA256" not in answer, "a part has another"


def test_the_whole_version_comes_without_a_range(read):
    answer = read("ten", ChecksumMode="ENABLED")

    assert answer["Body"].read() == b"0123456789"
    assert "ContentRange" not in answer
    assert answer["ChecksumSHA256"]


@pytest.mark.parametrize("asked", [("ten", "bytes=10-12"), ("empty", "bytes=0-3")])
def test_a_range_that_is_not_there_is_refused(read, asked):
    key, span = asked
    with pytest.raises(ClientError) as caught:
        read(key, Range=span)

    assert caught.value.response["Error"]["Code"] == "InvalidRange"
