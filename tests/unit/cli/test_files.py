"""What is read from disk or standard input before anything is sent."""

import gzip
import json
import os

import pytest

from tidemill_cli.failures import MalformedError
from tidemill_cli.predictions import (
    MOST_BYTES,
    MOST_ROWS,
    _opened,
    chunks,
    format_of,
    line,
    read_rows,
)
from tidemill_cli.uploads import sources_of


def write(path, text):
    path.write_text(text)
    return str(path)


def test_an_upload_keeps_the_files_name(tmp_path):
    one, two = write(tmp_path / "a.csv", "1"), write(tmp_path / "b.csv", "22")

    assert [(s.path, s.name, s.size) for s in sources_of([one, two], None)] == [
        (one, "a.csv", 1),
        (two, "b.csv", 2),
    ]


def test_as_gives_it_another(tmp_path):
    (source,) = sources_of([write(tmp_path / "a.csv", "1")], "2026/11/first.csv")

    assert source.name == "2026/11/first.csv"


def test_standard_input_needs_a_name():
    (source,) = sources_of(["-"], "a.csv")

    assert (source.path, source.name, source.size) == ("-", "a.csv", None)
    with pytest.raises(MalformedError, match="--as NAME"):
        sources_of(["-"], None)


def test_a_missing_file_is_named(tmp_path):
    held = write(tmp_path / "a.csv", "1")

    with pytest.raises(MalformedError, match=r"there is no file .*b\.csv; nothing was sent"):
        sources_of([held, str(tmp_path / "b.csv")], None)


def test_a_directory_is_refused_with_the_next_step(tmp_path):
    (tmp_path / "data").mkdir()

    with pytest.raises(MalformedError, match=r"is a directory; name the files in it: .*data/\*"):
        sources_of([f"{tmp_path}/data/"], None)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_refused(tmp_path):
    path = tmp_path / "a.csv"
    write(path, "1").strip()
    path.chmod(0)

    with pytest.raises(MalformedError, match="may not be read"):
        sources_of([str(path)], None)


def test_two_files_of_one_name_are_refused(tmp_path):
    (tmp_path / "x").mkdir()
    files = [write(tmp_path / "a.csv", "1"), write(tmp_path / "x" / "a.csv", "2")]

    with pytest.raises(MalformedError, match=r"two of the files are called a\.csv"):
        sources_of(files, None)
    with pytest.raises(MalformedError, match="--as names one upload"):
        sources_of(files, "b.csv")


@pytest.mark.parametrize(
    "name", ["/etc/x", "../a.csv", "a//b", "a/", ".", "a\nb", "a\\b", "x" * 600]
)
def test_a_name_that_would_lie_elsewhere_is_refused(tmp_path, name):
    with pytest.raises(MalformedError, match="is no name for an upload"):
        sources_of([write(tmp_path / "a.csv", "1")], name)


@pytest.mark.parametrize(
    ("file", "form"),
    [("a.csv", "csv"), ("A.CSV.gz", "csv"), ("a.json", "json"), ("a.ndjson", "jsonl")],
)
def test_a_files_ending_says_its_format(file, form):
    assert format_of(file) == form


@pytest.mark.parametrize("file", ["-", "a.parquet", "a", "a.gz"])
def test_another_ending_needs_the_option(file):
    with pytest.raises(MalformedError, match="--format csv, json or jsonl"):
        format_of(file)


def test_requests_keep_to_sagemakers_limits():
    rows = [{"x": "y" * 1_000_000} for _ in range(11)]

    parts = list(chunks(rows))

    assert [len(part) for part in parts] == [4, 4, 3]
    assert all(len(json.dumps(part)) <= MOST_BYTES for part in parts)


def test_requests_have_a_limit_of_rows():
    assert [len(part) for part in chunks({"x": n} for n in range(MOST_ROWS + 1))] == [MOST_ROWS, 1]


def test_a_row_that_is_too_large_alone_is_refused():
    with pytest.raises(MalformedError, match="row 2 alone"):
        list(chunks([{"x": 1}, {"x": "y" * (MOST_BYTES + 1)}]))


def test_no_row_is_no_request():
    assert list(chunks([])) == []


@pytest.mark.parametrize(
    ("answer", "printed"),
    [
        ({"score": 0.25}, "0.25"),
        ({"score": 0.75, "label": 1}, "1\t0.75"),
        ({"score": 0.75, "label": True}, "true\t0.75"),
        ({"label": "b", "probabilities": {"a": 0.2, "b": 0.8}}, "b\t0.8"),
        ({"label": "b"}, "b"),
        ({"other": 1}, '{"other": 1}'),
        (0.5, "0.5"),
        ("late", "late"),
    ],
)
def test_a_prediction_is_a_line(answer, printed):
    assert line(answer) == printed


def rows_of(tmp_path, name, content, form=None):
    path = tmp_path / name
    path.write_bytes(content)
    with _opened(str(path)) as text:
        return list(read_rows(text, form or format_of(name), name))


def test_a_csv_is_read_as_text_and_as_quoted(tmp_path):
    content = b'\xef\xbb\xbfid,name\r\n007,"a, ""b""\nc"\r\n\r\n8,\r\n'

    assert rows_of(tmp_path, "a.csv", content) == [
        {"id": "007", "name": 'a, "b"\nc'},
        {"id": "8", "name": ""},
    ]


def test_a_packed_file_is_unpacked(tmp_path):
    assert rows_of(tmp_path, "a.csv.gz", gzip.compress(b"x\n1\n")) == [{"x": "1"}]


def test_json_is_an_array_or_one_object(tmp_path):
    assert rows_of(tmp_path, "a.json", b'[{"x": 1}, {"x": null}]') == [{"x": 1}, {"x": None}]
    assert rows_of(tmp_path, "a.json", b'{"x": 1}') == [{"x": 1}]


def test_json_lines_may_have_blank_ones(tmp_path):
    assert rows_of(tmp_path, "a.jsonl", b'{"x": 1}\n\n{"x": 2}\n') == [{"x": 1}, {"x": 2}]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", b"", "is empty; its first line names the columns"),
        ("a.csv", b"x,y\n1\n", "line 2: 1 values, but the header names 2 columns"),
        ("a.csv", b"x,x\n1,2\n", "names the column 'x' twice"),
        ("a.csv", b'x\n"a', "line 2"),
        ("a.csv", b"x\n\xff\n", "is not UTF-8"),
        ("a.csv.gz", b"no gzip", "is no whole gzip file"),
        ("a.csv.gz", gzip.compress(b"x\n1\n" * 999)[:-9], "is no whole gzip file"),
        ("a.json", b'[{"x": 1},\n', "line 2: this is no JSON"),
        ("a.json", b"[1]", "row 1: a row is an object"),
        ("a.json", b"[" * 200_000, "nested too deeply"),
        ("a.jsonl", b'{"x": 1}\n{"x"\n', "line 2: this is no JSON"),
        ("a.jsonl", b"[]\n", "line 1: a row is an object"),
    ],
)
def test_what_cannot_be_read_is_said_with_its_line(tmp_path, name, content, said):
    with pytest.raises(MalformedError, match=said):
        rows_of(tmp_path, name, content)
