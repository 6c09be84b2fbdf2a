"""Baselines are redacted as traffic is; what is not alike is not compared."""

import io
import json
import random
from datetime import datetime

import polars as pl
import pytest

from tidemill_jobs.capture.reader import CaptureReader
from tidemill_jobs.capture.rule import Rule
from tidemill_jobs.capture.schema import Schema
from tidemill_jobs.capture.writer import Answered, CaptureWriter
from tidemill_jobs.features import Features
from tidemill_jobs.prepare import prepare
from tidemill_jobs.profile import Profile, Profiler
from tidemill_jobs.redacted import WITHHELD, incomparable, redact_frame
from tidemill_jobs.redaction import Redaction, read_key
from tidemill_jobs.windows import look_at

KEY = bytes(range(32))
RULES = {"wind": "hash", "origin": "hash", "night": "drop"}


def test_tables_of_all_types_have_the_hashes_of_traffic():
    kinds = {"wind": "number", "left": "time", "origin": "category"}
    redaction = Redaction.of_columns(kinds, dict.fromkeys(kinds, "hash"), KEY)
    left = datetime(2026, 1, 1, 10)  # noqa: DTZ001  # as Parquet holds it
    typed = pl.DataFrame(
        {
            "wind": [7.0, None, float("nan"), 7.0],
            "left": [left, None, left, left],
            "origin": ["Oslo", "", None, "Rome"],
        }
    )
    texts = pl.DataFrame(
        {
            "wind": ["7", "", "NA", "7.00"],
            "left": ["2026-01-01T10:00Z", "", "2026-01-01 10:00", "2026-01-01T10:00:00"],
            "origin": ["Oslo", "", "null", "Rome"],
        }
    )

    hashed = redact_frame(typed, redaction)

    assert hashed.equals(redact_frame(texts, redaction))
    assert hashed.dtypes == [pl.String] * 3
    seven = redaction.cell("wind", 7)
    assert hashed["wind"].to_list() == [seven, None, None, seven]
    assert hashed["origin"].null_count() == 2


def test_without_a_key_there_is_no_column_instead_of_its_values():
    redaction = Redaction.of_columns({"a": "category", "b": "category"}, {"a": "hash"}, None)

    assert redact_frame(pl.DataFrame({"a": ["x"], "b": ["y"]}), redaction).columns == ["b"]


def test_a_key_is_hex_and_need_not_be_there(lake):
    lake.put_text(KEY.hex(), "s3://a/keys/p/m/capture")

    assert read_key(lake, "s3://a/keys/p/m/capture") == KEY
    assert read_key(lake, "s3://a/keys/p/other/capture") is None
    assert read_key(lake, "") is None


@pytest.fixture
def prepare_redacted(lake, tmp_path, make_spec, flights, prepared):
    def run(key=KEY):
        spec = make_spec(id="id", watch={"capture": {"redact": RULES}})
        work = tmp_path / "work"
        work.mkdir()
        upload = lake.upload("f.csv", flights())
        prepare(spec, [upload], lake, "s3://lake/prepared", work, key=key)
        profile = Profile.loads((prepared / "baseline" / "profile.json.gz").read_bytes())
        return profile, Features.parse((prepared / "features.json").read_text())

    return run


def test_a_baseline_of_hashes_is_that_of_the_traffic(prepare_redacted):
    """Rows like those that were trained on, asked as JSON and written by the endpoint."""
    baseline, features = prepare_redacted()
    assert set(baseline.columns) == {"left", "wind", "origin"}
    store = {"s3://a/k": KEY.hex()}
    rule = {"uri": "s3://lake/capture/p/m", "endpoint": "e", "variant": "v", "percent": 100}

    class Store:
        find_text = staticmethod(store.get)

        @staticmethod
        def put_text(text, uri):
            store[uri] = text

    told = json.dumps(rule | {"redact": RULES, "key_uri": "s3://a/k"})
    writer = CaptureWriter(Rule.parse(told), features, Store)
    rows = [
        {"left": "2026-01-01T10:00Z", "wind": 7.5, "origin": origin, "night": True}
        for origin in ("Oslo", "Rome", "Bonn", "Nice, FR", None)
    ]
    body = json.dumps(rows).encode()
    writer.record(Answered("application/json", "application/json", body, rows, "text/csv", b"", 0))
    writer.close()
    reader = CaptureReader(Schema.of(features).without(["night"]))
    profiler = Profiler()
    for uri in [uri for uri in store if uri.endswith(".jsonl")]:
        for batch in reader.read(io.BytesIO(store[uri].encode()), uri):
            profiler.add(batch.inputs)
    traffic = profiler.profile()

    assert not reader.tally.absent
    origins = baseline.column("origin").categories
    assert len(origins) == 4
    assert set(traffic.column("origin").categories) == set(origins)
    assert baseline.column("wind").kind == traffic.column("wind").kind == "category"
    assert incomparable(baseline, traffic, RULES) == ()


def test_a_baseline_without_a_key_has_no_such_columns(prepare_redacted):
    baseline, _ = prepare_redacted(key=None)

    assert set(baseline.columns) == {"left"}


PLAIN, HASHED = ["Oslo", "Rome"], ["h0123456789abcdef", "hfedcba9876543210"]


@pytest.mark.parametrize(
    ("trained", "asked", "rules", "left_out"),
    [
        (PLAIN, PLAIN, {}, ()),
        (HASHED, HASHED, {"a": "hash"}, ()),
        (PLAIN, HASHED, {"a": "hash"}, ("a",)),  # redacted since the version was trained
        (HASHED, PLAIN, {}, ("a",)),  # and no longer
        (HASHED, [*HASHED, "Oslo"], {"a": "hash"}, ("a",)),  # rolled out within the window
        (PLAIN, [WITHHELD], {"a": "hash"}, ("a",)),  # in force, and not rolled out yet
        (HASHED, [*HASHED, WITHHELD], {"a": "hash"}, ("a",)),
        ([1.5, 2.5], HASHED, {"a": "hash"}, ("a",)),
        (HASHED, [None, None], {"a": "hash"}, ()),  # lost upstream: that is to be told
        (PLAIN, None, {"a": "drop"}, ("a",)),
        (PLAIN, None, {}, ()),  # missing, and nobody dropped it
        (None, PLAIN, {}, ()),
    ],
)
def test_only_what_is_alike_is_compared(trained, asked, rules, left_out):
    def profile(values):
        profiler = Profiler()
        columns = {"b": [1, 2, 3]} | ({"a": (values * 3)[:3]} if values else {})
        profiler.add(pl.DataFrame(columns))
        return profiler.profile()

    assert incomparable(profile(trained), profile(asked), rules) == left_out


def test_numbers_that_are_not_hashed_yet_are_not_compared_as_texts():
    def profile(kind):
        profiler = Profiler({"a": kind})
        profiler.add(pl.DataFrame({"a": ["1", "2.5", "3"] * 5}))
        return profiler.profile()

    numbers, texts = profile("number"), profile("category")
    assert incomparable(numbers, texts, {"a": "hash"}) == ("a",)
    assert incomparable(texts, texts, {"a": "hash"}) == ()
    assert incomparable(numbers, texts, {}) == ()  # nothing to do with redaction: to be told


def test_a_shift_is_seen_through_hashes_and_another_redaction_is_none():
    draw = random.Random(1)
    redaction = Redaction.of_columns({"a": "category"}, {"a": "hash"}, KEY)
    spec = json.dumps({"watch": {"capture": {"redact": {"a": "hash"}}}})

    def profile(weights, *, hashed=True):
        texts = pl.DataFrame({"a": draw.choices(["Oslo", "Rome", "Bonn"], weights, k=2_000)})
        profiler = Profiler()
        profiler.add(redact_frame(texts, redaction) if hashed else texts)
        return profiler.profile().dumps()

    learned = profile((5, 3, 2))

    assert look_at(spec, learned, [profile((5, 3, 2))], [])["drifted"] == {}
    assert look_at(spec, learned, [profile((1, 3, 6))], [])["drifted"]["a"] > 0.3
    plain = look_at(spec, learned, [profile((1, 3, 6), hashed=False)], [])
    assert (plain["drifted"], plain["broken"]) == ({}, {})
