"""`why`: the ledger as sentences, and what goes on now."""

import json
from dataclasses import replace

import pytest

from tidemill.adapters import entries
from tidemill.adapters.last_words import judged
from tidemill.adapters.passing import let_pass
from tidemill.domain.check import Pass
from tidemill.domain.trigger import Trigger
from tidemill_cli.why import UNPLACED

from .conftest import REF


def admit(cloud, key, body):
    upload = cloud.upload(key, body)
    record = {"messageId": "1", "body": json.dumps(upload.to_event())}
    cloud.invoke("admit_upload", {"Records": [record]})


def test_what_happened_is_told_oldest_first(run, cloud, life):
    ended = life.begin()
    life.finish(ended, "refused", "auc 0.4 is below 0.6")

    lines = run("why", REF).stdout.splitlines()

    assert [line[14:].partition(":")[0] for line in lines] == [
        f"A data trigger started {ended}",
        f"{ended} was refused",
        "The spec was applied first",
    ]
    assert any(line.endswith(" was refused: auc 0.4 is below 0.6.") for line in lines)


def test_why_as_json(document, documented, cloud, life):
    life.trigger(Trigger("manual-1", "manual", cloud.now, "new calendar"))

    rows = document("why", REF)

    assert all(tuple(row) == documented("why") for row in rows)
    assert [(row["kind"], row["verdict"], row["now"]) for row in rows] == [
        ("spec", "create", False),
        ("trigger", "waiting", True),
    ]


def test_a_quarantined_upload_says_what_to_do(run, cloud, life):
    admit(cloud, "raw/flights/delay/a.csv", b"id,other\n1,2\n")

    printed = run("why", REF).stdout

    assert "Upload a.csv was quarantined (rule target_missing): " in printed
    assert "→ " in printed


def test_an_open_delivery_is_told_as_now(run, cloud, life):
    admit(cloud, "raw/flights/delay/a.csv", b"id,late\n1,0\n2,1\n")

    lines = run("why", REF).stdout.splitlines()

    assert lines[-1].startswith("now  ")
    assert "closes in" in lines[-1]


def test_an_upload_is_told_with_the_check_that_passed_it(run, cloud, life):
    admit(cloud, "raw/flights/delay/a.csv", b"id,late\n1,0\n2,1\n")
    (upload,) = cloud.entries(REF, "upload")
    delivery, name = upload["facts"]["delivery"], judged(upload)[0].id
    let_pass(cloud.stores.ledger, REF, delivery, [Pass(name, 2, "ab")], cloud.now)
    let_pass(cloud.stores.ledger, REF, delivery, [Pass("other", 9, "cd")], cloud.now)

    printed = run("why", REF, "--upload", "a.csv").stdout

    assert f"The check of {delivery} was passed: 1 upload keeps the contract: 2 rows." in printed
    assert "9 rows" not in printed, "others are others' matter"
    assert "9 rows" in run("why", REF).stdout


def test_uploads_of_no_model_have_a_place_of_their_own(run, document, cloud):
    admit(cloud, "raw/flights/gone/a.csv", b"x\n1\n")

    (row,) = document("why", UNPLACED)

    assert (row["kind"], row["verdict"]) == ("upload", "ignore")
    assert "there is no model flights/gone" in run("why", "unplaced").stdout
    assert UNPLACED == entries.UNPLACED


def test_nothing_recorded_is_said(run, cloud):
    answer = run("why", "unplaced")

    assert (answer.exit_code, answer.stdout) == (0, "")
    assert "nothing is recorded" in answer.stderr


def test_a_model_that_was_deleted_keeps_its_story(run, cloud, life):
    run("delete", REF, "--yes")

    answer = run("why", REF)

    assert answer.exit_code == 0
    assert "The model was deleted: " in answer.stdout


def test_a_trigger_of_a_deleted_model_waits_for_its_spec(run, cloud, life):
    run("delete", REF, "--yes")
    life.trigger(Trigger("d-1", "data", cloud.now, "delivery d-1 closed"))

    assert "this starts when its model.yaml is applied again" in run("why", REF).stdout


def test_an_unknown_model_is_malformed(run, cloud):
    answer = run("why", "flights/gone")

    assert answer.exit_code == 2
    assert "there is no model flights/gone" in answer.stderr


def entry(cloud, number, ago):
    at = cloud.now - ago
    cloud.stores.ledger.append(
        entries.Entry(
            REF, f"version#{number}#x", at, "version", f"version {number}", "register", ""
        )
    )


def test_only_the_newest_are_shown_unless_asked_otherwise(run, document, cloud, model):
    for number in range(60):
        entry(cloud, number, 600 - number)

    answer = run("why", REF)
    assert len(answer.stdout.splitlines()) == 50
    assert "Version 59" in answer.stdout
    assert "--last" in answer.stderr
    assert len(document("why", REF)) == 61
    assert len(document("why", REF, "--last", "3")) == 3


@pytest.mark.parametrize(("since", "count"), [("10m", 2), ("2h", 3), ("1970-01-01", 3)])
def test_since_leaves_out_what_is_older(document, cloud, model, since, count):
    entry(cloud, 1, 3_600)
    entry(cloud, 2, 60)

    assert len(document("why", REF, "--since", since)) == count


@pytest.mark.parametrize("since", ["yesterday", "10", "2026-13-01"])
def test_since_is_a_duration_or_a_date(run, model, since):
    answer = run("why", REF, "--since", since)

    assert answer.exit_code == 2
    assert "write 2h, 1d or 2026-11-20" in answer.stderr


def test_names_that_are_alike_are_told_in_full(run, cloud, life):
    admit(cloud, "raw/flights/delay/dt=1/a.csv", b"id,late\n1,0\n2,1\n")
    admit(cloud, "raw/flights/delay/dt=2/a.csv", b"id,late\n3,0\n4,1\n")
    admit(cloud, "raw/flights/delay/dt=2/b.csv", b"id,late\n5,0\n6,1\n")

    told = run("why", REF).stdout

    assert "Upload raw/flights/delay/dt=1/a.csv was accepted" in told
    assert "Upload raw/flights/delay/dt=2/a.csv was accepted" in told
    assert "Upload b.csv was accepted" in told


@pytest.mark.parametrize("name", ["raw/flights/delay/dt=1/a.csv", "dt=1/a.csv", "a.csv"])
def test_one_upload_is_told_with_what_came_of_it(run, document, cloud, life, name):
    admit(cloud, "raw/flights/delay/dt=1/a.csv", b"id,late\n1,0\n2,1\n")
    admit(cloud, "raw/flights/delay/dt=1/b.csv", b"id,late\n3,0\n4,1\n")
    (delivery,) = {e["facts"]["delivery"] for e in cloud.entries(REF, "upload")}
    ended = life.begin(delivery)
    life.finish(ended, version=1)
    life.serve(1)

    rows = document("why", REF, "--upload", name)

    assert [(row["kind"], row["verdict"]) for row in rows] == [
        ("upload", "accept"),
        ("trigger", "start"),
        ("run", "succeeded"),
        ("rollout", "in service"),
    ] or {row["kind"] for row in rows} == {"upload", "trigger", "run", "rollout"}
    assert not any("b.csv" in row["subject"] for row in rows)


def test_an_upload_of_which_nothing_is_known_says_where_it_may_be(run, life):
    answer = run("why", REF, "--upload", "gone.csv")

    assert answer.exit_code == 0
    assert "nothing is recorded of gone.csv" in answer.stderr
    assert "tidemill why unplaced" in answer.stderr


def test_one_run_is_told_from_its_trigger_on(document, life):
    other = life.begin("t1")
    life.finish(other, "failed", "no disk")
    ended = life.begin("t2", why="a schedule")
    life.finish(ended, "refused", "auc 0.4 is below 0.6")

    rows = document("why", REF, "--run", ended)

    assert [(row["kind"], row["subject"]) for row in rows] == [("trigger", "data"), ("run", ended)]


def test_a_run_that_is_not_there_is_malformed(run, life):
    answer = run("why", REF, "--run", "run-20261120t100000-00000000")

    assert answer.exit_code == 2
    assert "`tidemill runs flights/delay` lists them" in answer.stderr


def test_two_questions_at_once_are_malformed(run, life):
    assert run("why", REF, "--run", "run-x", "--upload", "a.csv").exit_code == 2


def test_a_deferred_trigger_says_until_when(document, cloud, make_spec, life):
    spec = make_spec()
    policy = replace(spec.triggers, cooldown_seconds=3600)
    cloud.apply(replace(spec, triggers=policy))
    life.finish(life.begin(), "failed", "no disk")
    life.trigger(Trigger("d-2", "data", cloud.now, "delivery d-2 closed"))

    row = document("why", REF)[-1]

    assert (row["kind"], row["verdict"], row["now"]) == ("trigger", "waiting", True)
    assert "the cooldown is 1h; this may start at " in row["reason"]
    assert row["until"] > row["at"]


def test_a_version_that_waits_for_a_person_is_told_with_the_command(run, life):
    life.finish(life.begin(), version=1)

    lines = run("why", REF).stdout.splitlines()

    assert "Version 1 is waiting: it waits for an approval." in lines[-2]
    assert lines[-1].endswith("→ tidemill approve flights/delay 1 --why …")
