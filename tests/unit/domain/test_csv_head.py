"""What preflight says of CSV text; each case goes through `inspect`, as an upload does."""

import csv
import io
from dataclasses import replace

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tidemill.domain.preflight import SAMPLE_BYTES, Finding, Sample, inspect
from tidemill.spec.compiled import Data

DATA = Data(format="csv", target="delayed", id=None, timestamp=None, exclude=())
HEADER = "id,carrier,delayed\n"


def look(text, data=DATA):
    body = text if isinstance(text, bytes) else text.encode()
    sample = Sample("raw/p/m/a.csv", len(body), body[:SAMPLE_BYTES], body[-SAMPLE_BYTES:])
    return inspect(sample, data)


@pytest.mark.parametrize(
    "text",
    [
        "id,carrier,delayed\n1,AA,0\n",
        "id,carrier,delayed\r\n1,AA,0\r\n2,DL,1",
        "\ufeffid,carrier,delayed\n1,AA,0\n",
        '\ufeff"delayed",b\n1,2\n',
        'delayed,b\n1,"a, ""b""\nc"\n2,\n',
        "\n\ndelayed,b\n1,2\n\n3,4\n\n",
        "delayed\n1\n\n0\n",
        'delayed,b\nx "y" z,3\n',
        "delayed,b\n1,left\rright\n",  # the jobs' reader keeps it within the cell
        "delayed,b;c\n1,2;3\n",
        "ORC,delayed\n1,2\n",
        "PAR1,delayed\n1,2\n",
        "[a],delayed\n1,2\n",
        'Überzug,delayed\n"日本",1\n',
    ],
)
def test_a_plain_table_is_fine(text):
    assert look(text) is None


@pytest.mark.parametrize(
    ("text", "rule", "says"),
    [
        ("\n \r\n\n", "empty", "only blank lines"),
        (HEADER, "header_only", "no row of data"),
        (HEADER + "\n\n", "header_only", "no row of data"),
        ("id;carrier;delayed\n1;AA;0,5\n", "wrong_delimiter", "separated by semicolons"),
        ("id\tcarrier\tdelayed\n1\tAA\t0\n", "wrong_delimiter", "separated by tabs"),
        ("id|x|y\n1|AA|0\n2|DL|1\n", "wrong_delimiter", "separated by vertical bars"),
        ('id;"a,b";delayed\n1;2;3\n', "wrong_delimiter", "separated by semicolons"),
        ("a;b\n1;2\n3;4;5\n", "target_missing", "1 column: 'a;b'"),
        ("id,Delayed\n1,0\n", "target_missing", "as target; the nearest is 'Delayed'"),
        ("id, delayed\n1,0\n", "target_missing", "the nearest is ' delayed'"),
        ("id,zone\n1,0\n", "target_missing", "The file has 2 columns: 'id', 'zone'."),
        ("1,AA,0\n2,DL,1\n", "target_missing", "The first row looks like data"),
        ("2026-01-01T00:00:00Z,x\ny,z\n", "target_missing", "The first row looks like data"),
        (
            "a,,delayed\n1,2,3\n",
            "blank_header",
            "1 column of 3 without a name, the first at place 2",
        ),
        ("a, ,delayed,\n1,2,3,\n", "blank_header", "2 columns of 4 without a name"),
        ("a,delayed,a\n1,2,3\n", "duplicate_header", "1 column named more than once: 'a'"),
        ("a,delayed\r1,2\r3,4\r", "line_endings", "carriage return"),
        ("delayed,a\r1,2\r3,4\n5,6\n", "line_endings", "carriage return"),
        ("\r\r\na,delayed\r\r\n1,2\r\r\n", "line_endings", "carriage return"),
        (HEADER + "1,AA,0\n2,DL\n3,UA,1\n", "ragged_row", "Row 3 has 2 cells, the header has 3"),
        (HEADER + "1,AA,0,\n", "ragged_row", "Row 2 has 4 cells"),
        (HEADER + '1,"A\nA",0\nx\n', "ragged_row", "Row 3 (line 4) has 1 cell, the header has 3"),
        (HEADER + "1,AA,0\n\n2,DL\n", "ragged_row", "Row 4 has 2 cells"),
        (HEADER + '1,"AA,0\n2,DL,1\n', "unbalanced_quote", "Row 2 has a quote"),
        (HEADER + '1,AA,0\n2,5" pipe,0\n3,UA,1\n', "unbalanced_quote", "Row 3 has a quote"),
        (HEADER + '1,"5" pipe,0\n', "unbalanced_quote", "Row 2 has a quote"),
        ('id,"delayed\n1,0\n', "unbalanced_quote", "Row 1 has a quote"),
    ],
)
def test_a_broken_table_is_named(text, rule, says):
    finding = look(text)
    assert isinstance(finding, Finding)
    assert finding.rule == rule
    assert says in finding.reason
    assert finding.next_step.endswith(".")


@pytest.mark.parametrize("role", ["id", "timestamp"])
def test_a_column_that_the_spec_names_must_be_there(role):
    text = "delayed,when_\n1,2\n"
    finding = look(text, replace(DATA, **{role: "when"}))
    assert finding.rule == f"{role}_missing"
    assert f"as {role}; the nearest is 'when_'" in finding.reason
    assert f"data.{role} in model.yaml" in finding.next_step
    assert look(text, replace(DATA, **{role: "when_"})) is None


def test_a_long_list_of_columns_is_cut():
    names = ",".join(f"column{n}-{'x' * 60}" for n in range(300))
    reason = look(f"{names}\n{',' * 299}\n").reason
    assert "and 280 more." in reason
    assert len(reason) < 2000


def test_the_row_that_the_sample_cuts_is_not_judged():
    row = "1234567,AA,0\n"
    text = HEADER + row * (SAMPLE_BYTES // len(row) + 10)
    assert look(text) is None
    assert look(HEADER + row * 10 + "1,2\n" + text.removeprefix(HEADER)).reason.startswith("Row 12")


def test_a_cell_that_is_longer_than_the_sample_is_not_judged():
    assert look(HEADER + '1,"' + "many words\n" * SAMPLE_BYTES + '",0\n') is None


def test_an_open_quote_that_swallows_rows_is_found_though_its_end_is_out_of_sight():
    rows = "1234567,AA,0\n" * SAMPLE_BYTES
    finding = look(HEADER + '1,"AA,0\n' + rows)
    assert (finding.rule, finding.reason[:5]) == ("unbalanced_quote", "Row 2")


def test_an_open_quote_near_the_end_of_the_sample_is_not_judged():
    rows = "1234567,AA,0\n" * (SAMPLE_BYTES // 13 - 10)
    assert look(HEADER + rows + '1,"AA,0\n' + rows) is None


@pytest.mark.parametrize("first", ["x" * 2 * SAMPLE_BYTES, '"delayed' + "\n1" * SAMPLE_BYTES])
def test_a_header_must_end_within_the_sample(first):
    finding = look(first + ",delayed\n1,2\n")
    assert (finding.rule, "64.0 KiB hold no whole header" in finding.reason) == (
        "header_too_long",
        True,
    )


def test_blank_lines_longer_than_the_sample_are_no_table():
    assert look("\n" * 2 * SAMPLE_BYTES + HEADER).rule == "header_too_long"


def test_a_header_whose_rows_are_out_of_sight_is_fine():
    names = ",".join(f"c{n}" for n in range(9000))
    assert look(f"delayed,{names}\n" + "1," * 9001 + "1\n") is None


names = st.text(st.characters(codec="utf-8", exclude_characters="\r\0"), min_size=1).filter(
    lambda name: name.strip() and name != "delayed" and not name.startswith("\ufeff")
)
cells = st.text(st.characters(codec="utf-8", exclude_characters="\0"))


@st.composite
def tables(draw):
    """Header and rows as Python's csv writer writes unicode cells with commas, quotes, newlines."""
    header = draw(st.lists(names, unique=True, max_size=6))
    header.insert(draw(st.integers(0, len(header))), "delayed")
    row = st.lists(cells, min_size=len(header), max_size=len(header))
    quoting = draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
    parts = []
    for rows in ([header], draw(st.lists(row, min_size=1, max_size=8))):
        file = io.StringIO(newline="")
        csv.writer(file, quoting=quoting).writerows(rows)
        parts.append(file.getvalue().encode())
    return parts


@given(tables())
def test_what_a_csv_writer_writes_is_never_refused(table):
    assert look(b"".join(table)) is None


@given(tables(), st.data())
def test_it_is_not_refused_wherever_the_sample_cuts_its_rows(table, data):
    header, rows = table
    cut = header + rows[: data.draw(st.integers(0, len(rows)))]
    assert inspect(Sample("a.csv", len(header + rows) + 1, cut, b""), DATA) is None


pieces = st.sampled_from(["a", " ", ",", "\n", "\r\n", '"', '"x,\n"', "1,2\n"])


@given(st.lists(pieces, max_size=14).map("".join))
@example('x "y" z,3\n')
@example('"a""b",2\n\n')
def test_what_is_accepted_reads_in_the_jobs_reader_as_it_reads_here(rows):
    text = "delayed,b\n" + rows
    if look(text) is not None:
        return
    frame = pl.read_csv(text.encode(), infer_schema=False)
    expected = list(csv.reader(io.StringIO(text, newline="")))[1:]
    assert [[cell or "" for cell in row] for row in frame.rows()] == [
        row or ["", ""] for row in expected
    ]
