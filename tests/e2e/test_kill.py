"""kill -9 of the local cloud: what was told is kept, what was interrupted ends truthfully."""

import time

import pytest

from deployed import Deployed, soon, table
from local_cloud import LocalCloud, wait_until

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    cloud = LocalCloud(tmp_path_factory.mktemp("killed") / "state").start()
    try:
        yield Deployed(cloud)
    finally:
        cloud.close()


def test_a_kill_in_the_middle_of_training_loses_nothing(stack):
    ref = stack.apply("killed", delivery__quiet="2s")
    stack.put(ref, "a.csv", table())
    stack.entry(ref, "rollout")
    row = [{"id": "k", "x": 1.5, "z": 0, "colour": "red"}]
    answered = stack.predict(ref, row)

    slow = {"num_round": 5000, "early_stopping_rounds": 5000}
    stack.apply("killed", delivery__quiet="2s", train__hyperparameters=slow)
    stack.put(ref, "b.csv", table(4000, seed=2, first=400))
    stack.until_training(ref)
    late = [
        (name, stack.put(ref, name, table(50, seed=number, first=9000 + 50 * number)))
        for number, name in enumerate(f"late-{n}.csv" for n in range(20))
    ]
    stack.cloud.kill()
    stack.cloud.start()

    run = stack.ended_run(ref, number=2)
    assert run["status"] == "failed"
    assert "the local cloud stopped" in run["reason"]
    wait_until(lambda: stack.stores.leases.read(ref, "run").holder != run["run"], 60)
    for name, version in late:
        wait_until(
            lambda name=name, version=version: stack.stores.ledger.upload(
                ref, f"raw/{ref}/{name}", version
            ),
            60,
            lambda: stack.story(ref),
        )
    assert wait_until(lambda: stack.answers(ref, row), 60) == answered

    stack.apply("killed", delivery__quiet="2s")
    stack.start(ref, "again")
    last = stack.until_quiet(ref)
    assert last["status"] == "succeeded", stack.story(ref)
    assert last["files"] == 22


def test_a_trigger_that_waits_outlives_the_local_cloud(stack):
    """Its delayed message may die with the cloud; the sweep at the next start finds the trigger."""
    ref = stack.apply("surviving", triggers={"cooldown": "45s", "schedule": [soon(30)]})
    stack.start(ref, "the first")
    ended = stack.ended_run(ref)
    stack.entry(ref, "trigger", verdict="defer")
    stack.cloud.kill()
    wait_until(lambda: time.time() > ended["finished_at"] + 46, 90)
    stack.cloud.start()

    run = stack.ended_run(ref, number=2)

    assert run["trigger"] == "schedule", stack.story(ref)
