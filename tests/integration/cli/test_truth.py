"""`truth` and `quality`: what is sent and what was wrong with it, and how the model fares."""

import math

import boto3
import pytest

from ..functions.quality_scenes import HOUR, predict, serve, tell, watched
from .conftest import REF, deployed


@pytest.fixture
def since(cloud, spec):
    """A model in service for two days, whose predictions must be right seven times of ten."""
    since = math.floor(cloud.now / HOUR - 48) * HOUR
    serve(cloud, watched(spec), since=since)
    return since


@pytest.fixture
def late(tmp_path):
    path = tmp_path / "late.csv"
    path.write_text("id,label\nh0-0,1\nh0-1,0\nnobody,1\n,1\n")
    return path


def sent():
    listed = boto3.client("s3").list_object_versions(Bucket=deployed.LAKE, Prefix="truth/")
    return [(item["Key"], item["VersionId"]) for item in listed.get("Versions", [])]


def judge(cloud):
    return cloud.invoke("judge_quality", {"project": "flights", "model": "delay"})


def test_a_file_is_looked_at_and_sent(run, since, late):
    predict(0, since=since)
    answer = run("truth", REF, late)
    assert answer.exit_code == 0, answer.output
    ((key, version),) = sent()
    name, said = answer.stdout.splitlines()
    assert name == f"{key}  {version}"
    assert said == (
        "3 lines of truth; left out: 1 without an id. "
        "2 of the 4 newest predictions get a label; 1 label names none of these and waits."
    )
    assert f"tidemill quality {REF}" in answer.stderr


def test_its_json_is_as_documented(document, documented, since, late):
    found = document("truth", REF, late)
    assert tuple(found) == documented("truth")
    assert tuple(found["joins"]) == documented("truth", "joins")
    assert (found["lines"], found["labels"], found["left_out"]) == (4, 3, {"no_id": 1})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("label\n1\n", "no_id_column"),
        ("id\na\n", "no_label_column"),
        ("id,label\n,1\n", "no_usable_line"),
    ],
)
def test_a_file_that_could_not_be_used_is_not_sent(run, since, tmp_path, text, says):
    (tmp_path / "late.csv").write_text(text)
    answer = run("truth", REF, tmp_path / "late.csv")
    assert answer.exit_code == 1
    assert says in answer.stderr
    assert sent() == []


def test_what_is_not_there_is_malformed(run, since, tmp_path):
    assert run("truth", REF, tmp_path / "gone.csv").exit_code == 2
    (tmp_path / "late.csv").write_text("id,label\na,1\n")
    answer = run("truth", "flights/gone", tmp_path / "late.csv")
    assert answer.exit_code == 2
    assert sent() == []


def test_nothing_is_known_before_the_first_look(run, since):
    answer = run("quality", REF)
    assert answer.exit_code == 1
    assert f"tidemill truth {REF} FILE" in answer.stderr


def test_quality_over_time(run, document, documented, cloud, since):
    for hour in (0, 1, 2):
        predict(hour, since=since)
    tell(cloud, 0, right=4)
    tell(cloud, 1, right=3)
    judge(cloud)

    answer = run("quality", REF)
    assert answer.exit_code == 0, answer.output
    lines = answer.stdout.splitlines()
    assert lines[0] == ("version 3: accuracy is 0.75 on 4 rows, not below the floor of 0.7")
    assert lines[1] == (
        "8 of 12 predictions have their truth, 4 wait for it; 0 labels name no known prediction"
    )
    assert lines[2] == "accuracy was 0.93 at evaluation; the floor is 0.7"
    assert lines[4].split()[:4] == ["FROM", "TO", "ROWS", "ACCURACY"]
    assert len(lines) == 7

    found = document("quality", REF)
    assert tuple(found) == documented("quality")
    assert tuple(found["points"][0]) == documented("quality", "points")
    assert [point["value"] for point in found["points"]] == [1.0, 0.75]


def test_a_model_below_its_floor_is_a_no(run, document, cloud, since):
    for hour in (0, 1):
        predict(hour, since=since)
        tell(cloud, hour, right=1)
    judge(cloud)
    answer = run("quality", REF)
    assert answer.exit_code == 1
    assert "below it in 2 of the last 2 points" in answer.stdout
    assert document("quality", REF, status=1)["low"] is True


def test_quality_without_truth_yet(run, cloud, since):
    predict(0, since=since)
    judge(cloud)
    answer = run("quality", REF)
    assert answer.exit_code == 0
    assert "no prediction of this version has its truth yet" in answer.stdout
    assert "4 wait for it" in answer.stdout
