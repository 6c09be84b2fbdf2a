"""Every state of `watch` is entered, and every Catch of it taken, on the real engine."""

import random
import uuid

import pytest

from deployed import table
from local_cloud import wait_until

pytestmark = pytest.mark.e2e

DRIFT = {"windows": 1, "of": 1, "minimum_rows": 100, "cooldown": "0s", "per_week": 100}
SECONDS = 240.0
STATES = ["PlanWatch", "ProfileParts", "ConcludeWatch", "JudgeQuality", "Watched"]


def execution(stack, watch):
    return f"{stack.outputs['WatchArn'].replace(':stateMachine:', ':execution:')}:{watch}"


def traffic(count=200, *, shifted=False, seed=5):
    """Return rows like those of `table`, or such of which half come from elsewhere: no offset."""
    chance = random.Random(seed)
    return [
        {
            "x": chance.gauss(2, 0.5) if shifted and n % 2 else chance.gauss(0, 1),
            "z": n % 7,
            "colour": chance.choice(["red", "green", "blue"]),
        }
        for n in range(count)
    ]


def ask(stack, ref, rows):
    """Send rows to the endpoint, and wait until they were captured."""

    def captured():
        return sum(str(rows[0]["x"]) in line for line in stack.capture(ref))

    before = captured()
    stack.predict(ref, rows)
    wait_until(lambda: captured() > before, 60, lambda: stack.story(ref))


def watch(stack, ref):
    """Look at the traffic now; return the execution's name."""
    project, model = ref.split("/")
    request = {"project": project, "model": model, "id": uuid.uuid4().hex}
    return stack.invoke("RequestWatchFunctionName", request)["watch"]


def looked(stack, ref, name):
    """Wait for what the ledger says of a look."""

    def found():
        entries = stack.stores.ledger.under(ref, f"watch#{name}")
        return entries[0] if entries else None

    return wait_until(found, SECONDS, lambda: stack.story(ref))


def failed(stack, ref, name):
    """Wait for what the ledger says of a look that failed."""
    return wait_until(
        lambda: stack.stores.ledger.find(ref, f"watch#{name}#failed"),
        SECONDS,
        lambda: stack.story(ref),
    )


def watch_jobs(stack):
    """Return the processing jobs that profiled traffic of the model in service."""
    jobs = stack.cloud.client("sagemaker").list_processing_jobs(NameContains="--served--watch")
    return jobs["ProcessingJobSummaries"]


@pytest.fixture(scope="module", autouse=True)
def by_clock(stack):
    """A model that is watched each minute: two minutes after a window its first look comes."""
    ref = stack.apply("by-clock", watch={"every": "1m", "drift": DRIFT})
    stack.put(ref, "a.csv", table(600))
    return ref


@pytest.fixture(scope="module")
def served(stack):
    """A model in service whose traffic nobody trains on again."""
    ref = stack.apply("served", watch={"every": "1h", "drift": {**DRIFT, "retrain": False}})
    stack.put(ref, "a.csv", table(600))
    stack.entry(ref, "rollout", seconds=SECONDS)
    return ref


def test_a_look_without_traffic_is_a_verdict(stack, served):
    name = watch(stack, served)
    entry = looked(stack, served, name)
    assert (entry["verdict"], entry["subject"]) == ("no_traffic", "version 1")
    assert stack.states(execution(stack, name)) == STATES


def test_traffic_is_profiled_and_compared_with_the_baseline(stack, served):
    ask(stack, served, traffic())
    name = watch(stack, served)
    entry = looked(stack, served, name)
    assert entry["verdict"] == "same", stack.story(served)
    assert entry["facts"]["rows"] >= 200
    assert stack.states(execution(stack, name)) == STATES
    assert watch_jobs(stack) == [], "a Lambda was enough"


def test_a_part_whose_lambda_runs_out_goes_on_as_a_job(stack, served):
    ask(stack, served, traffic(seed=6))
    with stack.configured("ProfileTrafficFunction", Timeout=10):  # too little to begin
        name = watch(stack, served)
        assert looked(stack, served, name)["verdict"] == "same"
    assert stack.states(execution(stack, name)) == STATES
    (job,) = watch_jobs(stack)
    assert job["ProcessingJobStatus"] == "Completed"


@pytest.mark.parametrize(
    ("state", "function"),
    [
        ("PlanWatch", "PlanWatchFunction"),
        ("ProfileParts", "ProfileTrafficFunction"),
        ("ConcludeWatch", "ConcludeWatchFunction"),
        ("JudgeQuality", "JudgeQualityFunction"),
    ],
)
def test_a_look_that_fails_takes_the_recorded_path(stack, served, state, function):
    ask(stack, served, traffic(10, seed=7))
    with stack.broken(function):
        name = watch(stack, served)
        entry = failed(stack, served, name)
    assert entry["verdict"] == "failed"
    assert entry["reason"].startswith(f"{state}: ")
    assert stack.states(execution(stack, name))[-2:] == ["CloseFailedWatch", "WatchFailed"]


def test_a_look_that_cannot_even_say_that_it_failed_is_settled_by_its_event(stack, served):
    with stack.broken("PlanWatchFunction"), stack.broken("CloseWatchFunction"):
        assert failed(stack, served, watch(stack, served))["verdict"] == "failed"


def test_drift_for_people_starts_nothing(stack, served):
    ask(stack, served, traffic(3_000, shifted=True))
    assert looked(stack, served, watch(stack, served))["verdict"] == "found"
    refused = stack.entry(served, "trigger", verdict="refuse")
    assert refused["reason"].endswith("watch.drift.retrain is false, so nothing starts")


def test_a_schedule_looks_by_the_clock(stack, by_clock):
    stack.entry(by_clock, "rollout", seconds=SECONDS)
    entry = stack.entry(by_clock, "watch", seconds=2 * SECONDS)
    assert entry["verdict"] == "no_traffic"
    assert "--w-" in entry["facts"]["watch"]
