"""The second look at a quarantined upload, for its owner."""

import gzip
import json

import pytest

from tidemill.adapters.lake import Lake
from tidemill.domain import second_look
from tidemill.errors import InvalidInputError, NotFoundError
from tidemill_jobs import __main__ as entry
from tidemill_jobs.container import Container

from ...stack import ARTIFACTS, LAKE
from ..cloud import client
from .scenes import MODEL, REF, deliver, read, rows

GOOD = rows(300)
BAD = rows(300, first=200).replace(b",350,", b",far,")  # line 52


def check(cloud, files):
    """Check a delivery of these files to its end; return what is to be explained."""
    document = read(cloud, deliver(cloud, files))
    cloud.now += 1
    return cloud.invoke("conclude_check", document)["explain"]


def reports():
    """Return what lies under quarantine/, by ending: documents and pages."""
    found = {"json": [], "html": []}
    for item in client("s3").list_objects_v2(Bucket=LAKE, Prefix=f"quarantine/{REF}/")["Contents"]:
        answer = client("s3").get_object(Bucket=LAKE, Key=item["Key"])
        found[item["Key"].rpartition(".")[2]].append((answer["ContentType"], answer["Body"].read()))
    return found


def report():
    ((_, text),) = reports()["json"]
    return json.loads(text)


@pytest.mark.parametrize("name", ["bad.csv", "bad.csv.gz"])
def test_every_bad_row_is_named(cloud, spec, name):
    cloud.apply(spec)
    check(cloud, {"a.csv": GOOD})
    bad = BAD.replace(b",351,", b",away,")
    (upload,) = check(cloud, {name: gzip.compress(bad) if name.endswith("gz") else bad})
    first = report()

    assert cloud.invoke("explain_upload", upload) == {"explained": True}

    told = report()
    assert told["upload"] == first["upload"]
    places = [(one["row"], one["column"], one["value"]) for one in told["bad"]["rows"]]
    assert places == [(52, "distance", "far"), (53, "distance", "away")]
    assert told["bad"]["complete"]
    ((kind, page),) = reports()["html"]
    assert kind == "text/html; charset=utf-8"
    assert b"line 52" in page
    assert b"distance" in page
    assert not cloud.events(), "nobody is told twice"


def test_without_a_contract_the_wrong_lines_are_named(cloud, spec):
    cloud.apply(spec)
    (upload,) = check(cloud, {"a.csv": rows(20) + b"AA,1,1,surplus\nAA,2\n"})
    assert upload["contract"] == ""
    cloud.invoke("explain_upload", upload)
    assert [one["row"] for one in report()["bad"]["rows"]] == [22, 23]


def test_what_is_known_at_first_has_the_same_shape(cloud, spec):
    cloud.apply(spec)
    check(cloud, {"a.csv": GOOD})
    (upload,) = check(cloud, {"bad.csv": BAD})
    first = report()
    cloud.invoke("explain_upload", upload)
    then = report()
    assert first.keys() == then.keys()
    assert first["upload"] == then["upload"]
    assert first["bad"].keys() == then["bad"].keys()
    assert first["bad"]["rows"][0].keys() == then["bad"]["rows"][0].keys()
    assert first["judgement"].items() <= then["judgement"].items()
    assert not first["bad"]["complete"]
    assert "first place" in first["bad"]["note"]


def test_a_few_small_files_with_a_bad_row_are_looked_at(cloud, spec, monkeypatch):
    monkeypatch.setattr(second_look, "MOST_FILES", 2)
    monkeypatch.setattr(second_look, "MOST_BYTES", 5000)
    cloud.apply(spec)
    check(cloud, {"a.csv": GOOD})
    bad = BAD[:2000].rpartition(b"\n")[0] + b"\n"
    files = {f"{n}.csv": bad.replace(b"AA", f"A{n}".encode()) for n in range(3)}
    bad = files | {"large.csv": BAD + GOOD}
    explain = check(cloud, bad | {"other.csv": b"a,b\n1,2\n"})

    assert len(explain) == 2
    assert {upload["key"].rpartition("/")[2] for upload in explain} <= bad.keys()
    notes = {
        (told := json.loads(text))["upload"]["uri"].rpartition("/")[2]: told["bad"]["note"]
        for _, text in reports()["json"]
    }
    assert "read again only where a job" in notes["large.csv"]
    assert "read again" not in notes["0.csv"]


def by_job(cloud, files, folder):
    """Check a delivery of these files, which jobs read; return what is to be explained."""
    document = deliver(cloud, files)
    lake = Lake(client("s3"))
    for number, part in enumerate(cloud.invoke("plan_check", document)["parts"]):
        container = Container(folder / f"job{number}", {})
        plan = container.processing_input("plan")
        plan.mkdir(parents=True)
        (plan / "plan.json").write_text(lake.get_text(part["plan"]))
        assert entry.run(container, ["check"]) == 0
    return cloud.invoke("conclude_check", document)["explain"]


LARGE = BAD.replace(b",351,", b",away,") + GOOD.split(b"\n", 1)[1]


@pytest.mark.parametrize("name", ["large.csv", "large.csv.gz"])
def test_the_job_that_checks_a_large_file_names_its_bad_rows(
    cloud, spec, monkeypatch, tmp_path, name
):
    monkeypatch.setattr(second_look, "MOST_BYTES", 500)
    cloud.apply(spec)
    check(cloud, {"a.csv": GOOD})
    (upload,) = by_job(
        cloud, {name: gzip.compress(LARGE) if name.endswith("gz") else LARGE}, tmp_path
    )

    assert cloud.invoke("explain_upload", upload) == {"explained": True}

    assert ("s3", "GetObject", upload["key"]) not in {
        (service, operation, request.get("Key")) for service, operation, request in cloud.calls
    }, "no function reads it again"
    told = report()
    places = [(one["row"], one["column"], one["value"]) for one in told["bad"]["rows"]]
    assert places == [(52, "distance", "far"), (53, "distance", "away")]
    assert told["bad"]["complete"]
    assert told["upload"]["uploaded"].startswith("20")
    ((_, page),) = reports()["html"]
    assert b"line 52" in page


def test_a_job_names_wrong_lines_before_there_is_a_contract(cloud, spec, monkeypatch, tmp_path):
    monkeypatch.setattr(second_look, "MOST_BYTES", 100)
    cloud.apply(spec)
    (upload,) = by_job(cloud, {"a.csv": rows(20) + b"AA,1,1,surplus\nAA,2\n"}, tmp_path)
    cloud.invoke("explain_upload", upload)
    assert [one["row"] for one in report()["bad"]["rows"]] == [22, 23]


def test_a_large_file_that_no_job_looked_at_keeps_its_first_bad_place(cloud, spec, monkeypatch):
    cloud.apply(spec)
    check(cloud, {"a.csv": GOOD})
    (upload,) = check(cloud, {"large.csv": LARGE})
    monkeypatch.setattr(second_look, "MOST_BYTES", 500)
    assert cloud.invoke("explain_upload", upload) == {"explained": False}
    assert not report()["bad"]["complete"]
    assert reports()["html"] == []


def test_a_second_look_that_fails_fails_no_check(cloud, spec, monkeypatch, tmp_path):
    def broken(*_, **__):
        raise RuntimeError

    monkeypatch.setattr("tidemill_jobs.contract.explain.explain", broken)
    cloud.apply(spec)
    check(cloud, {"a.csv": GOOD})
    (upload,) = by_job(cloud, {"large.csv": LARGE}, tmp_path)
    assert upload["key"].endswith("large.csv")
    assert report()["bad"]["rows"][0]["row"] == 52


def test_a_good_delivery_has_nothing_to_explain(cloud, spec):
    cloud.apply(spec)
    assert check(cloud, {"a.csv": GOOD}) == []


def test_concluding_again_names_the_same_uploads(cloud, spec):
    cloud.apply(spec)
    check(cloud, {"a.csv": GOOD})
    document = read(cloud, deliver(cloud, {"bad.csv": BAD, "good.csv": rows(10, first=900)}))
    first = cloud.invoke("conclude_check", document)
    assert cloud.invoke("conclude_check", document) == first
    assert len(first["explain"]) == 1


def test_the_trigger_is_asked_for_before_anything_is_explained(cloud, spec):
    """So the second look costs a run no time."""
    cloud.apply(spec)
    check(cloud, {"a.csv": GOOD})
    check(cloud, {"bad.csv": BAD, "good.csv": rows(10, first=900)})
    made = [operation for _, operation, _ in cloud.calls]
    assert "Query" in made[made.index("SendMessage") :], "who is to be explained is asked later"


def test_an_upload_that_was_deleted_keeps_what_is_known(cloud, spec):
    cloud.apply(spec)
    check(cloud, {"a.csv": GOOD})
    (upload,) = check(cloud, {"bad.csv": BAD})
    before = reports()
    client("s3").delete_object(Bucket=LAKE, Key=upload["key"], VersionId=upload["version_id"])
    assert cloud.invoke("explain_upload", upload) == {"explained": False}
    assert reports() == before


def test_a_report_never_says_that_a_quarantined_file_is_used(cloud, make_spec):
    """A spec that changed since may take it; the verdict of then stands until it is released."""
    cloud.apply(make_spec())
    check(cloud, {"a.csv": GOOD})
    cloud.apply(make_spec(check={"columns": {"distance": {"maximum": 500.0}}}))
    (upload,) = check(cloud, {"bad.csv": rows(50, first=480)})
    before = reports()
    cloud.apply(make_spec(check={"on_violation": "warn"}))
    assert cloud.invoke("explain_upload", upload) == {"explained": False}
    assert reports() == before


def test_what_is_not_there_is_named(cloud, spec):
    cloud.apply(spec)
    check(cloud, {"a.csv": GOOD})
    (upload,) = check(cloud, {"bad.csv": BAD})
    gone = f"s3://{ARTIFACTS}/contracts/{REF}/0/contract.json"
    with pytest.raises(NotFoundError, match=gone):
        cloud.invoke("explain_upload", upload | {"contract": gone})
    with pytest.raises(InvalidInputError, match="bucket is missing"):
        cloud.invoke("explain_upload", MODEL)


def test_it_may_die_anywhere(survives, make_spec):
    def prepare(cloud):
        cloud.apply(make_spec())
        check(cloud, {"a.csv": GOOD})
        return check(cloud, {"bad.csv": BAD})[0]

    survives("explain_upload", prepare)
