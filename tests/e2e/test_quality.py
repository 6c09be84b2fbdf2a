"""Truth comes a day late, and says that a model in service is no good any more."""

import json

import pytest

from deployed import aws_name, spec_text, table
from local_cloud import wait_until

pytestmark = pytest.mark.e2e

MODEL = "tests/truths"
ROWS = 60


@pytest.fixture
def served(typed, answer, tmp_path):
    """A model whose predictions must be right seven times of ten; one point is enough to tell."""
    watch = {
        "drift": {"windows": 1, "of": 1, "minimum_rows": 100_000, "cooldown": "0s"},
        "quality": {"metric": "accuracy", "floor": 0.7, "minimum_rows": ROWS},
    }
    (tmp_path / "model.yaml").write_text(spec_text("truths", watch=watch))
    (tmp_path / "a.csv").write_text(table(600))
    assert typed("tidemill", "apply", tmp_path / "model.yaml")[0] == 0
    answer("upload", MODEL, tmp_path / "a.csv")
    assert typed("tidemill", "wait", MODEL, "--timeout", "3m")[0] == 0


def asked(stack):
    """Ask the endpoint row by row, with an inference id each; return the answers by id."""
    client = stack.cloud.client("sagemaker-runtime")
    labels = {}
    for number in range(ROWS):
        row = {"x": (number - ROWS / 2) / 10, "z": number % 7, "colour": "blue"}
        body = client.invoke_endpoint(
            EndpointName=aws_name(MODEL),
            ContentType="application/json",
            Body=json.dumps(row).encode(),
            InferenceId=f"order-{number}",
        )["Body"]
        labels[f"order-{number}"] = json.loads(body.read())["label"]
    return labels


def late(path, labels, *, wrong, time):
    """Write a truth file by which so many of the answers are *wrong*."""
    lines = [
        f"{identity},{1 - label if number < wrong else label},{time}"
        for number, (identity, label) in enumerate(labels.items())
    ]
    path.write_text("\n".join(["inference_id,label,time", *lines]) + "\n")
    return path


def recorded(stack, count):
    """Wait until so many truth files were read."""
    wait_until(
        lambda: len(list(stack.stores.ledger.under(MODEL, "truth#"))) >= count,
        120,
        lambda: stack.story(MODEL),
    )


def test_truth_that_comes_late_is_joined_and_quality_below_the_floor_is_told(
    served, typed, answer, stack, tmp_path
):
    labels = asked(stack)
    wait_until(lambda: stack.captured(MODEL, f"order-{ROWS - 1}"), 60)
    status, out, _ = typed("tidemill", "watch", MODEL, "--wait", "--json")
    assert status in (0, 1), out
    judged(stack, answer, waiting=ROWS)

    good = late(tmp_path / "day-1.csv", labels, wrong=6, time="2026-01-02T00:00:00Z")
    sent = answer("truth", MODEL, good)
    assert (sent["labels"], sent["joins"]["joined"]) == (ROWS, ROWS)
    recorded(stack, 1)
    answer_of_a_look(typed)
    found = judged(stack, answer, waiting=0)
    assert found["points"][-1]["value"] == pytest.approx(0.9)
    assert found["verdict"] == "reached"

    corrected = late(tmp_path / "day-2.csv", labels, wrong=30, time="2026-01-03T00:00:00Z")
    answer("truth", MODEL, corrected)
    recorded(stack, 2)
    answer_of_a_look(typed)
    wait_until(lambda: typed("tidemill", "quality", MODEL)[0] == 1, 120)
    status, out, _ = typed("tidemill", "quality", MODEL)
    assert status == 1
    assert "accuracy is 0.5" in out
    assert f"{ROWS} of {ROWS} predictions have their truth, 0 wait for it" in out

    run = stack.ended_run(MODEL, 2)
    assert run["trigger"] == "drift"
    _, why, _ = typed("tidemill", "why", MODEL)
    assert "drift was found: accuracy is 0.5" in why


def answer_of_a_look(typed):
    """Look at the traffic, whatever comes of it."""
    status, out, errors = typed("tidemill", "watch", MODEL, "--wait", "--json")
    assert status in (0, 1), out + errors


def judged(stack, answer, *, waiting):
    """Wait until a look has judged with so many predictions that wait for their truth."""

    def found():
        listed = stack.cloud.client("s3").list_objects_v2(
            Bucket=stack.lake, Prefix=f"watch/{MODEL}/quality/summary.json"
        )
        if "Contents" not in listed:
            return None
        document = answer("quality", MODEL)
        return document if document["waiting"] == waiting else None

    return wait_until(found, 120, lambda: stack.story(MODEL))
