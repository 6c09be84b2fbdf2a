"""`upload`: what is sent, under which key, and which version S3 made of it."""

import io
import os

import boto3
import pytest

from .conftest import REF, deployed

LARGE = 9 * 1024 * 1024  # over boto3's threshold for parts


def versions(cloud):
    listed = boto3.client("s3").list_object_versions(Bucket=deployed.LAKE).get("Versions", [])
    return {item["Key"]: item["VersionId"] for item in listed}


def test_files_are_sent_and_their_versions_told(run, cloud, model, tmp_path):
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text(f"id,late\n{name},1\n")

    answer = run("upload", REF, tmp_path / "a.csv", tmp_path / "b.csv")

    assert answer.exit_code == 0, answer.output
    held = versions(cloud)
    assert answer.stdout.splitlines() == [
        f"raw/flights/delay/{name}  {held[f'raw/flights/delay/{name}']}"
        for name in ("a.csv", "b.csv")
    ]
    assert "tidemill why flights/delay" in answer.stderr


def test_a_large_file_is_sent_in_parts(document, documented, cloud, model, tmp_path):
    path = tmp_path / "large.csv"
    path.write_bytes(os.urandom(LARGE))

    (row,) = document("upload", REF, path)

    assert tuple(row) == documented("upload")
    assert row["size"] == LARGE
    assert row["version_id"] == versions(cloud)["raw/flights/delay/large.csv"]
    body = boto3.client("s3").get_object(Bucket=deployed.LAKE, Key=row["key"])["Body"].read()
    assert body == path.read_bytes()


def test_standard_input_is_sent_under_the_name_given(document, cloud, model):
    (row,) = document("upload", REF, "-", "--as", "2026/a.csv", input=b"id,late\n1,0\n")

    assert (row["key"], row["file"], row["size"]) == ("raw/flights/delay/2026/a.csv", "-", 12)
    assert row["version_id"] == versions(cloud)[row["key"]]


def test_the_same_file_again_is_another_version(document, cloud, model, tmp_path):
    (tmp_path / "a.csv").write_text("id,late\n1,0\n")

    (first,) = document("upload", REF, tmp_path / "a.csv")
    (second,) = document("upload", REF, tmp_path / "a.csv")

    assert first["version_id"] != second["version_id"]


def test_when_one_file_is_missing_none_is_sent(run, cloud, model, tmp_path):
    (tmp_path / "a.csv").write_text("x")

    answer = run("upload", REF, tmp_path / "a.csv", tmp_path / "gone.csv")

    assert answer.exit_code == 2
    assert "gone.csv; nothing was sent" in answer.stderr
    assert versions(cloud) == {}


def test_an_upload_to_no_model_is_refused(run, cloud, tmp_path):
    (tmp_path / "a.csv").write_text("x")

    answer = run("upload", "flights/gone", tmp_path / "a.csv")

    assert answer.exit_code == 2
    assert "there is no model flights/gone" in answer.stderr
    assert versions(cloud) == {}


def test_a_lake_that_is_gone_is_said(run, stack, model, tmp_path):
    (tmp_path / "a.csv").write_text("x")
    stack.outputs["LakeBucket"] = "no-such-bucket"

    answer = run("upload", REF, tmp_path / "a.csv")

    assert answer.exit_code == 1
    assert "no-such-bucket" in answer.stderr


@pytest.mark.parametrize("live", [True, False])
def test_progress_is_shown_to_people_only(run, model, tmp_path, monkeypatch, live):
    monkeypatch.setattr("tidemill_cli.uploads.is_terminal", lambda: live)
    (tmp_path / "a.csv").write_text("x" * 1000)

    answer = run("upload", REF, tmp_path / "a.csv")

    assert ("100% of 1.0 kB" in answer.stderr) is live
    assert "%" not in answer.stdout


def test_standard_input_may_be_long(document, model):
    (row,) = document("upload", REF, "-", "--as", "a.csv", input=io.BytesIO(b"x" * LARGE))

    assert row["size"] == LARGE
