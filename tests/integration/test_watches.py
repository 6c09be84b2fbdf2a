"""How a watch stands is one item, changed only if it is still as it was read."""

from dataclasses import replace

import pytest

from tidemill.adapters.entries import Entry
from tidemill.adapters.watches import Begun, Watched
from tidemill.domain.drift import LATE_WINDOWS, Carried, History, Told, Window, remember
from tidemill.spec.compiled import Drift

REF = "flights/delay"
NOW = 1_795_168_800.0
FULL = Watched(
    stands="failed",
    begun={"w-1": Begun(NOW, asked=True), "w-2": Begun(NOW + 0.5)},
    version=3,
    every=3_600,
    history=History(
        since=NOW - 1.25,
        windows=(
            Window(NOW, 600, {"distance": 0.25}, ("carrier",), {"distance": "gone"}, capped=True),
            Window(NOW + 3_600, 0),
        ),
        carried={"origin": Carried((True, False), NOW), "dest": Carried((True,), None)},
        forgotten=NOW - 1,
    ),
    told=(Told("f-1", "shift", NOW, NOW, ("distance", "origin"), NOW - 1.25),),
    unsaid=("f-1",),
    digests={"2026-11-20T10:00:00.000Z": "0a1b"},
    watermark=NOW,
    looked_at=NOW + 1,
    concluded="w-0",
    verdict="found",
    reason="distance drifted",
    failures=2,
    again_at=NOW + 60,
)

both = pytest.mark.parametrize("cloud", ["moto", "memory"], indirect=True)


def entry(name="watch#w-1"):
    return Entry(REF, name, NOW, "watch", "version 3", "same", "no feature drifted")


def to(after, *entries):
    return lambda _: (after, list(entries))


@both
def test_what_is_written_is_read(stores):
    assert stores.watches.read(REF) == Watched()
    written = stores.watches.change(REF, to(FULL, entry()))
    assert written == replace(FULL, revision=1)
    assert stores.watches.read(REF) == written
    assert len(stores.ledger.under(REF, "watch#")) == 1


@both
def test_what_somebody_else_changed_meanwhile_is_not_lost(stores):
    """Both note a look; the slower one reads again and keeps the other's."""
    seen = []

    def note(held):
        seen.append(set(held.begun))
        if len(seen) == 1:
            stores.watches.change(REF, to(replace(held, begun={"w-2": Begun(NOW)})))
        return replace(held, begun={**held.begun, "w-1": Begun(NOW)}), []

    stores.watches.change(REF, note)
    assert seen == [set(), {"w-2"}]
    assert set(stores.watches.read(REF).begun) == {"w-1", "w-2"}


@both
def test_an_entry_that_is_there_does_not_keep_the_change_from_being_written(stores):
    stores.ledger.append(entry())
    stores.watches.change(REF, to(FULL, entry(), entry("watch#w-2")))
    assert stores.watches.read(REF).verdict == "found"
    assert len(stores.ledger.under(REF, "watch#")) == 2


def test_a_change_that_is_none_writes_nothing(stores):
    assert stores.watches.change(REF, lambda _: None) == Watched()
    assert stores.state.get(REF, "watch") is None


def test_who_is_never_fast_enough_says_so(stores):
    def overtaken(held):
        stores.watches.change(REF, to(replace(held, failures=held.failures + 1)))
        return held, []

    with pytest.raises(TimeoutError, match=f"the watch of {REF} changed 10 times"):
        stores.watches.change(REF, overtaken)


@pytest.mark.parametrize("of", [5, 100])
def test_the_largest_watch_fits_an_item(stores, of):
    """DynamoDB takes 400 KB: as many windows and features as are kept, with long names."""
    names = [f"{'name of a column ' * 3}{n:03}" for n in range(500)]
    signs = dict.fromkeys(names, "60 % of the rows have no value; in the baseline 2 % had none")
    windows = [
        Window(NOW + 3_600 * n, 10**9, dict.fromkeys(names, 0.1234567890123456), (), signs)
        for n in range(of + LATE_WINDOWS)
    ]
    history = remember(History(), windows, Drift(windows=of, of=of), ())
    stores.watches.change(REF, to(replace(FULL, history=history)))
    assert len(stores.watches.read(REF).history.windows) == len(windows)
