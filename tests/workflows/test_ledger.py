"""The ledger of a deployed stack: chained by its stream, and loud about any change."""

import time

import pytest

from local_cloud import wait_until
from tidemill.adapters.anchors import Anchors
from tidemill.adapters.chain import Chain
from tidemill.adapters.items import marshal
from tidemill.adapters.verification import Verification
from tidemill.domain.chain import link_hash

pytestmark = pytest.mark.e2e


@pytest.fixture
def chain(stack):
    return Chain(stack.cloud.client("dynamodb"), stack.outputs["LedgerTable"])


def named(chain, ref):
    return {key for item in chain.items(ref, links=True) for key, _ in pairs(item)}


def pairs(item):
    return [(key["S"], found["S"]) for key, found in (pair["L"] for pair in item["entries"]["L"])]


def test_entries_are_chained_as_they_come_and_a_change_is_recorded(stack, chain):
    ref = stack.apply("chained")
    wait_until(lambda: named(chain, ref), 30, lambda: stack.story(ref))
    (item, *_) = chain.items(ref, links=True)
    assert item["hash"]["S"] == link_hash(item)
    (key,) = named(chain, ref)

    stack.cloud.client("dynamodb").update_item(
        TableName=stack.outputs["LedgerTable"],
        Key=marshal({"model": ref, "entry": key}),
        UpdateExpression="SET verdict = :other",
        ExpressionAttributeValues={":other": {"S": "nothing"}},
    )

    entry = stack.entry(ref, "tamper", seconds=30)
    assert entry["subject"] == key
    assert "was changed in verdict" in entry["reason"]
    wait_until(lambda: len(named(chain, ref)) == 2, 30, lambda: stack.story(ref))
    anchors = Anchors(stack.cloud.client("s3"), stack.outputs["AnchorBucket"])
    walk, _ = Verification(chain, anchors).verify(ref, time.time())
    assert [(finding.subject, finding.what) for finding in walk.findings] == [
        (key, "changed entry")
    ]
    assert walk.tampering == [entry["reason"]]


def test_an_anchor_is_locked(stack):
    s3, bucket = stack.cloud.client("s3"), stack.outputs["AnchorBucket"]
    put = s3.put_object(Bucket=bucket, Key="heads/a/b/000000000001.json", Body=b"{}")

    with pytest.raises(s3.exceptions.ClientError, match="object lock"):
        s3.delete_object(
            Bucket=bucket, Key="heads/a/b/000000000001.json", VersionId=put["VersionId"]
        )
    assert [anchor.number for anchor in Anchors(s3, bucket).of("a/b")] == [1]
