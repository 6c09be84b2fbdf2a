"""`why`: the ledger as sentences, and what goes on now."""

import json

import pytest

from tidemill.adapters import ledger
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

    assert [line[14:].split()[0] for line in lines] == ["trigger", f"{ended}:", "spec"]
    assert any("refused: auc 0.4 is below 0.6" in line for line in lines)


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

    assert "upload a.csv: quarantine: " in printed
    assert "→ " in printed


def test_an_open_delivery_is_told_as_now(run, cloud, life):
    admit(cloud, "raw/flights/delay/a.csv", b"id,late\n1,0\n2,1\n")

    lines = run("why", REF).stdout.splitlines()

    assert lines[-1].startswith("now  ")
    assert "closes in" in lines[-1]


def test_uploads_of_no_model_have_a_place_of_their_own(run, document, cloud):
    admit(cloud, "raw/flights/gone/a.csv", b"x\n1\n")

    (row,) = document("why", UNPLACED)

    assert (row["kind"], row["verdict"]) == ("upload", "ignore")
    assert "there is no model flights/gone" in run("why", "unplaced").stdout
    assert UNPLACED == ledger.UNPLACED


def test_nothing_recorded_is_said(run, cloud):
    answer = run("why", "unplaced")

    assert (answer.exit_code, answer.stdout) == (0, "")
    assert "nothing is recorded" in answer.stderr


def test_a_model_that_was_deleted_keeps_its_story(run, cloud, life):
    run("delete", REF, "--yes")

    answer = run("why", REF)

    assert answer.exit_code == 0
    assert "model delay: delete" in answer.stdout


def test_a_trigger_of_a_deleted_model_waits_for_its_spec(run, cloud, life):
    run("delete", REF, "--yes")
    life.trigger(Trigger("d-1", "data", cloud.now, "delivery d-1 closed"))

    assert "waits for the model's model.yaml to be applied again" in run("why", REF).stdout


def test_an_unknown_model_is_malformed(run, cloud):
    answer = run("why", "flights/gone")

    assert answer.exit_code == 2
    assert "there is no model flights/gone" in answer.stderr


def entry(cloud, number, ago):
    at = cloud.now - ago
    cloud.stores.ledger.append(
        ledger.Entry(REF, f"version#{number}#x", at, "version", f"version {number}", "register", "")
    )


def test_only_the_newest_are_shown_unless_asked_otherwise(run, document, cloud, model):
    for number in range(60):
        entry(cloud, number, 600 - number)

    answer = run("why", REF)
    assert len(answer.stdout.splitlines()) == 50
    assert "version 59" in answer.stdout
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
