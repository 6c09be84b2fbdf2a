"""`versions`, `approve`, `reject`, `rollback`, on the stack's own functions."""

import getpass

import pytest

from .conftest import NAME, REF


@pytest.fixture
def two_versions(cloud, life):
    """Version 1 was in service, version 2 is."""
    for version in (1, 2):
        life.finish(life.begin(f"t{version}", ago=900 - version), version=version, ago=800)
        life.approve(version, ago=700 - version)
        life.serve(version, ago=600 - version)


def test_without_a_version_it_says_how_one_comes(run, model):
    answer = run("versions", REF)

    assert (answer.exit_code, answer.stdout) == (0, "")
    assert "passes the gate" in answer.stderr


def test_versions_are_listed_newest_first(run, document, documented, two_versions):
    rows = document("versions", REF)

    assert tuple(rows[0]) == documented("versions")
    assert [row["version"] for row in rows] == [2, 1]
    assert [row["in_service"] for row in rows] == [True, False]
    assert [row["previous"] for row in rows] == [False, True]
    assert (rows[0]["metric"], rows[0]["value"], rows[0]["approval"]) == ("auc", 0.71, "Approved")
    assert rows[0]["run"].startswith("run-")
    printed = run("versions", REF).stdout
    assert "in service" in printed
    assert "previous" in printed


@pytest.mark.parametrize("break_it", ["deletes", "reconfigures"])
def test_the_endpoint_says_what_is_in_service_not_the_record(
    document, cloud, two_versions, break_it
):
    if break_it == "deletes":
        del cloud.sagemaker.endpoints[NAME]
    else:
        cloud.sagemaker.add_endpoint(NAME, "another-configuration")

    assert [row["in_service"] for row in document("versions", REF)] == [False, False]


def test_versions_of_no_model_is_malformed(run, cloud):
    assert run("versions", REF).exit_code == 2


@pytest.mark.parametrize(("verb", "approval"), [("approve", "Approved"), ("reject", "Rejected")])
def test_a_judgement_is_carried_out_with_its_reason(run, cloud, life, verb, approval):
    life.finish(life.begin(), version=1)

    answer = run(verb, REF, "1", "--why", "seen the numbers")

    assert answer.exit_code == 0, answer.output
    assert f"version 1 of flights/delay is {approval}" in answer.stdout
    (package,) = cloud.sagemaker.packages.values()
    assert package["ModelApprovalStatus"] == approval
    entry = cloud.entries(REF, "approval")[-1]
    assert entry["reason"] == f"seen the numbers (by {getpass.getuser()})"


@pytest.mark.parametrize("verb", ["approve", "reject"])
def test_a_judgement_as_json(document, documented, life, verb):
    life.finish(life.begin(), version=1)

    found = document(verb, REF, "1", "--why", "x")

    assert tuple(found) == documented(verb)


@pytest.mark.parametrize("verb", ["approve", "reject"])
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("7", "--why", "x"), "there is no version 7; versions: 1"),
        (("1", "--why", " "), "--why is empty"),
        (("1",), "missing option '--why'"),
        (("0", "--why", "x"), "0 is not in the range"),
        (("one", "--why", "x"), "not a valid integer"),
    ],
)
def test_a_judgement_that_cannot_be_is_malformed(run, life, verb, arguments, said):
    life.finish(life.begin(), version=1)

    answer = run(verb, REF, *arguments)

    assert answer.exit_code == 2
    assert said in answer.stderr


def test_a_rollback_goes_to_the_version_before(run, cloud, two_versions):
    answer = run("rollback", REF, "--why", "complaints")

    assert answer.exit_code == 0, answer.output
    assert "version 1 of flights/delay is being brought back" in answer.stdout
    (started,) = cloud.workflows.of("rollout").values()
    assert (started["version"], started["why"]) == (1, "rollback: complaints")


def test_a_rollback_may_name_the_version(document, documented, two_versions):
    found = document("rollback", REF, "--to", "1", "--why", "complaints")

    assert tuple(found) == documented("rollback")
    assert found["version"] == 1


@pytest.mark.parametrize(
    ("to", "said"), [("9", "there is no version 9"), ("3", "approve it first")]
)
def test_a_rollback_to_what_cannot_serve_is_malformed(run, cloud, two_versions, to, said):
    cloud.sagemaker.add_version(NAME, 3)

    answer = run("rollback", REF, "--to", to, "--why", "x")

    assert answer.exit_code == 2
    assert said in answer.stderr


def test_a_rollback_without_an_earlier_version_is_malformed(run, life):
    answer = run("rollback", REF, "--why", "x")

    assert answer.exit_code == 2
    assert "has no earlier version" in answer.stderr
