"""`init`: a sample becomes a spec that compiles, and nothing is overwritten."""

import gzip
import json
from pathlib import Path

import pytest

from tidemill.spec.compile import compile_spec
from tidemill_cli import samples
from tidemill_cli.failures import MalformedError

ROWS = 120
TABLE = "order_id,placed_at,carrier,late\n" + "".join(
    f"O{n},2026-01-{1 + n % 28:02d}T10:00:00,{'AB'[n % 2]}A,{int(n % 3 == 0)}\n"
    for n in range(ROWS)
)


@pytest.fixture
def sample(tmp_path):
    path = tmp_path / "orders.txt"  # its content says that it is CSV
    path.write_text(TABLE)
    return path


def test_a_sample_becomes_a_spec_that_compiles(run, documented, sample, tmp_path):
    answer = run("init", "shop", "--data", str(sample), "--target", "late", "--json")

    assert answer.exit_code == 0, answer.output
    found = json.loads(answer.stdout)
    assert tuple(found) == documented("init")
    assert (found["problem"], found["id"], found["timestamp"], found["rows"]) == (
        *("binary", "order_id", "placed_at"),
        ROWS,
    )
    spec = compile_spec((tmp_path / "shop" / "model.yaml").read_bytes())
    assert (spec.ref, spec.data.format, spec.data.id) == ("shop/late", "csv", "order_id")
    held = json.loads((tmp_path / "shop" / "model.schema.json").read_text())
    assert held == json.loads(run("spec", "schema").stdout)


def test_an_existing_spec_stays(run, sample, tmp_path):
    (tmp_path / "model.yaml").write_text("mine\n")

    answer = run("init", ".", "--data", str(sample), "--target", "late")

    assert answer.exit_code == 1
    assert "model.yaml is there already and stays" in answer.stderr
    assert (tmp_path / "model.yaml").read_text() == "mine\n"


def told(monkeypatch, **facts):
    monkeypatch.setattr(samples, "asked", lambda *_: {"rows": ROWS, "status": "read", **facts})


def target(name):
    values = [{"value": "0", "count": 80}, {"value": "1", "count": 40}]
    return {
        "name": name,
        "missing": 0,
        "not_available": 0,
        "distinct": 2,
        "repeats": 118,
        "meanings": {"number": {"count": 120}},
        "values": values,
        "complete": True,
    }


def test_the_names_are_made_of_directory_and_target(run, sample, tmp_path, monkeypatch):
    told(monkeypatch, columns=[target("Is it LATE?")])

    answer = run("init", "Shop No. 1", "--data", str(sample), "--target", "Is it LATE?")

    assert answer.exit_code == 0, answer.output
    spec = compile_spec((tmp_path / "Shop No. 1" / "model.yaml").read_bytes())
    assert spec.ref == "shop-no-1/is-it-late"


@pytest.mark.parametrize(
    "case",
    [
        ("目标", (), "no name can be made of '目标'; give one with --model"),
        ("late", ("--project", "My Team"), "project is 'My Team'"),
        ("a\nb", ("--model", "m"), "data.target is no column's name"),
    ],
)
def test_a_name_that_cannot_be_is_refused_before_anything_is_written(
    run, sample, monkeypatch, case
):
    column, options, said = case
    told(monkeypatch, columns=[target(column)])

    answer = run("init", "shop", "--data", str(sample), "--target", column, *options)

    assert answer.exit_code == 2
    assert said in answer.stderr
    assert not Path("shop").exists()


def test_a_sample_that_cannot_be_read_says_why(run, tmp_path):
    (tmp_path / "a.csv").write_text("id,late\n1,0\n2,1,7\n")

    answer = run("init", "shop", "--data", "a.csv", "--target", "late")

    assert answer.exit_code == 1
    assert "a.csv cannot be read (" in answer.stderr


def test_what_reads_files_may_not_be_installed(run, sample, monkeypatch):
    monkeypatch.setattr(samples, "_installed", lambda module: module != "polars")

    answer = run("init", "shop", "--data", str(sample), "--target", "late")

    assert answer.exit_code == 3
    assert "pip install 'tidemill[jobs]'" in answer.stderr


def test_a_program_that_fails_is_said(sample, monkeypatch):
    with pytest.raises(MalformedError, match="invalid choice"):
        samples.asked("facts", str(sample), "--format", "xls")


@pytest.mark.parametrize(
    ("name", "content", "form"),
    [
        ("a.csv", b"a,b\n1,2\n", "csv"),
        ("a.csv", b"\xef\xbb\xbfa\tb,c\td\n", "tsv"),
        ("a.csv", b'  {"a": 1}\n', "jsonl"),
        ("a.csv", b"PAR1....", "parquet"),
        ("a", gzip.compress(b'{"a": 1}\n'), "jsonl"),
        ("a.csv.gz", b"\x1f\x8bbroken", "csv"),
        ("a.jsonl.zst", b"\x28\xb5\x2f\xfd....", "jsonl"),
        ("a.zst", b"\x28\xb5\x2f\xfd....", "csv"),
    ],
)
def test_the_content_says_what_the_format_is(tmp_path, name, content, form):
    path = tmp_path / name
    path.write_bytes(content)

    assert samples.format_of(path) == form


def test_a_file_without_content_is_no_sample(tmp_path):
    (tmp_path / "a.csv").touch()

    with pytest.raises(MalformedError, match="is empty"):
        samples.format_of(tmp_path / "a.csv")
    with pytest.raises(MalformedError, match="is a directory"):
        samples.format_of(tmp_path)
