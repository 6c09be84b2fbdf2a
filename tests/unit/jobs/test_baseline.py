"""A version's baseline: of its training rows, and of what it answers on held-out ones."""

import io
import json
from types import SimpleNamespace

import polars as pl
import pytest

from tidemill_jobs import baseline, schema
from tidemill_jobs.baseline import Baseline, prediction_feature
from tidemill_jobs.drift.findings import DriftSettings
from tidemill_jobs.errors import JobError
from tidemill_jobs.features import Features
from tidemill_jobs.monitor import monitoring_config
from tidemill_jobs.profile import Profiler
from tidemill_jobs.reader import RawFile

WATCH = {"drift": {"distance": "simple", "threshold": 0.2}, "metrics": "none"}


@pytest.fixture
def made(prepared):
    """The baseline that Prepare has left."""
    return lambda: Baseline.read(prepared / "baseline")


def test_it_is_of_the_training_rows_and_of_the_columns_that_the_model_reads(
    run_prepare, prepared, made, flights
):
    summary = run_prepare(flights(600), id="id", watch=WATCH)

    features = Features.parse((prepared / "features.json").read_text())
    profile = made().profile
    assert profile.rows == summary["rows"]["train"]
    assert tuple(profile.columns) == features.names == ("left", "wind", "origin", "night")
    assert {name: column.kind for name, column in profile.columns.items()} == {
        "left": "time",
        "wind": "number",
        "origin": "category",
        "night": "boolean",
    }
    origin = profile.columns["origin"]
    assert set(origin.categories) == {"Oslo", "Rome", "Bonn", "Nice, FR"}
    assert sum(origin.categories.values()) == profile.rows
    constraints = json.loads((prepared / "baseline" / "constraints.json").read_text())
    assert constraints["monitoring_config"] == monitoring_config(
        DriftSettings(distance="simple", threshold=0.2), emits_metrics=False
    )


def test_files_and_the_order_of_rows_do_not_matter(run_prepare, made, flights, lake):
    whole = flights(400)
    header, *lines = whole.splitlines()
    run_prepare(whole, id="id")
    once = made()

    halves = ["\n".join([header, *part]) + "\n" for part in (lines[150:][::-1], lines[:150])]
    run_prepare(*halves, id="id")

    parts = made()
    for name, column in once.profile.columns.items():
        other = parts.profile.columns[name]
        assert (other.rows, other.missing, other.distinct) == (
            column.rows, column.missing, column.distinct,
        )  # fmt: skip
        assert other.categories == column.categories
    assert parts.profile.columns["wind"].numbers.sketch.rank(20) == pytest.approx(
        once.profile.columns["wind"].numbers.sketch.rank(20)
    )


def test_the_format_of_the_uploads_does_not_matter(run_prepare, made, flights):
    text = flights(400)
    frame = pl.read_csv(io.StringIO(text), try_parse_dates=True)
    parquet = io.BytesIO()
    frame.write_parquet(parquet)
    rows = [{**row, "left": row["left"].isoformat(), "id": row["id"]} for row in frame.to_dicts()]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    kept = []
    for form, upload in (
        ("csv", text),
        ("parquet", ("f.parquet", parquet.getvalue())),
        ("jsonl", ("f.jsonl", lines)),
    ):
        # Without an id a row's split follows from its cells, which differ by format: with one not.
        run_prepare(upload, id="id", format=form)
        kept.append(made().profile)
    csv, *others = kept
    for other in others:
        assert other.rows == csv.rows
        for name, column in csv.columns.items():
            assert other.columns[name].kind == column.kind
            assert other.columns[name].missing == column.missing
            assert other.columns[name].categories == column.categories


def test_what_was_read_from_the_cells_says_the_same_as_the_cells():
    kinds = {"wind": "number", "left": "time", "night": "boolean", "zip": "category"}
    frame = pl.DataFrame(
        {
            "wind": ["1", "1.0", " 2.50", "1e3", "0.1", "NA", None, "-0.0", "16777217", "-7"],
            "left": ["2026-01-01", "2026-01-01T00:00Z", "2026-01-01T02:00+02:00", *[None] * 7],
            "night": ["true", "True", "FALSE", None, " true", "NA", None, "true", "false", "N/A"],
            "zip": ["10115", "010", "NA", "None", "true", "a ", None, "1.0", "1", "2026-01-01"],
        }
    )
    cells, values = Profiler(kinds), Profiler(kinds)
    cells.add(frame)
    typed = schema.typed(RawFile(frame, str, typed=False), kinds)
    values.add(baseline.as_asked(frame, typed, kinds, pl.Series([True] * frame.height)))

    for name, column in cells.profile().columns.items():
        other = values.profile().columns[name]
        assert (other.missing, other.kinds, other.categories) == (
            column.missing, column.kinds, column.categories,
        ), name  # fmt: skip
        assert not column.numbers or other.numbers.std_dev == pytest.approx(column.numbers.std_dev)


def test_rows_without_a_target_are_no_training_rows(run_prepare, made, flights):
    header, *lines = flights(300).splitlines()
    unknown = [line.rpartition(",")[0].replace("f0-", "g0-") + "," for line in lines[:50]]

    summary = run_prepare("\n".join([header, *lines, *unknown]) + "\n", id="id")

    assert summary["rows"]["without_target"] == 50
    assert made().profile.rows == summary["rows"]["train"]


def test_answers_are_a_feature_of_their_own_number_of_rows(run_prepare, made, flights):
    run_prepare(flights(300), id="id")
    before = made()

    whole = before.with_answers(pl.Series([0.25, 0.5, 0.5, 0.75]))

    assert whole.profile.rows == before.profile.rows
    answers = whole.profile.columns["prediction"]
    assert (answers.rows, answers.kind, answers.numbers.mean) == (4, "number", 0.5)
    assert whole.monitoring == before.monitoring
    files = whole.files()
    named = [entry["name"] for entry in json.loads(files["statistics.json"])["features"]]
    assert named == [*before.profile.columns, "prediction"]
    constraints = json.loads(files["constraints.json"])
    assert constraints["features"][-1]["num_constraints"] == {"is_non_negative": True}
    assert files == whole.files(), "the same baseline has the same bytes"


def test_labels_are_categories_even_if_they_are_numbers(run_prepare, made, flights):
    run_prepare(flights(300), id="id")

    found = made().with_answers(pl.Series(["1", "2", "1"])).profile.columns["prediction"]

    assert (found.kind, found.categories) == ("category", {"1": 2, "2": 1})


def test_a_column_called_prediction_stays_what_it_is():
    assert prediction_feature(["wind"]) == "prediction"
    assert prediction_feature(["wind", "prediction"]) == "prediction_"
    profiler = Profiler()
    profiler.add(pl.DataFrame({"prediction": ["sun", "rain"]}))
    features = SimpleNamespace(names=("prediction",))
    made = baseline.of_inputs(profiler.profile(), features, {})

    whole = made.with_answers(pl.Series([0.1, 0.2]))

    assert [column.kind for column in whole.profile.columns.values()] == ["category", "number"]
    assert list(whole.profile.columns) == ["prediction", "prediction_"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("constraints.json", b"[]", "constraints.json of the baseline is damaged"),
        ("constraints.json", b"{", "constraints.json of the baseline is damaged"),
        ("profile.json.gz", b"no", "is no profile"),
    ],
)
def test_damage_is_named(tmp_path, name, content, said):
    profiler = Profiler({"wind": "number"})
    profiler.add(pl.DataFrame({"wind": [1.0, 2.0]}))
    whole = Baseline(profiler.profile(), {})
    for file, data in {**whole.files(), name: content}.items():
        (tmp_path / file).write_bytes(data)

    with pytest.raises(JobError, match=said):
        Baseline.read(tmp_path)
