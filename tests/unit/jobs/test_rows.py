"""The second look at a failing file: every bad cell by line, and never another verdict."""

import gzip
import hashlib
import json
import subprocess
import sys
from datetime import UTC, datetime

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tidemill_jobs.check import facts_of
from tidemill_jobs.contract import duck
from tidemill_jobs.contract.facts import ReadAs
from tidemill_jobs.contract.infer import infer
from tidemill_jobs.contract.judge import judge
from tidemill_jobs.contract.rows import find_rows
from tidemill_jobs.lake import ObjectVersion
from tidemill_jobs.spec import Check, ColumnRule

GOOD = "\n".join(
    ["id,wind,left,night,origin,late"]
    + [
        f"f{n},{n % 40}.5,2026-0{n % 9 + 1}-11T10:30:00Z,{'true' if n % 2 else 'false'},"
        f"{['Oslo', 'Rome'][n % 2]},{['yes', 'no'][n // 2 % 2]}"
        for n in range(200)
    ]
)
RULES = {
    "wind": ColumnRule(minimum=0, maximum=100),
    "origin": ColumnRule(values=("Oslo", "Rome")),
    "id": ColumnRule(unique=True),
}


@pytest.fixture
def look(tmp_path, make_spec):
    """Judge a file by the contract of GOOD and look for its rows."""

    def facts(content, name):
        form = name.removesuffix(".gz").rsplit(".", 1)[-1]
        path = tmp_path / "object"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        version = ObjectVersion(f"s3://lake/raw/{name}", "v1", path.stat().st_size)
        return facts_of(path, version, sha256, ReadAs(form, "left", ()))

    def look(content, name="a.csv", rules=RULES, policy="refuse"):
        check = Check(policy, 0.0, rules)
        spec = make_spec(id="id", timestamp="left", check=check)
        contract = infer([facts(GOOD, "good.csv")], spec)
        found = facts(content, name)
        judgement = judge(found, contract, check)
        work = tmp_path / "work"
        work.mkdir(exist_ok=True)
        return judgement, find_rows(tmp_path / "object", found, judgement, contract, work)

    return look


def changed(cells):
    """Return GOOD in which cells, by line and column, are others."""
    lines = [line.split(",") for line in GOOD.split("\n")]
    for (line, column), cell in cells.items():
        lines[line - 1][lines[0].index(column)] = cell
    return "\n".join(",".join(line) for line in lines)


def places(report):
    return [(one.row, one.rule, one.column, one.value) for one in report.rows]


SPOILED = {
    (3, "wind"): "abc", (5, "wind"): "007", (6, "wind"): "-1", (7, "wind"): "NA",
    (8, "wind"): "1e300", (9, "left"): "2026-02-30", (10, "left"): "1970-01-01",
    (11, "night"): "1", (12, "origin"): "Lima", (13, "late"): "maybe", (14, "id"): "f3",
    (15, "wind"): " 7 ", (16, "night"): "TRUE",
}  # fmt: skip
FOUND = [
    (3, "wrong_type", "wind", "abc"),
    (5, "wrong_type", "wind", "007"),
    (6, "out_of_range", "wind", "-1"),
    (8, "wrong_type", "wind", "1e300"),
    (9, "wrong_type", "left", "2026-02-30"),
    (10, "out_of_range", "left", "1970-01-01"),
    (11, "wrong_type", "night", "1"),
    (12, "unknown_value", "origin", "Lima"),
    (13, "unknown_class", "late", "maybe"),
    (14, "repeated_key", "id", "f3"),
]


def test_every_bad_cell_is_named_with_its_line(look):
    judgement, report = look(changed(SPOILED))

    assert judgement.verdict == "quarantine"
    assert places(report) == FOUND
    assert report.complete
    assert report.bad_rows == 10
    assert report.rules["wrong_type"] == 5
    assert report.rows[0].raw.startswith("f1,abc,2026-02-11T")
    assert all(one.raw[slice(*one.at)] == one.value for one in report.rows)


def test_the_formats_agree(look):
    text = changed(SPOILED)
    tabs = text.replace(",", "\t")
    assert places(look(tabs, "a.tsv")[1]) == FOUND
    assert places(look(gzip.compress(text.encode()), "a.csv.gz")[1]) == FOUND
    assert places(look(text.replace("\n", "\r\n"))[1]) == FOUND
    assert places(look("\ufeff" + text)[1]) == FOUND


def test_a_line_is_a_line_behind_quoted_line_breaks(look):
    text = changed({(3, "origin"): '"Lima\n\nPeru"', (5, "wind"): "abc"})

    assert [(row, rule) for row, rule, *_ in places(look(text)[1])] == [
        (3, "unknown_value"), (7, "wrong_type"),
    ]  # fmt: skip


def records(cells):
    header, *rows = (line.split(",") for line in GOOD.split("\n"))
    listed = [dict(zip(header, row, strict=True)) for row in rows]
    for record in listed:
        record["wind"], record["night"] = float(record["wind"]), record["night"] == "true"
    for (row, column), value in cells.items():
        listed[row - 1][column] = value
    return listed


def test_json_lines_are_read_line_by_line(look):
    listed = records({(2, "wind"): -1, (4, "origin"): "Lima", (5, "left"): "1970-01-01",
                      (6, "id"): "f3", (7, "late"): "maybe", (8, "left"): "soon"})  # fmt: skip
    text = "\n\n".join(json.dumps(record) for record in listed)  # blank lines between

    assert places(look(text, "a.jsonl")[1]) == [
        (3, "out_of_range", "wind", "-1"),
        (7, "unknown_value", "origin", "Lima"),
        (9, "out_of_range", "left", "1970-01-01"),
        (11, "repeated_key", "id", "f3"),
        (13, "unknown_class", "late", "maybe"),
        (15, "wrong_type", "left", "soon"),
    ]


def test_parquet_is_looked_at_by_row(look, tmp_path):
    listed = records(
        {(2, "wind"): -1.0, (3, "wind"): float("nan"), (4, "origin"): "Lima", (6, "id"): "f3"}
    )
    pl.DataFrame(listed).write_parquet(tmp_path / "a.parquet")

    _, report = look((tmp_path / "a.parquet").read_bytes(), "a.parquet")

    assert report.unit == "row"
    assert places(report) == [
        (2, "out_of_range", "wind", "-1.0"),
        (4, "unknown_value", "origin", "Lima"),
        (6, "repeated_key", "id", "f3"),
    ]


def test_times_are_utc_wherever_it_runs(look, tmp_path, monkeypatch):
    monkeypatch.setenv("TZ", "America/New_York")
    times = [datetime(2026, 5, 1, 12, tzinfo=UTC)] * 199 + [datetime(1970, 1, 1, 0, 30, tzinfo=UTC)]
    frame = pl.DataFrame(records({})).with_columns(
        left=pl.Series(times).dt.convert_time_zone("Europe/Oslo")
    )
    frame.write_parquet(tmp_path / "a.parquet")

    _, report = look((tmp_path / "a.parquet").read_bytes(), "a.parquet")

    assert report.complete, report.note
    assert places(report) == [(200, "out_of_range", "left", "1970-01-01 00:30:00")]


def test_columns_that_differ_by_case_are_left_to_the_facts(look, tmp_path):
    listed = [{**record, "WIND": 1.0} for record in records({(2, "wind"): -1.0})]
    pl.DataFrame(listed).write_parquet(tmp_path / "a.parquet")

    _, report = look((tmp_path / "a.parquet").read_bytes(), "a.parquet")

    assert places(report) == [(2, "out_of_range", "wind", "-1")]
    assert not report.complete
    assert "second reader" in report.note


def test_more_than_a_thousand_are_counted(look):
    text = "\n".join([GOOD, *(f"x{n},abc,2026-01-01,true,Oslo,yes" for n in range(3_000))])

    _, report = look(text)

    assert len(report.rows) == 1_000
    assert report.rules == {"wrong_type": 3_000}
    assert report.bad_rows == 3_000


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b"a,b\n1,2\n3\n4,5,6\n7,8\n", [(3, "ragged_row"), (4, "ragged_row")]),
        (
            b'a,b\n"x\n\ny",2\n3\n\n4,5\n6\n',
            [(5, "ragged_row"), (8, "ragged_row")],
        ),
        (
            b"a,b\n1,caf\xe9\n2,x\n\xff,3\n4\n",
            [(2, "bad_encoding"), (4, "bad_encoding"), (5, "ragged_row")],
        ),
        (b'a,b\n1,x"y\n2,3\n', [(2, "unbalanced_quote")]),
        (b'a,b\n1,"x\n2,3\n', [(2, "unbalanced_quote")]),
        (b"a,b\n1,x\x00\n2,3\n", [(2, "nul_bytes")]),
        (b"a,b\n1,x\r2,3\n", [(2, "line_endings")]),
        (b"a;b\n1;2\n", [(1, "wrong_delimiter")]),
        (b"a,a\n1,2\n", [(1, "duplicate_header")]),
        (b"", []),
        (b"PK\x03\x04xx", []),
        ("a,b\n1,2\n".encode("utf-16"), []),
    ],
)
def test_lines_that_cannot_be_read_are_named(look, text, found):
    judgement, report = look(text)

    assert judgement.verdict == "quarantine"
    listed = [(one.row, one.rule) for one in report.rows]
    assert listed == found


def test_a_line_that_is_listed_is_shown(look):
    _, report = look(b"a,b\n1,2\n3\n")

    assert report.rows[0].raw == "3"


def test_a_file_that_keeps_the_contract_has_no_bad_rows(look):
    assert look(GOOD)[1].rows == ()


def test_hostile_names_and_cells_are_only_text(look, tmp_path):
    evil = 'wind"); DROP TABLE bad; --'
    listed = [
        {**record, evil: "'; --"}
        for record in records({(2, "origin"): "Robert'); DROP TABLE bad;--"})
    ]
    pl.DataFrame(listed).write_parquet(tmp_path / "a.parquet")

    _, report = look((tmp_path / "a.parquet").read_bytes(), "a.parquet")

    assert places(report) == [(2, "unknown_value", "origin", "Robert'); DROP TABLE bad;--")]


cell = st.sampled_from(
    ["", " ", "NA", "nan", "inf", "1", "+1", ".5", "5.", "1e5", "1e999", "00", "-07", "0x1", "1_0",
     "٣", "true", "TRUE ", "x", "2026-01-01", "2026-01-01T10:00+05:30", "2026-02-29",
     "2024-02-29 23:59:59.5Z"]
)  # fmt: skip


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cells=st.dictionaries(
        st.tuples(st.integers(2, 201), st.sampled_from(["wind", "left", "night"])),
        cell,
        max_size=12,
    )
)
def test_both_readers_read_cells_alike(look, cells):
    judgement, report = look(changed(cells))

    assert report.complete, report.note
    firm = sum(one.least for one in judgement.findings if one.rule == "wrong_type")
    assert report.rules.get("wrong_type", 0) == firm


def test_a_second_look_that_fails_leaves_the_first(look, monkeypatch):
    def fail(*_, **__):
        raise OSError("the disk is full")

    monkeypatch.setattr(duck, "find_cells", fail)

    _, report = look(changed({(3, "wind"): "abc"}))

    assert places(report) == [(3, "wrong_type", "wind", "abc")]
    assert "the disk is full" in report.note


PURE = """
import sys, tidemill_jobs.contract.rows
print(sorted({"polars", "numpy", "boto3"} & set(sys.modules)))
"""


NOT_LOADED = """
import sys, tidemill_jobs.prepare, tidemill_jobs.check
print("duckdb" in sys.modules)
"""


def test_no_job_loads_duckdb():
    asked = subprocess.run(
        [sys.executable, "-c", NOT_LOADED], capture_output=True, check=True, text=True
    )

    assert asked.stdout.strip() == "False"


def test_looking_for_rows_needs_duckdb_only():
    asked = subprocess.run([sys.executable, "-c", PURE], capture_output=True, check=True, text=True)

    assert asked.stdout.strip() == "[]"


def test_a_long_row_is_cut_around_its_cell(look):
    _, report = look(
        changed({(3, "late"): "maybe", (3, "id"): "x" * 5_000, (3, "origin"): "y" * 190})
    )

    late = next(one for one in report.rows if one.column == "late")
    assert len(late.raw) <= 301
    assert late.raw[slice(*late.at)] == "maybe"
