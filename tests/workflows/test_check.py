"""Every state of `check` is entered, and every Catch of it taken, on the real engine."""

import pytest

from deployed import table
from local_cloud import wait_until

pytestmark = pytest.mark.e2e


def execution(stack, delivery, attempt=1):
    machine = stack.outputs["CheckArn"].replace(":stateMachine:", ":execution:")
    return f"{machine}:{delivery}" + (f"-r{attempt}" if attempt > 1 else "")


def closed(stack, ref):
    """Wait for the model's first delivery to be closed, and return its id."""
    return stack.entry(ref, "delivery", verdict="close")["subject"]


def test_a_good_delivery_is_checked_and_triggers_a_run(stack):
    ref = stack.apply("checked", approve="manual")
    stack.put(ref, "a.csv", table())

    entry = stack.entry(ref, "delivery", verdict="check")

    assert entry["facts"]["accepted"] == 1
    assert stack.states(execution(stack, entry["subject"])) == ["ConcludeCheck", "Checked"]
    assert stack.entry(ref, "trigger", verdict="start")["facts"]["trigger"] == entry["subject"]


@pytest.mark.parametrize(("state", "function"), [("ConcludeCheck", "ConcludeCheckFunction")])
def test_a_check_that_fails_takes_the_recorded_path(stack, state, function):
    ref = stack.apply(f"check-{state.lower()}", approve="manual")
    with stack.broken(function):
        stack.put(ref, "a.csv", table())
        entry = stack.entry(ref, "delivery", verdict="check failed")

    assert entry["reason"].startswith(f"{state}: ")
    assert stack.states(execution(stack, entry["subject"]))[-2:] == [
        "CloseFailedCheck", "CheckFailed",
    ]  # fmt: skip
    assert stack.stores.checks.unfinished() != [], "the sweep tries again"


def test_a_check_that_cannot_even_say_that_it_failed_is_settled_by_its_event(stack):
    ref = stack.apply("check-silent", approve="manual")
    with stack.broken("ConcludeCheckFunction"), stack.broken("CloseCheckFunction"):
        stack.put(ref, "a.csv", table())
        delivery = closed(stack, ref)
        wait_until(
            lambda: stack.stores.checks.find(ref, delivery)["stands"] == "check_failed",
            60,
            lambda: stack.story(ref),
        )
