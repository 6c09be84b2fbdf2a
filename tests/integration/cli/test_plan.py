"""`plan`: what would be done is told by the rules that do it, and nothing is written."""

import json

import boto3
import pytest

from tidemill_cli import samples
from tidemill_cli.plan import JOBS

from .conftest import NAME, REF, deployed

SPEC = """\
project: flights
model: delay
data:
  target: late
train:
  problem: binary
triggers:
  schedule: ["rate(1 day)"]
"""
ROWS = "id,carrier,late\n" + "".join(f"{n},AA,{n % 2}\n" for n in range(60))


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "model.yaml"
    path.write_text(SPEC)
    return path


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "january.csv"
    path.write_text(ROWS)
    return path


@pytest.fixture
def sent(model, data):
    """What `plan` is asked about a file for an applied model."""
    return data, "--model", REF


@pytest.fixture
def admit(cloud):
    """Upload, and have intake admit it."""

    def act(key):
        event = cloud.upload(key, ROWS.encode()).to_event()
        cloud.invoke("admit_upload", {"Records": [{"messageId": "m", "body": json.dumps(event)}]})

    return act


@pytest.fixture
def jobs(monkeypatch):
    """The jobs' programs: what they are asked, and what they answer."""
    asked = []
    answers = {
        "facts": {"status": "read", "rows": 60},
        "judge": {"verdict": "accept", "rule": None, "reason": "It keeps the contract.",
                  "next_step": None, "rows": 60},
    }  # fmt: skip

    def ask(command, *arguments):
        asked.append((command, arguments))
        return answers[command]

    monkeypatch.setattr(samples, "asked", ask)
    return answers, asked


def freeze(cloud, contract):
    """Put a contract in force, as the stack's functions leave it."""
    key = f"contracts/{REF}/abc/contract.json"
    item = {"digest": "abc", "uri": f"s3://{deployed.ARTIFACTS}/{key}", "at": 1.0}
    cloud.stores.state.client.put_item(
        TableName=deployed.STATE, Item=cloud.stores.state.item(REF, "contract", item)
    )
    boto3.client("s3").put_object(
        Bucket=deployed.ARTIFACTS, Key=key, Body=json.dumps(contract).encode()
    )


def verdicts(document):
    return {step["step"]: step["verdict"] for step in document["steps"]}


def test_a_new_model_is_planned_and_nothing_is_written(run, document, documented, cloud, file):
    before = cloud.facts()

    found = document("plan", file)

    assert tuple(found) == documented("plan")
    assert tuple(found["resources"][0]) == documented("plan", "resources")
    assert [(row["action"], row["kind"]) for row in found["resources"]] == [
        ("create", "model package group"),
        ("create", "pipeline"),
        ("create", "spec"),
        ("create", "schedule"),
    ]
    assert tuple(found["watch"]) == documented("plan", "watch")
    assert found["run"]["endpoint"] == {"instance": "ml.m5.large", "count": 1}
    printed = run("plan", file)
    assert "+ data.target: late" in printed.stdout
    assert "each a job on one ml.m5.xlarge" in printed.stdout
    assert f"`tidemill apply {file}` does it" in printed.stderr
    assert cloud.facts() == before


def test_it_says_what_the_watchs_metrics_cost_a_month(run, document, file):
    watch = document("plan", file)["watch"]
    assert watch == {
        "every_seconds": 3_600,
        "metrics": 18,
        "dollars_a_month": 5.4,
        "dollars_each": 0.3,
        "metrics_of_each_column": 0,
        "backend": "tidemill",
    }
    assert (
        "looked at every 1h; 18 CloudWatch metrics at the most, about $5.40 a month: the list"
        in run("plan", file).stdout
    )

    file.write_text(SPEC + "watch: {metrics: all}\n")
    assert document("plan", file)["watch"]["dollars_a_month"] is None, "nobody knows the columns"
    assert "3 CloudWatch metrics and 3 more for each column" in run("plan", file).stdout

    file.write_text(SPEC + "watch: {every: 0s}\n")
    assert document("plan", file)["watch"]["metrics"] == 0
    assert "not looked at by the clock" in run("plan", file).stdout

    file.write_text(SPEC + "watch: {backend: sagemaker}\n")
    said = "looked at every 1h by a SageMaker MonitoringSchedule, each time a job"
    assert said in run("plan", file).stdout


def test_with_a_contract_all_columns_metrics_can_be_reckoned(document, cloud, file):
    columns = {name: {} for name in ("carrier", "origin", "late", "id", "tail")}
    freeze(cloud, {"columns": columns})
    file.write_text(
        SPEC.replace("target: late", "target: late\n  id: id\n  exclude: [tail]")
        + "watch: {metrics: all, every: 1d}\n"
    )

    watch = document("plan", file)["watch"]

    assert watch["metrics"] == 3 + 3 * 3, "two columns and the answers"
    assert watch["dollars_a_month"] == round(12 * 0.3 / 24, 2), "one hour of a day"


def test_an_applied_spec_stays_and_a_change_is_told(run, document, file):
    run("apply", file)

    assert {row["action"] for row in document("plan", file)["resources"]} == {"keep"}
    assert "would stay as it is" in run("plan", file).stdout

    file.write_text(SPEC.replace('["rate(1 day)"]', '["rate(2 days)"]'))
    rows = document("plan", file)["resources"]
    assert [(row["action"], row["name"]) for row in rows] == [
        ("keep", NAME),
        ("update", NAME),
        ("update", REF),
        ("create", "rate(2 days)"),
        ("delete", "rate(1 day)"),
    ]


def test_what_would_be_refused_is_a_no(run, document, cloud, file):
    run("apply", file)
    cloud.sagemaker.add_version(NAME, 1)
    file.write_text(SPEC.replace("late", "delayed"))

    found = document("plan", file, status=1)

    assert not found["ok"]
    assert found["refused"].startswith("flights/delay has 1 versions. data.target: late → delayed")


def test_a_spec_that_is_wrong_is_malformed(run, file, tmp_path):
    file.write_text(SPEC.replace("target", "traget"))
    assert run("plan", file).exit_code == 2
    assert run("plan", tmp_path).exit_code == 2
    assert run("plan", tmp_path / "gone.yaml").exit_code == 2


def test_the_jobs_are_those_of_a_run(cloud, run, file):
    run("apply", file)
    definition = json.loads(cloud.sagemaker.pipelines[NAME]["PipelineDefinition"])

    steps = [
        step["Name"] for step in definition["Steps"] if step["Type"] in ("Training", "Processing")
    ]

    assert ["Prepare", *steps] == list(JOBS)


def test_a_file_is_followed_to_the_triggers_verdict(document, documented, cloud, sent, jobs):
    before = cloud.facts()

    found = document("plan", *sent)

    assert found["ok"]
    assert tuple(found["steps"][0]) == documented("plan", "steps")
    assert verdicts(found) == {
        "placement": "accept",
        "admission": "accept",
        "check": "accept",
        "delivery": "accept",
        "trigger": "start",
    }
    said = {step["step"]: step["said"] for step in found["steps"]}
    assert "no contract yet: it would give the first" in said["check"]
    assert "opens a delivery, which closes in 30 s" in said["delivery"]
    assert cloud.facts() == before


def test_the_next_step_is_said(run, sent, jobs):
    assert "`tidemill upload flights/delay" in run("plan", *sent).stderr


def test_the_jobs_themselves_read_and_judge_the_file(document, sent):
    step = document("plan", *sent)["steps"][2]

    assert (step["step"], step["verdict"]) == ("check", "accept")
    assert "60 rows" in step["said"]


def test_what_is_no_table_is_set_aside_where_intake_would(run, document, model, tmp_path, jobs):
    (tmp_path / "a.csv").write_bytes(b"%PDF-1.7 nothing of a table")

    found = document("plan", tmp_path / "a.csv", "--model", REF, status=1)

    assert verdicts(found) == {"placement": "accept", "admission": "quarantine"}
    assert found["steps"][-1]["next_step"]
    assert jobs[1] == []
    assert "→ " in run("plan", tmp_path / "a.csv", "--model", REF).stdout


def test_the_contract_of_the_stack_is_what_judges(document, cloud, sent, jobs):
    freeze(cloud, {"version": 1})
    jobs[0]["judge"] = {
        "verdict": "quarantine",
        "rule": "wrong_type",
        "reason": "'x' is no number.",
        "next_step": "correct it",
        "row": 7,
        "column": "late",
        "rows": 60,
    }

    found = document("plan", *sent, status=1)

    step = found["steps"][-1]
    assert step["said"] == "wrong_type: 'x' is no number. [row 7, column late] (contract abc)"
    assert step["next_step"] == "correct it"
    assert "--contract" in jobs[1][-1][1]


def test_an_object_in_the_lake_joins_the_open_delivery(document, cloud, model, admit, jobs):
    admit(f"raw/{REF}/a.csv")
    cloud.upload(f"raw/{REF}/b.csv", ROWS.encode())

    found = document("plan", f"s3://{deployed.LAKE}/raw/{REF}/b.csv")

    said = {step["step"]: step["said"] for step in found["steps"]}
    assert said["delivery"].startswith("joins d")
    again = document("plan", f"s3://{deployed.LAKE}/raw/{REF}/a.csv")
    assert "admitted already" in again["steps"][1]["said"]


def test_the_same_bytes_again_are_a_duplicate(document, model, data, admit, jobs):
    admit(f"raw/{REF}/{data.name}")

    found = document("plan", data, "--model", REF, status=1)

    assert verdicts(found)["admission"] == "duplicate"


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("prepared/flights/delay/x.csv", "written by Tidemill itself"),
        ("elsewhere/x.csv", "outside every model's prefix"),
        ("raw/flights/gone/x.csv", "there is no model flights/gone"),
    ],
)
def test_what_no_model_takes_is_ignored(document, cloud, model, key, said):
    cloud.upload(key, b"x")

    (step,) = document("plan", f"s3://{deployed.LAKE}/{key}", status=1)["steps"]

    assert step["verdict"] == "ignore"
    assert said in step["said"]


def test_markers_and_binary_folders_are_told(document, cloud, make_spec, tmp_path):
    cloud.apply(make_spec(delivery__marker="_SUCCESS", data__binary=["images"]))
    (tmp_path / "_SUCCESS").touch()
    cloud.upload(f"raw/{REF}/images/a.png", b"x")

    assert "marker" in verdicts(document("plan", tmp_path / "_SUCCESS", "--model", REF))
    image = f"s3://{deployed.LAKE}/raw/{REF}/images/a.png"
    assert "catalogue" in verdicts(document("plan", image))


def test_a_run_that_goes_on_makes_it_wait(document, life, data, jobs):
    going = life.begin()

    found = document("plan", data, "--model", REF)

    assert found["steps"][-1]["verdict"] == "defer"
    assert going in found["steps"][-1]["said"]


def test_too_few_rows_wait_for_more(document, cloud, make_spec, data, jobs):
    cloud.apply(make_spec(triggers={"minimum_rows": 1000}))

    step = document("plan", data, "--model", REF)["steps"][-1]

    assert step["verdict"] == "defer"
    assert "1,000" in step["said"] or "1000" in step["said"]


def test_without_the_jobs_the_check_is_unseen(document, model, data, monkeypatch):
    monkeypatch.setattr(samples, "_installed", lambda _: False)

    found = document("plan", data, "--model", REF)

    assert verdicts(found)["check"] == "unseen"
    assert "pip install" in found["steps"][2]["said"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("s3://other/raw/x",), "not in this stack's lake"),
        ((f"s3://{deployed.LAKE}/raw/gone",), "there is no object"),
        ((f"s3://{deployed.LAKE}/raw/x", "--model", REF), "leave out --model"),
        (("gone.csv", "--model", REF), "there is no file"),
    ],
)
def test_what_cannot_be_planned_is_malformed(run, model, arguments, said):
    answer = run("plan", *arguments)

    assert answer.exit_code == 2
    assert said in answer.stderr
