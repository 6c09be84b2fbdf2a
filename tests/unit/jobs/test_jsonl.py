"""JSON Lines: what is written is read, and what could be read otherwise is refused by line."""

import json

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill_jobs import jsonl, reader, schema
from tidemill_jobs.errors import ReadError
from tidemill_jobs.values import NOT_AVAILABLE, is_missing


@pytest.fixture
def read(tmp_path):
    def read_bytes(content, unread=()):
        path = tmp_path / "object"
        path.write_bytes(content)
        return reader.read(path, "file.jsonl", "jsonl", unread)

    return read_bytes


@pytest.fixture(params=[jsonl.CHUNK, 5, 1], ids=["one chunk", "5 bytes", "1 byte"])
def _chunks(request, monkeypatch):
    """Every rule holds wherever the file is cut into chunks."""
    monkeypatch.setattr(jsonl, "CHUNK", request.param)


pytestmark = pytest.mark.usefixtures("_chunks")


def test_values_keep_their_types_and_missing_ones_become_null(read):
    raw = read(
        b'{"zip": "01234", "n": 1, "f": 1.0, "b": true}\r\n'
        b'{"zip": "1.0", "n": 9223372036854775807, "f": 2, "b": null}\n'
        b'{"f": NaN, "zip": "", "n": null, "b": false}'
    )

    assert raw.frame.rows() == [
        ("01234", 1, 1.0, True),
        ("1.0", 2**63 - 1, 2.0, None),
        (None, None, None, False),
    ]
    assert raw.frame.dtypes == [pl.String, pl.Int64, pl.Float64, pl.Boolean]


def test_columns_are_all_keys_in_the_order_they_come(read):
    raw = read(b'{"b": 1}\n{"a": 2}\n{}\n{"c": 3, "b": 4}\n')

    assert raw.frame.columns == ["b", "a", "c"]
    assert raw.frame.rows() == [
        (1, None, None),
        (None, 2, None),
        (None, None, None),
        (4, None, 3),
    ]


def test_blank_lines_and_a_byte_order_mark_are_no_rows(read):
    raw = read(b'\xef\xbb\xbf\n{"a": 1}\n\n \t\r\n{"a": 2}\n\n')

    assert raw.frame.rows() == [(1,), (2,)]
    assert [raw.place(row) for row in range(2)] == ["line 2", "line 5"]


def test_text_that_means_missing_is_missing_among_numbers(read):
    raw = read(b'{"a": "N/A", "b": "nan", "c": "NA"}\n{"a": 1, "b": true, "c": "DE"}\n')

    assert raw.frame.rows() == [(None, None, "NA"), (1, True, "DE")]


def test_a_column_that_is_always_null_is_there(read):
    assert read(b'{"a": null}\n{"a": null}\n').frame.rows() == [(None,), (None,)]


@pytest.mark.parametrize(
    ("content", "where", "said"),
    [
        (b"", ("empty", None, None), "is empty"),
        (b"\n \n", ("empty", None, None), "blank lines only"),
        (b"{}\n{}\n", ("header_only", None, None), "no object has a key"),
        (b'[{"a": 1},\n{"a": 2}]', ("json_array", None, None), r"jq -c '\.\[\]'"),
        (b'{"a": 1}\n[1]\n', ("not_an_object", 2, None), r"holds '\[1\]'"),
        (b'{"a": 1}\n7\n', ("not_an_object", 2, None), "holds '7'"),
        (b'{"a": 1}\nnull\n', ("not_an_object", 2, None), "holds 'null'"),
        (b'{\n "a": 1\n}\n', ("invalid_json", 1, None), "one whole object on each line"),
        (b'{"a": 1} {"a": 2}\n', ("invalid_json", 1, None), "after the object"),
        (b'{"a": 1}\n{"a": 1,}\n', ("invalid_json", 2, None), "at character"),
        (b'{"a": 1}\n{"a": 01}\n', ("invalid_json", 2, None), "at character"),
        (b"{'a': 1}\n", ("invalid_json", 1, None), "at character"),
        (b'{"a": "x\ty"}\n', ("invalid_json", 1, None), "control character"),
        (b"a,b\n1,2\n", ("invalid_json", 1, None), "at character 1"),
        (b'{"a": 1}\n{"a": 1, "b": 2, "a": 1}\n', ("duplicate_key", 2, "a"), "twice"),
        (b'{"a": 1}\n{"a": [1]}\n', ("nested_column", 2, "a"), "a list instead"),
        (b'{"a": 1}\n{"a": {"b": 1}}\n', ("nested_column", 2, "a"), "an object instead"),
        (b'{"a": ' + b"[" * 99_999 + b"\n", ("nested_column", 1, None), "too deep"),
        (b'{"a": 1}\n\n{"a": "x"}\n', ("mixed_types", 3, "a"), "line 1 has a number"),
        (b'{"a": "1"}\n{"a": 1}\n', ("mixed_types", 2, "a"), "line 1 has text"),
        (b'{"a": 1}\n{"a": true}\n', ("mixed_types", 2, "a"), "true or false, where"),
        (b'{"a": 9223372036854775808}\n', ("number_not_exact", 1, "a"), "64 bits"),
        (b'{"a": 1.5}\n{"a": 9007199254740993}\n', ("number_not_exact", 2, "a"), "fractions"),
        (b'{"a": ' + b"9" * 5_000 + b"}\n", ("number_not_exact", 1, None), "thousands"),
        (b'{"a": 1.5}\n{"a": Infinity}\n', ("infinite_number", 2, "a"), "Infinity"),
        (b'{"a": 1e400}\n', ("infinite_number", 1, "a"), "1.8e308"),
        (b'{"a": 1}\n{"a": "\xe9"}\n', ("bad_encoding", 2, None), "0xe9 is not UTF-8"),
        (b'{"a": "x"}\n{"a": "\\ud83d"}\n', ("bad_encoding", 2, "a"), "half a character"),
        ('{"a": 1}'.encode("utf-16"), ("wide_encoding", None, None), "UTF-16"),
        (b'{"a": 1}\n{" ": 1}\n', ("blank_header", 2, None), "is blank"),
        (b'{"a\\u0000": 1}\n', ("unprintable_header", 1, None), "unprintable"),
    ],
)
def test_what_a_lenient_reader_would_change_is_refused_by_line(read, content, where, said):
    with pytest.raises(ReadError, match=said) as caught:
        read(content)

    assert (caught.value.rule, caught.value.row, caught.value.column) == where


def test_what_is_excluded_may_be_nested_and_mixed(read):
    raw = read(b'{"a": 1, "tags": ["x"]}\n{"a": 2, "tags": 7}\n', {"tags"})

    assert raw.frame.rows() == [(1,), (2,)]


def test_a_line_may_be_long_but_not_endless(read, monkeypatch):
    monkeypatch.setattr(jsonl, "LINE_LIMIT", 2_000)

    assert read(b'{"a": "%s"}\n' % (b"x" * 1_900)).frame["a"][0] == "x" * 1_900
    with pytest.raises(ReadError, match="line 2 is longer") as caught:
        read(b'{"a": "y"}\n{"a": "%s"}\n' % (b"x" * 3_000_000))
    assert caught.value.rule == "line_too_long"


def test_keys_that_are_values_are_found_out(read, monkeypatch):
    monkeypatch.setattr(jsonl, "WIDTH_LIMIT", 20)
    lines = b"\n".join(b'{"k%d": 1}' % number for number in range(30))

    with pytest.raises(ReadError, match="more than 20 different keys") as caught:
        read(lines)
    assert (caught.value.rule, caught.value.row) == ("too_many_columns", 21)


def test_a_table_of_next_to_nothing_is_refused_before_it_fills_the_memory(read, monkeypatch):
    monkeypatch.setattr(jsonl, "SPARSE_FREE", 1_000)
    lines = b"\n".join(b'{"k%d": 1}' % number for number in range(60))

    with pytest.raises(ReadError, match="one in 20 cells") as caught:
        read(lines)
    assert caught.value.rule == "sparse_columns"


def test_times_are_found_in_text_and_numbers_are_not(read):
    raw = read(
        b'{"when": "2026-11-20T14:30:00Z", "code": "12", "mixed": "x"}\n'
        b'{"when": "NA", "code": "13", "mixed": "2026-11-20"}\n'
    )

    tallies = schema.tally(raw, raw.frame.columns, None)

    kinds = {name: schema.decide([tally]) for name, tally in tallies.items()}
    assert kinds == {"when": "time", "code": "category", "mixed": "category"}
    assert schema.typed(raw, kinds)["when"].to_list() == [29_919_750, None]


NAMES = ("a", "b", "ü c")
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
columns = st.sampled_from(
    [
        st.none() | texts,
        st.none() | st.integers(-(2**63), 2**63 - 1),
        st.none() | st.floats(allow_infinity=False) | st.integers(-(2**53), 2**53),
        st.none() | st.booleans(),
    ]
)
tables = st.tuples(columns, columns, columns).flatmap(
    lambda kinds: st.lists(st.tuples(*kinds), min_size=1, max_size=12)
)


def without_nulls(row):
    return {name: value for name, value in row.items() if value is not None}


@st.composite
def files(draw):
    """Return rows as dictionaries, and the bytes of a file of them."""
    rows = [dict(zip(NAMES, row, strict=True)) for row in draw(tables)]
    if draw(st.booleans()):
        rows = [without_nulls(row) for row in rows]
    escaped, end = draw(st.booleans()), draw(st.sampled_from(["\n", "\r\n", "\n\n"]))
    text = "".join(json.dumps(row, ensure_ascii=escaped) + end for row in rows)
    return rows, text.encode()


@given(file=files(), chunk=st.sampled_from([1, 7, 4096]))
def test_every_value_that_was_written_is_read(tmp_path_factory, file, chunk):
    objects, content = file
    path = tmp_path_factory.mktemp("jsonl") / "object"
    path.write_bytes(content)
    if not any(objects):
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jsonl, "CHUNK", chunk)
        frame = reader.read(path, "f.jsonl", "jsonl").frame

    assert frame.height == len(objects)
    for written, read_row in zip(objects, frame.rows(named=True), strict=True):
        for name in frame.columns:
            value = written.get(name)
            if is_missing(value):
                assert read_row[name] is None
            else:
                assert read_row[name] == value
                assert isinstance(read_row[name], bool) == isinstance(value, bool)


@given(file=files(), data=st.data())
def test_a_damaged_file_is_refused_or_read_as_the_json_module_reads_it(
    tmp_path_factory, file, data
):
    _, content = file
    at = data.draw(st.integers(0, len(content) - 1))
    junk = data.draw(st.sampled_from([b",", b'"', b"\n", b"", b"\r", b"\xff", b"x", b"{", b"}"]))
    damaged = content[:at] + junk + content[at + 1 :]
    path = tmp_path_factory.mktemp("jsonl") / "object"
    path.write_bytes(damaged)
    try:
        read_rows = reader.read(path, "f.jsonl", "jsonl").frame.rows(named=True)
    except ReadError:
        return

    lines = [line for line in damaged.decode().split("\n") if line.strip()]
    for line, read_row in zip(lines, read_rows, strict=True):
        for name, value in json.loads(line).items():
            absent = is_missing(value) or (value in NOT_AVAILABLE and read_row[name] is None)
            assert read_row[name] == (None if absent else value)
