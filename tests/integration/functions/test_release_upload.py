"""A person has an upload used that was set aside, at admission, at check, or by Prepare."""

import json

import pytest

from tidemill.adapters.entries import upload_entry
from tidemill.domain.admission import Verdict
from tidemill.errors import InvalidInputError, NotFoundError

from ...stack import ARTIFACTS, LAKE
from ..cloud import client
from .scenes import MODEL, REF, deliver, queued, read, rows


def asked(name, **more):
    return {**MODEL, "key": f"raw/{REF}/{name}", "why": "the source says so", "by": "ada", **more}


def accepted(cloud):
    return [item.key.rpartition("/")[2] for item in cloud.stores.ledger.accepted(REF)]


def broken(name="bad.csv"):
    """Return how to come by a model of whose second delivery one file is set aside."""

    def prepare(cloud, spec):
        cloud.apply(spec)
        cloud.invoke("conclude_check", read(cloud, deliver(cloud, {"a.csv": rows()})))
        bad = rows(300, first=300).replace(b",450,", b",far,")
        cloud.now += 1
        cloud.invoke("conclude_check", read(cloud, deliver(cloud, {name: bad})))
        cloud.now += 1
        for trigger in cloud.stores.triggers.pending(REF):
            cloud.dynamodb.transact_write_items(
                TransactItems=[cloud.stores.triggers.taken(REF, trigger)]
            )
        return asked(name)

    return prepare


@pytest.fixture
def request_(cloud, spec):
    return broken()(cloud, spec)


def test_a_released_upload_is_used_again_and_triggers_a_run(cloud, request_):
    assert accepted(cloud) == ["a.csv"]

    answer = cloud.invoke("release_upload", request_)

    assert answer["key"] == f"raw/{REF}/bad.csv"
    assert accepted(cloud) == ["a.csv", "bad.csv"]
    said = cloud.entries(REF, "upload")[-1]
    assert said["verdict"] == "accept"
    assert said["reason"] == "released by ada though it failed wrong_type: the source says so"
    assert (said["facts"]["by"], said["facts"]["rows"]) == ("ada", 300)
    (trigger,) = cloud.stores.triggers.pending(REF)
    assert (trigger.kind, trigger.rows) == ("data", 300)
    assert trigger.why == "ada released bad.csv: the source says so"
    assert cloud.sent("TriggerQueue") == [(MODEL, 0)]
    tags = client("s3").get_object_tagging(
        Bucket=LAKE, Key=request_["key"], VersionId=answer["version_id"]
    )["TagSet"]
    assert {"Key": "tidemill:verdict", "Value": "accept"} in tags


def test_releasing_twice_changes_nothing(cloud, request_):
    cloud.invoke("release_upload", request_)
    before = cloud.facts()
    cloud.now += 60

    again = cloud.invoke("release_upload", request_)

    assert cloud.facts() == before
    assert again["key"] == request_["key"]


def test_the_dataset_says_that_it_was_released_and_is_another(cloud, request_):
    cloud.invoke("release_upload", request_)
    from tidemill.adapters.datasets import Datasets  # noqa: PLC0415  # only here
    from tidemill.adapters.lake import Lake  # noqa: PLC0415  # likewise

    datasets = Datasets(cloud.stores.ledger, Lake(client("s3")), ARTIFACTS)
    fixed = datasets.fix(cloud.stores.specs.get(REF), cloud.now)

    objects = fixed.dataset.to_document()["objects"]
    assert [item.get("released") for item in objects] == [None, True]


def test_a_clock_that_runs_behind_does_not_hide_the_release(cloud, request_):
    cloud.now -= 3600
    cloud.invoke("release_upload", request_)
    assert accepted(cloud) == ["a.csv", "bad.csv"]


def test_what_prepare_left_out_can_be_released_and_stays_so(cloud, spec):
    request = broken()(cloud, spec)
    (item,) = cloud.stores.ledger.accepted(REF)
    verdict = Verdict("quarantine", "line 3: 'x' is no number", "unreadable", "mend it")
    cloud.stores.ledger.append(upload_entry(REF, item, verdict, cloud.now, stage="prepare"))
    assert accepted(cloud) == []

    cloud.invoke("release_upload", request | {"key": item.key})

    assert accepted(cloud) == ["a.csv"]
    assert cloud.stores.ledger.arrivals(REF)[0].delivery, "it stays in its delivery"


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"key": f"raw/{REF}/a.csv"}, InvalidInputError, "not set aside; its verdict is accept"),
        ({"key": f"raw/{REF}/c.csv"}, NotFoundError, "tidemill quarantine list flights/delay"),
        ({"version_id": "v9"}, NotFoundError, "bad.csv in version v9"),
        ({"why": " "}, InvalidInputError, "--why"),
        ({"model": "nobody"}, NotFoundError, "flights/nobody"),
    ],
)
def test_what_is_not_set_aside_is_refused(cloud, request_, change, error, match):
    before = cloud.facts()
    with pytest.raises(error, match=match):
        cloud.invoke("release_upload", request_ | change)
    assert cloud.facts() == before


def test_a_version_that_was_deleted_is_refused(cloud, request_):
    version = cloud.entries(REF, "upload")[-1]["facts"]["version_id"]
    client("s3").delete_object(Bucket=LAKE, Key=request_["key"], VersionId=version)
    with pytest.raises(NotFoundError, match=r"deleted for good.* upload the file again"):
        cloud.invoke("release_upload", request_)


def test_a_release_cannot_make_a_file_readable(cloud, spec):
    cloud.apply(spec)
    cloud.invoke("conclude_check", read(cloud, deliver(cloud, {"a.csv": rows()})))
    cloud.now += 1
    ragged = rows(90_000) + b"AA,1,1,surplus\n"
    cloud.invoke("conclude_check", read(cloud, deliver(cloud, {"bad.csv": ragged})))

    with pytest.raises(InvalidInputError, match=r"a release cannot change that: .*upload it again"):
        cloud.invoke("release_upload", asked("bad.csv"))


def admitted(cloud, body):
    event = cloud.upload(f"raw/{REF}/x.csv", body).to_event()
    cloud.invoke("admit_upload", queued(event))
    cloud.now += 1


def test_what_admission_refused_is_looked_at_again(cloud, make_spec):
    cloud.apply(make_spec())
    admitted(cloud, b"carrier;distance;late\nUA;1;0\n")
    with pytest.raises(InvalidInputError, match="cannot be read"):
        cloud.invoke("release_upload", asked("x.csv"))


def test_what_a_changed_spec_can_read_may_be_released(cloud, make_spec):
    cloud.apply(make_spec(data__target="delayed"))
    admitted(cloud, rows(20))
    assert cloud.entries(REF, "upload")[-1]["verdict"] == "quarantine"
    cloud.apply(make_spec())

    cloud.invoke("release_upload", asked("x.csv"))

    assert accepted(cloud) == ["x.csv"]
    (trigger,) = cloud.stores.triggers.pending(REF)
    assert trigger.rows is None, "nothing has counted them"


def test_it_may_die_anywhere(survives, make_spec):
    survives("release_upload", lambda cloud: broken()(cloud, make_spec()))


def test_what_is_released_and_left_out_is_not_set_aside_again(cloud, request_, life_of_a_run):
    cloud.invoke("release_upload", request_)
    version = cloud.entries(REF, "upload")[-1]["facts"]["version_id"]

    life_of_a_run(f"s3://{LAKE}/{request_['key']}", version)

    assert accepted(cloud) == ["a.csv", "bad.csv"]
    assert cloud.events() == []


@pytest.fixture
def life_of_a_run(cloud):
    """Have a run's Prepare leave a file out, and its outcome read."""
    from tidemill.adapters.jobs import Jobs  # noqa: PLC0415  # only here
    from tidemill.adapters.lake import Lake  # noqa: PLC0415  # likewise
    from tidemill.adapters.outcomes import Outcomes  # noqa: PLC0415  # likewise
    from tidemill.adapters.quarantine import Quarantine  # noqa: PLC0415  # likewise
    from tidemill.adapters.registry import Registry  # noqa: PLC0415  # likewise
    from tidemill.contracts.runs import ReadOutcome  # noqa: PLC0415  # likewise

    def end(uri, version):
        prepared = f"s3://{LAKE}/prepared/{REF}/d/r"
        summary = {"files": [{"uri": uri, "version_id": version, "verdict": "left_out",
                              "reason": "no"}]}  # fmt: skip
        client("s3").put_object(
            Bucket=LAKE, Key=f"prepared/{REF}/d/r/summary.json", Body=json.dumps(summary)
        )
        lake = Lake(client("s3"))
        sagemaker = client("sagemaker")
        outcomes = Outcomes(
            cloud.stores, Jobs(sagemaker), Registry(sagemaker), lake, Quarantine(lake, cloud.bus)
        )
        cloud.calls.clear()
        outcomes.judge_files(ReadOutcome(**MODEL, run="r", prepared=prepared), cloud.now)

    return end
