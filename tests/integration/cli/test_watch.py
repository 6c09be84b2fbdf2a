"""`watch`: a look at an endpoint's traffic, asked for by a person."""

import pytest

from tidemill.adapters.entries import Entry
from tidemill_cli.failures import RefusedError
from tidemill_cli.watch import await_entry

from .conftest import REF


@pytest.fixture
def served(cloud, life):
    life.serve(1)
    return cloud


def concludes(cloud, verdict, reason="600 rows; no feature drifted"):
    """Have the look that was asked for last come to its end."""
    (name,) = cloud.workflows.of("watch")
    key, subject = f"watch#{name}", "version 1"
    cloud.stores.ledger.append(Entry(REF, key, cloud.now, "watch", subject, verdict, reason))
    return name


def test_a_look_is_asked_for(run, document, served, documented):
    answer = run("watch", REF)
    assert answer.exit_code == 0
    assert "asked for a look at the traffic of flights/delay (flights--delay--a-" in answer.stdout
    told = document("watch", REF)
    assert tuple(told) == documented("watch")
    assert told["verdict"] is None
    assert len(served.workflows.of("watch")) == 2


def test_a_model_that_nobody_can_ask_has_no_traffic(run, model):
    answer = run("watch", REF)
    assert answer.exit_code == 2
    assert "no version of flights/delay is in service" in answer.stderr


@pytest.mark.parametrize(
    ("verdict", "status"),
    [("same", 0), ("no_traffic", 0), ("too_few_rows", 0), ("suspected", 0), ("drifted", 1),
     ("held", 1), ("found", 1), ("no_baseline", 1), ("failed", 1)],
)  # fmt: skip
def test_waiting_says_what_the_look_came_to(run, served, functions, verdict, status):
    invoke = functions.invoke

    def and_concludes(**request):
        answer = invoke(**request)
        concludes(served, verdict)
        return answer

    functions.invoke = and_concludes
    answer = run("watch", REF, "--wait")
    assert answer.exit_code == status
    assert answer.stdout == f"{verdict.replace('_', ' ')}: 600 rows; no feature drifted\n"


def test_a_look_that_goes_on_for_too_long_is_said(stack, served):
    times = iter((0.0, 10.0, 70.0))
    with pytest.raises(RefusedError, match="goes on after"):
        await_entry(stack, REF, "w-1", 60.0, clock=lambda: next(times), sleep=lambda _: None)


@pytest.mark.parametrize(
    ("verdict", "told"),
    [
        ("same", "The traffic of version 1 is like what the version learned from: 600 rows"),
        ("found", "The traffic of version 1 has drifted: 600 rows"),
    ],
)
def test_why_tells_of_looks(run, served, verdict, told):
    run("watch", REF)
    concludes(served, verdict)
    assert told in run("why", REF).stdout


def test_why_tells_of_findings_and_of_looks_that_failed(run, served):
    ledger, now = served.stores.ledger, served.now
    ledger.append(
        Entry(REF, "finding#f-1", now, "finding", "distance", "shift", "distance by 0.4", {})
    )
    ledger.append(Entry(REF, "watch#w-1#failed", now, "watch", "w-1", "failed", "PlanWatch: no"))
    story = run("why", REF).stdout
    assert "The feature distance was found to have drifted: distance by 0.4." in story
    assert "The look w-1 failed: PlanWatch: no." in story
