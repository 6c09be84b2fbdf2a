import pytest

from tidemill.errors import InvalidInputError

from .scenes import MODEL, REF, begin_run

REGISTERED = {"status": "registered", "reason": "version 3 registered", "version": 3, "metric": {}}


def failure(state, error, cause=""):
    return {"state": state, "error": error, "cause": cause}


def close(cloud, run, **how):
    return cloud.invoke("close_run", {**MODEL, "run": run, **how})


@pytest.mark.parametrize(
    ("how", "status", "event"),
    [
        ({"outcome": REGISTERED}, "succeeded", "Run Succeeded"),
        ({"outcome": {"status": "refused", "reason": "AUC too low"}}, "refused", "Run Failed"),
        ({"failure": failure("Prepare", "TaskFailed", '{"ExitMessage": "Refused: no rows"}')},
         "refused", "Run Failed"),
        ({"failure": failure("AwaitPipeline", "States.Timeout")}, "failed", "Run Failed"),
        ({"failure": failure("Prepare", "States.TaskFailed", '{"ProcessingJobStatus": "Stopped"}')},
         "stopped", "Run Failed"),
    ],
)  # fmt: skip
def test_a_run_ends_as_it_ended(cloud, how, status, event):
    run = begin_run(cloud)
    answer = close(cloud, run, **how)
    record = cloud.stores.runs.get(REF, run)
    assert answer == {"status": status, "reason": record["reason"]}
    assert record["status"] == status
    ((kind, detail),) = cloud.events()
    assert (kind, detail["run"], detail["status"]) == (event, run, status)
    assert cloud.sent("TriggerQueue") == [(MODEL, 0)], "whoever waited is decided now"
    assert cloud.stores.leases.read(REF, "run").holder == ""


def test_a_run_that_was_settled_before_stays_so(cloud):
    run = begin_run(cloud)
    close(cloud, run, failure=failure("Prepare", "X", "first"))
    close(cloud, run, outcome=REGISTERED)
    assert cloud.stores.runs.get(REF, run)["status"] == "failed"
    assert cloud.events() == []


def test_neither_outcome_nor_failure_is_refused(cloud):
    run = begin_run(cloud)
    with pytest.raises(InvalidInputError, match="Registered: expected an object"):
        close(cloud, run)


def test_it_may_die_anywhere(survives):
    survives(
        "close_run",
        lambda cloud: {**MODEL, "run": begin_run(cloud), "outcome": REGISTERED},
    )
