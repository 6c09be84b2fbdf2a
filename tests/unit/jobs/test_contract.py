"""A contract refuses what is broken, warns of what is new, and accepts what it came from."""

import hashlib
import json
import random
import subprocess
import sys

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tidemill_jobs.check import facts_of
from tidemill_jobs.contract.document import Contract, plain
from tidemill_jobs.contract.facts import ReadAs, quantile_places
from tidemill_jobs.contract.first import NoContract, infer_first
from tidemill_jobs.contract.infer import bounds, infer
from tidemill_jobs.contract.judge import judge
from tidemill_jobs.errors import JobError, RefusedError
from tidemill_jobs.lake import ObjectVersion
from tidemill_jobs.spec import Check, ColumnRule

REFUSE = Check()


@pytest.fixture
def facts(tmp_path):
    """Return the facts of CSV text, or of a polars frame written as Parquet."""

    def make(content, name="a.csv", timestamp=None):
        path = tmp_path / "object"
        if isinstance(content, str):
            path.write_text(content)
            form = "csv"
        else:
            content.write_parquet(path)
            form = "parquet"
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        version = ObjectVersion(f"s3://lake/raw/air/late/{name}", "v1", path.stat().st_size)
        return facts_of(path, version, sha256, ReadAs(form, timestamp, ()))

    return make


@pytest.fixture
def spec(make_spec):
    def make(columns=None, on_violation="refuse", bad_rows=0.0, **changes):
        check = Check(on_violation, bad_rows, columns or {})
        return make_spec(**{"id": "id", "timestamp": "left", **changes, "check": check})

    return make


def table(rows=400, seed=0, change=None):
    """Return CSV of departures; *change* may alter the cells of a row, by its number."""
    draw = random.Random(seed)
    lines = ["id,left,wind,origin,night,late"]
    for number in range(rows):
        row = {
            "id": f"f{seed}-{number}",
            "left": f"2026-0{draw.randint(1, 9)}-1{draw.randint(0, 9)}T10:30:00Z",
            "wind": "" if draw.random() < 0.05 else f"{draw.uniform(0, 40):.1f}",
            "origin": draw.choice(["Oslo", "Rome", "Bonn"]),
            "night": draw.choice(["true", "false"]),
            "late": draw.choice(["yes", "no"]),
        }
        if change:
            row |= change(number) or {}
        lines.append(",".join(map(str, row.values())))
    return "\n".join(lines) + "\n"


def at(rows, **cells):
    """Change these rows."""
    return lambda number: cells if number in rows else None


@pytest.fixture
def contract(facts, spec):
    return infer([facts(table())], spec())


def test_a_contract_says_what_was_seen_with_slack(contract):
    columns = contract.columns
    assert {name: column.kind for name, column in columns.items()} == {
        "id": None, "left": "time", "wind": "number", "origin": "category", "night": "boolean",
        "late": "category",
    }  # fmt: skip
    assert all(column.required for column in columns.values())
    assert columns["origin"].values == ("Bonn", "Oslo", "Rome")
    assert columns["late"].values == ("no", "yes")
    assert columns["wind"].minimum == pytest.approx(-40, abs=1)
    assert columns["wind"].maximum == pytest.approx(80, abs=1)
    assert 0.75 < columns["wind"].completeness < 0.85
    assert columns["id"].unique
    assert contract.basis.rows == 400


def test_a_contract_survives_its_document(contract):
    assert Contract.parse(contract.to_json()) == contract
    assert Contract.parse(contract.to_json()).digest == contract.digest
    assert len(contract.digest) == 16
    with pytest.raises(JobError, match="version 2"):
        Contract.parse(json.dumps({**json.loads(contract.to_json()), "version": 2}))
    with pytest.raises(JobError, match="no contract"):
        Contract.parse('{"version": 1}')


def test_little_data_gives_few_constraints(facts, spec):
    few = infer([facts(table(20))], spec())

    assert few.columns["wind"].maximum is None
    assert few.columns["origin"].values is None
    assert not few.columns["id"].unique
    assert few.columns["wind"].completeness < 0.65


def test_values_seen_once_say_that_more_will_come(facts, spec):
    odd = facts(table(400, change=at([7], origin="Lima")))

    assert infer([odd], spec()).columns["origin"].values is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (None, ("accept", None, None, None)),
        (at([4], wind="abc"), ("quarantine", "wrong_type", "wind", 6)),
        (at([4], wind="007"), ("quarantine", "wrong_type", "wind", 6)),
        (at([4], left="yesterday"), ("quarantine", "wrong_type", "left", 6)),
        (at([4], night="1"), ("quarantine", "wrong_type", "night", 6)),
        (at([4], late="maybe"), ("quarantine", "unknown_class", "late", 6)),
        (at(range(400), late=""), ("quarantine", "target_empty", "late", 2)),
        (at(range(400), wind=""), ("quarantine", "column_empty", "wind", 2)),
        (at(range(0, 400, 2), wind="NA"), ("warn", "incomplete", "wind", 2)),
        (at([9], wind="999"), ("warn", "out_of_range", "wind", 11)),
        (at([9], wind="-999"), ("warn", "out_of_range", "wind", 11)),
        (at([9], left="1970-01-01"), ("warn", "out_of_range", "left", 11)),
        (at([5], origin="Lima"), ("warn", "unknown_value", "origin", 7)),
        (at(range(50, 400), origin="OSL"), ("quarantine", "values_replaced", "origin", 52)),
        (at([30], id="f1-3"), ("warn", "repeated_key", "id", 32)),
    ],
)
def test_each_rule_has_its_verdict_and_place(facts, contract, change, said):
    judged = judge(facts(table(seed=1, change=change)), contract, REFUSE)

    assert (judged.verdict, judged.rule, judged.column, judged.row) == said
    assert judged.reason.endswith(".")
    assert judged.row is None or f"line {judged.row}" in judged.reason.lower()
    assert (judged.next_step is None) == (judged.verdict == "accept")
    assert judged.rows == 400


@pytest.mark.parametrize(
    ("drop", "rule"),
    [("late", "target_missing"), ("id", "id_missing"), ("left", "timestamp_missing"),
     ("wind", "column_missing")],
)  # fmt: skip
@pytest.mark.parametrize("policy", ["refuse", "drop", "warn"])
def test_a_file_without_a_column_of_the_contract_is_of_no_use(facts, contract, drop, rule, policy):
    header, *rows = table().split()
    at = header.split(",").index(drop)
    cut = [
        ",".join(cell for n, cell in enumerate(row.split(",")) if n != at)
        for row in (header, *rows)
    ]

    said = judge(facts("\n".join(cut)), contract, Check(policy, 0.5))

    assert (said.verdict, said.rule, said.column) == ("quarantine", rule, drop)


def test_what_cannot_be_read_is_quarantined_as_its_facts_say(facts, contract):
    said = judge(facts("id,left\n1\n"), contract, Check("warn"))

    assert (said.verdict, said.rule, said.row) == ("quarantine", "ragged_row", 2)


def test_a_new_column_is_a_remark(facts, contract):
    lines = table(seed=1).split()
    more = [f"{line},{'gate' if not n else 'B'}" for n, line in enumerate(lines)]

    said = judge(facts("\n".join(more)), contract, REFUSE)

    assert said.verdict == "accept"
    assert [(one.rule, one.column) for one in said.findings] == [("new_column", "gate")]


def test_few_rows_are_no_evidence_of_missing_cells(facts, contract):
    assert judge(facts(table(3, change=at([0, 1], wind=""))), contract, REFUSE).verdict == "accept"
    assert (
        judge(facts(table(5, change=at(range(5), wind=""))), contract, REFUSE).verdict
        != "quarantine"
    )


def test_the_policy_says_what_becomes_of_bad_cells(facts, contract):
    bad = facts(table(seed=1, change=at(range(0, 30, 3), wind="abc")))

    assert judge(bad, contract, Check("warn")).verdict == "warn"
    dropped = judge(bad, contract, Check("drop", 0.05))
    assert (dropped.verdict, dropped.bad_rows) == ("warn", 10)
    refused = judge(bad, contract, Check("drop", 0.02))
    assert (refused.verdict, refused.rule) == ("quarantine", "too_many_bad_rows")
    assert "8 be left out" in refused.reason
    assert "line 2" in refused.reason.lower()


def test_no_rows_can_be_dropped_to_mend_a_lost_column(facts, contract):
    lost = facts(table(seed=1, change=at(range(400), wind="")))

    assert judge(lost, contract, Check("drop", 0.5)).rule == "column_empty"
    assert judge(lost, contract, Check("warn")).verdict == "warn"


@pytest.mark.parametrize(
    ("rule", "change", "found"),
    [
        (ColumnRule(minimum=0), at([3], wind="-1"), "out_of_range"),
        (ColumnRule(maximum=50), at([3], wind="51"), "out_of_range"),
        (ColumnRule(completeness=1.0), at([3], wind=""), "incomplete"),
        (ColumnRule(type="boolean"), None, "wrong_type"),
    ],
)
def test_what_the_spec_states_is_firm(facts, spec, rule, change, found):
    stated = infer([facts(table())], spec({"wind": rule}))

    said = judge(facts(table(seed=1, change=change)), stated, REFUSE)

    assert (said.verdict, said.rule, said.column) == ("quarantine", found, "wind")


def test_stated_values_and_keys_are_firm_too(facts, spec):
    rules = {"origin": ColumnRule(values=("Oslo", "Rome", "Bonn")), "id": ColumnRule(unique=True)}
    stated = infer([facts(table(20))], spec(rules))

    assert judge(facts(table(seed=1)), stated, REFUSE).verdict == "accept"
    new = judge(facts(table(seed=1, change=at([0], origin="Lima"))), stated, REFUSE)
    assert (new.verdict, new.rule) == ("quarantine", "unknown_value")
    twice = judge(facts(table(seed=1, change=at([8], id="f1-2"))), stated, REFUSE)
    assert (twice.verdict, twice.rule, twice.row) == ("quarantine", "repeated_key", 10)


def test_the_spec_may_loosen_what_was_inferred(facts, spec):
    rules = {
        "origin": ColumnRule(required=False),
        "wind": ColumnRule(type="category"),
        "gate": ColumnRule(required=True),
    }
    loose = infer([facts(table())], spec(rules))

    assert loose.columns["wind"].kind == "category"
    assert not loose.columns["origin"].required
    assert judge(facts(table()), loose, REFUSE).column == "gate"


def test_how_many_rows_a_range_costs_is_bounded_by_quantiles(facts, spec):
    stated = infer([facts(table())], spec({"wind": ColumnRule(maximum=20)}))
    file = facts(table(seed=1))
    above = sum(float(line.split(",")[2] or 0) > 20 for line in table(seed=1).split()[1:])

    found = next(one for one in judge(file, stated, REFUSE).findings if one.rule == "out_of_range")

    assert found.least <= above <= found.most
    assert found.most - found.least <= 2 * 400 / 20


def test_parquet_and_csv_are_one_contract(facts, contract):
    frame = pl.read_csv(table(seed=1).encode(), try_parse_dates=True)

    assert judge(facts(frame), contract, REFUSE).verdict == "accept"
    text = frame.with_columns(pl.col("wind").cast(pl.String))
    assert judge(facts(text), contract, REFUSE).rule == "wrong_type"


def test_classes_are_compared_as_what_they_are(facts, spec):
    numbers = infer([facts(table(change=lambda n: {"late": n % 2}))], spec())

    assert numbers.columns["late"].values == ("0", "1")
    assert (
        judge(facts(table(change=lambda n: {"late": f"{n % 2}.0"})), numbers, REFUSE).verdict
        == "accept"
    )
    assert (
        judge(facts(table(change=lambda n: {"late": n % 3})), numbers, REFUSE).rule
        == "unknown_class"
    )
    assert (plain("True", "boolean"), plain("2.50", "number"), plain("x", "number")) == (
        "true",
        "2.5",
        None,
    )


def test_the_first_good_delivery_leaves_bad_files_out(facts, spec):
    good, late = (
        facts(table(400), "1.csv"),
        facts(table(100, seed=1, change=at([50], wind="abc")), "2.csv"),
    )
    lacking = facts("id,left,late\n1,2026-01-01,yes\n", "3.csv")
    broken = facts("id,left\n1\n", "4.csv")

    first = infer_first([broken, late, lacking, good], spec())

    assert first.basis.facts == (good.id,)
    assert [judge(file, first, REFUSE).rule for file in (broken, late, lacking, good)] == [
        "ragged_row", "wrong_type", "column_missing", None,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ([], "no file"),
        (["id,left\n1\n"], "The only file, 0.csv, is not good: Line 2 has 1 cell"),
        (["id,left\n1\n", "id,left\n1\n"], "None of the 2 files is good; 0.csv: Line 2"),
        (["id,left,wind\na,2026-01-01,1\n"], "no column 'late'"),
        (["id,left,late\na,2026-01-01,\n"], "the target column 'late' is empty"),
    ],
)
def test_where_no_file_is_good_the_reason_is_said(facts, spec, files, said):
    found = infer_first([facts(text, f"{n}.csv") for n, text in enumerate(files)], spec())

    assert isinstance(found, NoContract)
    assert said.lower() in found.reason.lower()


def test_nothing_gives_no_contract(spec):
    with pytest.raises(RefusedError, match="no file"):
        infer([], spec())


def test_bounds_and_quantiles_are_what_they_say():
    low, high = bounds(95, 100)
    assert 0.8 < low < 0.95 < high < 1
    assert quantile_places(1) == [0] * 21
    assert quantile_places(21) == list(range(21))


cells = st.sampled_from(["", "NA", "1", "2.5", "-3e2", "07", "true", "2026-01-01", "x", "y z"])
rows = st.lists(
    st.tuples(cells, cells, st.sampled_from(["yes", "no"])), min_size=1, max_size=30
)  # fmt: skip
PATIENT = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@PATIENT
@given(files=st.lists(rows, min_size=1, max_size=4))
def test_a_contract_accepts_every_file_it_was_inferred_from(facts, make_spec, files):
    texts = ["\n".join(["a,b,late", *(",".join(row) for row in file)]) for file in files]
    known = {one.id: one for one in (facts(text, f"{n}.csv") for n, text in enumerate(texts))}

    found = infer_first(list(known.values()), make_spec())

    assert isinstance(found, Contract)
    for one in found.basis.facts:
        said = judge(known[one], found, REFUSE)
        assert said.verdict == "accept", said


bad = st.sampled_from(
    [("wind", "abc"), ("wind", "9999"), ("wind", ""), ("wind", "-9999"), ("night", "1"),
     ("late", "maybe"), ("left", "x"), ("origin", "Lima")]
)  # fmt: skip
WIND = {"wind": ColumnRule(maximum=500, completeness=0.8)}


@PATIENT
@given(
    cells=st.lists(st.tuples(st.integers(0, 119), bad, st.booleans()), max_size=40),
    policy=st.sampled_from([Check(), Check("drop", 0.05), Check("drop", 0.2), Check("warn")]),
)
def test_mending_cells_never_makes_it_worse(facts, spec, cells, policy):
    wrong, left = {}, {}
    for row, (name, value), mended in cells:
        wrong.setdefault(row, {}).setdefault(name, value)
        if not mended:
            left.setdefault(row, {})[name] = wrong[row][name]
    stated = infer([facts(table())], spec(WIND))

    before = judge(facts(table(120, seed=1, change=wrong.get)), stated, policy)
    after = judge(facts(table(120, seed=1, change=left.get)), stated, policy)

    order = ["accept", "warn", "quarantine"]
    assert order.index(after.verdict) <= order.index(before.verdict)
    assert after.bad_rows <= before.bad_rows


PURE = """
import sys
import tidemill_jobs.contract.first, tidemill_jobs.contract.document
print(sorted({"polars", "numpy", "boto3", "duckdb"} & set(sys.modules)))
"""


def test_judging_needs_no_polars():
    asked = subprocess.run([sys.executable, "-c", PURE], capture_output=True, check=True, text=True)

    assert asked.stdout.strip() == "[]"


def test_a_judgement_carries_the_gravest_findings_only(facts, make_spec):
    header = ",".join([*(f"c{n}" for n in range(60)), "late"])
    good = [",".join(["1"] * 60 + ["yes"])] * 60
    found = infer([facts("\n".join([header, *good]))], make_spec())
    wrong = ",".join(["x"] * 60 + ["yes"])

    said = judge(facts("\n".join([header, wrong, *good])), found, REFUSE)

    assert (said.found, len(said.findings)) == (60, 50)
    assert (said.rule, said.column, said.row) == ("wrong_type", "c0", 2)
