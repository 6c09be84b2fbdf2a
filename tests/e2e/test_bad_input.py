"""Every bad upload gets a named verdict, a reason and a next step; nothing is lost."""

import gzip
import io
import zipfile

import pytest

from deployed import table
from local_cloud import wait_until

pytestmark = pytest.mark.e2e

GOOD = table(200)
HEADER, *ROWS = GOOD.splitlines()


def zipped():
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        archive.writestr("a.csv", GOOD)
    return body.getvalue()


def unpacks_to_a_gibibyte():
    body = io.BytesIO()
    block = ((ROWS[0] + "\n") * 100_000).encode()
    with gzip.GzipFile(fileobj=body, mode="wb", compresslevel=9) as packed:
        packed.write((HEADER + "\n").encode())
        for _ in range(2**30 // len(block) + 1):
            packed.write(block)
    return body.getvalue()


BAD = {
    "picture.csv": (lambda: b"\x89PNG\r\n\x1a\n" + bytes(4000), "not_a_table"),
    "paper.csv": (lambda: b"%PDF-1.7\n" + bytes(4000), "not_a_table"),
    "archive.csv": (zipped, "not_a_table"),
    "empty.csv": (lambda: b"", "empty"),
    "header.csv": ((HEADER + "\n").encode, "header_only"),
    "no-target.csv": (
        lambda: "\n".join(row.rpartition(",")[0] for row in GOOD.splitlines()).encode(),
        "target_missing",
    ),
    "utf-16.csv": (lambda: GOOD.encode("utf-16"), "wide_encoding"),
    "semicolons.csv": (lambda: GOOD.replace(",", ";").encode(), "wrong_delimiter"),
    "bomb.csv.gz": (unpacks_to_a_gibibyte, "unpack_ratio"),
}


@pytest.fixture(scope="module")
def dropped(stack):
    """Everything bad and one good file, in one delivery."""
    ref = stack.apply("bad-input", delivery__quiet="3s")
    for name, (body, _) in BAD.items():
        stack.put(ref, name, body())
    stack.put(ref, "ünï cødé+plus %41.csv", table(300, seed=5))
    stack.ended_run(ref)
    return ref


@pytest.mark.parametrize("name", BAD)
def test_it_is_set_aside_by_name(stack, dropped, name):
    entry = stack.entry(dropped, "upload", subject=f"raw/{dropped}/{name}")

    assert entry["verdict"] == "quarantine"
    assert entry["facts"]["rule"] == BAD[name][1]
    assert entry["reason"].endswith(".")
    assert entry["facts"]["next_step"]
    tags = stack.cloud.client("s3").get_object_tagging(
        Bucket=stack.lake, Key=f"raw/{dropped}/{name}", VersionId=entry["facts"]["version_id"]
    )["TagSet"]
    assert {"Key": "tidemill:verdict", "Value": "quarantine"} in tags


def test_the_good_file_among_them_trains(stack, dropped):
    (run,) = stack.runs(dropped)

    assert run["status"] == "succeeded", stack.story(dropped)
    assert run["files"] == 1


def test_the_same_file_twice_is_used_once(stack, dropped):
    stack.put(dropped, "ünï cødé+plus %41.csv", table(300, seed=5))

    assert "same bytes" in stack.entry(dropped, "upload", verdict="duplicate")["reason"]
    assert len(stack.runs(dropped)) == 1


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("raw/nobody/knows/a.csv", "no model nobody/knows"),
        ("somewhere/else.csv", "outside every model's prefix"),
        ("raw/short.csv", "outside every model's prefix"),
    ],
)
def test_an_upload_outside_any_model_is_ignored_and_said_so(stack, key, said):
    stack.cloud.client("s3").put_object(Bucket=stack.lake, Key=key, Body=GOOD.encode())

    entry = stack.entry("unplaced", "upload", subject=key)

    assert entry["verdict"] == "ignore"
    assert said in entry["reason"]


def test_uploads_that_waited_for_their_model_are_admitted_by_the_sweep(stack):
    stack.cloud.client("s3").put_object(
        Bucket=stack.lake, Key="raw/tests/late-model/a.csv", Body=GOOD.encode()
    )
    assert stack.entry("unplaced", "upload", subject="raw/tests/late-model/a.csv")
    ref = stack.apply("late-model", approve="manual")
    stack.invoke("SweepFunctionName", {})

    assert stack.entry(ref, "upload")["verdict"] == "accept"


def test_every_version_in_the_bucket_has_a_verdict(stack, dropped):
    listed = stack.cloud.client("s3").list_object_versions(Bucket=stack.lake, Prefix="raw/")
    models = set(stack.stores.specs.refs())

    def unjudged():
        missing = []
        for version in listed["Versions"]:
            _, project, model, *_ = [*version["Key"].split("/"), "", ""]
            ref = f"{project}/{model}"
            owners = [ref, "unplaced"] if ref in models else ["unplaced"]
            seen = [
                stack.stores.ledger.upload(owner, version["Key"], version["VersionId"])
                for owner in owners
            ]
            if not any(seen):
                missing.append(version["Key"])
        return missing

    assert wait_until(lambda: not unjudged(), 30, unjudged)
