"""
The jobs image behind the local SageMaker: what is captured of its traffic, by whom, and redacted.

The configurations are those that a rollout makes.
"""

import io
import json
import time

import polars as pl
import pytest
from onnx import TensorProto, helper

from tidemill.pipeline.hosting import VARIANT, requests
from tidemill.spec.compiled import Spec
from tidemill_jobs.capture.reader import CaptureReader
from tidemill_jobs.capture.schema import Schema
from tidemill_jobs.features import Column, Features, Target
from tidemill_jobs.redaction import Redaction

from ...unit.pipeline.conftest import SPEC
from .conftest import ACCOUNT, REGION, ROLE, eventually
from .model_servers import Hosting, archive
from .test_capture import captured

IMAGE = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/tidemill-jobs:local"
KEY = "5e" * 32
FEATURES = Features(
    problem="binary",
    target=Target("late", (False, True)),
    header=("id", "wind", "origin"),
    columns=(
        Column("wind", "number", ("wind",)),
        Column("origin", "category", ("origin",), categories=("Oslo",)),
    ),
    dropped=(),
    notes=(),
)
CSV, JSON, LINES = "text/csv", "application/json", "application/jsonlines"
REQUESTS = [
    (b"x1,7.5,Oslo\nx2,-3,Rome\n", CSV),
    (b'{"instances":[{"id":"x3","wind":7.5,"origin":"Oslo"}]}', JSON),
    (b'{"wind":8,"origin":"Rome","name":"Ada"}\n[9,null]\n', LINES),
]


def graph():
    """Return a model whose score is the logistic function of the wind."""
    nodes = [helper.make_node("Sigmoid", ["numeric"], ["scores"])]
    wind = helper.make_tensor_value_info("numeric", TensorProto.FLOAT, [None, 1])
    scores = helper.make_tensor_value_info("scores", TensorProto.FLOAT, [None, 1])
    made = helper.make_graph(nodes, "wind", [wind], [scores])
    opset = helper.make_opsetid("", 17)
    return helper.make_model(made, opset_imports=[opset], ir_version=8).SerializeToString()


@pytest.fixture
def hosting(cloud, s3, bucket):
    return Hosting(cloud, s3, bucket)


@pytest.fixture
def roll_out(hosting, s3, bucket):
    """Put the model in service as a rollout does; return the endpoint's name."""
    uri = hosting.put_model(
        archive([("features.json", FEATURES.to_json().encode()), ("model.onnx", graph())])
    )
    s3.put_object(Bucket=bucket, Key="keys/flights/delay/capture", Body=KEY.encode())

    def roll_out(*, serverless=None, **capture):
        spec = Spec.parse(SPEC | {"watch": {"capture": capture}})
        if serverless:
            spec = Spec.parse(SPEC | {"deploy": {**SPEC["deploy"], "serverless": serverless}})
        container = {"Image": IMAGE, "ModelDataUrl": uri}
        made = requests(
            "tm--flights--delay--1",
            spec,
            {"InferenceSpecification": {"Containers": [container]}},
            endpoint="tm--flights--delay",
            role_arn=ROLE,
            lake_bucket=bucket,
            artifact_bucket=bucket,
            tags={"stack": "tm"},
        )
        hosting.sagemaker.create_model(**made["create_model"])
        hosting.sagemaker.create_endpoint_config(**made["create_config"])
        return hosting.endpoint("tm--flights--delay--1", EndpointName="tm--flights--delay")

    return roll_out


def ask_all(hosting, name):
    for number, (body, kind) in enumerate(REQUESTS):
        hosting.invoke(
            name, body, ContentType=kind, InferenceId=f"q{number}", CustomAttributes="by=Ada"
        )


def end(hosting, name):
    hosting.sagemaker.delete_endpoint(EndpointName=name)
    hosting.settled(name)


def read(s3, bucket, schema):
    """Return what the watch would see: rows beside predictions, by inference id and row."""
    reader, batches = CaptureReader(schema), []
    for item in s3.list_objects_v2(Bucket=bucket, Prefix="capture/")["Contents"]:
        body = s3.get_object(Bucket=bucket, Key=item["Key"])["Body"].read()
        for batch in reader.read(io.BytesIO(body), item["Key"]):
            texts = [
                pl.Series(column.name, [None if x is None else f"{x}" for x in column])
                for column in batch.inputs
            ]
            batches.append(pl.DataFrame(texts).hstack(batch.predictions))
    assert not reader.tally.unreadable.counts
    assert not reader.tally.unanswered.counts
    return pl.concat(batches, how="diagonal").sort("inference_id", "row"), reader.tally


def check_answers(rows):
    before = time.time() - 600
    assert rows["inference_id"].to_list() == ["q0", "q0", "q1", "q2", "q2"]
    assert rows["row"].to_list() == [0, 1, 0, 0, 1]
    assert rows["prediction"].to_list() == ["true", "false", "true", "true", "true"]
    assert rows["probability"][0] == pytest.approx(0.99945, abs=1e-4)
    assert rows["time"].min() > before
    assert rows["event_id"].n_unique() == 3


def test_sagemaker_captures_what_the_reader_understands(hosting, roll_out, s3, bucket):
    name = roll_out()
    ask_all(hosting, name)
    eventually(lambda: len(captured(s3, bucket)) == 3, "three requests are captured")
    end(hosting, name)

    rows, tally = read(s3, bucket, Schema.of(FEATURES))
    check_answers(rows)
    assert rows["wind"].to_list() == ["7.5", "-3", "7.5", "8", "9"]
    assert rows["origin"].to_list() == ["Oslo", "Rome", "Oslo", "Rome", None]
    assert tally.extra == {"name": 1}


def test_with_redaction_only_hashes_are_written(hosting, roll_out, s3, bucket):
    name = roll_out(redact={"origin": "hash", "id": "drop"})
    assert "DataCaptureConfig" not in hosting.sagemaker.describe_endpoint(EndpointName=name)
    ask_all(hosting, name)
    end(hosting, name)  # SIGTERM: what waited is written, long before its time

    lines = captured(s3, bucket)
    assert len(lines) == 3
    for key, line in lines:
        assert key.startswith(f"capture/flights/delay/{name}/{VARIANT}/20")
        text = json.dumps(line)
        for secret in ("Oslo", "Rome", "x1", "x2", "x3", "Ada"):
            assert secret not in text
    rows, tally = read(s3, bucket, Schema.of(FEATURES).without(["id"]))
    check_answers(rows)
    hashed = Redaction.of(FEATURES, {"origin": "hash"}, bytes.fromhex(KEY))
    oslo, rome = hashed.cell("origin", "Oslo"), hashed.cell("origin", "Rome")
    assert rows["origin"].to_list() == [oslo, rome, oslo, rome, None]
    assert rows["wind"].to_list() == ["7.5", "-3", "7.5", "8", "9"]
    assert not tally.absent
    assert not tally.extra


def test_a_serverless_endpoint_captures_itself(hosting, roll_out, s3, bucket):
    name = roll_out(serverless={"memory_mb": 1024, "max_concurrency": 5})
    ask_all(hosting, name)
    end(hosting, name)

    rows, tally = read(s3, bucket, Schema.of(FEATURES))
    check_answers(rows)
    assert tally.extra == {"name": 1}
    attributes = {
        tuple(line["eventMetadata"]["customAttributes"]) for _, line in captured(s3, bucket)
    }
    assert attributes == {("by=Ada",)}


def test_nothing_is_captured_where_the_spec_asks_for_none(hosting, roll_out, s3, bucket):
    name = roll_out(percent=0, redact={"origin": "hash"})
    ask_all(hosting, name)
    end(hosting, name)

    assert captured(s3, bucket) == []


def test_without_its_key_nothing_is_written_and_everything_answered(hosting, roll_out, s3, bucket):
    name = roll_out(redact={"origin": "hash"})
    s3.delete_object(Bucket=bucket, Key="keys/flights/delay/capture")
    ask_all(hosting, name)
    end(hosting, name)

    assert captured(s3, bucket) == []
