"""The ledger in sentences: crisp, and nothing said twice."""

import click
import pytest

from tidemill_cli.telling import lines

GATE = "auc is 0.78; the minimum of 0.6 is reached."


def told(kind, verdict, subject, reason, rule=None):
    row = {
        "at": "2026-11-20T10:00:00.000Z", "kind": kind, "subject": subject, "verdict": verdict,
        "reason": reason, "next_step": None, "now": False, "until": None, "rule": rule,
    }  # fmt: skip
    (line,) = lines([row], 1_795_000_000.0)
    return click.unstyle(line)[12:].strip()


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (
            ("version", "register", "version 1", f"version 1 registered: {GATE}"),
            f"Version 1 was registered: {GATE}",
        ),
        (
            ("rollout", "in service", "version 1", f"version 1 answers as evaluated: {GATE}"),
            f"Version 1 is in service and answers as evaluated: {GATE}",
        ),
        (
            ("run", "succeeded", "run-1", f"version 1 registered: {GATE}"),
            f"run-1 succeeded with version 1: {GATE}",
        ),
        (
            (
                "trigger",
                "start",
                "data",
                "delivery d-1: 500 new rows, 1 quarantined; started run-1",
            ),
            "A data trigger started run-1: delivery d-1, 500 new rows, 1 quarantined.",
        ),
        (
            ("trigger", "start", "manual", "a new calendar; started run-1"),
            "A manual trigger started run-1: a new calendar.",
        ),
        (
            ("trigger", "coalesce", "data", "delivery d-2: 1 file accepted; joins run-1"),
            "A data trigger joined run-1: delivery d-2, 1 file accepted.",
        ),
        (
            ("delivery", "check", "d-1", "500 new rows, 1 quarantined"),
            "Delivery d-1 was checked: 500 new rows, 1 quarantined.",
        ),
    ],
)
def test_a_phrase_and_its_reason_say_nothing_twice(row, said):
    assert told(*row) == said


def test_what_a_reason_says_otherwise_stays_whole():
    reason = "the endpoint took the rows; started anew"
    assert told("trigger", "start", "data", reason) == f"A data trigger started a run: {reason}."
