import json
from dataclasses import replace

import pytest

from tidemill.adapters.entries import upload_entry
from tidemill.domain.admission import ObjectVersion, Verdict
from tidemill.domain.size import SMALL_BYTES
from tidemill.errors import InvalidInputError, NotFoundError, NothingToTrainError
from tidemill.spec.compiled import Window

from ...stack import ARTIFACTS, LAKE
from ..cloud import client
from .scenes import MODEL, NAME, REF, begin_run


def accept(cloud, name, version_id="v1", uploaded=1.0, *, size=10, delivery="d-1", checked=True):
    item = ObjectVersion("lake", f"raw/{REF}/{name}", version_id, "e", size, uploaded, "0A")
    for stage in ("", "check") if checked else ("",):
        verdict = Verdict("accept", "new")
        entry = upload_entry(REF, item, verdict, cloud.now, delivery=delivery, stage=stage)
        cloud.stores.ledger.append(entry)


def open_run(cloud, run):
    return cloud.invoke("open_run", {**MODEL, "run": run})


def read(uri):
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return json.loads(client("s3").get_object(Bucket=bucket, Key=key)["Body"].read())


def test_the_dataset_is_fixed_and_the_jobs_are_planned(cloud, spec):
    cloud.apply(spec)
    run = begin_run(cloud)
    accept(cloud, "b.csv")
    accept(cloud, "a.csv", "v1", 1.0)
    accept(cloud, "a.csv", "v2", 2.0)
    plan = open_run(cloud, run)

    inputs = {
        i["InputName"]: i["S3Input"]["S3Uri"] for i in plan["prepare_job"]["ProcessingInputs"]
    }
    dataset = read(inputs["dataset"])
    listed = [(item["uri"], item["version_id"]) for item in dataset["objects"]]
    assert listed == [(f"s3://lake/raw/{REF}/a.csv", "v2"), (f"s3://lake/raw/{REF}/b.csv", "v1")]
    assert read(inputs["spec"]) == json.loads(spec.to_json())
    assert inputs["dataset"] == f"s3://{ARTIFACTS}/datasets/{REF}/{dataset['hash']}/dataset.json"

    prepared = f"s3://{LAKE}/prepared/{REF}/{dataset['hash']}/{run}"
    assert plan["pipeline"] == NAME
    assert plan["prepared"] == prepared
    assert {p["Name"]: p["Value"] for p in plan["parameters"]} == {
        "RunId": run, "DatasetHash": dataset["hash"], "MinimumMetric": "0.6",
    }  # fmt: skip
    assert plan["small"] is True
    assert plan["prepare"] == {
        "dataset": inputs["dataset"], "spec": inputs["spec"], "contract": "", "prepared": prepared,
    }  # fmt: skip
    record = cloud.stores.runs.get(REF, run)
    assert (record["dataset"], record["files"], record["bytes"]) == (dataset["hash"], 2, 20)


def test_what_no_check_has_read_yet_belongs_to_a_later_run(cloud, spec):
    cloud.apply(spec)
    run = begin_run(cloud)
    accept(cloud, "a.csv", "v1", 1.0)
    accept(cloud, "a.csv", "v2", 2.0, delivery="d-2", checked=False)
    accept(cloud, "b.csv", delivery="d-2", checked=False)
    plan = open_run(cloud, run)

    listed = [
        (item["uri"], item["version_id"]) for item in read(plan["prepare"]["dataset"])["objects"]
    ]
    assert listed == [(f"s3://lake/raw/{REF}/a.csv", "v1")]


def test_a_run_that_is_before_the_first_check_says_so(cloud, spec):
    cloud.apply(spec)
    run = begin_run(cloud)
    accept(cloud, "a.csv", checked=False)

    with pytest.raises(NothingToTrainError, match=r"the check of .* 1 accepted uploads has not"):
        open_run(cloud, run)


def test_without_data_there_is_nothing_to_train(cloud, spec):
    cloud.apply(spec)
    run = begin_run(cloud)
    with pytest.raises(NothingToTrainError, match="tidemill upload flights/delay FILE"):
        open_run(cloud, run)


@pytest.mark.parametrize(
    ("size", "small"), [(SMALL_BYTES // 8, True), (SMALL_BYTES // 8 + 1, False)]
)
def test_what_unpacks_to_much_is_prepared_by_a_job(cloud, spec, size, small):
    cloud.apply(spec)
    run = begin_run(cloud)
    accept(cloud, "a.csv.gz", size=size)

    assert open_run(cloud, run)["small"] is small


def test_a_window_leaves_old_deliveries_out(cloud, spec):
    window = replace(spec.prepare, window=Window(deliveries=1))
    cloud.apply(replace(spec, prepare=window))
    run = begin_run(cloud)
    accept(cloud, "a.csv", delivery="d-20261101t100000-aa")
    accept(cloud, "b.csv", delivery="d-20261102t100000-aa")

    dataset = read(open_run(cloud, run)["prepare"]["dataset"])

    assert [item["uri"] for item in dataset["objects"]] == [f"s3://lake/raw/{REF}/b.csv"]


def test_a_window_of_age_says_the_same_however_late_it_is_asked_again(cloud, spec):
    cloud.apply(replace(spec, prepare=replace(spec.prepare, window=Window(age_seconds=60))))
    run = begin_run(cloud)
    accept(cloud, "a.csv", uploaded=cloud.now - 50)
    first = open_run(cloud, run)
    cloud.now += 3600

    assert open_run(cloud, run) == first


def test_a_window_without_data_says_so(cloud, spec):
    cloud.apply(replace(spec, prepare=replace(spec.prepare, window=Window(age_seconds=60))))
    run = begin_run(cloud)
    accept(cloud, "a.csv", uploaded=cloud.now - 90)

    with pytest.raises(NothingToTrainError, match=r"none of .* 1 accepted uploads is inside"):
        open_run(cloud, run)


def test_a_model_that_was_deleted_meanwhile_is_named(cloud):
    with pytest.raises(NotFoundError, match="flights/delay"):
        open_run(cloud, "run-1")


def test_what_is_missing_from_the_input_is_named(cloud):
    with pytest.raises(InvalidInputError, match="run is missing"):
        cloud.invoke("open_run", MODEL)


def test_it_may_die_anywhere(survives, make_spec):
    def prepare(cloud):
        cloud.apply(make_spec())
        run = begin_run(cloud)
        accept(cloud, "a.csv")
        return {**MODEL, "run": run}

    survives("open_run", prepare)
