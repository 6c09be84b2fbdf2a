"""`apply`, `models`, `delete` on the stack's own functions and tables."""

import json
import textwrap

import pytest

from tidemill_cli import session as verbs

from .conftest import NAME, REF

SPEC = textwrap.dedent(
    """\
    project: flights
    model: delay
    data:
      target: late
    train:
      problem: binary
    """
)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "model.yaml"
    path.write_text(SPEC)
    return path


@pytest.fixture
def a_person(model, monkeypatch):
    """Somebody at a terminal, who has a model."""
    monkeypatch.setattr(verbs, "may_ask", lambda: True)


def test_apply_makes_a_model_and_says_what_is_in_it(run, cloud, file):
    answer = run("apply", file)

    assert answer.exit_code == 0, answer.output
    assert "+ data.target: late" in answer.stdout
    assert "flights/delay is created" in answer.stdout
    assert "tidemill upload flights/delay" in answer.stderr
    assert cloud.stores.specs.find(REF).data.target == "late"
    assert NAME in cloud.sagemaker.pipelines


def test_applying_it_again_changes_nothing(run, cloud, file):
    run("apply", file)
    before = cloud.stores.specs.applied(REF)

    answer = run("apply", file)

    assert answer.exit_code == 0
    assert "is unchanged" in answer.stdout
    assert cloud.stores.specs.applied(REF) == before


def test_a_change_is_shown_with_what_follows(run, cloud, file):
    run("apply", file)
    file.write_text(SPEC + "approve: auto\n")

    answer = run("apply", file)

    assert "~ approve: manual → auto  holds from the next version on" in answer.stdout
    assert "is changed" in answer.stdout
    assert cloud.stores.specs.find(REF).approve.mode == "auto"


def test_a_dry_run_touches_nothing(run, cloud, functions, file):
    facts = cloud.facts()

    answer = run("apply", "--dry-run", file)

    assert answer.exit_code == 0
    assert "nothing was touched" in answer.stdout
    assert functions.calls == []
    assert cloud.facts() == facts


def test_a_spec_may_come_from_standard_input(run, cloud):
    assert run("apply", "-", input=SPEC).exit_code == 0
    assert cloud.stores.specs.find(REF)


def test_every_finding_is_told_with_its_line(run, functions, file):
    file.write_text(SPEC.replace("target", "traget") + "approve: maybe\n")

    answer = run("apply", file)

    assert answer.exit_code == 2
    assert f"tidemill: {file}:4: unknown key 'traget'" in answer.stderr
    assert f"tidemill: {file}:7: approve is 'maybe'" in answer.stderr
    assert functions.calls == []


def test_a_missing_file_is_malformed_input(run):
    answer = run("apply", "gone.yaml")

    assert answer.exit_code == 2
    assert "gone.yaml" in answer.stderr


@pytest.mark.parametrize("option", [(), ("--dry-run",)])
def test_what_existing_versions_forbid_is_refused_also_in_a_dry_run(run, cloud, file, option):
    run("apply", file)
    cloud.sagemaker.add_version(NAME, 1)
    file.write_text(SPEC.replace("late", "delayed"))

    answer = run("apply", *option, file)

    assert answer.exit_code == 1
    assert "! data.target: late → delayed" in answer.stdout
    assert "tidemill: flights/delay has 1 versions" in answer.stderr
    assert cloud.stores.specs.find(REF).data.target == "late"


def test_apply_as_json(document, documented, file):
    found = document("apply", file)

    assert tuple(found) == documented("apply")
    assert tuple(found["changes"][0]) == documented("apply", "changes")
    assert (found["model"], found["created"], found["changed"]) == (REF, True, True)
    assert document("apply", file)["changed"] is False


def test_without_a_model_the_next_step_is_said(run):
    answer = run("models")

    assert (answer.exit_code, answer.stdout) == (0, "")
    assert "tidemill apply model.yaml" in answer.stderr


def test_models_show_what_is_in_service_and_the_last_run(run, document, documented, model, life):
    finished = life.begin()
    life.finish(finished, version=1)
    life.serve(1)

    (row,) = document("models")

    assert tuple(row) == documented("models")
    assert (row["in_service"], row["last_run"], row["last_status"]) == (1, finished, "succeeded")
    assert row["digest"] == model.digest
    assert REF in run("models").stdout


def test_delete_needs_a_yes(run, cloud, model):
    answer = run("delete", REF)

    assert answer.exit_code == 2
    assert "--yes" in answer.stderr
    assert cloud.stores.specs.find(REF)


def test_delete_takes_it_out_of_service(run, cloud, life):
    life.serve(1)

    answer = run("delete", REF, "--yes", "--why", "replaced by another model")

    assert answer.exit_code == 0, answer.output
    assert f"deleted endpoint {NAME}" in answer.stdout
    assert cloud.stores.specs.find(REF) is None
    assert NAME not in cloud.sagemaker.endpoints
    assert "replaced by another model" in cloud.entries(REF, "model")[-1]["reason"]


@pytest.mark.parametrize(("said", "status"), [("y", 0), ("n", 1)])
def test_a_person_is_asked(run, cloud, a_person, said, status):

    answer = run("delete", REF, input=f"{said}\n")

    assert answer.exit_code == status
    assert (cloud.stores.specs.find(REF) is None) is (said == "y")


def test_delete_of_what_is_not_there_is_malformed(run, cloud):
    answer = run("delete", "flights/gone", "--yes")

    assert answer.exit_code == 2
    assert "there is no model flights/gone; `tidemill models` lists" in answer.stderr


def test_delete_waits_for_no_run(run, life):
    going = life.begin()

    answer = run("delete", REF, "--yes")

    assert answer.exit_code == 2
    assert going in answer.stderr


def test_delete_as_json(document, documented, life):
    life.serve(1)

    found = document("delete", REF, "--yes")

    assert tuple(found) == documented("delete")
    assert found["deleted"] == [f"endpoint {NAME}"]


@pytest.mark.parametrize("name", ["delay", "flights/delay/x", "Flights/delay", "flights/", "/"])
def test_what_is_no_models_name_is_refused_before_anything_is_asked(run, functions, name):
    answer = run("start", name, "--why", "x")

    assert answer.exit_code == 2
    assert "write PROJECT/MODEL" in answer.stderr
    assert functions.calls == []


def test_the_compiled_spec_is_what_is_sent(run, functions, file):
    run("apply", file)

    ((name, payload),) = functions.calls
    assert name == "ApplyModelFunction"
    assert payload.keys() == {"spec", "digest"}
    assert json.dumps(payload["spec"])
