"""Prepare follows the contract: what columns are, and which rows are left out."""

import json
import tempfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tidemill_jobs import __main__ as entry
from tidemill_jobs import prepare, split
from tidemill_jobs.broken import bad_rows, find_broken
from tidemill_jobs.check import facts_of
from tidemill_jobs.contract.facts import ReadAs
from tidemill_jobs.contract.infer import infer
from tidemill_jobs.contract.judge import judge
from tidemill_jobs.lake import ObjectVersion
from tidemill_jobs.reader import read
from tidemill_jobs.redaction import REDACTED
from tidemill_jobs.spec import Check, ColumnRule
from tidemill_jobs.survey import survey


@pytest.fixture
def facts(tmp_path):
    def make(text):
        path = tmp_path / "looked-at"
        path.write_text(text)
        version = ObjectVersion("s3://lake/raw/looked-at.csv", "v1", path.stat().st_size)
        return facts_of(path, version, "", ReadAs("csv", None, ()))

    return make


@pytest.fixture
def contract(facts, flights, make_spec):
    def make(columns=None, **changes):
        check = Check("refuse", 0.0, columns or {})
        return infer([facts(flights(400))], make_spec(id="id", check=check, **changes))

    return make


def spoiled(text, column, cells):
    """Return CSV in which some rows, by number, hold another cell."""
    header, *rows = (line.split(",") for line in text.replace('"Nice, FR"', "Nice").splitlines())
    for row, cell in cells.items():
        rows[row][header.index(column)] = cell
    return "\n".join(",".join(line) for line in (header, *rows)) + "\n"


def test_a_later_file_cannot_change_what_a_column_is(run_prepare, contract, flights):
    texts = spoiled(flights(800, seed=2), "wind", dict.fromkeys(range(200), "strong"))
    files = [flights(400), texts]

    alone = run_prepare(*files, id="id")
    held = run_prepare(*files, id="id", contract=contract())

    assert alone["columns"]["wind"]["kind"] == "category"
    assert held["columns"]["wind"]["kind"] == "number"
    assert [file["verdict"] for file in held["files"]] == ["used", "left_out"]
    assert "line 2: column 'wind' holds 'strong'" in held["files"][1]["reason"]


def test_drop_leaves_out_exactly_the_rows_that_break_it(run_prepare, contract, flights):
    rules = {
        "wind": ColumnRule(minimum=0),
        "origin": ColumnRule(values=("Oslo", "Rome", "Bonn", "Nice, FR", "Nice")),
    }
    bad = spoiled(flights(400, seed=2), "wind", {3: "abc", 5: "-1", 9: "007"})
    bad = spoiled(bad, "origin", {5: "Lima", 11: "Lima"})
    bad = spoiled(bad, "late", {20: "maybe"})

    summary = run_prepare(
        flights(400), bad, id="id", contract=contract(rules), check=Check("drop", 0.02)
    )

    assert summary["rows"]["dropped"] == 5
    assert summary["rows"]["read"] == 800
    (dropped,) = summary["dropped_rows"]
    assert dropped["rules"] == {
        "wrong_type": 2, "out_of_range": 1, "unknown_value": 2, "unknown_class": 1,
    }  # fmt: skip
    assert [(row["place"], row["rule"], row["value"]) for row in dropped["first"]] == [
        ("line 5", "wrong_type", "'abc'"),
        ("line 7", "out_of_range", "'-1'"),
        ("line 11", "wrong_type", "'007'"),
        ("line 13", "unknown_value", "'Lima'"),
        ("line 22", "unknown_class", "'maybe'"),
    ]
    assert summary["files"][1]["rows"] == 395
    assert "5 rows were left out" in summary["files"][1]["reason"]


def test_a_summary_tells_no_value_of_a_redacted_column(run_prepare, contract, flights):
    bad = spoiled(flights(400, seed=2), "origin", {3: "Lima"})
    bad = spoiled(bad, "wind", {5: "hurricane"})
    misfit = spoiled(flights(40, seed=3), "wind", dict.fromkeys(range(9), "typhoon"))
    rules = {"origin": ColumnRule(values=("Oslo", "Rome", "Bonn", "Nice, FR", "Nice"))}
    redact = {"wind": "hash", "origin": "hash", "night": "drop"}

    summary = run_prepare(
        flights(400), bad, misfit,
        id="id", contract=contract(rules), check=Check("drop", 0.02),
        watch={"capture": {"redact": redact}},
    )  # fmt: skip

    columns = summary["columns"]
    assert columns["left"]["max"] > columns["left"]["min"]  # what is not redacted stays
    for name in redact:
        assert columns[name].keys() <= {
            "kind", "inferred_type", "num_present", "num_missing", "distinct_count",
        }  # fmt: skip
    assert columns["origin"]["num_present"] > 300
    told = json.dumps(summary)
    assert not [word for word in ("Oslo", "Rome", "Lima", "hurricane", "typhoon") if word in told]
    assert [row["value"] for row in summary["dropped_rows"][0]["first"]] == [REDACTED, REDACTED]
    assert f"column 'wind' holds {REDACTED}" in summary["files"][2]["reason"]


def test_without_a_contract_a_misfit_s_value_is_redacted_too(run_prepare, flights):
    bad = spoiled(flights(40, seed=3), "wind", {30: "typhoon"})
    summary = run_prepare(
        flights(400), bad, id="id", watch={"capture": {"redact": {"wind": "drop"}}}
    )
    reasons = " ".join(file["reason"] for file in summary["files"])
    assert "typhoon" not in reasons
    assert summary["files"][1]["verdict"] == "used" or REDACTED in reasons


def test_beyond_the_share_the_file_is_left_out(run_prepare, contract, flights):
    bad = spoiled(flights(400, seed=2), "wind", dict.fromkeys(range(9), "abc"))

    summary = run_prepare(
        flights(400), bad, id="id", contract=contract(), check=Check("drop", 0.02)
    )

    assert summary["rows"]["dropped"] == 0
    assert summary["files"][1]["verdict"] == "left_out"
    assert "9 of 400 rows break the contract" in summary["files"][1]["reason"]


def test_warn_keeps_what_can_be_typed(run_prepare, contract, flights):
    rules = {"wind": ColumnRule(maximum=40)}
    bad = spoiled(flights(400, seed=2), "wind", {3: "abc", 5: "41"})

    summary = run_prepare(flights(400), bad, id="id", contract=contract(rules), check=Check("warn"))

    assert summary["rows"]["dropped"] == 1
    assert summary["columns"]["wind"]["max"] == 41


def test_a_third_class_never_reaches_a_binary_model(run_prepare, contract, flights):
    bad = spoiled(flights(400, seed=2), "late", {3: "maybe"})

    refused = run_prepare(flights(400), bad, id="id", contract=contract())
    warned = run_prepare(flights(400), bad, id="id", contract=contract(), check=Check("warn"))

    assert [file["verdict"] for file in refused["files"]] == ["used", "left_out"]
    assert warned["rows"]["dropped"] == 1


def test_a_column_that_may_lack_is_missing_where_it_does(run_prepare, contract, flights):
    rules = {"origin": ColumnRule(required=False), "gate": ColumnRule(required=False)}
    rows = (
        line.split(",") for line in flights(400, seed=2).replace('"Nice, FR"', "Nice").splitlines()
    )
    without = "\n".join(",".join(row[:3] + row[4:]) for row in rows)

    summary = run_prepare(flights(400), without, id="id", contract=contract(rules))

    assert [file["verdict"] for file in summary["files"]] == ["used", "used"]
    assert summary["columns"]["origin"]["num_missing"] == 400


def test_a_file_without_a_required_column_is_left_out(run_prepare, contract, flights):
    rows = (
        line.split(",") for line in flights(900, seed=2).replace('"Nice, FR"', "Nice").splitlines()
    )
    without = "\n".join(",".join(row[:3] + row[4:]) for row in rows)

    summary = run_prepare(flights(400), without, id="id", contract=contract())

    assert summary["files"][1]["reason"].startswith(
        "it lacks the columns 'origin', which the contract"
    )


def test_the_job_takes_the_contract_as_an_input(container, lake, contract, flights, monkeypatch):
    monkeypatch.setattr(prepare, "Lake", lambda: lake)
    bad = spoiled(flights(800, seed=2), "wind", dict.fromkeys(range(200), "x"))
    files = [lake.upload("a.csv", flights(400)), lake.upload("b.csv", bad)]
    spec = {
        "version": 1,
        "data": {"format": "csv", "target": "late", "id": "id", "timestamp": None, "exclude": []},
        "prepare": {"validation": 0.2, "test": 0.2, "seed": 1},
        "train": {"problem": "binary"},
    }
    listed = [{"uri": one.uri, "version_id": "v1", "size": one.size} for one in files]
    documents = {
        "spec": json.dumps(spec),
        "dataset": json.dumps({"version": 1, "objects": listed}),
        "contract": contract().to_json(),
    }
    for name, text in documents.items():
        container.processing_input(name).mkdir(parents=True)
        (container.processing_input(name) / f"{name}.json").write_text(text)
    container.environment["PREPARED_URI"] = "s3://lake/prepared"

    assert entry.run(container, ["prepare"]) == 0
    assert "1 of 2 files left out" in (container.base / "output" / "message").read_text()


cell = st.sampled_from(["abc", "-1", "99", "", "007", "1e300"])
PATIENT = settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])


@PATIENT
@given(cells=st.dictionaries(st.integers(0, 99), cell, max_size=30))
def test_what_facts_bound_rows_count(facts, contract, flights, tmp_path, cells):
    rules = {"wind": ColumnRule(minimum=0, maximum=50)}
    text = spoiled(flights(100, seed=2), "wind", cells)
    held = contract(rules)
    path = tmp_path / "object"
    path.write_text(text)
    raw = read(path, "a.csv", "csv")

    exact = int(bad_rows(100, find_broken(raw, held)).sum())

    said = judge(facts(text), held, Check("drop", 1.0))
    assert (
        max((one.least for one in said.findings if one.weight == "violation"), default=0) <= exact
    )
    assert exact <= said.bad_rows


@pytest.fixture
def splits_of(lake, tmp_path, make_spec):
    """Return which split each row is in, by a column that tells rows apart."""

    def look(files, identity):
        versions = [lake.upload(f"{name}.csv", text) for name, text in files]
        work = Path(tempfile.mkdtemp(dir=tmp_path))
        spec = make_spec(id=identity)
        rows = prepare._type_rows(survey(versions, spec, lake, work), spec)
        frame = pl.concat([pl.read_ipc(path) for path in rows.paths])
        return dict(zip(frame["n"], frame[prepare._SPLIT], strict=True))

    return look


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(range(5)), known=st.integers(1, 4), by_id=st.booleans())
def test_a_row_stays_in_its_split_when_files_are_added_or_reordered(splits_of, order, known, by_id):
    def text(number):
        rows = range(number * 20, number * 20 + 20)
        return "id,n,late\n" + "".join(f"r{n},{n},{'yes' if n % 3 else 'no'}\n" for n in rows)

    identity = "id" if by_id else None
    before = splits_of([(n, text(n)) for n in range(known)], identity)
    after = splits_of([(n, text(n)) for n in order], identity)

    assert len(after) == 100
    assert before.items() <= after.items()
    assert set(np.unique(list(after.values()))) <= {split.TRAIN, split.VALIDATION, split.TEST}


def test_what_a_person_released_is_used_but_for_what_cannot_be_typed(
    run_prepare, contract, flights
):
    bad = spoiled(flights(400, seed=2), "wind", {3: "abc", 9: "-5"})
    files = [flights(400), bad]

    refused = run_prepare(*files, id="id", contract=contract())
    summary = run_prepare(*files, id="id", contract=contract(), released={1})

    assert refused["rows"]["read"] == 400
    assert summary["files"][1]["verdict"] == "used"
    assert "1 rows were left out, the first at line 5" in summary["files"][1]["reason"]
    assert summary["rows"]["dropped"] == 1
    assert summary["columns"]["wind"]["kind"] == "number"


def test_what_a_person_released_may_lack_a_column(run_prepare, contract, flights):
    header, *lines = (line.split(",") for line in flights(400).replace(', FR"', '"').splitlines())
    at = header.index("wind")
    without = "".join(",".join(line[:at] + line[at + 1 :]) + "\n" for line in (header, *lines))
    files = [flights(400, seed=3), without]

    refused = run_prepare(*files, id="id", contract=contract())
    summary = run_prepare(*files, id="id", contract=contract(), released={1})

    assert [file["verdict"] for file in refused["files"]] == ["used", "left_out"]
    assert [file["verdict"] for file in summary["files"]] == ["used", "used"]


def test_a_release_cannot_make_a_file_readable(run_prepare, contract, flights):
    summary = run_prepare(flights(400), "wind\n1\n", id="id", contract=contract(), released={0, 1})
    assert summary["files"][1]["verdict"] == "left_out"
