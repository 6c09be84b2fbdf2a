"""The chain never forks and names every entry once, whatever a stream does and whoever dies."""

import itertools
import random

import boto3
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidemill.adapters.chain import Chain, as_named
from tidemill.adapters.entries import UNPLACED, Entry
from tidemill.adapters.items import marshal
from tidemill.adapters.late_links import GRACE_SECONDS, LateLinks
from tidemill.adapters.ledger_changes import LedgerChanges
from tidemill.adapters.state import MODELS as INDEX
from tidemill.adapters.stores import Stores
from tidemill.contracts.ledger import LedgerChange
from tidemill.domain.chain import NOTHING_BEFORE, Named, digest, link_hash

from .. import stack
from ..infrastructure.template_model import load_template
from .cloud import NOW, Killed
from .memory_tables import MemoryTables

REF = "flights/delay"
MODELS = (REF, UNPLACED)
DAY = 86_400.0
TEMPLATE = load_template()


class NoAnchors:
    """A bucket that nobody looks at."""

    def put(self, link):
        pass


class Table:
    """The ledger with a stream of what is added to it, and a clock."""

    def __init__(self, template):
        tables = [stack.table(name, template) for name in ("StateTable", "LedgerTable")]
        self.client = MemoryTables(
            boto3.client("dynamodb").exceptions, {table["TableName"]: table for table in tables}
        )
        self.stores = Stores(self.client, state_table=stack.STATE, ledger_table=stack.LEDGER)
        self.chain = Chain(self.client, stack.LEDGER)
        self.changes = LedgerChanges(self.stores.ledger, self.chain)
        self.stream = []
        self.now = NOW
        self.client.put_item(TableName=stack.STATE, Item=marshal({"owner": INDEX, "fact": REF}))
        self.late = LateLinks(self.stores, self.chain, NoAnchors())

    def add(self, model, ago=0.0):
        place = len(self.stream) + 1
        key = f"model#{place}"
        facts = {"n": place, "seconds": 0.25}
        entry = Entry(model, key, self.now - ago, "model", key, "delete", "why", facts)
        assert self.stores.ledger.append(entry)
        item = self.client.get_item(
            TableName=stack.LEDGER, Key=marshal({"model": model, "entry": key})
        )["Item"]
        self.stream.append(LedgerChange(model, key, "INSERT", str(place), new=item))

    def links(self, model):
        return list(self.chain.items(model, links=True))

    def entries(self, model):
        return list(self.chain.items(model, links=False))


def check_unforked(table, *, complete=True):
    """One chain per model without a gap; every entry in exactly one link, as it is stored."""
    for model in MODELS:
        previous, named = NOTHING_BEFORE, []
        for number, item in enumerate(table.links(model), 1):
            assert item["number"] == {"N": str(number)}
            assert item["previous"]["S"] == previous
            assert item["hash"]["S"] == link_hash(item)
            previous = item["hash"]["S"]
            named += [
                (key["S"], found["S"]) for key, found in (p["L"] for p in item["entries"]["L"])
            ]
        assert len({key for key, _ in named}) == len(named), "an entry is in two links"
        stored = {item["entry"]["S"]: digest(item) for item in table.entries(model)}
        assert dict(named).items() <= stored.items()
        assert not complete or dict(named) == stored


@pytest.fixture
def table():
    return Table(TEMPLATE)


steps = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.sampled_from(MODELS), st.integers(1, 4)),
        # A batch: from where, how many, in which order, and before which call it dies.
        st.tuples(
            st.just("batch"),
            st.integers(0, 30),
            st.integers(1, 12),
            st.integers(0, 99),
            st.none() | st.integers(0, 8),
        ),
        # Another writer comes in before the n-th call of a batch.
        st.tuples(
            st.just("race"), st.integers(0, 30), st.integers(1, 12), st.integers(0, 30),
            st.integers(0, 6),
        ),
        st.tuples(st.just("sweep"), st.none() | st.integers(0, 9)),
        st.tuples(st.just("wait"), st.sampled_from([1.0, 600.0, 4000.0])),
    ),
    max_size=20,
)  # fmt: skip


def batch(table, first, count):
    return table.stream[first : first + count]


def killed_before(table, call, action):
    calls = itertools.count()

    def perhaps(_):
        if call is not None and next(calls) >= call:
            raise Killed

    table.client.before = perhaps
    try:
        action()
    except Killed:
        pass
    finally:
        table.client.before = lambda _: None


def raced(table, call, action, other):
    calls = itertools.count()

    def perhaps(_):
        if next(calls) == call:
            table.client.before = lambda _: None
            other()
            table.client.before = perhaps

    table.client.before = perhaps
    action()
    table.client.before = lambda _: None


def take(table, changes):
    table.changes.take(changes, table.now)


@settings(max_examples=100)
@given(steps=steps, last=st.sampled_from(["stream", "sweep"]))
def test_one_chain_whatever_comes_twice_late_or_dies(steps, last):
    table = Table(TEMPLATE)
    for step in steps:
        match step:
            case "add", model, count:
                for _ in range(count):
                    table.add(model)
                    table.now += 0.1
            case "batch", first, count, seed, call:
                changes = batch(table, first, count)
                random.Random(seed).shuffle(changes)  # an order, no secret
                killed_before(table, call, lambda: take(table, changes))  # noqa: B023  # at once
            case "race", first, count, second, call:
                raced(
                    table,
                    call,
                    lambda: take(table, batch(table, first, count)),  # at once
                    lambda: take(table, batch(table, second, count)),  # at once
                )
            case "sweep", call:
                killed_before(table, call, lambda: table.late.sweep(table.now, most=3))
            case "wait", seconds:
                table.now += seconds
        check_unforked(table, complete=False)
    if last == "stream":
        take(table, table.stream)
    else:
        table.now += DAY
        for _ in range(len(table.stream) + 2):  # at most three entries a look
            table.late.sweep(table.now, most=3)
            table.now += DAY
    check_unforked(table)


def test_a_batch_of_two_models_that_dies_between_them_is_finished_by_the_next(table):
    table.add(REF)
    table.add(UNPLACED)

    killed_before(table, 3, lambda: take(table, table.stream))
    assert sum(len(table.links(model)) for model in MODELS) == 1
    take(table, table.stream)

    check_unforked(table)


def test_a_large_batch_becomes_several_links(table):
    for _ in range(1001):
        table.add(REF)

    take(table, table.stream)

    assert [len(item["entries"]["L"]) for item in table.links(REF)] == [1000, 1]
    check_unforked(table)


def test_a_batch_that_comes_again_reads_the_head_and_no_more(table):
    for _ in range(3):
        table.add(REF)
        take(table, table.stream[-1:])
    calls = []
    table.client.before = calls.append

    take(table, table.stream[-1:])

    assert calls == ["Query", "Query"]
    check_unforked(table)


def test_the_sweep_leaves_what_is_new_to_the_stream(table):
    table.add(REF)

    assert table.late.sweep(table.now) == 0
    table.now += GRACE_SECONDS + 1
    assert table.late.sweep(table.now) == 1
    assert table.late.sweep(table.now) == 0
    check_unforked(table)


def test_what_a_sweep_chained_is_not_chained_again_when_the_stream_tells_of_it(table):
    table.add(REF)
    table.now += GRACE_SECONDS + 1
    table.late.sweep(table.now)
    table.add(REF)

    take(table, table.stream)

    check_unforked(table)
    assert [item["late"]["N"] for item in table.links(REF)] == ["1", "1"]


def test_an_idle_model_is_looked_at_seldom(table):
    table.add(REF)
    take(table, table.stream)
    table.now += GRACE_SECONDS
    table.late.sweep(table.now)
    calls = []
    table.client.before = calls.append

    table.now += 300
    table.late.sweep(table.now)

    assert calls == ["Query", "Query"], "what was seen last, and the list of models"


class Endless(Chain):
    """A chain to which somebody else always adds first."""

    def _write(self, link):
        return None


def test_whoever_is_slower_every_time_says_so(table):
    chain = Endless(table.client, stack.LEDGER)
    with pytest.raises(TimeoutError, match="in between"):
        chain.extend(REF, [Named("a", "d", "2026-11-20T10:00:00.000Z", 1)], NOW)


# ── tampering ────────────────────────────────────────────────────────────────


def change(kind, old=None, new=None, *, expired=False):
    entry = (old or new)["entry"]["S"]
    return LedgerChange(REF, entry, kind, "77", expired=expired, old=old, new=new)


@pytest.fixture
def item(table):
    table.add(REF)
    return table.stream[0].new


def test_a_changed_entry_is_told_once_with_what_was_changed(table, item):
    told = change("MODIFY", item, {**item, "verdict": {"S": "keep"}})

    for _ in range(2):
        _, tampering = table.changes.take([told], NOW)

    assert [entry.verdict for entry in tampering] == ["changed"]
    (entry,) = table.stores.ledger.under(REF, "tamper#")
    assert (entry["kind"], entry["subject"]) == ("tamper", "model#1")
    assert "was changed in verdict" in entry["reason"]
    assert entry["facts"]["was"] == digest(item)


def test_a_removed_entry_is_told_unless_its_time_had_come(table, item):
    _, tampering = table.changes.take([change("REMOVE", item)], NOW)
    assert [entry.verdict for entry in tampering] == ["removed"]

    _, tampering = table.changes.take([change("REMOVE", item, expired=True)], NOW)
    assert tampering == []


def test_a_changed_link_is_told_too_and_no_link_is_chained(table, item):
    take(table, table.stream)
    (link,) = table.links(REF)

    chained, tampering = table.changes.take(
        [change("INSERT", new=link), change("MODIFY", link, {**link, "late": {"N": "9"}})], NOW
    )

    assert (chained, [entry.subject for entry in tampering]) == (0, ["chain#000000000001"])


def test_a_stream_s_entry_is_named_as_the_table_s(table, item):
    assert as_named(item, 5).digest == digest(item)
    assert as_named({"entry": {"S": "x"}}) == Named("x", digest({"entry": {"S": "x"}}), "")
    assert as_named({**item, "expires": {"N": "9"}}).expires == 9
