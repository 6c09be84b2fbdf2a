import gzip
import io
import json

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tidemill_jobs.errors import ReadError
from tidemill_jobs.profile import FILE_NAME, Profile, Profiler, files, row_groups, separated
from tidemill_jobs.profile.__main__ import main
from tidemill_jobs.profile.files import profile_file

ROWS = 300
FRAME = pl.DataFrame(
    {
        "id": range(2**53, 2**53 + ROWS),
        "share": [number / 8 if number % 5 else None for number in range(ROWS)],
        "whole": [float(number) for number in range(ROWS)],
        "flag": [number % 3 == 0 for number in range(ROWS)],
        "city": ["a, b", 'the "c"', "d\ne", "é", "", None] * (ROWS // 6),
        "code": [f"{number % 120:03d}" for number in range(ROWS)],
    }
).with_columns(
    at=pl.datetime(2026, 1, 1) + pl.duration(minutes=pl.int_range(ROWS)),
)


def values_of(profile):
    return profile.rows, {
        name: {
            "counts": (column.missing, column.kinds, column.kind, column.distinct),
            "categories": column.categories,
            "numbers": column.numbers
            and (column.numbers.sum, column.numbers.low, column.numbers.high),
            "times": column.times and (column.times.low, column.times.high),
        }
        for name, column in profile.columns.items()
    }


def write(folder, form):
    path = folder / f"rows.{form}"
    if form == "parquet":
        FRAME.write_parquet(path)
    elif form == "jsonl":
        FRAME.with_columns(pl.col("at").dt.strftime("%Y-%m-%dT%H:%M:%S")).write_ndjson(path)
    else:
        separator = "," if form == "csv" else "\t"
        FRAME.write_csv(path, separator=separator, datetime_format="%Y-%m-%dT%H:%M:%S")
    return path


def text(folder, content, name="rows.csv"):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("form", ["csv", "tsv", "parquet", "jsonl"])
@pytest.mark.parametrize("block", [separated.BLOCK, 400])
def test_every_format_gives_the_same_profile(tmp_path, monkeypatch, form, block):
    monkeypatch.setattr(separated, "BLOCK", block)
    profiler = Profiler()
    profiler.add(FRAME)

    assert values_of(profile_file(write(tmp_path, form))) == values_of(profiler.profile())


def test_packed_files(tmp_path):
    content = write(tmp_path, "csv").read_bytes()
    packed = text(tmp_path, gzip.compress(content), "packed.csv.gz")

    assert profile_file(packed).rows == ROWS
    assert sorted(path.name for path in tmp_path.iterdir()) == ["packed.csv.gz", "rows.csv"]
    with pytest.raises(ReadError, match="begins with 69 64"):
        profile_file(text(tmp_path, content, "plain.csv.gz"))


@pytest.mark.parametrize("size", [1, 7, 50, 1_000])
def test_parquet_is_read_by_its_row_groups(tmp_path, monkeypatch, size):
    monkeypatch.setattr(files, "ROWS", 60)
    path = tmp_path / "rows.parquet"
    FRAME.write_parquet(path, row_group_size=size)
    groups = row_groups.rows_of_groups(path)

    assert sum(groups) == ROWS
    assert max(groups) <= size
    assert values_of(profile_file(path)) == values_of(profile_file(write(tmp_path, "csv")))
    assert row_groups.rows_of_groups(text(tmp_path, b"PAR1 no footer PAR1")) is None


@pytest.mark.parametrize(
    ("name", "content", "columns"),
    [
        ("rows.csv", "a,b\n", ["a", "b"]),
        ("rows.tsv", "a\tb", ["a", "b"]),
        ("rows.parquet", None, ["a"]),
    ],
)
def test_a_file_without_rows_tells_its_columns(tmp_path, name, content, columns):
    path = tmp_path / name
    if content is None:
        pl.DataFrame(schema={"a": pl.Int64}).write_parquet(path)
    else:
        path.write_text(content)
    profile = profile_file(path)

    assert (profile.rows, list(profile.columns)) == (0, columns)
    assert profile.columns["a"].inferred_type == "Unknown"


def test_one_row_and_a_constant(tmp_path):
    one = profile_file(text(tmp_path, "a,b\n1,x")).columns
    assert (one["a"].numbers.std_dev, one["a"].distinct, one["b"].categories) == (0, 1, {"x": 1})
    constant = profile_file(text(tmp_path, "a\n" + "7\n" * 10_000)).columns["a"]
    assert (constant.distinct, constant.numbers.mean, constant.numbers.std_dev) == (1, 7, 0)


def test_five_hundred_columns(tmp_path):
    names = [f"c{number}" for number in range(500)]
    rows = [",".join(names), *(",".join(str(row * n) for n in range(500)) for row in range(50))]
    profile = profile_file(text(tmp_path, "\n".join(rows)))

    assert len(profile.columns) == 500
    assert profile.columns["c499"].numbers.sum == 499 * sum(range(50))


LATE = [
    ("1.5", {"integral": 2_000, "fractional": 1}),
    ("abc", {"integral": 2_000, "text": 1}),
    ("007", {"integral": 2_000, "text": 1}),
    ('"007"', {"integral": 2_000, "text": 1}),
    (" 007", {"integral": 2_000, "text": 1}),
    ("  007", {"integral": 2_000, "text": 1}),
    (" \t07", {"integral": 2_000, "text": 1}),
    ("NaN", {"integral": 2_000}),
    ("NA", {"integral": 2_000}),
    (" 8 ", {"integral": 2_001}),
    ("true", {"integral": 2_000, "boolean": 1}),
    ("9223372036854775808", {"integral": 2_000, "fractional": 1}),
]


@pytest.mark.parametrize(("cell", "kinds"), LATE)
@pytest.mark.parametrize("other", ["x", "2", "2.5", "true"])
def test_a_late_cell_is_what_it_says(tmp_path, monkeypatch, cell, kinds, other):
    monkeypatch.setattr(separated, "BLOCK", 900)
    monkeypatch.setattr(separated, "SAMPLE", 100)
    rows = [*(["3," + other] * 1_000), f"{cell},{other}", *(["4," + other] * 1_000)]
    found = profile_file(text(tmp_path, "a,b\n" + "\n".join(rows))).columns["a"]

    assert {kind: count for kind, count in found.kinds.items() if count} == kinds
    if kinds == {"integral": 2_000}:
        assert found.missing == 1


def test_a_first_row_that_is_longer_than_the_sample(tmp_path, monkeypatch):
    monkeypatch.setattr(separated, "SAMPLE", 3)
    columns = profile_file(text(tmp_path, 'a,b\n1,"x\ny"\n2,z\n')).columns

    assert columns["b"].categories == {"x\ny": 1, "z": 1}


def test_digits_beyond_a_double_are_kept_among_fractions(tmp_path, monkeypatch):
    monkeypatch.setattr(separated, "SAMPLE", 10)
    rows = ["0.5"] * 100 + ["9007199254740993"]
    numbers = profile_file(text(tmp_path, "a\n" + "\n".join(rows))).columns["a"].numbers

    assert numbers.high == 9007199254740993


CELLS = (
    ["", "1", "2.5", "007", "-0.5", "NaN", "NA", "true", "FALSE", "x", "é", " 1", "1e3", "inf"],
    ['"a, 1"', '"b\n""c"""', '"1"', '" 01"', "2026-11-20", "9007199254740993"],
)
cell = st.sampled_from([cell for some in CELLS for cell in some])


@settings(
    deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(st.tuples(cell, cell, st.sampled_from("123")), min_size=1, max_size=40),
    st.integers(8, 200),
    st.sampled_from(["\n", "\r\n"]),
)
def test_typed_blocks_say_what_texts_say(tmp_path_factory, rows, size, end):
    content = end.join(["a,b,c", *(",".join(row) for row in rows)])
    path = text(tmp_path_factory.mktemp("csv"), content)
    whole = Profiler()
    whole.add(pl.read_csv(io.BytesIO(content.encode()), infer_schema=False))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(separated, "BLOCK", size)
        patch.setattr(separated, "SAMPLE", size // 2)

        assert values_of(profile_file(path)) == values_of(whole.profile())


BROKEN = [
    ("a,b\n1,2\n3\n", "line 3 has 1 cell where the header has 2"),
    ("a,b\n1,2\n3,4,5\n", "line 3 has 3 cells"),
    ("a,b\n1,2\n3,4,5\n6\n", "line 3 has 3 cells"),
    ("a,b\n1,2\n3,4,\n", "line 3 has 3 cells"),
    ('a,b\n"1\n0",2\n3,4\n5\n', "line 5 has 1 cell"),
    ("a,b\n1,\n3,4\n5\n", "line 4 has 1 cell"),
    ("a,b\n1,2\n\n3,4\n", "line 3 is blank"),
    ('a,b\n1,"2\n3,4\n', "line 2: a quote is opened and never closed"),
    (b"a,b\n1,\xff\n", "line 2: byte 0xff is not UTF-8"),
    ("a,a\n1,2\n", "two columns are called 'a'"),
    ("", "the file is empty"),
    (b"PAR1", "the file is Parquet"),
]


@pytest.mark.parametrize(("content", "why"), BROKEN)
def test_a_broken_file_is_refused_with_its_line(tmp_path, capsys, content, why):
    path = text(tmp_path, content)

    assert main([str(path), "--out", str(tmp_path / "out")]) == 2
    assert why in capsys.readouterr().err
    assert not (tmp_path / "out" / FILE_NAME).exists()


JSON_LINES = [
    ('{"a": 1, "a": 2}', "the key 'a' is there twice"),
    ('{"a": [1]}', "line 1: 'a' holds a list"),
    ('{"a": 1}\n{"a": {"b": 1}}', "line 2: 'a' holds an object"),
    ('{"a": "\\ud83d"}', "half a character"),
    ("[1]", "one JSON array"),
]


@pytest.mark.parametrize(("content", "why"), JSON_LINES)
def test_broken_json_lines(tmp_path, content, why):
    with pytest.raises(ReadError, match=why):
        profile_file(text(tmp_path, content, "rows.jsonl"))


def test_json_keeps_mixtures_and_keys_that_lines_lack(tmp_path):
    lines = ['{"a": 1}', '{"a": "x", "b": true}', '{"a": 2.5, "b": null}', "", '{"a": NaN}']
    columns = profile_file(text(tmp_path, "\n".join(lines), "rows.jsonl")).columns

    assert columns["a"].categories == {"1": 1, "2.5": 1, "x": 1}
    assert (columns["a"].missing, columns["b"].missing) == (1, 3)


def test_the_command_writes_a_profile_and_tells_of_it(tmp_path, capsys):
    out = tmp_path / "new" / "out"

    assert main([str(write(tmp_path, "csv")), "--out", str(out)]) == 0
    told = capsys.readouterr().out
    assert told.startswith("300 rows, 7 columns\n")
    assert "2026-01-01T04:59Z" in told
    assert Profile.loads((out / FILE_NAME).read_bytes()).rows == ROWS
    assert main([str(write(tmp_path, "parquet")), "--out", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["columns"]["whole"]["mean"] == (ROWS - 1) / 2


def test_the_command_says_what_it_cannot_do(tmp_path, capsys):
    out = str(tmp_path)

    assert main([str(tmp_path / "none.csv"), "--out", out]) == 2
    assert main([str(text(tmp_path, "a\n1", "rows.txt")), "--out", out]) == 2
    assert main([str(text(tmp_path, "PAR1 no", "rows.parquet")), "--out", out]) == 2
    said = capsys.readouterr().err
    assert "No such file" in said
    assert "does not tell the format; say which with --format: csv, tsv" in said
    assert "no readable Parquet" in said
    assert main([str(tmp_path / "rows.txt"), "--out", out, "--format", "csv"]) == 0
