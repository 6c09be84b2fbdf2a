import hashlib
import json

import pytest
from botocore.exceptions import ReadTimeoutError
from botocore.response import StreamingBody

from tidemill_jobs.errors import GoneError, JobError
from tidemill_jobs.lake import ATTEMPTS, Lake, ObjectVersion

from .conftest import BUCKET, upload


def version(entry):
    return ObjectVersion.parse(entry)


def test_the_exact_version_is_read_though_a_newer_one_lies_on_top(s3, tmp_path):
    old = upload(s3, "raw/air/late/a.csv", b"old")
    upload(s3, "raw/air/late/a.csv", b"newer")

    digest = Lake().read(version(old), tmp_path / "object")

    assert (tmp_path / "object").read_bytes() == b"old"
    assert digest == hashlib.sha256(b"old").hexdigest()


def test_a_deleted_object_is_still_read_by_its_version(s3, tmp_path):
    entry = upload(s3, "raw/a.csv", b"kept")
    s3.delete_object(Bucket=BUCKET, Key="raw/a.csv")

    Lake().read(version(entry), tmp_path / "object")

    assert (tmp_path / "object").read_bytes() == b"kept"


def test_a_large_object_is_streamed_whole(s3, tmp_path):
    body = bytes(range(256)) * 12_000
    Lake().read(version(upload(s3, "raw/a.csv", body)), tmp_path / "object")
    assert (tmp_path / "object").read_bytes() == body


def test_a_version_that_is_gone_is_named(s3, tmp_path):
    entry = upload(s3, "raw/a.csv", b"x")
    s3.delete_object(Bucket=BUCKET, Key="raw/a.csv", VersionId=entry["version_id"])
    with pytest.raises(GoneError, match=r"s3://lake/raw/a\.csv .version .* cannot be read"):
        Lake().read(version(entry), tmp_path / "object")


def test_a_document_is_found_or_not(s3):
    Lake().put_text("é", f"s3://{BUCKET}/checks/a.json")

    assert Lake().find_text(f"s3://{BUCKET}/checks/a.json") == "é"
    assert Lake().find_text(f"s3://{BUCKET}/checks/b.json") is None


def test_another_size_than_the_datasets_is_refused(s3, tmp_path):
    entry = {**upload(s3, "raw/a.csv", b"four"), "size": 5}
    with pytest.raises(JobError, match="has 4 bytes; the dataset says 5"):
        Lake().read(version(entry), tmp_path / "object")


def broken(monkeypatch, times):
    """Let the first *times* bodies break off half way."""
    whole, calls = StreamingBody.iter_chunks, []

    def chunks(self, size):
        calls.append(1)
        if len(calls) <= times:
            yield b"par"
            raise ReadTimeoutError(endpoint_url="s3")
        yield from whole(self, size)

    monkeypatch.setattr(StreamingBody, "iter_chunks", chunks)
    return calls


def test_a_body_that_breaks_off_is_read_again_from_the_start(s3, tmp_path, monkeypatch):
    entry = upload(s3, "raw/a.csv", b"whole")
    calls = broken(monkeypatch, ATTEMPTS - 1)

    Lake().read(version(entry), tmp_path / "object")

    assert (tmp_path / "object").read_bytes() == b"whole"
    assert len(calls) == ATTEMPTS


def test_a_body_that_always_breaks_off_is_an_error(s3, tmp_path, monkeypatch):
    entry = upload(s3, "raw/a.csv", b"whole")
    broken(monkeypatch, ATTEMPTS)
    with pytest.raises(JobError, match=f"broke off {ATTEMPTS} times"):
        Lake().read(version(entry), tmp_path / "object")


def test_files_texts_and_manifests_are_written(s3, tmp_path):
    lake = Lake()
    (tmp_path / "part").write_bytes(b"rows")
    lake.put_file(tmp_path / "part", "s3://lake/prepared/train/part-00000.parquet")
    lake.put_text("æ", "s3://lake/prepared/features.json")
    lake.put_manifest(
        "s3://lake/prepared", ["train/part-00000.parquet"], "s3://lake/prepared/train.manifest"
    )

    def body(key):
        return s3.get_object(Bucket=BUCKET, Key=f"prepared/{key}")["Body"].read()

    assert body("train/part-00000.parquet") == b"rows"
    assert body("features.json").decode() == "æ"
    assert json.loads(body("train.manifest")) == [
        {"prefix": "s3://lake/prepared/"},
        "train/part-00000.parquet",
    ]
