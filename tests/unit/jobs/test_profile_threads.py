import gzip
import threading

import numpy as np
import polars as pl
import pytest

from tidemill_jobs.errors import ReadError
from tidemill_jobs.profile import Profile, Profiler, files, separated
from tidemill_jobs.profile.files import ahead, profile_file

ROWS = 30_000


@pytest.fixture
def table(tmp_path):
    chance = np.random.default_rng(1)
    frame = pl.DataFrame(
        {
            "id": range(ROWS),
            "wind": chance.normal(size=ROWS),
            "gaps": [None if number % 3 else float(number % 7) for number in range(ROWS)],
            "city": [f"city {number}" for number in chance.integers(0, 90, ROWS)],
            "name": [f"name {number}" for number in range(ROWS)],
            "late": chance.random(ROWS) < 0.5,
        }
    )
    path = tmp_path / "rows"
    frame.write_csv(path.with_suffix(".csv"))
    frame.write_parquet(path.with_suffix(".parquet"), row_group_size=5_000)
    return path


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch):
    monkeypatch.setattr(separated, "BLOCK", 200_000)
    monkeypatch.setattr(files, "ROWS", 5_000)


@pytest.fixture(autouse=True)
def _no_thread_is_left():
    before = threading.active_count()
    yield
    assert threading.active_count() == before


@pytest.mark.parametrize("form", [".csv", ".parquet"])
def test_the_same_bytes_whatever_the_threads(table, monkeypatch, form):
    path = table.with_suffix(form)
    profiler = Profiler()
    for frame in files.batches(path):
        profiler.add(frame)
    found = [profiler.profile().dumps()]
    for threads in (1, 2, 7):
        monkeypatch.setattr(files, "THREADS", threads)
        found.append(profile_file(path).dumps())

    assert len(set(found)) == 1
    assert Profile.loads(found[0]).rows == ROWS


def test_what_fails_in_a_thread_is_raised(table, tmp_path):
    nested = tmp_path / "nested.parquet"
    pl.DataFrame({"a": [1, 2], "list": [[1], [2]], "z": [1, 2]}).write_parquet(nested)
    content = table.with_suffix(".csv").read_bytes()
    short = tmp_path / "short.csv"
    short.write_bytes(content + b"1,2\n")

    with pytest.raises(ReadError, match="column 'list' holds List"):
        profile_file(nested)
    with pytest.raises(ReadError, match=f"line {ROWS + 2} has 2 cells"):
        profile_file(short)


def test_a_panic_of_the_decoder_is_raised(table, monkeypatch):
    class PanicError(BaseException):
        pass

    def panic(*_):
        yield pl.DataFrame({"a": [1]})
        raise PanicError

    monkeypatch.setattr(files, "batches", panic)

    with pytest.raises(PanicError):
        profile_file(table.with_suffix(".csv"))


def test_only_one_frame_is_made_ahead():
    made = []

    def frames():
        for number in range(6):
            made.append(number)
            yield pl.DataFrame({"a": [number]})

    for used, frame in enumerate(ahead(frames())):
        assert frame["a"].to_list() == [used]
        assert len(made) <= used + 2
    assert len(made) == 6


def test_who_stops_early_leaves_nothing_behind(table, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    packed = tmp_path / "rows.csv.gz"
    packed.write_bytes(gzip.compress(table.with_suffix(".csv").read_bytes()))
    before = sorted(tmp_path.iterdir())
    frames = ahead(files.batches(packed))

    assert next(frames).height == 0
    assert next(frames).height > 0
    assert sorted(tmp_path.iterdir()) != before
    frames.close()
    assert sorted(tmp_path.iterdir()) == before
