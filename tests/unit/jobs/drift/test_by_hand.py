"""`python -m tidemill_jobs.drift BASELINE_DIR FILE --out DIR`."""

import gzip
import json

import numpy as np
import polars as pl
import pytest

from tidemill_jobs.drift import Comparison, Triage
from tidemill_jobs.drift.__main__ import main
from tidemill_jobs.profile import FILE_NAME, Profiler

ROWS = 2_000


def frame(seed=1, count=ROWS):
    random = np.random.default_rng(seed)
    fare = random.gamma(2.0, 20.0, count).round(2)
    return pl.DataFrame({"fare": fare, "plan": random.choice(["basic", "pro"], count)})


@pytest.fixture
def baseline(tmp_path):
    profiler = Profiler()
    profiler.add(frame())
    folder = tmp_path / "baseline"
    folder.mkdir()
    (folder / FILE_NAME).write_bytes(profiler.profile().dumps())
    return folder


def test_no_violation(baseline, tmp_path, capsys):
    frame(2).write_csv(tmp_path / "now.csv")

    assert main([str(baseline), str(tmp_path / "now.csv"), "--out", str(tmp_path / "out")]) == 0

    out = capsys.readouterr().out
    assert out.startswith("2,000 rows against 2,000: same\n")
    assert "Triage: none." in out


@pytest.mark.parametrize("ending", ["csv", "parquet", "ndjson"])
def test_the_format_of_a_file_is_no_drift(baseline, tmp_path, ending):
    path = tmp_path / f"now.{ending}"
    getattr(frame(2), f"write_{ending}")(path)

    assert main([str(baseline), str(path), "--out", str(tmp_path / "out")]) == 0


def test_violations_are_printed_and_written(baseline, tmp_path, capsys):
    frame(2).with_columns(pl.col("fare") * 100).write_parquet(tmp_path / "now.parquet")
    out = tmp_path / "new" / "out"

    assert main([str(baseline), str(tmp_path / "now.parquet"), "--out", str(out)]) == 1

    printed = capsys.readouterr().out
    assert "(baseline_drift_check)" in printed
    assert "Triage: broken_upstream. The data of 'fare' looks broken: 'fare' was mult" in printed
    comparison = Comparison.parse(json.loads((out / "comparison.json").read_text()))
    assert list(comparison.drifted) == ["fare"]
    assert Triage.parse(json.loads((out / "triage.json").read_text())).broken.keys() == {"fare"}
    assert main([str(baseline), str(out / FILE_NAME), "--out", str(out), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["triage"]["kind"] == "broken_upstream"


def test_settings(baseline, tmp_path):
    frame(2).with_columns(pl.col("fare") * 1.5).head(400).write_csv(tmp_path / "now.csv")
    asked = [str(baseline), str(tmp_path / "now.csv"), "--out", str(tmp_path / "out")]

    assert main(asked) == 0  # too few rows
    assert main([*asked, "--minimum-rows", "100"]) == 1
    assert main([*asked, "--minimum-rows", "100", "--ignore", "fare"]) == 0
    assert main([*asked, "--minimum-rows", "100", "--distance", "simple", "--threshold", ".9"]) == 0


def test_what_a_column_was_declared_as_holds_for_the_file(tmp_path):
    """Codes that are declared a category stay one, though they look like numbers."""
    codes = pl.DataFrame({"code": [str(n % 7) for n in range(ROWS)]})
    profiler = Profiler({"code": "category"})
    profiler.add(codes)
    (tmp_path / FILE_NAME).write_bytes(profiler.profile().dumps())
    codes.write_csv(tmp_path / "now.csv")

    assert main([str(tmp_path), str(tmp_path / "now.csv"), "--out", str(tmp_path / "out")]) == 0


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda folder, file: (folder / FILE_NAME).unlink(), "No such file"),
        (lambda folder, file: (folder / FILE_NAME).write_bytes(b"x"), "is no profile"),
        (
            lambda folder, file: (folder / FILE_NAME).write_bytes(gzip.compress(b'{"version":99}')),
            "version 99",
        ),
        (lambda folder, file: file.unlink(), "now.csv"),
        (lambda folder, file: file.write_bytes(b"a,b\n1\n"), "has 1 cell where"),
        (lambda folder, file: file.rename(file.with_suffix(".odt")), "now.csv"),
    ],
)
def test_what_cannot_be_used(baseline, tmp_path, capsys, spoil, says):
    path = tmp_path / "now.csv"
    frame(2).write_csv(path)
    spoil(baseline, path)

    assert main([str(baseline), str(path), "--out", str(tmp_path / "out")]) == 2

    error = capsys.readouterr().err
    assert says in error
    assert len(error.splitlines()) == 1


def test_a_file_without_rows_has_too_few(baseline, tmp_path, capsys):
    (tmp_path / "now.csv").write_text("fare,plan\n")

    assert main([str(baseline), str(tmp_path / "now.csv"), "--out", str(tmp_path / "out")]) == 0
    assert "0 rows against 2,000: too_few_rows" in capsys.readouterr().out
