"""Captured traffic is read into frames, and no line of it is worth a crash."""

import base64
import io
import json
import subprocess
import sys

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidemill.adapters.endpoints import SMOKE
from tidemill_jobs.capture import lines as capture_lines
from tidemill_jobs.capture import reader as capture_reader
from tidemill_jobs.capture.layout import hour_of, line, object_key, payload
from tidemill_jobs.capture.reader import PREDICTIONS, CaptureReader, EventIds
from tidemill_jobs.capture.schema import Schema
from tidemill_jobs.capture.tally import Tally
from tidemill_jobs.features import Column, Features, Target
from tidemill_jobs.payload import render

NOON = 1_795_262_400  # 2026-11-21T12:00:00Z
KEY = "capture/air/late/tm-air-late/champion/2026/11/21/12/00-01-000-a.jsonl"
CSV, JSON, LINES = "text/csv", "application/json", "application/jsonlines"
FEATURES = Features(
    problem="binary",
    target=Target("late", (False, True)),
    header=("id", "wind", "origin"),
    columns=(
        Column("wind", "number", ("wind",)),
        Column("origin", "category", ("origin",), categories=("Oslo",)),
    ),
    dropped=(),
    notes=(),
)
BINARY = Schema.of(FEATURES)
MULTI = Schema(("wind", "origin"), ("wind", "origin"), "multiclass", ("calm", "gale", "storm"))
REGRESSION = Schema(("wind", "origin"), ("wind", "origin"), "regression")
HALF = '{"score":0.5,"label":true}'


def event(
    data="7,Oslo", kind=CSV, answer="0.25", answered=CSV, *, event_id="e1", time=NOON, encoding=None
):
    encodings = {CSV: "CSV", JSON: "JSON", LINES: "JSON", "application/x-ndjson": "JSON"}
    return line(
        {
            "endpointInput": payload(
                kind, "INPUT", encoding or encodings.get(kind, "BASE64"), data
            ),
            "endpointOutput": payload(
                answered, "OUTPUT", encodings.get(answered, "BASE64"), answer
            ),
        },
        event_id=event_id,
        time=time,
        inference_id=f"caller-{event_id}",
    )


def read(*texts, schema=BINARY, key=KEY):
    """Return all rows, all predictions and the tally of one file."""
    reader = CaptureReader(schema)
    body = b"".join(text if isinstance(text, bytes) else text.encode() for text in texts)
    batches = list(reader.read(io.BytesIO(body), key))
    if not batches:
        return None, None, reader.tally
    inputs = pl.concat([batch.inputs for batch in batches], how="diagonal")
    predictions = pl.concat([batch.predictions for batch in batches])
    assert len(inputs) == len(predictions) == reader.tally.rows
    return inputs, predictions, reader.tally


def test_a_csv_request_keeps_its_cells_as_text():
    inputs, predictions, tally = read(event("07,Oslo\n,Rome", answer="0.25\n0.75\n"))

    assert inputs.to_dicts() == [
        {"wind": "07", "origin": "Oslo"},
        {"wind": "", "origin": "Rome"},
    ]
    assert tuple(predictions.columns) == PREDICTIONS
    assert predictions.to_dicts() == [
        {
            "event_id": "e1",
            "inference_id": "caller-e1",
            "row": row,
            "time": NOON,
            "prediction": said,
            "probability": score,
            "probabilities": None,
        }
        for row, said, score in [(0, "false", 0.25), (1, "true", 0.75)]
    ]
    assert (tally.files, tally.lines, tally.events, tally.rows) == (1, 1, 1, 2)
    assert not tally.unreadable.counts
    assert not tally.unanswered.counts


@pytest.mark.parametrize(
    ("data", "kind", "answer"),
    [
        ('{"wind":7.5,"origin":"Oslo"}', JSON, HALF),
        ('[{"wind":7.5,"origin":"Oslo"}]', JSON, f"[{HALF}]"),
        ('{"instances":[[7.5,"Oslo"]]}', JSON, f'{{"predictions":[{HALF}]}}'),
        ('{"wind":7.5,"origin":"Oslo"}\n', LINES, f"{HALF}\n"),
    ],
)
def test_json_in_every_shape_keeps_its_types(data, kind, answer):
    inputs, predictions, _ = read(event(data, kind, answer, kind))

    assert inputs.schema == {"wind": pl.Float64, "origin": pl.String}
    assert inputs.row(0) == (7.5, "Oslo")
    assert predictions["prediction"].to_list() == ["true"]
    assert predictions["probability"].to_list() == [0.5]


@pytest.mark.parametrize(
    "text", ["7,Oslo", "wind,origin\n7,Oslo\n", "origin,wind\r\nOslo,7\r\n", "id1,7,Oslo"]
)
def test_a_header_row_names_columns_and_is_no_row(text):
    inputs, _, tally = read(event(text))

    assert inputs.select("wind", "origin").rows() == [("7", "Oslo")]
    assert not tally.extra


@pytest.mark.parametrize("kind", [CSV, "application/octet-stream", ""])
def test_base64_of_text_is_undone(kind):
    data = base64.b64encode("7,Åre".encode()).decode()

    inputs, _, tally = read(event(data, kind, encoding="BASE64"))

    assert inputs.row(0) == ("7", "Åre")
    assert not tally.unreadable.counts


def test_mixed_content_types_in_one_file_are_read_each_by_its_own():
    inputs, predictions, tally = read(
        event("7,Oslo", event_id="a"),
        event('{"wind":7.5,"origin":"Rome"}', JSON, HALF, JSON, event_id="b"),
        event('{"wind":7,"origin":null}\n', LINES, HALF, LINES, event_id="c"),
    )

    assert inputs.rows() == [("7", "Oslo"), ("7.5", "Rome"), ("7", None)]
    assert predictions["event_id"].to_list() == ["a", "b", "c"]
    assert tally.events == 3


def test_a_mixture_of_whole_and_other_numbers_has_the_texts_of_a_csv():
    inputs, _, _ = read(
        event('[{"wind":1,"origin":"a"},{"wind":2.5,"origin":"a"}]', JSON, "[0.1,0.2]", JSON)
    )

    assert inputs["wind"].to_list() == ["1", "2.5"]


def test_whole_numbers_beyond_64_bits_keep_their_digits():
    inputs, _, _ = read(event('{"wind":123456789012345678901,"origin":"a"}', JSON))

    assert inputs["wind"].to_list() == ["123456789012345678901"]


BAD = [
    ("not_json", event()[:40] + "\n"),
    ("not_json", b"\xff\xfe\n"),
    ("not_json", "[" * 100_000 + "\n"),
    ("other_layout", "{}\n"),
    ("other_layout", "3\n"),
    ("other_layout", '{"captureData":{},"eventMetadata":{"eventId":7}}\n'),
    ("other_layout", event('x"', encoding="BASE64")),
    ("no_time", event().replace("2026-11-21T12:00:00Z", "noon")),
    ("no_time", event().replace("2026-11-21T12:00:00Z", "2026-11-21T12:00:00")),
    ("no_time", event().replace('"2026-11-21T12:00:00Z"', "null")),
    ("clock_jump", event(time=NOON + 3 * 3_600)),
    ("clock_jump", event(time=0)),
    ("no_input", event().replace("endpointInput", "other")),
    ("content_type", event("eA==", "image/png")),
    ("binary", event(base64.b64encode(b"\x89PNG\xff").decode(), CSV, encoding="BASE64")),
    ("binary", event(base64.b64encode(b"1,\x00").decode(), CSV, encoding="BASE64")),
    ("malformed", event("{", JSON)),
    ("malformed", event('7,"Oslo', CSV)),
    ("malformed", event('{"wind":7,"origin":"\\ud800"}', JSON)),
    ("nested", event('{"wind":{"value":7},"origin":"Oslo"}', JSON)),
    ("nested", event('{"row":{"wind":7,"origin":"Oslo"}}', JSON)),
    ("other_columns", event("1,2,3,4,5")),
    ("other_columns", event('{"speed":7,"from":"Oslo"}', JSON)),
    ("other_columns", event("3", JSON)),
    ("no_rows", event("")),
    ("no_rows", event("wind,origin\n")),
    ("no_rows", event("[]", JSON)),
]


@pytest.mark.parametrize(("reason", "bad"), BAD, ids=[f"{n}-{r}" for n, (r, _) in enumerate(BAD)])
def test_a_bad_line_is_counted_by_its_reason_and_the_others_are_read(reason, bad):
    inputs, _, tally = read(event(event_id="a"), bad, event(event_id="b"))

    assert len(inputs) == 2
    assert dict(tally.unreadable.counts) == {reason: 1}
    assert tally.unreadable.examples[reason].startswith(f"{KEY}:2: ")
    assert (tally.lines, tally.events) == (3, 2)


def test_an_event_that_comes_twice_counts_once_across_files():
    reader = CaptureReader(BINARY)
    first = list(reader.read(io.BytesIO(event().encode() * 2), KEY))
    second = list(reader.read(io.BytesIO(event().encode()), KEY))

    assert [len(batch.inputs) for batch in first] == [1]
    assert second == []
    assert reader.tally.unreadable.counts == {"duplicate": 2}


def test_a_rollout_s_own_questions_are_no_traffic():
    assert SMOKE == capture_reader.SMOKE
    asked = event().replace("caller-e1", SMOKE)

    inputs, _, tally = read(asked, event(event_id="b"))

    assert len(inputs) == 1
    assert tally.unreadable.counts == {"smoke": 1}


def test_a_clock_that_is_a_little_off_is_no_jump():
    inputs, _, _ = read(event(time=NOON - 60), event(time=NOON + 3_700, event_id="b"))

    assert len(inputs) == 2


def test_the_half_written_last_line_is_left_for_the_next_time():
    whole, half = event(event_id="a"), event(event_id="b")
    _, predictions, tally = read(whole, half[:-20])

    assert predictions["event_id"].to_list() == ["a"]
    assert tally.unfinished == [(KEY, len(whole))]
    assert tally.lines == 1
    assert not tally.unreadable.counts


def test_a_whole_last_line_without_its_end_is_read():
    inputs, _, tally = read(event().rstrip("\n"))

    assert len(inputs) == 1
    assert not tally.unfinished


@pytest.mark.parametrize("body", ["", "\n", "\r\n \n"])
def test_empty_and_blank_files_have_no_batches(body):
    inputs, _, tally = read(body)

    assert inputs is None
    assert tally.lines == 0


def test_a_line_of_more_than_the_limit_is_skipped_without_being_kept(monkeypatch):
    monkeypatch.setattr(capture_lines, "LINE_LIMIT", 600)
    monkeypatch.setattr(capture_lines, "CHUNK", 64)

    inputs, _, tally = read(event(), event("7," + "x" * 2_000, event_id="b"), event(event_id="c"))

    assert len(inputs) == 2
    assert tally.unreadable.counts == {"line_too_long": 1}


def test_batches_are_bounded(monkeypatch):
    monkeypatch.setattr(capture_reader, "BATCH_ROWS", 10)
    body = "".join(event(event_id=f"e{n}") for n in range(25))

    batches = list(CaptureReader(BINARY).read(io.BytesIO(body.encode()), KEY))

    assert [len(batch.inputs) for batch in batches] == [10, 10, 5]


def test_a_column_that_is_never_there_is_left_out_and_one_that_is_null_is_not():
    inputs, _, tally = read(event('{"wind":null}', JSON), event('{"wind":3}', JSON, event_id="b"))

    assert inputs.columns == ["wind"]
    assert inputs["wind"].to_list() == [None, 3]
    assert tally.absent == {"origin": 2}


def test_unknown_columns_are_named_and_kept_and_known_ones_are_neither():
    inputs, _, tally = read(
        event(event_id="a"),
        event('{"id":"x","late":true,"wind":3,"origin":"a","gust":[1]}', JSON, event_id="b"),
        event(event_id="c"),
    )

    assert inputs.columns == ["wind", "origin", "gust"]
    assert inputs["gust"].to_list() == [None, "[1]", None]
    assert tally.extra == {"gust": 1}


def test_keys_that_are_values_do_not_become_a_thousand_columns():
    row = {"wind": 1, "origin": "a"} | {f"k{n}": n for n in range(1_000)}

    inputs, _, tally = read(event(json.dumps(row), JSON))

    assert len(tally.extra) == 50
    assert inputs.width == 52


def test_dropped_columns_are_not_missed():
    inputs, _, tally = read(event('{"wind":3}', JSON), schema=BINARY.without(["origin"]))

    assert inputs.columns == ["wind"]
    assert not tally.absent
    assert not tally.extra


def test_what_was_written_before_a_column_was_dropped_is_read_as_it_was():
    inputs, _, tally = read(
        event("7,Oslo", event_id="a"),
        event("x1,8,Rome", event_id="b"),
        event('{"wind":9}', JSON, event_id="c"),
        schema=BINARY.without(["origin", "id"]),
    )

    assert inputs["wind"].to_list() == ["7", "8", "9"]
    assert not tally.unreadable.counts
    assert not tally.absent
    assert not tally.extra


ANSWERS = [
    (BINARY, "0.5", CSV, ("true", 0.5, None)),
    (BINARY, "true", CSV, ("true", None, None)),
    (BINARY, '{"predictions":[{"score":0.1,"predicted_label":0}]}', JSON, ("false", 0.1, None)),
    (BINARY, "0.1,0.9", CSV, ("true", 0.9, None)),
    (REGRESSION, "12.5\n", CSV, (12.5, None, None)),
    (REGRESSION, '{"score":-3}', JSON, (-3.0, None, None)),
    (MULTI, "gale", CSV, ("gale", None, None)),
    (MULTI, "[0.2,0.1,0.7]", "application/x-ndjson", ("storm", 0.7, [0.2, 0.1, 0.7])),
    (
        MULTI,
        '{"label":"gale","probabilities":{"calm":0.2,"gale":0.7,"storm":0.1}}',
        JSON,
        ("gale", 0.7, [0.2, 0.7, 0.1]),
    ),
]


@pytest.mark.parametrize(("schema", "text", "kind", "said"), ANSWERS)
def test_answers_in_the_shapes_in_which_models_answer(schema, text, kind, said):
    _, predictions, tally = read(event(answer=text, answered=kind), schema=schema)

    assert predictions.select("prediction", "probability", "probabilities").row(0) == said
    assert not tally.unanswered.counts


@pytest.mark.parametrize(
    ("reason", "text", "kind"),
    [
        ("other_rows", "0.1\n0.2\n", CSV),
        ("no_prediction", "perhaps", CSV),
        ("no_prediction", "{}", JSON),
        ("no_prediction", "7.5", CSV),  # no probability, and no class
        ("malformed", "{", JSON),
        ("content_type", "eA==", "image/png"),
    ],
)
def test_an_answer_that_cannot_be_read_does_not_lose_the_row(reason, text, kind):
    inputs, predictions, tally = read(event(answer=text, answered=kind))

    assert inputs.rows() == [("7", "Oslo")]
    assert predictions["prediction"].to_list() == [None]
    assert tally.unanswered.counts == {reason: 1}


def test_one_answer_that_is_none_does_not_lose_the_others():
    _, predictions, tally = read(event("7,a\n,b\n8,c", answer="0.1\nnan\n0.9\n"))

    assert predictions["prediction"].to_list() == ["false", None, "true"]
    assert tally.unanswered.counts == {"no_prediction": 1}
    assert "row 2" in tally.unanswered.examples["no_prediction"]


def test_an_output_that_was_not_captured_is_said():
    _, predictions, tally = read(event().replace("endpointOutput", "other"))

    assert predictions["prediction"].to_list() == [None]
    assert tally.unanswered.counts == {"no_output": 1}


@pytest.mark.parametrize("kind", [CSV, JSON, LINES])
def test_what_our_endpoint_renders_is_understood(kind):
    said = [{"score": 0.25, "label": False}, {"score": 0.75, "label": True}]
    answer = render(kind, said, "list").decode()

    _, predictions, _ = read(event("1,a\n2,b", answer=answer, answered=kind))

    assert predictions["prediction"].to_list() == ["false", "true"]
    assert predictions["probability"].to_list() == [0.25, 0.75]


def test_tallies_merge_and_survive_json():
    _, _, one = read(event(), "{}\n", event(event_id="b")[:-9])
    _, _, two = read("[]\n", event('{"wind":1,"gust":2}', JSON, "x", CSV))
    both = Tally()
    both.merge(Tally.parse(json.loads(json.dumps(one.document()))))
    both.merge(two)

    assert (both.files, both.lines, both.events, both.rows) == (2, 4, 2, 2)
    assert both.unreadable.counts == {"other_layout": 2}
    assert both.unreadable.examples == one.unreadable.examples
    assert both.unanswered.counts == {"no_prediction": 1}
    assert both.absent == {"origin": 1}
    assert both.extra == {"gust": 1}
    assert len(both.unfinished) == 1


def test_a_schema_survives_json():
    schema = BINARY.without(["origin"])
    assert Schema.parse(json.loads(json.dumps(schema.document()))) == schema
    assert BINARY.names == ("wind", "origin")
    assert BINARY.classes == ("false", "true")


def test_keys_tell_their_hour():
    key = object_key("capture/p/m", "e", "v", NOON + 61.25, "u")

    assert key == "capture/p/m/e/v/2026/11/21/12/01-01-250-u.jsonl"
    assert hour_of(key) == NOON
    assert hour_of("some/file.jsonl") is None
    assert hour_of("a/2026/13/41/12/x.jsonl") is None


def test_event_ids_are_remembered_beyond_the_recent_ones():
    ids = EventIds()
    many = [f"id-{n}" for n in range(70_000)]

    assert all(ids.add(name) for name in many)
    assert not any(ids.add(name) for name in many[::1_000])


@settings(max_examples=60, deadline=None)
@given(
    damage=st.lists(
        st.tuples(st.integers(0, 2_000), st.integers(1, 40), st.binary(max_size=20)), max_size=6
    ),
    chunk=st.sampled_from([7, 64, 1 << 20]),
)
def test_no_damage_makes_it_crash_and_every_line_is_accounted_for(damage, chunk):
    body = "".join(
        event('{"wind":7.5,"origin":"Åre"}', JSON, HALF, JSON, event_id=f"e{n}") for n in range(6)
    ).encode()
    for at, size, instead in damage:
        body = body[:at] + instead + body[at + size :]
    before = capture_lines.CHUNK
    capture_lines.CHUNK = chunk
    try:
        _, _, tally = read(body)
    finally:
        capture_lines.CHUNK = before

    blank = sum(1 for part in body.split(b"\n") if not part.strip(b" \t\r"))
    assert tally.events + tally.unreadable.counts.total() == tally.lines
    assert tally.lines + len(tally.unfinished) == len(body.split(b"\n")) - blank


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("capture.reader", ("onnxruntime", "xgboost", "boto3")),  # the data Lambdas have none
        ("capture.layout", ("polars", "numpy", "boto3")),  # endpoints load it
    ],
)
def test_no_module_loads_what_its_place_has_not(module, unwanted):
    code = f"import sys, tidemill_jobs.{module}; print({unwanted!r} & sys.modules.keys())"
    code = code.replace(repr(unwanted), repr(set(unwanted)))

    asked = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)

    assert asked.stdout == "set()\n"


def test_a_schema_says_what_columns_are_and_hashes_are_texts():
    assert BINARY.kinds == {"wind": "number", "origin": "category"}
    hashed = BINARY.hashed(["wind", "of no model"])
    assert hashed.kinds == {"wind": "category", "origin": "category"}
    assert Schema.parse(hashed.document()) == hashed
    known = {name: held for name, held in hashed.document().items() if name != "kinds"}
    assert Schema.parse(known).kinds == {}, "written before there were kinds"
