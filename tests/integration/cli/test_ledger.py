"""`ledger verify` and `ledger export`, as a person types them."""

import json
import sys

import polars as pl
import pytest

from tidemill.adapters.chain import Chain
from tidemill.adapters.entries import Entry
from tidemill.adapters.items import marshal
from tidemill.domain.chain import canonical, digest

from ... import stack as deployed
from .conftest import REF

DAY = 86_400.0


@pytest.fixture
def chained(cloud, model):
    """A model whose spec's entry is chained and whose head is anchored."""
    made = cloud.now
    cloud.now += 1000
    cloud.invoke("sweep", {})
    cloud.now = made
    return Chain(cloud.dynamodb, deployed.LEDGER)


def change(cloud, key, **attributes):
    held = cloud.dynamodb.get_item(
        TableName=deployed.LEDGER, Key=marshal({"model": REF, "entry": key})
    )["Item"]
    cloud.dynamodb.put_item(TableName=deployed.LEDGER, Item={**held, **marshal(attributes)})


def test_a_whole_ledger_says_so(run, document, documented, chained):
    answer = run("ledger", "verify", REF)

    assert answer.exit_code == 0
    assert answer.stdout == f"{REF}: whole: 1 entry in 1 link, 1 anchored head agrees\n"
    rows = document("ledger", "verify")
    assert [row["model"] for row in rows] == [REF, "unplaced"]
    assert all(tuple(row) == documented("ledger verify") for row in rows)


@pytest.mark.usefixtures("chained")
def test_a_changed_entry_is_named_and_the_answer_is_no(run, document, documented, cloud, spec):
    key = f"spec#{spec.digest}"
    change(cloud, key, verdict="nothing")

    answer = run("ledger", "verify", REF)

    assert answer.exit_code == 1
    assert f"changed entry {key}: link 1 names it with sha256 " in answer.stdout
    (row,) = document("ledger", "verify", REF, status=1)
    assert tuple(row["findings"][0]) == documented("ledger verify", "findings")


def test_what_is_not_chained_yet_is_counted(run, cloud, model):
    answer = run("ledger", "verify", REF)

    assert answer.exit_code == 0
    assert "1 not chained yet" in answer.stdout


def test_an_unknown_model_is_malformed(run, cloud):
    answer = run("ledger", "verify", "flights/gone")

    assert answer.exit_code == 2
    assert "there is no model flights/gone" in answer.stderr


@pytest.fixture
def months(cloud, model):
    """Entries of three months."""
    for number, ago in enumerate((70 * DAY, 35 * DAY, 35 * DAY, 0.0)):
        cloud.stores.ledger.append(
            Entry(
                REF, f"model#{number}", cloud.now - ago, "model", "ü", "delete", "why", {"n": 1.5}
            )
        )


def files(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.usefixtures("months")
@pytest.mark.parametrize("kind", ["parquet", "jsonl"])
def test_an_export_has_a_file_per_month_and_is_the_same_again(
    run, document, documented, tmp_path, kind
):
    rows = document("ledger", "export", REF, "--out", tmp_path / "a", "--format", kind)

    assert all(tuple(row) == documented("ledger export") for row in rows)
    assert [row["entries"] for row in rows] == [1, 2, 2]
    assert [row["complete"] for row in rows[:2]] == [True, True]
    assert run("ledger", "export", "--out", tmp_path / "b", "--format", kind).exit_code == 0
    assert files(tmp_path / "a") == files(tmp_path / "b")

    again = document("ledger", "export", REF, "--out", tmp_path / "a", "--format", kind)
    assert [row["written"] for row in again] == [False, False, True]
    assert files(tmp_path / "a") == files(tmp_path / "b")


def test_parquet_has_typed_times_and_the_digests_of_the_links(document, cloud, months, tmp_path):
    rows = document("ledger", "export", REF, "--out", tmp_path)
    frame = pl.concat([pl.read_parquet(row["file"]) for row in rows])

    assert frame.schema["at"] == pl.Datetime("ms", "UTC")
    assert frame["at"].is_sorted()
    (row,) = frame.filter(entry="model#3").to_dicts()
    held = cloud.dynamodb.get_item(
        TableName=deployed.LEDGER, Key=marshal({"model": REF, "entry": "model#3"})
    )["Item"]
    assert row["sha256"] == digest(held)
    assert json.loads(row["facts"]) == {"n": 1.5}


def test_links_are_exported_as_they_are(run, cloud, chained, tmp_path):
    run("ledger", "export", REF, "--out", tmp_path, "--format", "jsonl")

    (line,) = (tmp_path / REF / "links.jsonl").read_text().splitlines()
    assert line == canonical(next(iter(chained.items(REF, links=True))))


def test_a_month_that_was_cut_short_is_written_again(run, months, tmp_path):
    run("ledger", "export", REF, "--out", tmp_path)
    (first, *_) = sorted((tmp_path / REF).glob("*.parquet"))
    whole = first.read_bytes()
    first.unlink()
    first.with_name(f"{first.name}.part").write_text('{"model"')

    run("ledger", "export", REF, "--out", tmp_path)

    assert first.read_bytes() == whole
    assert list((tmp_path / REF).glob("*.part")) == []


def test_without_polars_the_way_out_is_said(run, months, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "polars", None)

    answer = run("ledger", "export", REF, "--out", tmp_path)

    assert answer.exit_code == 2
    assert "--format jsonl" in answer.stderr
    assert run("ledger", "export", REF, "--out", tmp_path, "--format", "jsonl").exit_code == 0
