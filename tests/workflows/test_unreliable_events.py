"""S3's events are dropped, doubled and out of order on purpose; every upload has one verdict."""

import pytest

pytestmark = pytest.mark.e2e

FILES = [f"{number}.csv" for number in range(6)]


@pytest.fixture
def ref(stack):
    """A model whose delivery stays open: what counts here is what is in it."""
    return stack.apply("unheard-of", delivery={"quiet": "1h", "max_wait": "6h"})


def test_each_upload_is_admitted_once_whatever_is_told_of_it(stack, ref):
    objects = {"event": "Object Created", "name": f"*/raw/{ref}/*"}
    with (
        stack.faults.during("drop-event", **objects | {"name": f"*/raw/{ref}/0.csv"}) as lost,
        stack.faults.during("duplicate-event", probability=0.5, seed=3, **objects) as doubled,
        stack.faults.during("reorder-event", seconds=1, **objects) as late,
    ):
        versions = {
            name: stack.put(ref, name, f"id,x,y\n{name},1,0\n{name}-b,2,1\n") for name in FILES
        }
        for name in FILES[1:]:
            assert admitted(stack, ref, name)["verdict"] == "accept"
        assert stack.faults.get(lost.id).struck == 1
        assert 0 < stack.faults.get(doubled.id).struck < len(FILES)
        assert stack.faults.get(late.id).struck

    assert not stack.stores.ledger.upload(ref, f"raw/{ref}/0.csv", versions["0.csv"])
    stack.invoke("SweepFunctionName", {})

    assert admitted(stack, ref, "0.csv")["verdict"] == "accept"
    entries = [each for each in stack.stores.ledger.entries(ref) if each["kind"] == "upload"]
    assert sorted(each["subject"] for each in entries) == [f"raw/{ref}/{name}" for name in FILES]
    assert stack.stores.deliveries.open(ref), "all of them are in one delivery"


def admitted(stack, ref, name):
    return stack.entry(ref, "upload", subject=f"raw/{ref}/{name}")
