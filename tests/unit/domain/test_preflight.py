"""Which file is let in, and what its owner reads otherwise: containers, encodings, Parquet."""

import csv
import gzip
import io
import random
import tarfile
import zipfile
from dataclasses import replace

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.domain.preflight import SAMPLE_BYTES, Finding, NeedMore, Sample, inspect, looked_at
from tidemill.spec.compiled import Data
from tidemill_jobs.packed import zstd

CSV = Data(format="csv", target="delayed", id=None, timestamp=None, exclude=())
PARQUET = replace(CSV, format="parquet")
TSV = replace(CSV, format="tsv")
JSONL = replace(CSV, format="jsonl")
TABLE = b"id,carrier,delayed\n1,AA,0\n2,DL,1\n"


def sample(body, key="raw/p/m/a.csv"):
    return Sample(key, len(body), body[:SAMPLE_BYTES], body[-SAMPLE_BYTES:])


def look(body, data=CSV, key="raw/p/m/a.csv"):
    return inspect(sample(body, key), data)


def unpacked(body, data=CSV):
    return look(body, data, "raw/p/m/a.csv.gz")


def parquet(frame, **options):
    file = io.BytesIO()
    frame.write_parquet(file, **options)
    return file.getvalue()


def archive(name):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as packed:
        packed.writestr(name, TABLE)
    return file.getvalue()


def tar():
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as packed:
        member = tarfile.TarInfo("a.csv")
        member.size = len(TABLE)
        packed.addfile(member, io.BytesIO(TABLE))
    return file.getvalue()


FRAME = pl.DataFrame({"id": [1, 2], "Flug + Nr.": ["ü", "x"], "delayed": [0, 1]})
FILE = parquet(FRAME)


# ── what is no table ─────────────────────────────────────────────────────────


@pytest.mark.parametrize("data", [CSV, PARQUET], ids=["csv", "parquet"])
@pytest.mark.parametrize(
    ("body", "is_"),
    [
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "a PNG image"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "a JPEG image"),
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "a PDF document"),
        (b"%PDF-1.4\nplain letters only\n", "a PDF document"),
        (archive("a.csv"), "a zip archive"),
        (archive("xl/workbook.xml"), "an Excel workbook"),
        (tar(), "a tar archive"),
        (b"SQLite format 3\0\x10\0", "an SQLite database"),
        (b"ORC\x11\0\0", "an ORC file"),
        (b'{"id": 1, "carrier": "AA"}\n{"id": 2}\n', "JSON"),
        (b'[\n {"id": 1}\n]\n', "JSON"),
        (b"<!DOCTYPE html>\n<html>", "an HTML or XML document"),
        (b'\xef\xbb\xbf<?xml version="1.0"?>\n', "an HTML or XML document"),
        (b'{"cells":[' + b'{"a":1},' * SAMPLE_BYTES, "JSON"),
    ],
)
def test_another_kind_of_file_is_called_by_its_name(body, is_, data):
    finding = look(body, data)
    assert finding.rule == "not_a_table"
    assert f"The file is {is_}" in finding.reason
    assert finding.next_step.endswith(".")


def test_an_empty_object_is_named():
    assert look(b"").rule == "empty"
    assert look(b"", PARQUET).rule == "empty"
    assert unpacked(b"").rule == "empty"


def test_a_nul_byte_is_named_with_its_place():
    finding = look(b"a,delayed\n1,\x002\n")
    assert (finding.rule, finding.reason[:7]) == ("nul_bytes", "Byte 13")


# ── encodings ────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("data", [CSV, PARQUET], ids=["csv", "parquet"])
@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le"])
def test_wide_text_is_named_with_and_without_a_mark(codec, data):
    finding = look("id,carrier,delayed\n1,Łódź,0\n".encode(codec), data)
    if data is CSV:
        assert finding.rule == "wide_encoding"
        assert codec[:6].upper() in finding.reason
    else:
        assert finding.rule == "format_mismatch"


def test_wide_text_is_named_though_few_of_its_letters_are_latin():
    text = "日付,便名,delayed\n2026,全日空,0\n" * 9
    assert look(text.encode("utf-16-be")).rule == "wide_encoding"


def test_a_byte_that_is_not_utf8_is_named_with_its_line():
    finding = look("id,city,delayed\n1,Paris,0\n2,Orléans,1\n".encode("latin-1"))
    assert finding.rule == "bad_encoding"
    assert "Line 3 is not UTF-8: byte 32 of the file is 0xe9" in finding.reason
    assert "in Windows-1252 it would be 'é'" in finding.reason


def test_a_byte_that_is_no_letter_anywhere_is_not_guessed():
    assert look(b"a,delayed\n1,\x812\n").reason.endswith("is 0x81.")


def test_a_letter_that_the_sample_cuts_is_fine_and_one_that_the_file_cuts_is_not():
    body = "delayed,b\n1,2\n3,é".encode()[:-1]
    assert inspect(Sample("a.csv", len(body) + 1, body, b""), CSV) is None
    assert inspect(Sample("a.csv", len(body), body, b""), CSV).rule == "bad_encoding"


# ── gzip ─────────────────────────────────────────────────────────────────────


def test_a_packed_table_is_judged_unpacked():
    assert unpacked(gzip.compress(TABLE)) is None
    assert unpacked(gzip.compress(TABLE) + gzip.compress(b"3,UA,1\n")) is None
    assert unpacked(gzip.compress(b"id,carrier\n1,2\n")).rule == "target_missing"
    assert unpacked(gzip.compress(TABLE) + gzip.compress(b"3,UA\n")).rule == "ragged_row"


def test_a_large_packed_table_is_fine():
    rows = random.Random(7)
    lines = "".join(f"{n},{rows.choice('AB')},{rows.random()}\n" for n in range(200_000))
    body = gzip.compress(b"id,carrier,delayed\n" + lines.encode(), compresslevel=1)
    assert len(body) > 10 * SAMPLE_BYTES
    assert unpacked(body) is None


@pytest.mark.parametrize(
    ("body", "rule", "says"),
    [
        (TABLE, "not_gzip", "it is no gzip: it begins with 69 64 2c"),
        (archive("a.csv"), "not_gzip", "it is a zip archive"),
        (gzip.compress(b""), "empty", "unpacks to nothing"),
        (gzip.compress(TABLE)[:-9], "corrupt_gzip", "in the middle of its packed data"),
        (gzip.compress(TABLE)[:5], "corrupt_gzip", "in the middle of its packed data"),
        (gzip.compress(TABLE)[:-8] + b"\0" * 8, "corrupt_gzip", "do not unpack"),
        (gzip.compress(TABLE) + b"trailing", "corrupt_gzip", "do not unpack"),
        (b"\x1f\x8b\x08\0" + b"\xff" * 99, "corrupt_gzip", "do not unpack"),
        (gzip.compress(tar()), "not_a_table", "a tar archive"),
        (gzip.compress(gzip.compress(TABLE)), "not_a_table", "gzip"),
        (gzip.compress("a,delayed\n1,2\n".encode("utf-16")), "wide_encoding", "UTF-16"),
    ],
)
def test_what_is_packed_wrongly_is_named(body, rule, says):
    finding = unpacked(body)
    assert finding.rule == rule
    assert says in finding.reason


def test_gzip_under_another_name_is_found_out():
    assert look(gzip.compress(TABLE)).rule == "gzip_without_suffix"
    assert look(gzip.compress(TABLE), PARQUET, "a.parquet").rule == "gzip_without_suffix"


@pytest.mark.parametrize("mib", [32, 128], ids=["judged whole", "by its ends"])
def test_a_bomb_is_refused_with_both_figures(mib):
    body = gzip.compress(b"delayed,b\n" + b"0,0\n" * (mib * 2**18), compresslevel=9)
    finding = unpacked(body)
    assert finding.rule == "unpack_ratio"
    assert f"{len(body) / 1024:.1f} KiB packed and about {mib}.0 MiB unpacked" in finding.reason
    assert f"{mib * 2**20 // len(body)} times" in finding.reason


def test_a_trailer_alone_condemns_no_file():
    """It may be a bomb behind a plain beginning, or cut short: reading it tells them apart."""
    body = random.Random(7).randbytes(2 * SAMPLE_BYTES).hex().encode()
    packed = gzip.compress(b"delayed\n" + body)
    assert unpacked(packed[:-4] + (200 * len(packed)).to_bytes(4, "little")) is None


def test_a_small_file_may_unpack_as_far_as_it_likes():
    assert unpacked(gzip.compress(b"delayed,b\n" + b"0,0\n" * 2**21)) is None


def test_a_trailer_that_cannot_be_means_a_cut_file():
    body = gzip.compress(b"delayed\n" + random.Random(7).randbytes(2**17).hex().encode())
    finding = unpacked(body[:-4] + b"\xff\xff\xff\xff")
    assert finding.rule == "corrupt_gzip"
    assert "unpack to 4.0 GiB, more than gzip can pack" in finding.reason


def test_more_than_a_job_holds_is_refused():
    rows = random.Random(7)
    head = gzip.compress("".join(f"{rows.random()}\n" for _ in range(20_000)).encode())
    ends = Sample("a.csv.gz", 60 * 2**30, head[:SAMPLE_BYTES], b"\0" * 4)
    finding = inspect(ends, CSV)
    assert finding.rule == "unpacked_too_large"
    assert "60.0 GiB packed" in finding.reason
    assert "at most 64.0 GiB" in finding.reason


# ── Zstandard ────────────────────────────────────────────────────────────────

MAGIC = b"\x28\xb5\x2f\xfd"
SKIPPABLE = b"\x5a\x2a\x4d\x18\x03\0\0\0abc"


def judged(body, data=CSV):
    return look(body, data, "raw/p/m/a.csv.zst")


def streamed(body, **options):
    """Pack as a pipe does: the size is not known beforehand, so no header says it."""
    names = {zstd.CompressionParameter[name]: value for name, value in options.items()}
    packer = zstd.ZstdCompressor(options=names)
    return packer.compress(body) + packer.flush()


@pytest.mark.parametrize(
    "body",
    [
        zstd.compress(TABLE),
        streamed(TABLE),
        zstd.compress(TABLE, options={zstd.CompressionParameter.checksum_flag: 1}),
        SKIPPABLE + zstd.compress(TABLE),
        SKIPPABLE * 9_000 + zstd.compress(TABLE),
        zstd.compress(TABLE * 10),
        zstd.compress(TABLE * 3_000),
        streamed(TABLE * 3_000, window_log=27),
    ],
)
def test_a_zstandard_file_is_let_in_by_its_header(body):
    assert judged(body) is None


@pytest.mark.parametrize(
    ("body", "rule", "says"),
    [
        (TABLE, "not_zstd", "it is no Zstandard: it begins with 69 64 2c"),
        (gzip.compress(TABLE), "not_zstd", "it is gzip"),
        (MAGIC, "corrupt_zstd", "its header is cut short"),
        (zstd.compress(TABLE)[:5], "corrupt_zstd", "its header is cut short"),
        (MAGIC + b"\x08\0\0\0", "corrupt_zstd", "of no known kind"),
        (SKIPPABLE, "corrupt_zstd", "no frame with content"),
        (SKIPPABLE + TABLE, "corrupt_zstd", "no frame follows"),
        (streamed(TABLE, window_log=28), "zstd_window_too_large", "256.0 MiB; at most 128.0 MiB"),
        (zstd.compress(bytes(2**25)), "unpack_ratio", "says that it is 32.0 MiB unpacked"),
    ],
)
def test_what_its_header_says_against_a_zstandard_file_is_named(body, rule, says):
    finding = judged(body)
    assert finding.rule == rule
    assert says in finding.reason


def test_a_dictionary_that_is_not_in_the_file_is_named():
    words = zstd.train_dict([b"row %d,%d,0\n" % (n, n * n) for n in range(2_000)], 1_000)
    finding = judged(zstd.compress(TABLE, zstd_dict=words))
    assert finding.rule == "zstd_dictionary"


def test_a_zstandard_file_that_says_more_than_a_job_holds_is_refused():
    header = MAGIC + b"\xc0\x50" + (80 * 2**30).to_bytes(8, "little")
    finding = inspect(Sample("a.zst", 2**31, header, b""), CSV)
    assert (finding.rule, "80.0 GiB unpacked" in finding.reason) == ("unpacked_too_large", True)


def test_zstandard_under_another_name_is_found_out():
    assert look(zstd.compress(TABLE)).rule == "zstd_without_suffix"
    assert unpacked(zstd.compress(TABLE)).rule == "not_gzip"


@pytest.mark.parametrize(
    ("key", "data", "says"),
    [
        ("a.csv", CSV, "first 64 KiB look as they should"),
        ("a.csv.gz", CSV, "first 64 KiB look as they should"),
        ("a.jsonl.zst", JSONL, "its content is read at check"),
        ("a.parquet.gz", PARQUET, "its content is read at check"),
    ],
)
def test_the_verdict_says_what_was_looked_at(key, data, says):
    assert says in looked_at(key, data.format)


# ── TSV ──────────────────────────────────────────────────────────────────────


def test_tsv_is_judged_as_csv_is():
    assert look(b'a\tdelayed\n"x\ty"\t0\n', TSV) is None
    assert look(b"a\tdelayed\n1\n", TSV).rule == "ragged_row"
    assert "a cell that holds a tab" in look(b"a\tdelayed\n1\n", TSV).next_step
    assert look(b'a\tdelayed\n1\t"0\n', TSV).rule == "unbalanced_quote"
    assert look(b"a\tlate\n1\t0\n", TSV).rule == "target_missing"


@pytest.mark.parametrize(
    ("body", "data", "says"),
    [
        (TABLE, TSV, "separated by commas, not by tabs"),
        (TABLE.replace(b",", b"\t"), CSV, "separated by tabs, not by commas"),
        (TABLE.replace(b",", b";"), TSV, "separated by semicolons, not by tabs"),
    ],
)
def test_csv_and_tsv_are_told_apart(body, data, says):
    finding = look(body, data)
    assert (finding.rule, says in finding.reason) == ("wrong_delimiter", True)


# ── JSON Lines ───────────────────────────────────────────────────────────────

ROW = b'{"id": 1, "delayed": 0}\n'


@pytest.mark.parametrize(
    "body",
    [
        ROW,
        b"\xef\xbb\xbf" + ROW,
        b"\n" + ROW + b"\n\r\n" + ROW[:-1],
        b'{"id": 9223372036854775808}\n' + ROW,
        b'{"delayed": NaN}\n',
        b'{"delayed": "' + b"x" * SAMPLE_BYTES + b'"}',
        ROW * 5_000 + b"{",
        b'{"id": 1}\n' * 9_000 + ROW,
    ],
)
def test_json_lines_are_fine(body):
    assert look(body, JSONL, "a.jsonl") is None
    assert look(gzip.compress(body), JSONL, "a.jsonl.gz") is None


@pytest.mark.parametrize(
    ("body", "rule", "says"),
    [
        (b"\n\r\n", "empty", "blank lines"),
        (b"[\n" + ROW + b"]", "json_array", "one JSON array"),
        (b"[" + b'{"a": 1}, ' * SAMPLE_BYTES, "json_array", "one JSON array"),
        (TABLE, "format_mismatch", "text (its first line is 'id,carrier,delayed')"),
        (FILE, "format_mismatch", "holds Parquet, and the spec expects JSON Lines"),
        (b"%PDF-1.4\n", "not_a_table", "a PDF"),
        (ROW + b"[1]\n", "not_an_object", "Line 2 holds '[1]'"),
        (ROW + b"{'a': 1}\n", "invalid_json", "Line 2 is no JSON object, at character 2"),
        (b'{\n"delayed": 1\n}\n', "invalid_json", "Line 1"),
        (ROW[:-1] + ROW, "invalid_json", "at character 24: more follows"),
        (ROW + b'{"a": 1, "a": 1}\n', "duplicate_key", "Line 2 has the key 'a' twice"),
        (ROW + b'{"a": {"b": 1}}\n', "nested_column", "Line 2: the column 'a' holds an object"),
        (b'{"a": ' + b"[" * 60_000 + b"\n" + ROW, "nested_column", "Line 1 is nested too deep"),
        (b'{"id": 1}\n', "target_missing", "no column 'delayed'"),
        (b'{"": 1, "delayed": 1}\n', "blank_header", "place 1"),
        (b'{"delayed": "\xe9"}\n', "bad_encoding", "Line 1 is not UTF-8"),
        (ROW.decode().encode("utf-16"), "wide_encoding", "UTF-16"),
        (gzip.compress(b""), "gzip_without_suffix", "does not end with .gz"),
    ],
)
def test_what_is_wrong_with_json_lines_is_named(body, rule, says):
    finding = look(body, JSONL, "a.jsonl")
    assert finding.rule == rule
    assert says in finding.reason
    assert finding.next_step.endswith(".")


def test_an_excluded_key_may_be_nested():
    body = b'{"tags": ["x"], "delayed": 1}\n'
    assert look(body, JSONL).rule == "nested_column"
    assert look(body, replace(JSONL, exclude=("tags",))) is None


# ── Parquet ──────────────────────────────────────────────────────────────────


def test_a_parquet_file_is_fine():
    assert look(FILE, PARQUET) is None
    assert look(FILE, replace(PARQUET, id="id", timestamp="Flug + Nr.")) is None


@pytest.mark.parametrize(
    ("body", "rule", "says"),
    [
        (FILE[:-3], "truncated_parquet", "does not end with PAR1"),
        (b"PAR1" + FILE[:500], "truncated_parquet", "does not end with PAR1"),
        (b"PARE" + FILE[4:-4] + b"PARE", "encrypted_parquet", "footer is encrypted"),
        (FILE[:-8] + b"\0\0\0\0PAR1", "damaged_parquet", "claims more than it holds"),
        (parquet(FRAME.clear()), "header_only", "no rows"),
        (parquet(FRAME.rename({"delayed": "late"})), "target_missing", "has 3 columns: 'id', 'F"),
        (parquet(FRAME.rename({"id": ""})), "blank_header", "the first at place 1"),
        (TABLE, "format_mismatch", "holds text (its first line is 'id,carrier,delayed'), and"),
        (b"\n\n", "format_mismatch", "holds text (its first line is '')"),
        (b"\x01\x02\0\xff", "format_mismatch", "begins with 01 02 00 ff, not with PAR1"),
    ],
)
def test_what_is_wrong_with_a_parquet_file_is_named(body, rule, says):
    finding = look(body, PARQUET)
    assert finding.rule == rule
    assert says in finding.reason
    assert finding.next_step.endswith(".")


def test_a_footer_too_large_to_read_is_named():
    tail = (20 * 2**20).to_bytes(4, "little") + b"PAR1"
    assert inspect(Sample("a", 2**30, b"PAR1", tail), PARQUET).rule == "parquet_footer_too_large"


@pytest.mark.parametrize("role", ["id", "timestamp"])
def test_a_column_that_the_spec_names_must_be_in_the_parquet_file(role):
    finding = look(FILE, replace(PARQUET, **{role: "Flug Nr."}))
    assert finding.rule == f"{role}_missing"
    assert "the nearest is 'Flug + Nr.'" in finding.reason


@pytest.mark.parametrize(
    ("spec", "role"), [({"target": "s"}, "target"), ({"id": "s"}, "id"), ({"timestamp": "s"}, "ti")]
)
def test_a_nested_column_cannot_have_a_role(spec, role):
    body = parquet(FRAME.with_columns(s=pl.struct("id", "delayed")))
    assert look(body, PARQUET) is None
    finding = look(body, replace(PARQUET, **spec))
    assert finding.rule == "nested_column"
    assert f"'s', the spec's {role}" in finding.reason


def test_csv_and_parquet_are_told_apart_both_ways():
    finding = look(FILE, CSV)
    assert finding.rule == "format_mismatch"
    assert finding.reason == "The file holds Parquet, and the spec expects CSV."
    assert unpacked(gzip.compress(TABLE), PARQUET).rule == "format_mismatch"
    assert unpacked(gzip.compress(FILE), PARQUET) is None
    assert unpacked(gzip.compress(FILE), CSV).rule == "format_mismatch"


def test_a_long_footer_is_asked_for_once():
    frame = pl.DataFrame({f"column {n} with a long name": [n] for n in range(3000)})
    body = parquet(frame.with_columns(delayed=1))
    short = sample(body, "a.parquet")
    more = inspect(short, PARQUET)
    assert isinstance(more, NeedMore)
    assert SAMPLE_BYTES < more.bytes < len(body)
    assert inspect(replace(short, tail=body[-more.bytes :]), PARQUET) is None


# ── whatever comes ───────────────────────────────────────────────────────────

prefixes = st.sampled_from(
    [
        b"",
        b"\x1f\x8b\x08\0",
        MAGIC,
        b"\x50\x2a\x4d\x18",
        b'{"a": ',
        b"PAR1",
        b"PARE",
        b"PK\x03\x04",
        b"\xff\xfe",
        b"\xef\xbb\xbf",
        TABLE,
    ]
)
keys = st.sampled_from(["a.csv", "a.csv.gz", "a.parquet", "a.parquet.gz", "a.zst", ""])
specs = st.sampled_from([CSV, TSV, PARQUET, JSONL])


@given(
    key=keys,
    size=st.integers(0, 2**45),
    head=st.tuples(prefixes, st.binary()).map(b"".join),
    tail=st.tuples(st.binary(), st.sampled_from([b"", b"PAR1"])).map(b"".join),
    data=specs,
)
def test_nothing_raises(key, size, head, tail, data):
    finding = inspect(Sample(key, size, head, tail), data)
    if isinstance(finding, Finding):
        assert len((finding.reason + finding.next_step).encode()) < 4096


@given(st.binary(max_size=200), specs)
def test_nothing_raises_whatever_is_packed(body, data):
    inspect(sample(gzip.compress(body), "a.gz"), data)


words = st.text(st.characters(codec="utf-8", exclude_characters="\0"))


@given(st.lists(st.tuples(words, words), min_size=1))
def test_a_packed_table_is_never_refused(rows):
    file = io.StringIO(newline="")
    csv.writer(file).writerows([("name", "delayed"), *rows])
    body = gzip.compress(file.getvalue().encode())
    assert unpacked(body) is None
    assert inspect(replace(sample(body, "a.csv.gz"), size=len(body) + 1, tail=b""), CSV) is None


@given(st.lists(words.filter(str.strip), unique=True, max_size=9), st.integers(1, 9))
def test_what_polars_writes_is_never_refused(names, rows):
    frame = pl.DataFrame({name: range(rows) for name in [*names, "delayed"]})
    assert look(parquet(frame), PARQUET) is None
