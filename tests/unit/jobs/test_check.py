"""A check reads each object version once; whatever comes, the others get their facts."""

import json
import random
import subprocess
import sys

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tidemill_jobs import __main__ as entry
from tidemill_jobs import check, facts, packs, reader
from tidemill_jobs.check import Plan, check_objects
from tidemill_jobs.contract.facts import Facts, facts_id, same_bytes
from tidemill_jobs.errors import JobError

FOLDER = "s3://artifacts/checks/air/late/facts/d-1"
TABLE = "id,wind,origin\na,1.5,Oslo\nb,,Rome\nc,30,Oslo\n"


@pytest.fixture
def run(lake, tmp_path, make_spec):
    def run(*versions, seconds_left=None, part="0001-0000", **spec):
        work = tmp_path / f"check{len(list(tmp_path.iterdir()))}"
        work.mkdir()
        plan = Plan(make_spec(**spec), FOLDER, part, versions)
        done = check_objects(plan, lake, work, seconds_left=seconds_left)
        assert not list(work.iterdir())
        return done

    return run


@pytest.fixture
def read(lake):
    def read(version):
        """Return the newest facts of an upload, as whoever concludes a check finds them."""
        wanted = facts_id(version.uri, version.version_id)
        for name in sorted(lake.names(f"{FOLDER}/"), reverse=True):
            head, *lines = lake.find_text(f"{FOLDER}/{name}").splitlines()
            found = dict(zip(json.loads(head)["ids"], lines, strict=True))
            if wanted in found:
                return Facts.parse(found[wanted])
        return None

    return read


def test_facts_count_what_cells_could_mean_and_where_the_first_is(run, read, lake):
    version = lake.upload("a.csv", 'a,b,c\n1,x,2026-01-01\n2.5,"y\nz",NA\n007,x,\n')

    run(version)

    a, b, c = read(version).columns
    assert {name: (seen.count, seen.row) for name, seen in a.meanings.items()} == {
        "number": (2, 2),
        "code": (1, 5),  # the line, behind a quoted line break
    }
    assert (a.numbers.low, a.numbers.high, a.numbers.high_row) == (1, 2.5, 3)
    assert [(one.value, one.count, one.row) for one in b.values] == [("x", 2, 2), ("y\nz", 1, 3)]
    assert (b.complete, b.distinct, b.repeats, b.repeat.row) == (True, 2, 1, 5)
    assert (c.missing, c.missing_row, c.not_available) == (1, 5, 1)
    assert c.times.low == c.times.high == 20_454 * 1_440


def test_a_typed_format_says_itself_what_is_text(run, read, lake, tmp_path):
    pl.DataFrame(
        {"a": ["1", "2"], "n": [1, None], "yes": [True, False], "x": [0.5, 2.0]}
    ).write_parquet(tmp_path / "t.parquet")
    version = lake.upload("t.parquet", (tmp_path / "t.parquet").read_bytes())

    run(version, format="parquet")

    found = read(version)
    assert (found.unit, found.typed, found.rows) == ("row", True, 2)
    assert [list(column.meanings) for column in found.columns] == [
        ["text"], ["number"], ["boolean"], ["number"],
    ]  # fmt: skip
    assert [column.stored for column in found.columns] == ["text", "number", "boolean", "number"]
    assert [one.value for one in found.find("x").values] == ["0.5", "2"]


def test_what_cannot_be_read_has_facts_that_say_why(run, read, lake):
    bad, good = lake.upload("bad.csv", "a,b\n1,2\n3\n"), lake.upload("good.csv", TABLE)

    assert len(run(bad, good)) == 2
    found = read(bad)
    assert (found.status, found.rule, found.row) == ("unreadable", "ragged_row", 3)
    assert found.next_step.endswith(".")
    assert found.sha256
    assert read(good).status == "read"


def test_a_deleted_version_has_facts_too(run, read, lake):
    gone = lake.upload("gone.csv", TABLE)
    lake._path(gone.uri).unlink()

    run(gone)

    assert read(gone).rule == "gone"


def test_a_fault_of_the_reader_stops_no_other_file_and_is_tried_again(run, read, lake, monkeypatch):
    first, second = lake.upload("1.csv", TABLE), lake.upload("2.csv", TABLE)
    honest = reader.read
    with monkeypatch.context() as patch:
        patch.setattr(
            reader,
            "read",
            lambda path, name, *a: 1 / 0 if name == "1.csv" else honest(path, name, *a),
        )
        assert len(run(first, second)) == 2
    assert read(first).rule == "reader_failed"
    assert "ZeroDivisionError" in read(first).reason

    run(first, second)

    assert read(first).status == "read"


def test_known_facts_are_not_read_again_unless_the_spec_reads_otherwise(run, lake):
    version = lake.upload("a.csv", TABLE)
    run(version)
    assert len(lake.written) == 1

    assert run(version) == [facts_id(version.uri, "v1")]
    assert len(lake.written) == 1

    run(version, exclude=("wind",))
    assert len(lake.written) == 2


def test_it_stops_while_time_is_left_and_goes_on_later(run, read, lake, caplog):
    versions = [lake.upload(f"{number}.csv", TABLE) for number in range(40)]
    seconds = iter([100.0, 99.0, 3.0])

    done = run(*versions, seconds_left=lambda: next(seconds))

    assert done == [facts_id(version.uri, "v1") for version in versions[:2]]
    assert "2.csv" in caplog.text
    assert len(run(*versions)) == 40
    assert len(lake.written) == 2, "what was read before, and the rest"
    assert all(read(version) for version in versions)


def test_many_files_are_a_few_packs(run, read, lake, monkeypatch):
    monkeypatch.setattr(packs, "MOST_FILES", 4)
    versions = [lake.upload(f"{number}.csv", TABLE) for number in range(10)]

    assert len(run(*versions)) == 10
    assert [name[:9] for name in sorted(lake.names(f"{FOLDER}/"))] == ["0001-0000"] * 3
    assert all(read(version) for version in versions)


def test_another_part_of_the_same_attempt_is_not_looked_at(run, lake, monkeypatch):
    one, other = lake.upload("1.csv", TABLE), lake.upload("2.csv", TABLE)
    run(one)
    found = []
    honest = lake.find_text
    monkeypatch.setattr(lake, "find_text", lambda uri: found.append(uri) or honest(uri))

    run(other, part="0001-0001")
    assert found == [], "its files are others"
    run(one, other, part="0002-0000")
    assert len(found) == len(lake.written) == 2


def test_two_that_read_one_part_at_once_lose_nothing(run, read, lake):
    """A Lambda whose answer was lost goes on beside the one that is to do its work."""
    versions = [lake.upload(f"{number}.csv", TABLE) for number in range(3)]
    honest, reads = lake.read, []

    def slow(version, path):
        if not reads.append(version) and len(reads) == 2:  # in the middle of the first
            lake.read = honest
            run(*versions[::-1])
        return honest(version, path)

    lake.read = slow
    assert len(run(*versions)) == 3
    assert len(lake.written) == 2
    assert all(read(version) for version in versions)


def test_a_pack_of_a_version_that_is_not_known_is_no_answer(run, read, lake):
    version = lake.upload("a.csv", TABLE)
    lake.put_text('{"version": 9}\n', f"{FOLDER}/0001-0000-0000-abc.jsonl")

    assert len(run(version)) == 1


def test_a_file_as_slow_as_one_before_is_not_begun_too_late(run, lake):
    """Many columns take long, and no size says that there are many."""
    versions = [lake.upload(f"{number}.csv", TABLE) for number in range(4)]
    seconds = iter([100.0, 70.0, 40.0])

    assert len(run(*versions, seconds_left=lambda: next(seconds))) == 2


@pytest.mark.parametrize(("name", "begun"), [("a.jsonl", 1), ("a.jsonl.gz", 0), ("a.parquet", 0)])
def test_what_is_packed_needs_the_time_of_what_it_unpacks_to(run, lake, name, begun):
    version = lake.upload(name, b"x" * check.BYTES_PER_SECOND)
    left = check.RESERVE + check.UNPACKED - 1

    assert len(run(version, seconds_left=lambda: left, format="jsonl")) == begun


def test_an_object_that_cannot_be_transferred_is_left(run, lake, monkeypatch):
    denied, good = lake.upload("denied.csv", TABLE), lake.upload("good.csv", TABLE)
    honest = lake.read

    def fetch(version, path):
        if version == denied:
            raise JobError("access denied")
        return honest(version, path)

    monkeypatch.setattr(lake, "read", fetch)

    assert run(denied, good, good) == [facts_id(good.uri, "v1")]


def test_facts_that_cannot_be_written_are_left_too(run, lake, monkeypatch):
    first, second = lake.upload("1.csv", TABLE), lake.upload("2.csv", TABLE)
    monkeypatch.setattr(packs, "MOST_FILES", 1)
    honest = lake.put_text

    def put(text, uri):
        if facts_id(first.uri, "v1") in text:
            raise JobError("access denied")
        honest(text, uri)

    monkeypatch.setattr(lake, "put_text", put)

    assert run(first, second) == [facts_id(second.uri, "v1")]


def test_a_wide_file_keeps_its_facts_small(run, read, lake):
    names = [f"c{number}" for number in range(1_000)]
    rows = [",".join(f"v{(number * row) % 97}" for number in range(1_000)) for row in range(100)]
    version = lake.upload("wide.csv", "\n".join([",".join(names), *rows]))

    run(version)

    found = read(version)
    assert len(found.columns) == 1_000
    assert max(len(column.values) for column in found.columns) <= 50
    assert len(found.to_json()) < 2_000_000


def test_a_long_cell_is_cut_and_still_differs_from_its_like(run, read, lake):
    version = lake.upload("a.csv", f"a,b\n{'x' * 5_000}1,1\n{'x' * 5_000}2,1\n")

    run(version)

    values = [one.value for one in read(version).find("a").values]
    assert {len(value) for value in values} == {128}
    assert len(set(values)) == 2


def test_identical_bytes_are_seen_whatever_the_key(run, read, lake):
    one, copy, other = (lake.upload(name, text) for name, text in
                        (("1.csv", TABLE), ("copy.csv", TABLE), ("3.csv", TABLE[:-1])))  # fmt: skip
    run(one, copy, other)

    assert same_bytes(read(one), read(copy))
    assert not same_bytes(read(one), read(other))


cells = st.sampled_from(
    ["", "1", "2.5", "-3e2", "007", "true", "2026-01-01", "x", "NA", "y z", "∞"]
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(cells, cells), min_size=1, max_size=30), seed=st.integers())
def test_facts_of_shuffled_rows_agree_in_counts(tmp_path, rows, seed):
    shuffled = random.Random(seed).sample(rows, len(rows))

    assert _counts(tmp_path, rows) == _counts(tmp_path, shuffled)


def _counts(folder, rows):
    path = folder / "object"
    path.write_text("\n".join(["a,b", *(",".join(row) for row in rows)]) + "\n")
    version = check.ObjectVersion("s3://lake/object.csv", "v1", path.stat().st_size)
    found = check.facts_of(path, version, "", check.ReadAs("csv", None, ()))
    assert found.status == "read", found.reason
    return [
        (
            column.missing,
            column.not_available,
            {meaning: seen.count for meaning, seen in column.meanings.items()},
            column.numbers and (column.numbers.low, column.numbers.high, column.numbers.quantiles),
            column.times and column.times.quantiles,
            (column.distinct, column.repeats, column.complete),
            [(one.value, one.count) for one in column.values],
        )
        for column in found.columns
    ]


def test_facts_survive_their_document(run, read, lake):
    version = lake.upload("a.csv", TABLE)
    run(version)
    found = read(version)

    assert Facts.parse(found.to_json()) == found
    with pytest.raises(JobError, match="version 9"):
        Facts.parse(json.dumps({**json.loads(found.to_json()), "version": 9}))
    with pytest.raises(JobError, match="no facts document"):
        Facts.parse("[]")


SPEC = {
    "version": 1,
    "data": {"format": "csv", "target": "wind", "id": None, "timestamp": None, "exclude": []},
    "prepare": {"validation": 0.1, "test": 0.1, "seed": 1},
    "train": {"problem": "regression"},
}


def test_the_job_reads_its_plan_and_says_what_it_did(container, lake, monkeypatch):
    monkeypatch.setattr(check, "Lake", lambda: lake)
    version = lake.upload("a.csv", TABLE)
    entries = [{"uri": version.uri, "version_id": "v1", "etag": "e", "size": version.size}]
    plan = {
        "version": 2, "spec": SPEC, "facts": f"{FOLDER}/", "part": "0001-0000", "objects": entries,
    }  # fmt: skip
    folder = container.processing_input("plan")
    folder.mkdir(parents=True)
    (folder / "plan.json").write_text(json.dumps(plan))

    assert entry.run(container, ["check"]) == 0

    assert (container.base / "output" / "message").read_text() == "Checked 1 files."
    _, line, _ = lake.find_text(lake.written[0]).split("\n")
    assert json.loads(line)["etag"] == "e"


@pytest.mark.parametrize("text", ["{}", "[]", "no", '{"version": 1}', '{"version": 2}'])
def test_a_plan_that_is_none_is_refused(text):
    with pytest.raises(JobError, match="plan"):
        Plan.parse(text)


def test_facts_by_hand(tmp_path, capsys):
    good, bad = tmp_path / "flights.csv", tmp_path / "bad.data"
    good.write_text(TABLE)
    bad.write_text("a,b\n1\n")

    assert facts.main([str(good)]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == 3
    assert facts.main([str(bad), "--format", "csv"]) == 1
    assert json.loads(capsys.readouterr().out)["rule"] == "ragged_row"
    with pytest.raises(SystemExit) as left:
        facts.main([str(bad)])
    assert left.value.code == 2


def test_the_image_knows_the_word_facts(tmp_path):
    (tmp_path / "a.csv").write_text(TABLE)
    asked = subprocess.run(
        [sys.executable, "-m", "tidemill_jobs", "facts", str(tmp_path / "a.csv")],
        capture_output=True, check=True, text=True,
    )  # fmt: skip

    assert json.loads(asked.stdout)["status"] == "read"


PURE = """
import sys, tidemill_jobs.contract.facts
print(sorted({"polars", "numpy", "boto3", "duckdb"} & set(sys.modules)))
"""


def test_what_judges_facts_needs_no_polars():
    asked = subprocess.run(
        [
            sys.executable,
            "-c",
            PURE,
        ],
        capture_output=True, check=True, text=True,
    )  # fmt: skip

    assert asked.stdout.strip() == "[]"
