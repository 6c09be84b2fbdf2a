import json

import pytest

from tidemill.adapters.runs import Ended
from tidemill.errors import InvalidInputError, NotFoundError

from ...stack import machine
from .scenes import MODEL, NAME, REF, begin_check, begin_run

ROLLOUT = {**MODEL, "version": 3, "package": "arn:p", "why": "good"}


def changed(cloud, workflow, name, status, document, **more):
    """End an execution; return the event, which says neither error nor cause of its own."""
    arn = cloud.workflows.begin(workflow, name, document)
    cloud.workflows.end(workflow, name, status, **more)
    return {
        "detail": {
            "executionArn": arn,
            "stateMachineArn": machine(workflow),
            "name": name,
            "status": status,
            "input": json.dumps(document),
        }
    }


def of_run(cloud, run, status="ABORTED", **more):
    return changed(cloud, "retrain", run, status, {**MODEL, "run": run}, **more)


def of_rollout(cloud, status="FAILED"):
    return changed(cloud, "rollout", "x", status, ROLLOUT)


@pytest.mark.parametrize(
    ("status", "ends", "says"),
    [
        ("ABORTED", "stopped", "stopped by hand: not needed"),
        ("TIMED_OUT", "failed", "within its time limit"),
        ("FAILED", "failed", "States.Runtime: not needed"),
    ],
)
def test_a_run_whose_workflow_could_not_say_so_is_ended(cloud, status, ends, says):
    run = begin_run(cloud)
    event = of_run(cloud, run, status, cause="not needed", error="States.Runtime")
    cloud.invoke("settle_execution", event)
    record = cloud.stores.runs.get(REF, run)
    assert record["status"] == ends
    assert says in record["reason"]
    assert [kind for kind, _ in cloud.events()] == ["Run Failed"]
    assert cloud.sent("TriggerQueue") == [(MODEL, 0)]


def test_a_run_that_said_so_itself_stays_as_it_ended(cloud):
    run = begin_run(cloud)
    cloud.stores.runs.finish(REF, run, Ended("refused", "the gate"), cloud.now)
    cloud.invoke("settle_execution", of_run(cloud, run, "FAILED"))
    assert cloud.stores.runs.get(REF, run)["reason"] == "the gate"
    assert cloud.events() == []


@pytest.mark.parametrize("ended_itself", [True, False])
def test_a_pipeline_that_nobody_waits_for_is_stopped(cloud, ended_itself):
    """Also when the workflow recorded its end itself: a time-out of AwaitPipeline does."""
    run = begin_run(cloud)
    pipeline = cloud.sagemaker.add_execution(NAME)
    cloud.stores.runs.note(REF, run, pipeline=pipeline)
    if ended_itself:
        cloud.stores.runs.finish(REF, run, Ended("failed", "timeout"), cloud.now)
    cloud.invoke("settle_execution", of_run(cloud, run, "TIMED_OUT"))
    assert cloud.sagemaker.executions[pipeline]["PipelineExecutionStatus"] == "Stopping"


def test_a_rollout_that_could_not_say_so_is_ended_and_told(cloud):
    cloud.stores.leases.acquire(REF, "rollout", holder="x", now=cloud.now, seconds=100)
    cloud.invoke("settle_execution", of_rollout(cloud, "TIMED_OUT"))
    (entry,) = cloud.entries(REF, "rollout")
    assert (entry["verdict"], entry["subject"]) == ("fail", "version 3")
    assert cloud.stores.leases.read(REF, "rollout").holder == ""
    assert [kind for kind, _ in cloud.events()] == ["Rollout RolledBack"]


def test_a_rollout_that_said_so_itself_is_not_told_again(cloud):
    event = of_rollout(cloud)
    for _ in range(2):
        cloud.invoke("settle_execution", event)
    assert len(cloud.entries(REF, "rollout")) == 1
    assert cloud.events() == []


@pytest.mark.parametrize("status", ["ABORTED", "TIMED_OUT", "FAILED"])
def test_a_check_whose_workflow_could_not_say_so_has_failed(cloud, status):
    delivery, document = begin_check(cloud)
    event = changed(cloud, "check", f"{delivery}-other", status, document, cause="enough")
    for _ in range(2):
        cloud.invoke("settle_execution", event)
    record = cloud.stores.checks.find(REF, delivery)
    assert (record["stands"], record["again_at"]) == ("check_failed", cloud.now + 60)
    (entry,) = cloud.entries(REF, "delivery")[1:]
    assert (entry["verdict"], entry["reason"]) == ("check failed", record["check"])


@pytest.mark.parametrize("name", ["retrain_aborted", "rollout_timed_out"])
def test_step_functions_own_event_is_understood(cloud, sample, name):
    event = sample(name)
    if name == "retrain_aborted":
        with pytest.raises(NotFoundError, match="run-20261120t100000-0a1b2c3d"):
            cloud.invoke("settle_execution", event)
    else:
        cloud.invoke("settle_execution", event)
        assert len(cloud.entries(REF, "rollout")) == 1


def test_an_input_too_long_for_an_event_is_asked_for(cloud):
    event = of_rollout(cloud)
    del event["detail"]["input"]
    cloud.invoke("settle_execution", event)
    assert len(cloud.entries(REF, "rollout")) == 1


def test_an_execution_that_is_not_ours_is_refused(cloud):
    with pytest.raises(InvalidInputError, match="RolloutRef: project is missing"):
        cloud.invoke("settle_execution", changed(cloud, "retrain", "x", "FAILED", {"hello": 1}))


def test_a_check_is_settled_wherever_it_died(survives):
    def check(cloud):
        delivery, document = begin_check(cloud)
        return changed(cloud, "check", f"{delivery}-other", "ABORTED", document)

    survives("settle_execution", check)


def test_it_may_die_anywhere(survives):
    def run(cloud):
        run = begin_run(cloud)
        cloud.stores.runs.note(REF, run, pipeline=cloud.sagemaker.add_execution(NAME))
        return of_run(cloud, run)

    survives("settle_execution", run)


def test_a_rollout_is_settled_wherever_it_died(cloud):
    event = of_rollout(cloud)
    cloud.stores.leases.acquire(REF, "rollout", holder="x", now=cloud.now, seconds=100)
    cloud.invoke("settle_execution", event)
    # The entry is there, and the lease not yet free.
    cloud.stores.leases.acquire(REF, "rollout", holder="x", now=cloud.now, seconds=100)
    cloud.invoke("settle_execution", event)
    assert cloud.stores.leases.read(REF, "rollout").holder == ""
