"""Every kind of tampering is found and named; an untouched ledger has nothing to name."""

import copy

import boto3
import pytest

from tidemill.adapters.anchors import Anchor, document, etag
from tidemill.adapters.chain import Chain, as_link, as_named
from tidemill.adapters.entries import Entry
from tidemill.adapters.items import marshal
from tidemill.adapters.stores import Stores
from tidemill.adapters.verification import Verification
from tidemill.domain.chain import link_hash, link_key

from .. import stack
from ..infrastructure.template_model import load_template
from .cloud import NOW
from .memory_tables import MemoryTables

REF = "flights/delay"
TEMPLATE = load_template()
KEYS = [f"model#{number}" for number in range(6)]
LATER = NOW + 7200


class FakeAnchors:
    """Anchored heads, as a bucket would list them."""

    def __init__(self):
        self.held = {}

    def put(self, link):
        self.held[link.number] = link

    def of(self, model):
        return [Anchor(number, model, "v", etag(link)) for number, link in self.held.items()]

    def read(self, anchor):
        return self.held[anchor.number].hash


class Ledger:
    """A chain of three links over six entries, and hands to tamper with it."""

    def __init__(self):
        tables = [stack.table(name, TEMPLATE) for name in ("StateTable", "LedgerTable")]
        self.client = MemoryTables(
            boto3.client("dynamodb").exceptions, {table["TableName"]: table for table in tables}
        )
        self.stores = Stores(self.client, state_table=stack.STATE, ledger_table=stack.LEDGER)
        self.chain = Chain(self.client, stack.LEDGER)
        self.anchors = FakeAnchors()
        for number, key in enumerate(KEYS):
            facts = {"size": 10 + number, "late": True, "names": ["a", "b"]}
            entry = Entry(REF, key, NOW + number, "model", "delay", "delete", "why", facts)
            self.stores.ledger.append(entry)
        for first in (0, 2, 4):
            self.chain_up(*KEYS[first : first + 2], at=NOW + 10)

    def chain_up(self, *keys, at):
        named = [
            as_named(self.get(key), 1 + KEYS.index(key) if key in KEYS else 99) for key in keys
        ]
        assert self.chain.extend(REF, named, at) == len(keys)

    def get(self, key):
        return copy.deepcopy(
            self.client.get_item(TableName=stack.LEDGER, Key=marshal({"model": REF, "entry": key}))[
                "Item"
            ]
        )

    def put(self, item):
        self.client.put_item(TableName=stack.LEDGER, Item=item)

    def remove(self, key):
        self.client.delete_item(TableName=stack.LEDGER, Key=marshal({"model": REF, "entry": key}))

    def verify(self, now=LATER):
        return Verification(self.chain, self.anchors).verify(REF, now)

    def found(self, now=LATER):
        walk, _ = self.verify(now)
        return [(finding.subject, finding.what) for finding in walk.findings]


@pytest.fixture
def ledger():
    return Ledger()


def test_an_untouched_ledger_has_nothing_to_name(ledger):
    ledger.anchors.put(ledger.chain.head(REF))

    walk, agreed = ledger.verify()

    assert (walk.links, walk.entries, walk.unchained, walk.expired) == (3, 6, 0, 0)
    assert (walk.findings, walk.head, agreed) == ([], ledger.chain.head(REF).hash, 1)


def changes(item):
    """Yield the item with each of its fields changed, left out, and one added."""
    for name, value in item.items():
        if name in ("model", "entry"):  # another key is another item: removed, and put elsewhere
            continue
        yield name, {**item, name: {"S": "changed"}}
        yield f"no {name}", {key: held for key, held in item.items() if key != name}
        if "M" in value:
            for inner in value["M"]:
                changed = copy.deepcopy(item)
                changed[name]["M"][inner] = {"N": "0.5"}
                yield f"{name}.{inner}", changed
    yield "more", {**item, "more": {"BOOL": True}}
    yield "facts.names", _with(item, ["facts", "M", "names", "L"], [{"S": "b"}, {"S": "a"}])


def _with(item, path, value):
    changed = copy.deepcopy(item)
    place = changed
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return changed


@pytest.mark.parametrize("name", [name for name, _ in changes(Ledger().get(KEYS[3]))])
def test_an_entry_changed_in_any_field_is_named(ledger, name):
    ledger.put(dict(changes(ledger.get(KEYS[3])))[name])

    assert ledger.found() == [(KEYS[3], "changed entry")]


@pytest.mark.parametrize(
    "name",
    ["number", "previous", "entries", "linked_at", "first", "last", "late", "hash", "more"],
)
def test_a_link_changed_in_any_field_is_named(ledger, name):
    ledger.put({**ledger.get(link_key(2)), name: {"S": "changed"}})

    assert (link_key(2), "changed link") in ledger.found()


def test_a_link_changed_with_its_hash_does_not_fit_the_next(ledger):
    item = ledger.get(link_key(2))
    item["entries"]["L"][0]["L"][1] = {"S": "0" * 64}
    ledger.put({**item, "hash": {"S": link_hash(item)}})

    assert ledger.found() == [(link_key(3), "forked chain"), (KEYS[2], "changed entry")]


@pytest.mark.parametrize("number", [1, 2])
def test_a_removed_link_is_named_and_so_are_the_entries_it_named(ledger, number):
    ledger.remove(link_key(number))

    assert ledger.found() == [
        (link_key(number), "missing link"),
        *((key, "unchained entry") for key in KEYS[2 * number - 2 : 2 * number]),
    ]


def test_a_removed_entry_is_named(ledger):
    ledger.remove(KEYS[4])

    assert ledger.found() == [(KEYS[4], "removed entry")]


def test_an_entry_whose_time_had_come_is_counted(ledger):
    entry = Entry(REF, "model#old", NOW, "model", "delay", "delete", "why")
    item = ledger.stores.ledger.put(entry)["Put"]["Item"]
    ledger.put({**item, "expires": {"N": str(int(NOW + 60))}})
    ledger.chain_up("model#old", at=NOW + 20)
    ledger.remove("model#old")

    assert ledger.found(NOW + 59) == [("model#old", "removed entry")]
    walk, _ = ledger.verify(NOW + 61)
    assert (walk.findings, walk.expired) == ([], 1)


def test_a_replaced_entry_that_was_chained_again_is_named(ledger):
    ledger.put({**ledger.get(KEYS[0]), "verdict": {"S": "keep"}})
    item = ledger.chain.head(REF)
    forged = marshal({
        "model": REF, "entry": link_key(4), "number": 4, "previous": item.hash,
        "entries": [[KEYS[0], as_named(ledger.get(KEYS[0])).digest]],
        "linked_at": "2026-11-20T10:00:20.000Z", "first": "7", "last": "7", "late": 0,
    })  # fmt: skip
    ledger.put({**forged, "hash": {"S": link_hash(forged)}})

    assert ledger.found() == [(KEYS[0], "entry named twice"), (KEYS[0], "changed entry")]


def test_a_link_under_a_key_of_no_link_is_named(ledger):
    ledger.put({**ledger.get(link_key(3)), "entry": {"S": "chain#4"}})

    assert ledger.found() == [("chain#4", "forged link")]


@pytest.mark.parametrize(("age", "what"), [(60, []), (3000, []), (3700, ["unchained entry"])])
def test_an_entry_is_counted_until_it_is_an_hour_old(ledger, age, what):
    ledger.stores.ledger.append(Entry(REF, "model#new", LATER - age, "model", "m", "delete", ""))

    walk, _ = ledger.verify()

    assert [finding.what for finding in walk.findings] == what
    assert walk.unchained == (0 if what else 1)


@pytest.mark.parametrize("at", ["", "yesterday", "2999-01-01T00:00:00.000Z"])
def test_an_entry_of_no_time_that_can_be_is_named(ledger, at):
    ledger.put(marshal({"model": REF, "entry": "x", "at": at}))

    assert ledger.found() == [("x", "unchained entry")]


def test_a_head_that_was_cut_off_is_named_by_its_anchor(ledger):
    ledger.anchors.put(ledger.chain.head(REF))
    for key in (link_key(3), *KEYS[4:]):
        ledger.remove(key)

    walk, agreed = ledger.verify()

    assert agreed == 0
    assert [finding.what for finding in walk.findings] == ["head differs"]
    assert "there is no such link" in walk.findings[0].said


def test_a_chain_that_was_written_anew_differs_from_its_anchors(ledger):
    ledger.anchors.put(ledger.chain.head(REF))
    for number in (1, 2, 3):
        ledger.remove(link_key(number))
    ledger.put({**ledger.get(KEYS[0]), "verdict": {"S": "keep"}})
    for first in (0, 2, 4):
        ledger.chain_up(*KEYS[first : first + 2], at=NOW + 10)

    assert ledger.found() == [(link_key(3), "head differs")]


def test_what_the_ledger_says_of_tampering_is_told(ledger):
    ledger.stores.ledger.append(
        Entry(REF, "tamper#x", LATER, "tamper", KEYS[0], "changed", f"{KEYS[0]} was changed")
    )

    walk, _ = ledger.verify()

    assert walk.tampering == [f"{KEYS[0]} was changed"]


def test_an_anchor_is_compared_by_its_etag(ledger):
    link = as_link(ledger.get(link_key(1)))
    assert document(link) == document(ledger.chain.link(REF, 1))
    assert len(etag(link)) == 32
