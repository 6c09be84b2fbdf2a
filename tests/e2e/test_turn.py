"""Drop data, predict: the whole wheel by the command line, as README shows it."""

import json

import pytest

from deployed import spec_text, table

pytestmark = pytest.mark.e2e

MODEL = "tests/wheel"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    (folder / "model.yaml").write_text(spec_text("wheel", delivery__quiet="3s"))
    for number in range(4):
        text = table(300, seed=number, first=300 * number)
        (folder / f"part-{number}.csv").write_text(text)
    rows = table(5, seed=99, first=9000).splitlines()
    (folder / "rows.csv").write_text("\n".join(row.rpartition(",")[0] for row in rows) + "\n")
    return folder


def test_a_model_lives_from_its_first_file_to_its_deletion(typed, answer, files, stack):
    status, out, _ = typed("tidemill", "apply", files / "model.yaml")
    assert status == 0
    assert "data.target: y" in out
    assert answer("apply", files / "model.yaml")["changed"] is False

    uploaded = answer("upload", MODEL, *(files / f"part-{n}.csv" for n in range(3)))
    assert len(uploaded) == 3
    assert typed("tidemill", "wait", MODEL, "--timeout", "3m")[0] == 0
    (run,) = answer("runs", MODEL)
    assert (run["status"], run["trigger"], run["version"]) == ("succeeded", "data", 1)

    predictions = answer("predict", MODEL, files / "rows.csv")["predictions"]
    assert len(predictions) == 5
    assert all(0 <= item["score"] <= 1 for item in predictions)
    _, listed, _ = typed("aws", "sagemaker", "list-endpoints")
    names = [item["EndpointName"] for item in json.loads(listed)["Endpoints"]]
    assert "tidemill--tests--wheel" in names

    key = f"s3://{stack.lake}/raw/{MODEL}/part-3.csv"
    assert typed("aws", "s3", "cp", files / "part-3.csv", key)[0] == 0
    assert typed("tidemill", "follow", MODEL)[0] == 0
    assert [row["version"] for row in answer("versions", MODEL) if row["in_service"]] == [2]

    assert typed("tidemill", "rollback", MODEL, "--why", "a look back")[0] == 0
    stack.entry(MODEL, "rollout", count=3)
    assert [row["version"] for row in answer("versions", MODEL) if row["in_service"]] == [1]

    told = answer("why", MODEL)
    assert {"spec", "upload", "delivery", "trigger", "run", "version", "approval", "rollout"} <= {
        row["kind"] for row in told
    }
    assert all(row["reason"] for row in told)

    assert typed("tidemill", "delete", MODEL, "--yes")[0] == 0
    assert stack.endpoint(MODEL) is None or stack.endpoint(MODEL)["EndpointStatus"] == "Deleting"
    assert typed("tidemill", "start", MODEL, "--why", "it is gone")[0] == 2


def test_captured_traffic_lands_in_the_lake(stack):
    ref = stack.apply("captured")
    stack.put(ref, "a.csv", table())
    stack.entry(ref, "rollout")
    stack.predict(ref, [{"id": "c1", "x": 1.0, "z": 2, "colour": "red"}])

    captured = json.loads(stack.captured(ref, "c1"))["captureData"]

    assert captured["endpointInput"]["observedContentType"] == "application/json"
    assert "score" in captured["endpointOutput"]["data"]


def test_a_target_cannot_change_once_versions_exist(typed, stack, tmp_path):
    ref = stack.apply("fixed-target", approve="manual")
    stack.put(ref, "a.csv", table())
    assert stack.ended_run(ref)["status"] == "succeeded"
    changed = tmp_path / "model.yaml"
    changed.write_text(spec_text("fixed-target", data__target="z"))

    status, _, errors = typed("tidemill", "apply", changed)

    assert status == 1
    assert "another model name" in errors
    assert stack.stores.specs.get(ref).data.target == "y"
