import json

import pytest

from tidemill.adapters.ledger import upload_entry
from tidemill.domain.admission import ObjectVersion, Verdict
from tidemill.errors import InvalidInputError, NotFoundError, NothingToTrainError

from ...stack import ARTIFACTS, LAKE
from ..cloud import client
from .scenes import MODEL, NAME, REF, begin_run


def accept(cloud, name, version_id="v1", uploaded=1.0):
    item = ObjectVersion("lake", f"raw/{REF}/{name}", version_id, "e", 10, uploaded, "0A")
    entry = upload_entry(REF, item, Verdict("accept", "new"), cloud.now)
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
        "RunId": run, "PreparedUri": prepared, "DatasetHash": dataset["hash"],
        "MinimumMetric": "0.6",
    }  # fmt: skip
    record = cloud.stores.runs.get(REF, run)
    assert (record["dataset"], record["files"], record["bytes"]) == (dataset["hash"], 2, 20)


def test_without_data_there_is_nothing_to_train(cloud, spec):
    cloud.apply(spec)
    run = begin_run(cloud)
    with pytest.raises(NothingToTrainError, match="tidemill upload flights/delay FILE"):
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
