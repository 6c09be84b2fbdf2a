"""`wait` and `follow`: what counts as open, when it ends, and with which status."""

import json

import pytest

from tidemill.adapters.deliveries import Arrival
from tidemill.adapters.entries import Entry
from tidemill.domain.admission import ObjectVersion, Verdict
from tidemill.domain.trigger import Trigger
from tidemill_cli.watching import Screen, WatchedModel, watch

from .conftest import REF

SOON = "50s"
AT_ONCE = "0s"


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    """A look follows the last one at once; a test whose wait does not end would time out."""
    monkeypatch.setattr("tidemill_cli.watching.OFTEN_SECONDS", 0.01)


def deliver(cloud, version, *, ago=0):
    arrival = Arrival(version, Verdict("accept", "new"))
    cloud.stores.deliveries.add(REF, [arrival], cloud.now - ago)


def turn(life, version=1):
    run = life.begin()
    life.finish(run, version=version)
    return run


def test_a_version_in_service_is_a_yes(run, document, documented, life):
    turn(life)
    life.approve(1)
    life.serve(1)

    answer = run("wait", REF, "--timeout", SOON)

    assert answer.exit_code == 0, answer.output
    assert answer.stdout == "version 1 is in service: auc 0.71 is good\n"
    found = document("wait", REF)
    assert tuple(found) == documented("wait")
    assert found["ok"] is True


def said_no(run, *arguments):
    answer = run("wait", REF, *(arguments or ("--timeout", SOON)))
    assert answer.exit_code == 1, answer.output
    assert answer.stdout == ""
    return answer.stderr.removeprefix("tidemill: ")


def test_a_model_without_a_run_is_a_no(run, life):
    assert "has no run yet; `tidemill why flights/delay`" in said_no(run)


@pytest.mark.parametrize("status", ["failed", "refused", "stopped"])
def test_a_run_that_did_not_succeed_is_a_no_with_its_reason(run, life, status):
    life.finish(life.begin(), status, "no disk")

    assert f"{status}: no disk" in said_no(run)


def test_a_version_that_waits_for_a_person_is_a_no_with_the_next_step(run, life):
    turn(life)

    assert "`tidemill approve flights/delay 1 --why …`" in said_no(run)


def test_a_rejected_version_is_a_no(run, life):
    turn(life)
    life.approve(1, "reject")

    assert "version 1 was rejected" in said_no(run)


def test_a_rollout_that_was_rolled_back_is_a_no_with_its_reason(run, life):
    life.serve(1, ago=600)
    turn(life, version=2)
    life.approve(2)
    life.fail_rollout(2)

    said = said_no(run)

    assert "version 2 is not in service (roll back: row 3 is answered otherwise)" in said
    assert "in service: 1" in said


def test_a_rollback_after_the_last_run_is_a_yes(run, life):
    life.finish(life.begin("t1", ago=800), version=1, ago=700)
    life.approve(1, ago=650)
    life.serve(1, ago=600)
    life.finish(life.begin("t2", ago=500), version=2, ago=400)
    life.approve(2, ago=390)
    life.serve(2, ago=300)
    life.serve(1, ago=100)

    answer = run("wait", REF, "--timeout", SOON)

    assert answer.exit_code == 0, answer.output
    assert answer.stdout == "version 1 is in service: version 1 answers as evaluated\n"


def test_the_approval_of_an_older_version_after_a_failed_run_is_a_yes(run, life):
    turn(life)
    life.finish(life.begin("t2"), "failed", "no disk")
    life.approve(1, ago=20)
    life.serve(1)

    assert run("wait", REF, "--timeout", SOON).exit_code == 0


def test_a_rollback_that_failed_is_a_no(run, life):
    turn(life, version=2)
    life.approve(2)
    life.serve(2, ago=15)
    life.fail_rollout(1)

    assert said_no(run) == "version 1 is not in service: row 3 is answered otherwise\n"


def test_a_run_after_the_rollback_is_what_counts(run, life):
    life.serve(1, ago=600)
    life.finish(life.begin(), "failed", "no disk")

    assert "failed: no disk" in said_no(run)


@pytest.mark.parametrize("verb", ["wait", "follow"])
def test_quarantined_files_and_pending_approvals_are_told_beside(run, document, cloud, life, verb):
    ended = turn(life)
    for key, verdict in (("a.csv", "quarantine"), ("b.csv", "quarantine"), ("b.csv", "accept")):
        cloud.now += 1
        cloud.stores.ledger.append(
            Entry(
                REF, f"upload#{key}#{verdict}", cloud.now, "upload", f"raw/{REF}/{key}", verdict, ""
            )
        )
    target = ended if verb == "follow" else REF

    asides = document(verb, target, status=0 if verb == "follow" else 1)["asides"]

    aside = f"1 file is quarantined (a.csv); `tidemill why {REF}` says why and what to do"
    assert asides == [aside]
    assert aside in run(verb, target).stderr


def test_a_run_that_goes_on_is_open(run, life):
    going = life.begin()

    said = said_no(run, "--timeout", AT_ONCE)

    assert said.startswith("still open after ")
    assert f" s: {going}: " in said


def test_an_approval_whose_rollout_has_not_begun_is_open(run, life):
    turn(life)
    life.approve(1)

    assert "its rollout is about to start" in said_no(run, "--timeout", AT_ONCE)


def test_a_rollout_is_open_until_it_has_ended(run, cloud, life):
    turn(life)
    life.approve(1)
    name = life.begin_rollout(1)

    assert "rollout version 1: being put in service" in said_no(run, "--timeout", AT_ONCE)

    life.serve(1)
    cloud.workflows.end("rollout", name, "SUCCEEDED")
    assert run("wait", REF).exit_code == 0


def test_a_rollback_is_open_too(run, life):
    life.serve(1, ago=600)
    turn(life, version=2)
    life.approve(2)
    life.serve(2)
    life.begin_rollout(1)

    assert "rollout version 1" in said_no(run, "--timeout", AT_ONCE)


def test_another_models_rollout_is_not(run, cloud, life):
    turn(life)
    life.approve(1)
    life.serve(1)
    other = {"project": "trains", "model": "delay", "version": 1, "why": "x"}
    cloud.workflows.begin("rollout", "delay-v1-other", other)

    assert run("wait", REF).exit_code == 0


def test_an_open_delivery_is_open_and_says_when_it_closes(run, cloud, life):
    version = ObjectVersion("lake", "raw/flights/delay/a.csv", "v1", "e", 10, cloud.now, "")
    deliver(cloud, version)

    said = said_no(run, "--timeout", AT_ONCE)

    assert "1 file; closes in " in said
    assert "if nothing more arrives" in said


def test_a_delivery_that_waits_for_its_marker_says_so(run, cloud, make_spec):
    cloud.apply(make_spec(delivery__marker="_SUCCESS"))
    version = ObjectVersion("lake", "raw/flights/delay/a.csv", "v1", "e", 10, cloud.now, "")
    deliver(cloud, version)

    assert "closes when _SUCCESS arrives" in said_no(run, "--timeout", AT_ONCE)


def test_a_delivery_that_is_due_is_being_closed(run, cloud, life):
    version = ObjectVersion("lake", "raw/flights/delay/a.csv", "v1", "e", 10, cloud.now, "")
    deliver(cloud, version, ago=90)

    assert "is being closed" in said_no(run, "--timeout", AT_ONCE)


def test_a_pending_trigger_is_open_and_says_what_it_waits_for(run, cloud, life):
    life.trigger(Trigger("manual-1", "manual", cloud.now, "new calendar"))
    assert "new calendar; is being decided" in said_no(run, "--timeout", AT_ONCE)

    going = life.begin("t2")
    assert f"new calendar; {going} is still going; this waits for its end" in said_no(
        run, "--timeout", AT_ONCE
    )


def test_an_upload_without_a_verdict_is_open(run, cloud, life):
    cloud.upload("raw/flights/delay/a.csv", b"id,late\n1,0\n")

    assert "its verdict is due any moment" in said_no(run, "--timeout", AT_ONCE)


def test_an_upload_with_a_verdict_is_not(run, cloud, life):
    upload = cloud.upload("raw/flights/delay/a.csv", b"")
    cloud.invoke("admit_upload", {"Records": [{"messageId": "1", "body": _body(upload)}]})

    assert "has no run yet" in said_no(run)


def _body(upload):
    return json.dumps(upload.to_event())


def test_it_ends_when_what_was_open_has_ended(stack, life):
    going = life.begin()

    def then_it_ends(_):
        life.finish(going, version=1)
        life.serve(1)

    watched = WatchedModel(stack, REF)

    assert watch(watched, Screen(quiet=True), timeout=None, sleep=then_it_ends).good


@pytest.mark.parametrize("verb", ["wait", "follow"])
def test_waiting_for_no_model_is_malformed(run, cloud, verb):
    assert run(verb, "flights/gone").exit_code == 2


def test_a_timeout_is_a_duration(run, life):
    answer = run("wait", REF, "--timeout", "30")

    assert answer.exit_code == 2
    assert "write 90s, 30m or 1h30m" in answer.stderr


def test_follow_a_run_that_waits_for_an_approval_went_well(run, life):
    ended = turn(life)

    answer = run("follow", ended)

    assert answer.exit_code == 0, answer.output
    assert "waits for an approval" in answer.stdout


def test_follow_a_run_ignores_what_else_goes_on(run, cloud, life):
    ended = turn(life)
    life.approve(1)
    life.serve(1)
    life.begin("t2")

    answer = run("follow", ended)

    assert answer.exit_code == 0
    assert "version 1 is in service" in answer.stdout


def test_follow_a_run_that_failed_is_a_no(run, document, documented, life):
    ended = life.begin()
    life.finish(ended, "failed", "no disk")

    found = document("follow", ended, status=1)

    assert tuple(found) == documented("follow")
    assert (found["ok"], found["reason"]) == (False, f"{ended} failed: no disk")


def test_follow_shows_the_stage(run, cloud, life):
    going = life.begin()

    answer = run("follow", "--timeout", AT_ONCE)

    assert answer.exit_code == 1
    assert f"{going}: between two steps" in answer.stderr


def test_follow_shows_the_rollout_of_a_runs_version(run, life):
    ended = turn(life)
    life.approve(1)
    life.begin_rollout(1)

    answer = run("follow", ended, "--timeout", AT_ONCE)

    assert answer.exit_code == 1
    assert "rollout version 1: being put in service" in answer.stderr


def test_follow_without_anything_going_says_what_to_name(run, life):
    answer = run("follow")

    assert answer.exit_code == 2
    assert "tidemill follow MODEL" in answer.stderr


def test_follow_a_run_that_is_not_there(run, life):
    assert run("follow", "run-20261120t100000-00000000").exit_code == 2
