import csv
import datetime as dt
import gzip
import io

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill_jobs import csv_structure, packed, reader
from tidemill_jobs.errors import ReadError
from tidemill_jobs.packed import zstd
from tidemill_jobs.values import is_missing


@pytest.fixture
def read(tmp_path):
    def read_bytes(content, name="file.csv", form="csv", unread=()):
        path = tmp_path / "object"
        path.write_bytes(content)
        return reader.read(path, name, form, unread)

    return read_bytes


@pytest.fixture(params=[csv_structure.CHUNK, 3, 1], ids=["one chunk", "3 bytes", "1 byte"])
def _chunks(request, monkeypatch):
    """Every rule holds wherever the file is cut into chunks."""
    monkeypatch.setattr(csv_structure, "CHUNK", request.param)


@pytest.mark.usefixtures("_chunks")
def test_cells_stay_text_and_missing_ones_become_null(read):
    raw = read(b'zip,name,note\r\n01234,"Ng, A",\r\n1.0,"say ""hi""",""\r\nnull,NaN,NA\r\n')

    assert raw.frame.rows() == [
        ("01234", "Ng, A", None),
        ("1.0", 'say "hi"', None),
        (None, None, "NA"),
    ]


@pytest.mark.usefixtures("_chunks")
def test_a_utf8_byte_order_mark_is_no_part_of_the_first_name(read):
    assert read(b"\xef\xbb\xbfa,b\n1,2\n").frame.columns == ["a", "b"]


@pytest.mark.usefixtures("_chunks")
def test_line_breaks_at_the_end_are_no_rows(read):
    assert read(b"a,b\n1,2\n\n\r\n").frame.height == 1


@pytest.mark.usefixtures("_chunks")
def test_a_blank_line_of_a_single_column_is_a_missing_cell(read):
    assert read(b"a\nx\n\ny\n").frame["a"].to_list() == ["x", None, "y"]


@pytest.mark.usefixtures("_chunks")
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the file is empty"),
        (b"\n\r\n", "blank lines only"),
        (b"a,b\n", "a header and no rows"),
        (b"a,b\n1,2\n3\n", "line 3 has 1 cell where the header has 2"),
        (b"a,b\n1,2\n3,4,5\n6,7\n", "line 3 has 3 cells where the header has 2"),
        (b"a,b\n1,2\n\n3,4\n", "line 3 is blank"),
        (b"a,b\r\n1,2\r\n\r\n3,4\r\n", "line 3 is blank"),
        (b'a,b\n"x\ny",2\n3\n', "line 4 has 1 cell"),
        (b'a,b\n1,"2\n3,4\n', "line 2: a quote is opened and never closed"),
        (b'a,b\n1,x"2\n3,"4\n', "line 2: a quote in the middle of a cell"),
        (b'a,b\n"1"x,2\n', "line 2: a quote in the middle of a cell"),
        (b"a,b,a\n1,2,3\n", "two columns are called 'a'"),
        (b"a,,c\n1,2,3\n", "column 2 has no name"),
        (b'a,"b\nc"\n1,2\n', "the name of column 2 has a line break"),
        (b"12,b\n1,2\n", "header seems to be missing"),
        (b"a;b\n1;2\n", "separated by semicolons"),
        (b"a\tb\n1\t2\n", "separated by tabs"),
        (b"a,b\n1,caf\xe9\n2,x\n", "line 2: byte 0xe9 is not UTF-8"),
        (b"a,b\n1,\xc3", "line 2: byte 0xc3 is not UTF-8"),
        (b"a,b\n1,\x00\n", "line 2: a NUL byte"),
        (b"a,b\r1,2\r", "line 1: a carriage return without a line feed"),
        (b"\xff\xfea\x00", "UTF-16"),
        (b"PK\x03\x04rest", "a zip archive"),
        (b"\x1f\x8brest", "gzip without the ending"),
        (b"PAR1rest", "Parquet"),
        (b'"a,b\n1,2\n', "line 1"),
    ],
)
def test_what_a_lenient_reader_would_change_is_refused_by_line(read, content, said):
    with pytest.raises(ReadError, match=said):
        read(content)


@pytest.mark.parametrize(
    ("content", "rule", "row", "column"),
    [
        (b"", "empty", None, None),
        (b"a,b\n1,2\n3\n", "ragged_row", 3, None),
        (b'a,b\n1,x"2\n', "unbalanced_quote", 2, None),
        (b"a,b,a\n1,2,3\n", "duplicate_header", 1, "a"),
        (b"a,b\n1,caf\xe9\n2,x\n", "bad_encoding", 2, None),
    ],
)
def test_a_refusal_is_data_too(read, content, rule, row, column):
    with pytest.raises(ReadError) as caught:
        read(content)

    refusal = caught.value
    assert (refusal.rule, refusal.row, refusal.column) == (rule, row, column)
    assert refusal.reason[0].isupper()
    assert refusal.next_step.endswith(".")
    assert str(refusal).lower() == f"{refusal.reason[:-1]}; {refusal.next_step}".lower()


@pytest.mark.usefixtures("_chunks")
def test_a_row_is_found_behind_quoted_line_breaks(read):
    raw = read(b'a,b\n"x\n\ny",1\n2,3\n4,5\n')

    assert [raw.place(row) for row in range(3)] == ["line 2", "line 5", "line 6"]


def test_a_gzip_file_is_unpacked(read):
    assert read(gzip.compress(b"a,b\n1,2\n"), "file.csv.gz").frame.rows() == [("1", "2")]


@pytest.mark.parametrize("frames", [1, 3])
def test_a_zstandard_file_is_unpacked(read, frames):
    content = zstd.compress(b"a,b\n1,2\n") + zstd.compress(b"3,4\n") * (frames - 1)

    assert read(content, "file.csv.zst").frame.height == frames


def test_frames_without_content_are_skipped(read):
    skippable = b"\x50\x2a\x4d\x18\x04\0\0\0abcd"
    content = skippable + zstd.compress(b"a,b\n1,2\n") + skippable

    assert read(content, "file.csv.zst").frame.rows() == [("1", "2")]


TABLE = b"a,b\n1,2\n" * 999
LONG_WINDOW = {
    zstd.CompressionParameter.window_log: 30,
    zstd.CompressionParameter.enable_long_distance_matching: 1,
}


def wide(content):
    packer = zstd.ZstdCompressor(options=LONG_WINDOW)
    return packer.compress(content) + packer.flush()


@pytest.mark.parametrize(
    ("content", "ending", "rule", "said"),
    [
        (gzip.compress(TABLE)[:-9], "gz", "corrupt_gzip", "ends too early"),
        (gzip.compress(TABLE)[:20] + b"\xff" * 40, "gz", "corrupt_gzip", "damaged|too early"),
        (TABLE, "gz", "not_gzip", "says gzip, but it begins with 61 2c 62 0a"),
        (b"", "gz", "not_gzip", "begins with nothing"),
        (zstd.compress(TABLE)[:-3], "zst", "corrupt_zstd", "ends too early"),
        (zstd.compress(TABLE) + b"junk", "zst", "corrupt_zstd", "damaged"),
        (zstd.compress(TABLE)[:8] + b"\xff" * 40, "zst", "corrupt_zstd", "damaged|too early"),
        (wide(TABLE), "zst", "corrupt_zstd", "too much memory"),
        (gzip.compress(TABLE), "zst", "not_zstd", "says zstd, but it begins with 1f 8b"),
    ],
)
def test_what_is_packed_wrongly_is_refused(read, content, ending, rule, said):
    with pytest.raises(ReadError, match=said) as caught:
        read(content, f"file.csv.{ending}")
    assert caught.value.rule == rule


@pytest.mark.parametrize(("pack", "ending"), [(gzip.compress, "gz"), (zstd.compress, "zst")])
def test_a_bomb_is_stopped_at_the_ratio(read, monkeypatch, pack, ending):
    monkeypatch.setattr(packed, "FREE", 1_000)

    with pytest.raises(ReadError, match="200 times its size") as caught:
        read(pack(b"0" * 3_000_000), f"file.csv.{ending}")
    assert caught.value.rule == "unpack_ratio"


def test_two_readers_must_agree(read, monkeypatch):
    monkeypatch.setattr(pl, "read_csv", lambda *_, **__: pl.DataFrame({"a": ["1"]}))

    with pytest.raises(ReadError, match="two readers disagree"):
        read(b"a\n1\n2\n")


def test_a_parser_error_is_a_read_error(read, monkeypatch):
    def fail(*_, **__):
        raise pl.exceptions.ComputeError("no")

    monkeypatch.setattr(pl, "read_csv", fail)

    with pytest.raises(ReadError, match="cannot be parsed"):
        read(b"a\n1\n")


def test_tsv_is_csv_with_tabs(read):
    raw = read(b'a\tb\n1\t"x\ty, ""z"""\n\t2,5\n', "f.tsv", "tsv")

    assert raw.frame.rows() == [("1", 'x\ty, "z"'), (None, "2,5")]
    assert raw.place(1) == "line 3"


@pytest.mark.parametrize(
    ("content", "rule", "said"),
    [
        (b"a\tb\n1\n", "ragged_row", "a tab inside a text needs double quotes"),
        (b"a,b\n1,2\n", "wrong_delimiter", "separated by commas; separate them by tabs"),
        (b'a\tb\n1\tx"2\n', "unbalanced_quote", "line 2"),
        (b"\xff\xfea\0", "wide_encoding", "save it as TSV in UTF-8"),
    ],
)
def test_tsv_is_read_as_strictly(read, content, rule, said):
    with pytest.raises(ReadError, match=said) as caught:
        read(content, "f.tsv", "tsv")
    assert caught.value.rule == rule


def parquet(frame):
    file = io.BytesIO()
    frame.write_parquet(file)
    return file.getvalue()


def test_parquet_keeps_its_types_and_shares_the_rule_of_missing(read):
    noon = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)
    frame = pl.DataFrame(
        {
            "n": [1, None],
            "f": [float("nan"), 2.5],
            "s": ["", "x"],
            "b": [True, None],
            "t": pl.Series([noon, None]).dt.convert_time_zone("Europe/Oslo"),
            "d": [dt.date(2026, 11, 20), None],
            "c": pl.Series(["p", "q"], dtype=pl.Categorical),
            "m": pl.Series(["1.50", "2.25"]).cast(pl.Decimal(10, 2)),
            "z": pl.Series([None, None]),
        }
    )

    raw = read(parquet(frame), "file.parquet", "parquet")

    naive = noon.replace(tzinfo=None)
    midnight = dt.datetime(2026, 11, 20)  # noqa: DTZ001  # frames hold UTC without a zone
    assert raw.frame.rows() == [
        (1, None, None, True, naive, midnight, "p", 1.5, None),
        (None, 2.5, "x", None, None, None, "q", 2.25, None),
    ]
    assert raw.place(0) == "row 1"


def test_a_parquet_column_that_no_model_reads_is_named_unless_it_is_excluded(read):
    content = parquet(pl.DataFrame({"a": [1], "tags": [["x"]]}))

    with pytest.raises(ReadError, match=r"column 'tags' holds List.*data.exclude"):
        read(content, "f.parquet", "parquet")
    assert read(content, "f.parquet", "parquet", {"tags"}).frame.columns == ["a"]


@pytest.mark.parametrize("content", [b"", b"PAR1 not really PAR1", b"a,b\n1,2\n"])
def test_what_is_no_parquet_is_refused(read, content):
    with pytest.raises(ReadError, match="Parquet"):
        read(content, "f.parquet", "parquet")


def test_parquet_damaged_anywhere_is_refused_and_ends_no_job(read):
    whole = parquet(pl.DataFrame({"a": list(range(500)), "b": [f"{n}" for n in range(500)]}))
    refused = 0
    for at in range(0, len(whole), 37):
        damaged = whole[:at] + b"\xff\xfe\xfd" + whole[at + 3 :]
        try:
            read(damaged, "f.parquet", "parquet")
        except ReadError:
            refused += 1

    assert refused > 10


def test_an_empty_parquet_file_is_refused(read):
    with pytest.raises(ReadError, match="no rows"):
        read(parquet(pl.DataFrame({"a": pl.Series([], dtype=pl.Int64)})), "f.parquet", "parquet")


cells = st.text(st.characters(codec="utf-8", exclude_characters="\r\x00"), max_size=8)
tables = st.integers(1, 4).flatmap(
    lambda width: st.lists(st.lists(cells, min_size=width, max_size=width), min_size=1, max_size=12)
)


def written(rows, quoting, delimiter=","):
    text = io.StringIO()
    writer = csv.writer(text, quoting=quoting, delimiter=delimiter, lineterminator="\n")
    writer.writerow([f"c{number}" for number in range(len(rows[0]))])
    writer.writerows(rows)
    return text.getvalue().encode()


@given(
    tables,
    st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
    st.sampled_from([1, 7, 4096]),
    st.sampled_from([("csv", ","), ("tsv", "\t")]),
)
def test_every_cell_that_was_written_is_read(tmp_path_factory, rows, quoting, chunk, form):
    path = tmp_path_factory.mktemp("csv") / "object"
    path.write_bytes(written([["x"], *rows] if len(rows[0]) == 1 else rows, quoting, form[1]))
    rows = [["x"], *rows] if len(rows[0]) == 1 else rows
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_structure, "CHUNK", chunk)
        frame = reader.read(path, "f", form[0]).frame
    expected = [tuple(None if is_missing(c) else c for c in row) for row in rows]
    read_rows = frame.rows()

    # A single missing cell at the very end is a blank line, which is no row.
    assert read_rows == expected[: len(read_rows)]
    assert all(set(row) == {None} for row in expected[len(read_rows) :])
    assert len(read_rows) == len(rows) or len(rows[0]) == 1


@given(tables, st.data())
def test_a_damaged_file_is_refused_or_read_as_the_csv_module_reads_it(tmp_path_factory, rows, data):
    content = written(rows, csv.QUOTE_ALL)
    at = data.draw(st.integers(0, len(content) - 1))
    junk = data.draw(st.sampled_from([b",", b'"', b"\n", b"", b"\r", b"\xff", b"x"]))
    damaged = content[:at] + junk + content[at + 1 :]
    path = tmp_path_factory.mktemp("csv") / "object"
    path.write_bytes(damaged)
    try:
        frame = reader.read(path, "f.csv", "csv").frame
    except ReadError:
        return
    rows = list(csv.reader(io.StringIO(damaged.decode("utf-8-sig"), newline=""), strict=True))
    while rows and not rows[-1]:
        rows.pop()
    expected = [tuple(None if is_missing(c) else c for c in row or [""]) for row in rows[1:]]
    assert [tuple(row) for row in frame.rows()] == expected[: frame.height]
    assert all(set(row) == {None} for row in expected[frame.height :])
