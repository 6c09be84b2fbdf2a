"""Truth files: what is read of them, what is left out and counted, and what is refused."""

import base64
import gzip
import json

import polars as pl
import pytest

from tidemill_jobs.errors import ReadError
from tidemill_jobs.truth import read_truth

UPLOADED = 1_795_168_800.0  # 2026-11-20T10:00:00Z


@pytest.fixture
def read(tmp_path):
    def call(name, content, **more):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_truth(path, name, upload="u", uploaded=UPLOADED, **more)

    return call


def told(file):
    return file.frame.select("kind", "id", "row", "label").rows()


def ground_truth(identity, data, encoding="CSV"):
    return json.dumps(
        {
            "groundTruthData": {"data": data, "encoding": encoding},
            "eventMetadata": {"eventId": identity},
            "eventVersion": "0",
        }
    )


def test_a_csv_file_with_ids_and_labels(read):
    file = read("late.csv", "id,label\n007,1\n8,0\n")
    assert told(file) == [("id", "007", None, "1"), ("id", "8", None, "0")]
    assert file.rows == 2
    assert file.left_out == {}
    assert file.sentence() == "2 lines of truth"


def test_a_label_without_a_time_was_known_when_it_was_uploaded(read):
    assert read("a.csv", "id,label\na,1\n").frame["time"].to_list() == [UPLOADED]


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("2026-11-19T10:00:00Z", UPLOADED - 86_400),
        ("2026-11-19 10:00:00.500", UPLOADED - 86_400 + 0.5),
        ("2026-11-19T11:00:00+01:00", UPLOADED - 86_400),
        ("2026-11-19", UPLOADED - 86_400 - 36_000),
        ("1795082400", UPLOADED - 86_400),
        ("1795082400000", UPLOADED - 86_400),  # milliseconds
    ],
)
def test_times_are_iso_8601_or_numbers_since_1970(read, written, seconds):
    file = read("a.csv", f"id,label,time\na,1,{written}\n")
    assert file.frame["time"].to_list() == [seconds]


def test_a_label_from_the_future_counts_as_known_at_its_upload(read):
    file = read("a.csv", "id,label,time\na,1,2099-01-01T00:00:00Z\nb,1,2026-01-01\n")
    assert file.frame["time"][0] == UPLOADED  # or nothing could ever correct it
    assert file.early == 1


def test_every_way_to_name_a_prediction(read):
    file = read("a.csv", "inference_id,event_id,id,row,label\ni,e,x,,1\n,e,x,0,1\n,,x,3,1\n")
    assert told(file) == [
        ("inference_id", "i", None, "1"),
        ("event_id", "e", 0, "1"),
        ("id", "x", 3, "1"),
    ]


def test_column_names_are_taken_as_people_write_them(read):
    file = read("a.csv", "inferenceId,Label\ni,1\n")
    assert told(file) == [("inference_id", "i", None, "1")]


def test_the_models_target_is_a_label_too(read):
    file = read("a.csv", "id,arr_late,comment\ni,1,so\n", target="arr_late")
    assert told(file) == [("id", "i", None, "1")]


def test_lines_that_cannot_be_used_are_left_out_and_counted(read):
    file = read(
        "a.csv",
        "id,row,label,time\na,0,1,\n,0,1,\nb,0,,\nc,-1,1,\nd,x,1,\ne,0,1,yesterday\nf,0,null,\n",
    )
    assert told(file) == [("id", "a", 0, "1")]
    assert file.rows == 7
    assert file.left_out == {"no_id": 1, "no_label": 2, "wrong_row": 2, "wrong_time": 1}
    assert file.sentence() == (
        "1 line of truth; left out: 1 without an id, 2 without a label, "
        "2 whose row is no whole number from 0, 1 whose time cannot be read"
    )


def test_json_lines_with_lines_of_every_kind(read):
    lines = [
        '{"id": 7, "label": true}',
        '{"eventId": "e", "label": 1.0, "row": 2}',
        '{"id": "a", "label": 0.25, "more": {"nested": [1]}}',
        '{"id": "b", "label": 12345678901234567890}',
        '{"id": "c", "label": NaN}',
        '{"id": "d", "lab',
        "[1, 2]",
        "",
        ground_truth("g", "1"),
    ]
    file = read("a.jsonl", "\n".join(lines))
    assert told(file) == [
        ("id", "7", None, "true"),
        ("event_id", "e", 2, "1"),
        ("id", "a", None, "0.25"),
        ("id", "b", None, "12345678901234567890"),
        ("id", "g", None, "1"),
    ]
    assert file.left_out == {"unreadable_line": 2, "no_label": 1}
    assert file.rows == 8


def test_sagemakers_ground_truth(read):
    packed = base64.b64encode(b"yes").decode()
    lines = [
        ground_truth("one", "0"),
        ground_truth("several", "1\n0\n1"),
        ground_truth("json", '{"label": 1}', "JSON"),
        ground_truth("list", "[0, 1]", "JSON"),
        ground_truth("packed", packed, "BASE64"),
        ground_truth("broken", "!", "BASE64"),
        ground_truth(None, "1"),
    ]
    file = read("a.jsonl", "\n".join(lines))
    assert told(file) == [
        ("id", "one", None, "0"),
        ("id", "several", 0, "1"),
        ("id", "several", 1, "0"),
        ("id", "several", 2, "1"),
        ("id", "json", None, "1"),
        ("id", "list", 0, "0"),
        ("id", "list", 1, "1"),
        ("id", "packed", None, "yes"),
    ]
    assert file.left_out == {"no_label": 1, "no_id": 1}


def test_parquet_keeps_whole_numbers_and_other_columns_may_hold_anything(read, tmp_path):
    path = tmp_path / "made.parquet"
    frame = pl.DataFrame(
        {
            "id": [2**60 + 1, 2],
            "label": [1.0, 0.5],
            "time": [1_795_082_400.0, None],
            "tags": [["a"], ["b"]],
        }
    )
    frame.write_parquet(path)
    file = read("a.parquet", path.read_bytes())
    assert told(file) == [("id", str(2**60 + 1), None, "1"), ("id", "2", None, "0.5")]
    assert file.frame["time"].to_list() == [UPLOADED - 86_400, UPLOADED]


def test_packed_files(read):
    assert read("a.csv.gz", gzip.compress(b"id,label\na,1\n")).frame.height == 1
    assert read("a.jsonl.gz", gzip.compress(b'{"id": 1, "label": 1}')).frame.height == 1


def test_a_byte_order_mark_is_no_part_of_the_first_line(read):
    assert read("a.jsonl", b'\xef\xbb\xbf{"id": 1, "label": 1}\n').left_out == {}


def test_a_line_of_megabytes_costs_only_itself(read):
    content = b'{"id": "' + b"x" * 3_000_000 + b'"}\n{"id": 1, "label": 1}\n'
    file = read("a.jsonl", content)
    assert told(file) == [("id", "1", None, "1")]
    assert file.left_out == {"unreadable_line": 1}


@pytest.mark.parametrize(
    ("name", "content", "rule", "says"),
    [
        ("a.xlsx", "PK", "unknown_format", "name it .csv"),
        ("a", "id,label\n", "unknown_format", "name it .csv"),
        ("a.csv", "label\n1\n", "no_id_column", "the columns are label"),
        ("a.csv", "id,outcome\na,1\n", "no_label_column", "id, outcome"),
        ("a.csv", "id,label\n,1\nb,\n", "no_usable_line", "1 without an id, 1 without a label"),
        ("a.csv", "id,label\n", "header_only", "no rows"),
        ("a.csv", "id,label\na,1,2\n", None, "line 2"),
        ("a.jsonl", "", "empty", "empty"),
        ("a.jsonl", "{\n]\n", "no_usable_line", "none of its 2 lines"),
        ("a.jsonl", '{"id": 1}\n', "no_label_column", "add a column label"),
        ("a.csv.gz", "id,label\n", "not_gzip", "gzip"),
        ("a.parquet", "PAR1", "damaged_parquet", "Parquet"),
    ],
)
def test_a_file_that_says_nothing_is_refused_with_a_next_step(read, name, content, rule, says):
    with pytest.raises(ReadError, match=says) as refused:
        read(name, content)
    assert rule in (None, refused.value.rule)
    assert refused.value.next_step
