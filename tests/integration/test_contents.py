"""Which bytes a model has had: packed, found again, and never taken for others."""

import hashlib
import json
from types import SimpleNamespace

import pytest

from tidemill.adapters import contents
from tidemill.adapters.contents import Contents

REF = "flights/delay"


def sha(text):
    return hashlib.sha256(text.encode()).hexdigest()


class Facts:
    """Facts of deliveries, by the files they brought: (key, version, SHA-256)."""

    def __init__(self, files):
        self._files, self.asked = files, []

    def all_of(self, ref, delivery):
        assert ref == REF
        self.asked.append(delivery)
        for key, version, content in self._files.get(delivery, ()):
            facts = {"uri": f"s3://lake/{key}", "version_id": version, "sha256": content}
            yield json.dumps(facts)


@pytest.fixture
def held(cloud):
    """Return a `Contents` whose deliveries brought these files."""

    def make(files):
        facts = Facts(files)
        kept = Contents(cloud.stores.state, facts)
        for delivery, brought in files.items():
            kept.remember(REF, delivery, {content for _, _, content in brought})
        return SimpleNamespace(before=kept.before, facts=facts)

    return make


def test_who_had_the_same_bytes_is_found_oldest_delivery_first(held):
    files = {
        "d-2": [("raw/b é+.csv", "v2", sha("x"))],
        "d-1": [("raw/a.csv", "v1", sha("x")), ("raw/other.csv", "v1", sha("y"))],
    }
    contents = held(files)
    earlier = contents.before(REF, "d-3")
    assert earlier.who_had([sha("x"), sha("nobody")]) == {
        sha("x"): [("raw/a.csv", "v1"), ("raw/b é+.csv", "v2")]
    }
    assert earlier.who_had([sha("nobody")]) == {}
    assert contents.facts.asked == ["d-1", "d-2"], "no facts are read for what nobody had"


def test_a_delivery_does_not_find_itself(held):
    assert (
        held({"d-1": [("raw/a.csv", "v1", sha("x"))]}).before(REF, "d-1").who_had([sha("x")]) == {}
    )


def test_the_same_first_bytes_are_not_the_same_content(held):
    twin = sha("x")[:16] + sha("z")[16:]
    assert held({"d-1": [("raw/a.csv", "v1", sha("x"))]}).before(REF, "d-2").who_had([twin]) == {}


def test_many_contents_are_several_items(held, cloud, monkeypatch):
    monkeypatch.setattr(contents, "_MOST", 10)
    files = [(f"raw/{n}.csv", "v1", sha(str(n))) for n in range(25)]
    kept = held({"d-1": files, "d-2": []})
    sizes = [len(item["hashes"]) for item in cloud.stores.state.under(REF, "contents#")]
    assert sizes == [80, 80, 40]
    found = kept.before(REF, "d-3").who_had(content for _, _, content in files)
    assert found == {content: [(key, version)] for key, version, content in files}
    assert kept.facts.asked == ["d-1"], "once, however many are found there"
