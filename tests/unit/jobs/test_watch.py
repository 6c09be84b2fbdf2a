"""Captured traffic becomes partial profiles, a window at a time, here or in a job."""

import io
import json
import tarfile

import polars as pl
import pytest

from tidemill_jobs import watch
from tidemill_jobs.__main__ import run
from tidemill_jobs.capture.event_ids import counted_twice
from tidemill_jobs.capture.layout import line, object_key, payload
from tidemill_jobs.container import Container
from tidemill_jobs.errors import GoneError, JobError
from tidemill_jobs.features import Column, Features, Target
from tidemill_jobs.lake import ObjectVersion
from tidemill_jobs.profile import Profile
from tidemill_jobs.redacted import WITHHELD
from tidemill_jobs.watch import Plan, partial_id, profile_windows

NOON = 1_795_262_400  # 2026-11-21T12:00:00Z
MODEL = "s3://artifacts/models/air/late/run-1/model.tar.gz"
RESULTS = "s3://lake/watch/air/late"


class MemoryLake:
    """Objects by URI; notes what is written, in order."""

    def __init__(self):
        self.objects, self.written = {}, []

    def put(self, uri, body):
        self.objects[uri] = body
        self.written.append(uri)

    def find_text(self, uri):
        body = self.objects.get(uri)
        return body.decode() if body is not None else None

    def fetch(self, uri, path):
        if uri not in self.objects:
            return False
        path.write_bytes(self.objects[uri])
        return True

    def read(self, version, path):
        if version.uri not in self.objects:
            raise GoneError(version.uri)
        path.write_bytes(self.objects[version.uri])
        return ""

    def put_file(self, path, uri):
        self.put(uri, path.read_bytes())

    def put_text(self, text, uri):
        self.put(uri, text.encode())


def features(problem="binary", classes=(False, True), names=("wind", "origin")):
    columns = tuple(Column(name, "category", (name,), categories=("a",)) for name in names)
    return Features(problem, Target("late", classes), names, columns, (), ())


def archive(found):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        text = found.to_json().encode() if found else b""
        info = tarfile.TarInfo("features.json" if found else "model.onnx")
        info.size = len(text)
        tar.addfile(info, io.BytesIO(text))
    return out.getvalue()


def asked(rows, answers, *, at=NOON, event_id="e"):
    data = json.dumps({"instances": rows})
    said = json.dumps({"predictions": answers})
    return line(
        {
            "endpointInput": payload("application/json", "INPUT", "JSON", data),
            "endpointOutput": payload("application/json", "OUTPUT", "JSON", said),
        },
        event_id=event_id,
        time=at,
    )


@pytest.fixture
def lake():
    made = MemoryLake()
    made.put(MODEL, archive(features()))
    return made


def file(lake, number, *lines, at=NOON):
    """Write a captured file of *at*; return its entry in a plan."""
    key = object_key("capture/air/late", "air-late", "champion", at, f"u{number}")
    body = "".join(lines).encode()
    lake.put(f"s3://lake/{key}", body)
    return {
        "uri": f"s3://lake/{key}", "version_id": f"v{number}", "etag": "e",
        "size": len(body), "window": at - at % 3_600,
    }  # fmt: skip


def plan(*objects, **changes):
    spec = {
        "data": {"id": "id", "timestamp": None, "exclude": []},
        "watch": {"capture": {"redact": {}}},
    }
    document = {
        "version": 1, "spec": spec, "every": 3_600, "champion": {"version": 3}, "model": MODEL,
        "results": RESULTS, "objects": list(objects),
    }  # fmt: skip
    return json.dumps(document | changes)


def partials(lake, kind="json"):
    prefix = f"{RESULTS}/partials/"
    return [
        uri.removeprefix(prefix) for uri in lake.written
        if uri.startswith(prefix) and uri.endswith(f".{kind}")
    ]  # fmt: skip


ROWS = [{"wind": "x", "origin": "Oslo"}, {"wind": "y", "origin": "Rome"}]
ANSWERS = [{"score": 0.25}, {"score": 0.75}]


def test_each_window_has_a_partial_that_names_what_it_covers(lake, tmp_path):
    objects = [
        file(lake, 1, asked(ROWS, ANSWERS, event_id="a")),
        file(lake, 2, asked(ROWS, ANSWERS, event_id="b"), at=NOON + 60),
        file(lake, 3, asked(ROWS, ANSWERS, at=NOON + 3_600, event_id="c"), at=NOON + 3_600),
    ]
    done = profile_windows(Plan.parse(plan(*objects)), lake, tmp_path)
    assert done == [NOON, NOON + 3_600]
    first, second = partials(lake)
    assert first.startswith("2026-11-21T12:00:00.000Z/")
    assert second.startswith("2026-11-21T13:00:00.000Z/")
    covers = json.loads(lake.find_text(f"{RESULTS}/partials/{first}"))
    assert (covers["rows"], covers["model_version"], covers["every"]) == (4, 3, 3_600)
    assert [version for _, version in covers["covers"]] == ["v1", "v2"]
    assert lake.written[-1].endswith(second), "what makes a partial count is written last"
    name = first.removesuffix(".json")
    profile = Profile.loads(lake.objects[f"{RESULTS}/partials/{name}.profile.json.gz"])
    assert profile.rows == 4
    assert set(profile.columns) == {"wind", "origin", "prediction"}
    assert profile.columns["prediction"].kind == "number"
    rows = pl.read_parquet(io.BytesIO(lake.objects[f"{RESULTS}/predictions/{name}.parquet"]))
    assert rows["event_id"].to_list() == ["a", "a", "b", "b"]
    assert rows["probability"].to_list() == [0.25, 0.75, 0.25, 0.75]


def test_an_event_of_a_file_that_comes_later_counts_once(lake, tmp_path):
    """Another partial covers the file that had it first."""
    first = file(lake, 1, asked(ROWS, ANSWERS, event_id="a"), asked(ROWS, ANSWERS, event_id="b"))
    profile_windows(Plan.parse(plan(first)), lake, tmp_path)
    (before,) = partials(lake)
    late = file(
        lake, 2, asked(ROWS, ANSWERS, event_id="b"), asked(ROWS, ANSWERS, event_id="c"), at=NOON + 9
    )
    known = {str(float(NOON)): [before.removesuffix(".json").rpartition("/")[2], "of no release"]}
    profile_windows(Plan.parse(plan(late, counted=known)), lake, tmp_path)
    _, after = partials(lake)
    covers = json.loads(lake.find_text(f"{RESULTS}/partials/{after}"))
    assert covers["rows"] == 2
    assert covers["tally"]["unreadable"]["duplicate"]["lines"] == 1
    events = [
        lake.objects[f"{RESULTS}/partials/{name.removesuffix('.json')}.events"]
        for name in (before, after)
    ]
    assert [len(one) for one in events] == [16, 8], "8 bytes for each event that a partial counts"
    assert counted_twice(events) == 0
    assert counted_twice([*events, events[1]]) == 1


def test_a_partial_that_is_there_is_not_made_again(lake, tmp_path):
    text = plan(file(lake, 1, asked(ROWS, ANSWERS)))
    profile_windows(Plan.parse(text), lake, tmp_path)
    del lake.objects[MODEL]
    before = len(lake.written)
    assert profile_windows(Plan.parse(text), lake, tmp_path) == [NOON]
    assert len(lake.written) == before


def test_a_class_is_what_a_multiclass_model_s_prediction_is_about(lake, tmp_path):
    lake.put(MODEL, archive(features("multiclass", ("calm", "gale", "storm"))))
    answers = [{"label": "gale", "probabilities": [0.1, 0.8, 0.1]}] * 2
    profile_windows(Plan.parse(plan(file(lake, 1, asked(ROWS, answers)))), lake, tmp_path)
    (name,) = partials(lake, "profile.json.gz")
    profile = Profile.loads(lake.objects[f"{RESULTS}/partials/{name}"])
    assert profile.columns["prediction"].categories == {"gale": 2}


def test_an_input_called_prediction_keeps_its_name(lake, tmp_path):
    lake.put(MODEL, archive(features(names=("wind", "prediction"))))
    rows = [{"wind": "x", "prediction": "rain"}] * 2
    profile_windows(Plan.parse(plan(file(lake, 1, asked(rows, ANSWERS)))), lake, tmp_path)
    (name,) = partials(lake, "profile.json.gz")
    profile = Profile.loads(lake.objects[f"{RESULTS}/partials/{name}"])
    assert profile.columns["prediction"].categories == {"rain": 2}
    assert profile.columns["prediction_"].kind == "number"


def test_a_column_that_was_dropped_before_it_was_written_is_not_missed(lake, tmp_path):
    spec = json.loads(plan())["spec"]
    spec["watch"]["capture"]["redact"] = {"wind": "drop"}
    rows = [{"origin": "Oslo"}, {"origin": "Rome"}]
    text = plan(file(lake, 1, asked(rows, ANSWERS)), spec=spec)
    profile_windows(Plan.parse(text), lake, tmp_path)
    (name,) = partials(lake)
    covers = json.loads(lake.find_text(f"{RESULTS}/partials/{name}"))
    assert (covers["rows"], covers["tally"]["absent"]) == (2, {})


def test_traffic_of_before_a_redaction_leaves_no_value_in_a_partial(lake, tmp_path):
    """It was captured as it came, and the version in service is still rolled out that way."""
    spec = json.loads(plan())["spec"]
    spec["watch"]["capture"]["redact"] = {"wind": "drop", "origin": "hash"}
    rows = [
        {"wind": "x", "origin": "Oslo"},
        {"wind": "y", "origin": None},
        {"wind": "y", "origin": "h0123456789abcdef"},
    ]
    answers = [*ANSWERS, {"score": 0.5}]
    text = plan(file(lake, 1, asked(rows, answers)), spec=spec)
    profile_windows(Plan.parse(text), lake, tmp_path)
    (name,) = partials(lake, "profile.json.gz")
    profile = Profile.loads(lake.objects[f"{RESULTS}/partials/{name}"])
    assert set(profile.columns) == {"origin", "prediction"}
    assert profile.column("origin").categories == {WITHHELD: 1, "h0123456789abcdef": 1}
    assert profile.column("origin").missing == 1


def test_files_without_a_row_are_covered_all_the_same(lake, tmp_path):
    profile_windows(Plan.parse(plan(file(lake, 1, "nonsense\n"))), lake, tmp_path)
    (name,) = partials(lake)
    covers = json.loads(lake.find_text(f"{RESULTS}/partials/{name}"))
    assert covers["rows"] == 0
    assert covers["tally"]["unreadable"]["not_json"]["lines"] == 1
    assert not [uri for uri in lake.written if "/predictions/" in uri]


def test_what_there_is_no_time_for_is_left(lake, tmp_path):
    objects = [file(lake, n, asked(ROWS, ANSWERS), at=NOON + 3_600 * n) for n in range(3)]
    left = iter((100.0, 5.0))
    done = profile_windows(
        Plan.parse(plan(*objects)), lake, tmp_path, seconds_left=lambda: next(left)
    )
    assert done == [NOON]


def test_a_model_that_is_gone_or_another_s_is_said(lake, tmp_path):
    text = plan(file(lake, 1, asked(ROWS, ANSWERS)))
    lake.put(MODEL, archive(None))
    with pytest.raises(JobError, match="cannot be read"):
        profile_windows(Plan.parse(text), lake, tmp_path)
    lake.put(MODEL, b"no archive")
    with pytest.raises(JobError, match="cannot be read"):
        profile_windows(Plan.parse(text), lake, tmp_path)
    del lake.objects[MODEL]
    with pytest.raises(JobError, match="is gone"):
        profile_windows(Plan.parse(text), lake, tmp_path)


@pytest.mark.parametrize("text", ["x", "{}", "[]", plan(version=2), plan(objects=[{}])])
def test_what_is_no_plan_is_refused(text):
    with pytest.raises(JobError, match=r"plan\.json"):
        Plan.parse(text)


def test_a_partial_s_name_is_that_of_its_files():
    one, other = (ObjectVersion(f"s3://lake/{n}", "v", 1) for n in "ab")
    assert partial_id([one, other]) == partial_id([other, one])
    assert partial_id([one]) != partial_id([other])


def test_the_job_profiles_the_same(lake, tmp_path, monkeypatch):
    monkeypatch.setattr(watch, "Lake", lambda: lake)
    base = tmp_path / "ml"
    place = base / "processing/input/plan"
    place.mkdir(parents=True)
    (place / "plan.json").write_text(plan(file(lake, 1, asked(ROWS, ANSWERS))))
    assert run(Container(base, {}), ["watch"]) == 0
    assert (base / "output/message").read_text() == "Profiled 1 windows of traffic."
    assert len(partials(lake)) == 1
