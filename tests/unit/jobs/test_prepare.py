"""Whole datasets through Prepare, on a lake on disk."""

import csv
import gzip
import io
import json

import polars as pl
import pytest

from tidemill_jobs import parts
from tidemill_jobs.baseline import FILES
from tidemill_jobs.errors import RefusedError
from tidemill_jobs.features import Features, transform_rows
from tidemill_jobs.packed import zstd


def table(prepared, name):
    return pl.concat(
        [pl.read_parquet(path) for path in sorted((prepared / name).glob("*.parquet"))]
    )


def test_a_dataset_becomes_splits_features_manifests_and_a_summary(
    run_prepare, prepared, lake, flights
):
    summary = run_prepare(flights(400), flights(200, seed=1), id="id")

    rows = summary["rows"]
    assert rows["read"] == 600
    assert rows["train"] + rows["validation"] + rows["test"] == 600
    assert rows["train"] == pytest.approx(360, abs=40)
    assert [file["verdict"] for file in summary["files"]] == ["used", "used"]
    assert summary["columns"]["wind"]["num_missing"] > 0
    assert json.loads((prepared / "summary.json").read_text()) == summary
    train = table(prepared, "train")
    assert train.columns == [
        "left.hour",
        "left.minute_of_day",
        "left.weekday",
        "left.month",
        "left.days",
        "wind",
        "night",
        "origin",
        "__target__",
    ]
    assert train.schema["wind"] == pl.Float32
    assert train.schema["origin"] == pl.String
    assert set(train["__target__"].unique()) == {0, 1}
    features = Features.parse((prepared / "features.json").read_text())
    assert features.target.classes == ("no", "yes")
    assert features.header == ("id", "left", "wind", "origin", "night")
    assert [entry.name for entry in features.dropped] == ["id"]


def test_manifests_list_what_was_written_and_the_last_lists_all(
    run_prepare, prepared, lake, flights
):
    run_prepare(flights())

    everything = json.loads((prepared / "prepared.manifest").read_text())
    assert lake.written[-1] == "s3://lake/prepared/prepared.manifest"
    assert everything[0] == {"prefix": "s3://lake/prepared/"}
    assert set(everything[1:]) == {
        "train/part-00000.parquet",
        "validation/part-00000.parquet",
        "test/part-00000.parquet",
        "features.json",
        "smoke.jsonl",
        "summary.json",
        "baseline/profile.json.gz",
        "baseline/statistics.json",
        "baseline/constraints.json",
    }
    for name, files in (
        ("train", ["train/part-00000.parquet"]),
        ("features", ["features.json"]),
        ("smoke", ["smoke.jsonl"]),
        ("baseline", [f"baseline/{name}" for name in FILES]),
    ):
        assert json.loads((prepared / f"{name}.manifest").read_text())[1:] == files
    assert all((prepared / name).is_file() for name in everything[1:])


def test_the_same_dataset_gives_the_same_bytes(run_prepare, prepared, flights):
    run_prepare(flights(), id="id")
    first = {path.name: path.read_bytes() for path in prepared.rglob("*") if path.is_file()}
    run_prepare(flights(), id="id")
    assert {p.name: p.read_bytes() for p in prepared.rglob("*") if p.is_file()} == first


def test_rows_stay_in_their_split_when_the_dataset_grows_and_files_change_places(
    run_prepare, prepared, flights
):
    def of_split(name):
        rows = table(prepared, name).select("wind", "left.days", "left.hour", "origin")
        return set(rows.fill_nan(-1.0).rows())

    run_prepare(flights(), id="id")
    before = of_split("test")
    run_prepare(flights(200, seed=1), flights(), id="id")

    assert before <= of_split("test")


def test_without_an_id_equal_rows_share_a_split(run_prepare, prepared, flights):
    once = "\n".join(line.partition(",")[2] for line in flights().splitlines())
    summary = run_prepare(once, once + "\n")
    assert all(rows % 2 == 0 for name, rows in summary["rows"].items() if name != "without_target")


def test_smoke_rows_are_test_rows_in_the_users_own_columns(run_prepare, prepared, flights):
    run_prepare(flights(), id="id", exclude=("night",))
    lines = (prepared / "smoke.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    features = Features.parse((prepared / "features.json").read_text())

    assert len(rows) == 20
    assert list(rows[0]) == ["id", "left", "wind", "origin"]
    found = transform_rows(features, rows)
    test = {
        tuple(r) for r in table(prepared, "test").select(features.numeric).fill_nan(None).rows()
    }
    for row in pl.DataFrame(found.numeric).fill_nan(None).rows():
        assert row in test


def test_rows_without_a_target_are_excluded_and_counted(run_prepare, flights):
    text = flights() + "".join(f"x{n},2026-01-11T10:30:00Z,5,Oslo,true,\n" for n in range(7))
    rows = run_prepare(text, id="id")["rows"]

    assert rows["without_target"] == 7
    assert rows["read"] == 407


def test_gzip_parquet_and_small_parts(run_prepare, prepared, flights, monkeypatch):
    monkeypatch.setattr(parts, "ROWS", 50)
    summary = run_prepare(("a.csv.gz", gzip.compress(flights().encode())), id="id")
    names = sorted(path.name for path in (prepared / "train").iterdir())
    assert names == [f"part-{number:05d}.parquet" for number in range(len(names))]
    assert table(prepared, "train").height == summary["rows"]["train"] > 200
    assert all(pl.read_parquet(p).height <= 50 for p in (prepared / "train").iterdir())


def as_parquet(text):
    file = io.BytesIO()
    pl.read_csv(text.encode(), try_parse_dates=True).write_parquet(file)
    return file.getvalue()


def as_json_lines(text):
    """Write numbers and truth values as such; times and categories are text in JSON."""
    rows = []
    for row in csv.DictReader(io.StringIO(text)):
        night, wind = row["night"] == "true", float(row["wind"]) if row["wind"] else None
        rows.append(json.dumps({**row, "night": night, "wind": wind}) + "\n")
    return "".join(rows).encode()


def as_tsv(text):
    return pl.read_csv(text.encode(), infer_schema=False).write_csv(separator="\t").encode()


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("a.parquet", as_parquet),
        ("a.parquet.zst", lambda text: zstd.compress(as_parquet(text))),
        ("a.jsonl", as_json_lines),
        ("a.jsonl.gz", lambda text: gzip.compress(as_json_lines(text))),
        ("a.tsv", as_tsv),
        ("a.tsv.zst", lambda text: zstd.compress(as_tsv(text))),
    ],
)
def test_the_same_rows_prepare_alike_in_every_format(run_prepare, prepared, flights, name, write):
    run_prepare(flights(), id="id")
    by_csv = {
        part: table(prepared, part).sort("wind", "left.days", "left.hour", "origin", "night")
        for part in ("train", "test")
    }
    features = (prepared / "features.json").read_text()
    run_prepare((name, write(flights())), id="id", format=name.split(".")[1])

    for part, frame in by_csv.items():
        again = table(prepared, part).sort("wind", "left.days", "left.hour", "origin", "night")
        assert again.equals(frame)
    assert (prepared / "features.json").read_text() == features


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ("id,left,wind,origin,night,late\nf,2026-01-01,3\n", "line 2 has 3 cells"),
        ("left,wind,origin,night,id\n1,2,3,4,5\n", "there is no column 'late', the target"),
        ("left,wind,origin,night,late\n1,2,3,4,yes\n", "there is no column 'id', the id"),
        ("id,late,wind\nf,yes,3\n", "it lacks the columns 'left', 'origin', 'night'"),
        (
            "id,left,wind,origin,night,late\nf,2026-01-01T00:00,windy,Oslo,true,yes\n",
            "line 2: column 'wind' holds 'windy'",
        ),
        (b"\xff\xfei\x00", "UTF-16"),
        ("", "the file is empty"),
    ],
)
def test_a_file_that_cannot_be_read_is_left_out_and_named_and_the_rest_goes_on(
    run_prepare, flights, broken, said
):
    summary = run_prepare(flights(), broken, flights(100, seed=2), id="id")

    verdicts = [file["verdict"] for file in summary["files"]]
    assert verdicts == ["used", "left_out", "used"]
    assert said in summary["files"][1]["reason"]
    assert summary["files"][1]["uri"] == "s3://lake/raw/f1.csv"
    assert summary["rows"]["read"] == 500


def test_a_column_that_few_files_have_is_not_read_and_named(run_prepare, prepared, flights):
    wider = "\n".join(
        f"{line},{'extra' if number == 0 else number}"
        for number, line in enumerate(flights(100, seed=3).splitlines())
    )
    summary = run_prepare(flights(), wider, id="id")

    assert summary["files"][1] == {
        "uri": "s3://lake/raw/f1.csv",
        "version_id": "v1",
        "rows": 100,
        "verdict": "used",
        "reason": "the columns 'extra' are in few files and were not read",
    }
    assert "extra" not in summary["columns"]


def test_a_declared_timestamp_must_hold_times(run_prepare, flights):
    bad = flights(100, seed=3).replace("2026-", "26-")
    summary = run_prepare(flights(), bad, id="id", timestamp="left")
    assert "column 'left' holds '26-" in summary["files"][1]["reason"]


def test_an_excluded_column_may_hold_anything(run_prepare, flights):
    mixed = flights().replace(",Oslo,", ",17,", 3)
    summary = run_prepare(mixed, id="id", exclude=("origin", "no-such-column"))
    assert "origin" not in summary["columns"]


def test_an_empty_column_is_dropped_with_the_reason(run_prepare, flights):
    lines = flights().splitlines()
    text = "\n".join(f"{line},{'gone' if not n else ''}" for n, line in enumerate(lines))
    summary = run_prepare(text, id="id")
    assert {"name": "gone", "reason": "every cell is missing"} in summary["dropped"]


def test_a_multiclass_and_a_regression_target(run_prepare, prepared, flights):
    def level(wind, origin):
        return "high" if wind > 30 else "mid" if wind > 12 else "low"

    run_prepare(flights(target=level), problem="multiclass", id="id")
    assert Features.parse((prepared / "features.json").read_text()).target.classes == (
        "high",
        "low",
        "mid",
    )
    run_prepare(flights(target=lambda wind, _: wind * 2), problem="regression", id="id")
    train = table(prepared, "train")
    assert train.schema["__target__"] == pl.Float64
    assert Features.parse((prepared / "features.json").read_text()).target.classes == ()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"outcome": lambda *_: "yes"}, "the target 'late' is 'yes' in every row"),
        ({"outcome": lambda *_: ""}, "the target column 'late' is empty in every row"),
        (
            {"target": "delay"},
            "the only file, f0.csv, cannot be used: there is no column 'delay', the target",
        ),
        ({"rows": 40}, "rows are left for training and 50 are the least"),
        ({"rows": 80, "test": 0.001}, "no row falls into the test split"),
        (
            {"problem": "regression"},
            "the target column 'late' holds category values, and a regression needs numbers",
        ),
        ({"problem": "regression", "outcome": lambda *_: 3}, "is 3 in every row"),
        ({"outcome": lambda wind, _: f"c{int(wind) % 3}"}, "3 different values"),
        ({"exclude": ("left", "wind", "origin", "night")}, "no column but the target"),
    ],
)
def test_a_dataset_that_cannot_train_is_refused_and_nothing_is_published(
    run_prepare, lake, flights, changes, said
):
    changes = dict(changes)
    text = flights(changes.pop("rows", 400), target=changes.pop("outcome", None))
    with pytest.raises(RefusedError, match=said):
        run_prepare(text, id="id", **changes)
    assert not any(uri.endswith(".manifest") for uri in lake.written)


def test_a_single_empty_file_is_refused(run_prepare):
    with pytest.raises(RefusedError, match=r"the only file, f0\.csv.*the file is empty"):
        run_prepare("")


def test_no_usable_file_names_the_first(run_prepare):
    with pytest.raises(
        RefusedError, match=r"none of the 2 files can be used; f0\.csv: the file is empty"
    ):
        run_prepare("", "a,b\n")


def test_a_dataset_of_no_files_is_refused(run_prepare):
    with pytest.raises(RefusedError, match="the dataset lists no file"):
        run_prepare()
