"""One round of the sweep: its parts do not depend on one another."""

from types import SimpleNamespace

import pytest

from tidemill.adapters.sweep import Sweep
from tidemill.adapters.watching import Rounds

PARTS = [
    "answered", "settled", "armed", "checked", "watched", "woken", "chained", "missed", "truth",
]  # fmt: skip


class Watches:
    """Watches that are in order but for one that stopped."""

    def __init__(self, parts):
        self.parts = parts

    def sweep(self, now):
        self.parts.watches(now)
        return Rounds(mended=4, stopped=1)


class Parts:
    """Parking and reconciliation in one; each part notes its call, and fails if it is to."""

    def __init__(self, failing):
        self.failing, self.done = failing, []

    def __getattr__(self, name):
        def part(*arguments):
            self.done.append((name, *arguments))
            if name in self.failing:
                raise self.failing[name]
            return len(self.done)

        return part


def sweep(failing):
    parts, heard = Parts(failing), []
    swept = Sweep(parts, parts, Watches(parts), parts, bucket="lake", stack="tidemill")
    found, failed = swept.run(7.0, lambda *told: heard.append(told))
    return SimpleNamespace(done=parts.done, heard=heard, found=found, failed=failed)


def test_every_part_is_done_once_in_order():
    swept = sweep({})
    assert swept.done == [
        ("settle",), ("executions", 7.0), ("deliveries", 7.0), ("checks", 7.0),
        ("watches", 7.0), ("triggers", 7.0), ("sweep", 7.0), ("uploads", "lake", 7.0),
        ("truth", "lake", 7.0),
    ]  # fmt: skip
    assert swept.found == dict(zip(PARTS, (1, 2, 3, 4, 4, 6, 7, 8, 9), strict=True))
    assert (swept.failed, swept.heard) == ([], [])


@pytest.mark.parametrize("method", ["settle", "executions", "watches", "sweep", "uploads"])
def test_a_part_that_fails_is_told_with_its_error_and_the_others_are_done(method):
    error = ConnectionError("no")
    swept = sweep({method: error})
    assert len(swept.done) == len(PARTS)
    (name,) = swept.failed
    assert swept.heard == [(name, error)]
    assert {name, *swept.found} == set(PARTS)
    assert name not in swept.found


def test_what_stops_the_process_stops_the_sweep():
    with pytest.raises(KeyboardInterrupt):
        sweep({"executions": KeyboardInterrupt()})
