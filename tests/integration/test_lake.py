from functools import partial
from types import SimpleNamespace

import pytest
from botocore.exceptions import ClientError

from tidemill.adapters.lake import MOST_TAGS, Lake, split

from ..stack import LAKE
from .cloud import client

KEY = "raw/flights/delay/a b+ü.csv"


@pytest.fixture
def lake(cloud):
    return Lake(client("s3"))


@pytest.fixture
def put(cloud):
    return lambda body=b"0123456789", tags="": cloud.upload(KEY, body, tags)


def look(lake, upload):
    return lake.look(upload.bucket, upload.key, upload.version_id, upload.sequencer)


def test_a_version_is_looked_at_as_it_is(lake, put):
    first, second = put(b"12345"), put(b"123")
    assert look(lake, first).size == 5
    assert look(lake, second).size == 3
    assert look(lake, first).etag != look(lake, second).etag
    assert '"' not in look(lake, first).etag
    assert look(lake, first).uri == f"s3://{LAKE}/{KEY}"


def test_a_version_deleted_for_good_is_none(lake, put):
    upload = put()
    client("s3").delete_object(Bucket=LAKE, Key=KEY, VersionId=upload.version_id)
    assert look(lake, upload) is None
    assert lake.look(LAKE, "raw/never", "null", "") is None


def test_a_version_below_a_delete_marker_is_still_there(lake, put):
    upload = put()
    client("s3").delete_object(Bucket=LAKE, Key=KEY)
    assert look(lake, upload).size == 10


def test_another_refusal_is_not_absence(cloud, lake, put):
    upload = put()
    cloud.refuse("s3", "HeadObject", "403")
    with pytest.raises(ClientError, match="403"):
        look(lake, upload)


@pytest.mark.parametrize(
    ("first", "count", "said"),
    [(0, 4, b"0123"), (6, 99, b"6789"), (0, 10, b"0123456789"), (10, 1, b""), (3, 0, b"")],
)
def test_bytes_are_read_by_range(lake, put, first, count, said):
    version = look(lake, put())
    assert lake.read(version, first, count) == said


def test_an_empty_object_reads_as_nothing(lake, put):
    version = look(lake, put(b""))
    assert lake.read(version, 0, 10) == b""


def test_an_old_version_is_read_not_the_newest(lake, put):
    old = look(lake, put(b"old"))
    put(b"new")
    assert lake.read(old, 0, 3) == b"old"


def tags(upload):
    answer = client("s3").get_object_tagging(Bucket=LAKE, Key=KEY, VersionId=upload.version_id)
    return {tag["Key"]: tag["Value"] for tag in answer["TagSet"]}


def test_tags_are_added_to_those_of_the_owner(lake, put):
    upload = put(tags="team=ops")
    for _ in range(2):
        lake.tag(look(lake, upload), verdict="quarantine")
    assert tags(upload) == {"team": "ops", "verdict": "quarantine"}


def test_an_owner_s_ten_tags_are_left_alone(lake, put):
    full = {f"t{n}": "x" for n in range(MOST_TAGS)}
    upload = put(tags="&".join(f"{key}=x" for key in full))
    lake.tag(look(lake, upload), verdict="quarantine")
    assert tags(upload) == full


def test_documents_are_written_and_read(lake):
    uri = f"s3://{LAKE}/prepared/x.json"
    assert lake.get_json(uri) is None
    for _ in range(2):
        lake.put_json(uri, {"b": 1, "a": [2]})
    assert lake.get_json(uri) == {"a": [2], "b": 1}
    lake.put_text(uri, "[]")
    assert lake.get_json(uri) == []


def test_every_version_is_listed_and_no_delete_marker(lake, put):
    uploads = [put(b"1"), put(b"2")]
    client("s3").delete_object(Bucket=LAKE, Key=KEY)
    client("s3").put_object(Bucket=LAKE, Key="prepared/x", Body=b"")
    listed, after = lake.versions(LAKE, "raw/")
    assert {(item.key, item.version_id) for item in listed} == {
        (KEY, upload.version_id) for upload in uploads
    }
    assert {item.size for item in listed} == {1}
    assert after is None


def test_a_listing_goes_on_where_it_ended(lake, put, monkeypatch):
    uploads = [put(b"1") for _ in range(3)]
    real = lake._client.list_object_versions
    monkeypatch.setattr(
        lake, "_client", SimpleNamespace(list_object_versions=partial(real, MaxKeys=2))
    )
    first, after = lake.versions(LAKE, "raw/")
    rest, end = lake.versions(LAKE, "raw/", after)
    assert (len(first), end) == (2, None)
    assert {item.version_id for item in [*first, *rest]} == {item.version_id for item in uploads}


def test_a_uri_is_split_at_the_bucket():
    assert split("s3://b/a/b.csv") == ("b", "a/b.csv")
