"""Files that nobody should send, against a baseline: an exit code, and at most one sentence."""

import base64
import gzip
import json
import random

import pytest

from tidemill_jobs.drift.__main__ import main
from tidemill_jobs.profile.__main__ import main as profile

CHANCE = random.Random(1)
ROWS = [
    f"{CHANCE.gauss(5, 2):.3f},{CHANCE.choice('xyz')},2026-01-{1 + day % 28:02d}T00:00:00"
    for day in range(1_000)
]
OBJECTS = [json.dumps(dict(zip("abt", row.split(","), strict=True))) for row in ROWS]
NO_SUCH_TIMES = (
    "0001-01-01T00:00:00", "9999-12-31T23:59:59", "292277026596-01-01T00:00:00Z", "2026-02-30",
)  # fmt: skip


def csv(rows, header="a,b,t"):
    return "".join(f"{line}\n" for line in (header, *rows)).encode()


def lines(cells):
    return "".join(f"{cell}\n" for cell in cells).encode()


@pytest.fixture(scope="module")
def baseline(tmp_path_factory):
    folder = tmp_path_factory.mktemp("learned")
    (folder / "learned.csv").write_bytes(csv(ROWS))
    assert profile([str(folder / "learned.csv"), "--out", str(folder)]) == 0
    return folder


@pytest.fixture
def judge(baseline, tmp_path, capsys):
    def run(name, content):
        (tmp_path / name).write_bytes(content)
        capsys.readouterr()
        code = main([str(baseline), str(tmp_path / name), "--out", str(tmp_path / "out")])
        said = capsys.readouterr().err
        path = tmp_path / "out" / "comparison.json"
        found = json.loads(path.read_text())["features"] if path.exists() else []
        return code, said, {one["feature"]: one["verdict"] for one in found}

    return run


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("empty.csv", b"", "the file is empty"),
        ("cut.csv", csv(ROWS)[:-22], "has 2 cells"),
        ("quote.csv", csv(['5.1,"x,2026', *ROWS]), "never closed"),
        ("latin.csv", csv(["1,\u00e9,2026-01-01"]).decode().encode("latin-1"), "is not UTF-8"),
        ("wide.csv", csv(ROWS).decode().encode("utf-16"), "is UTF-16"),
        ("cut.csv.gz", gzip.compress(csv(ROWS))[:-200], "ends too early"),
        ("cut.jsonl", lines(OBJECTS) + OBJECTS[0][:20].encode(), "line 1001 is no JSON"),
        ("coded.jsonl", lines(base64.b64encode(o.encode()).decode() for o in OBJECTS), "line 1 is"),
        ("nested.jsonl", lines(['{"a": {"v": 1}, "b": ["x"]}'] * 600), "'a' holds an object"),
        ("twice.jsonl", lines(['{"a": 1, "a": 2}'] * 600), "is there twice"),
        ("array.jsonl", lines(["[1, 2]", "3"]), "one JSON array"),
        ("noise.parquet", bytes(range(256)) * 20, "no readable Parquet"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(judge, name, content, says):
    code, said, found = judge(name, content)
    assert (code, found) == (2, {})
    assert says in said
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize(
    ("content", "code", "verdicts"),
    [
        (csv([]), 0, {"too_few_rows"}),
        (csv(ROWS[:1]), 0, {"too_few_rows"}),
        (csv(["7,x,2026-01-01"] * 600), 1, {"drifted", "not_judged"}),
        (csv((f"{n},{n}" for n in range(600)), "p,q"), 1, {"missing", "extra"}),
        (csv(f"1,x,{time}" for time in NO_SUCH_TIMES * 200), 1, {"drifted"}),
        (csv(f"{n},x,2026-01-01" for n in ("1e400", "-1e308", "nan", "9" * 25) * 200), 1, None),
        (csv(f"1,name {n},2026-01-01" for n in range(200_000)), 1, None),
        (csv(",".join(["1"] * 500) for _ in range(600)), 2, set()),
        (csv((",".join(["1"] * 500) for _ in range(600)), ",".join(f"c{n}" for n in range(500))),
         1, {"missing", "extra"}),
    ],
    ids=["no row", "one row", "constants", "another table", "no such times", "no such numbers",
         "200,000 categories", "more cells than columns", "500 columns"],
)  # fmt: skip
def test_what_is_odd_is_judged(judge, content, code, verdicts):
    got, said, found = judge("odd.csv", content)
    assert got == code
    assert bool(said) == (code == 2)
    assert verdicts is None or set(found.values()) == verdicts


def test_a_constant_feature_that_stays_is_no_drift(tmp_path, capsys):
    (tmp_path / "f.csv").write_bytes(csv(["7,x,2026-01-01"] * 600))
    assert profile([str(tmp_path / "f.csv"), "--out", str(tmp_path)]) == 0
    assert main([str(tmp_path), str(tmp_path / "f.csv"), "--out", str(tmp_path / "out")]) == 0
    assert "constant" in capsys.readouterr().out
