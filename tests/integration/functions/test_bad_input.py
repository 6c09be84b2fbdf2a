"""Clocks that differ, a model that gets another name, names as long as S3 allows."""

import json

from tidemill.adapters.gathering import MOST_MANIFESTS
from tidemill.domain.check import Pass

from .scenes import MODEL, REF, queued, read, rows
from .test_admit_upload import records

LONG = "é" * 480  # 960 bytes of the 1,024 that a key may have


def admit(cloud, *names, ref=REF):
    """Upload good files and have them admitted in one batch."""
    events = [
        cloud.upload(f"raw/{ref}/{name}", rows(20, first=100 * n)).to_event()
        for n, name in enumerate(names)
    ]
    assert cloud.invoke("admit_upload", records(*events)) == {"batchItemFailures": []}


def test_clocks_that_differ_by_minutes_lose_no_upload(cloud, spec):
    """One function's clock is ten minutes behind, another's ahead; the closer's is right."""
    cloud.apply(spec)
    right = cloud.now
    for skew, names in ((0, ["a.csv"]), (-600, ["b.csv", "c.csv"]), (600, ["d.csv"])):
        cloud.now = right + skew
        admit(cloud, *[f"{skew}-{name}" for name in names])
    delivery = cloud.stores.deliveries.open(REF)
    assert delivery.uploads == 4

    for cloud.now in (right + 60, right + 640):
        cloud.invoke("close_delivery", queued({**MODEL, "delivery": delivery.id}))
    document = read(cloud, {**MODEL, "delivery": delivery.id, "attempt": 1})
    checked = cloud.invoke("conclude_check", document)

    assert checked["accepted"] + checked["copies"] == 4, "though the index is asked by time"
    assert len(cloud.entries(REF, "upload")) == 4 + checked["copies"]


def test_a_model_that_gets_another_name_is_another_model(cloud, make_spec):
    """Neither loses an upload: what is sent to the old name stays the old one's."""
    cloud.apply(make_spec())
    admit(cloud, "a.csv")
    renamed = cloud.apply(make_spec(model="late")).ref
    admit(cloud, "b.csv", ref=renamed)
    admit(cloud, "c.csv")

    old, new = (cloud.stores.deliveries.open(ref) for ref in (REF, renamed))
    assert (old.uploads, new.uploads) == (2, 1)
    assert cloud.entries(renamed, "upload")[0]["subject"] == f"raw/{renamed}/b.csv"
    cloud.now += 60
    cloud.invoke("close_delivery", queued({**MODEL, "delivery": old.id}))
    assert cloud.stores.deliveries.open(REF) is None
    assert cloud.stores.deliveries.open(renamed) is not None


def test_no_item_comes_near_400_kb_with_the_longest_names(cloud, make_spec):
    cloud.apply(make_spec(delivery__marker="_SUCCESS"))
    admit(cloud, *[f"{LONG}/{n}.csv" for n in range(3)])
    for number in range(MOST_MANIFESTS + 2):
        body = json.dumps([f"{n}.csv" for n in range(1000)]).encode()
        marker = cloud.upload(f"raw/{REF}/{LONG}{number:02}/_SUCCESS", body)
        cloud.invoke("admit_upload", records(marker.to_event()))
    passed = [Pass(f"{n:032x}", 10**9, f"{n:064x}").to_text() for n in range(1000)]
    items = [
        item for table in ("tidemill-state", "tidemill-ledger")
        for item in cloud.dynamodb.scan(TableName=table)["Items"]
    ]  # fmt: skip

    sizes = [len(json.dumps(item, ensure_ascii=False).encode()) for item in items]
    assert max(sizes) < 100_000, "the open delivery, with the places of 20 manifests"
    assert len(json.dumps(passed)) < 100_000
