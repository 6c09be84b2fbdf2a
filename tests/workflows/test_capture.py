"""Traffic of an endpoint that was rolled out with redaction, as it lies in the lake."""

import io
import json
import time
from dataclasses import replace

import pytest

from deployed import spec_text, table
from tidemill.spec.compile import compile_spec
from tidemill.spec.compiled import Capture
from tidemill_jobs.capture.reader import CaptureReader
from tidemill_jobs.capture.schema import Schema
from tidemill_jobs.profile import FILE_NAME, Profile

pytestmark = pytest.mark.e2e

PATIENCE = 120.0  # a batch is written after 30 seconds
SECRETS = ("red", "green", "blue", "r1", "Ada")


def lines(stack, ref):
    """Return the captured files so far: body by key."""
    s3 = stack.cloud.client("s3")
    found = s3.list_objects_v2(Bucket=stack.lake, Prefix=f"capture/{ref}/").get("Contents", [])
    return {
        item["Key"]: s3.get_object(Bucket=stack.lake, Key=item["Key"])["Body"].read()
        for item in found
    }


def asked(body):
    """Return a file's events that callers asked for."""
    events = [json.loads(line) for line in body.splitlines()]
    return [e for e in events if e["eventMetadata"].get("inferenceId") != "tidemill-smoke"]


def test_a_rolled_out_endpoint_with_redaction_writes_only_hashes(stack):
    spec = compile_spec(spec_text("redacted"), "model.yaml")
    capture = Capture(redact={"colour": "hash", "id": "drop"})
    ref = stack.put_in_force(replace(spec, watch=replace(spec.watch, capture=capture)))
    stack.put(ref, "a.csv", table())
    assert stack.ended_run(ref)["status"] == "succeeded", stack.story(ref)
    assert stack.entry(ref, "rollout")["verdict"] == "in service"

    endpoint = f"tidemill--{ref.replace('/', '--')}"
    runtime = stack.cloud.client("sagemaker-runtime")
    rows = [
        {"id": f"r1{n}", "x": 0.5, "z": 1, "colour": colour}
        for n, colour in enumerate(("red", "green", "blue", "red"))
    ]
    runtime.invoke_endpoint(
        EndpointName=endpoint,
        ContentType="application/json",
        Body=json.dumps(rows).encode(),
        InferenceId="order-1",
        CustomAttributes="by=Ada",
    )
    deadline = time.monotonic() + PATIENCE
    while not any(map(asked, lines(stack, ref).values())):
        assert time.monotonic() < deadline, "nothing was captured"
        time.sleep(0.5)

    package = stack.registry.version(endpoint, 1)["package"]
    archive = stack.registry.describe(package)["ModelMetrics"]["ModelDataQuality"]["Statistics"]
    uri = f"{archive['S3Uri'].rpartition('/')[0]}/{FILE_NAME}"
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    packed = stack.cloud.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    baseline = Profile.loads(packed)
    schema = Schema(("x", "z", "colour"), ("id", "x", "z", "colour"), "binary", ("0", "1"))
    reader = CaptureReader(replace(schema, ignored=frozenset({"y", "id"})))
    batches = []
    for key, body in lines(stack, ref).items():
        assert key.startswith(f"capture/{ref}/{endpoint}/champion/20")
        inputs = [
            json.loads(line)["captureData"]["endpointInput"]["data"] for line in body.splitlines()
        ]
        assert not [word for word in SECRETS if f'"{word}' in "".join(inputs)]
        assert b"Ada" not in body
        batches += reader.read(io.BytesIO(body), key)

    (batch,) = batches
    assert reader.tally.unreadable.counts.keys() <= {"smoke"}
    assert batch.predictions["inference_id"].to_list() == ["order-1"] * 4
    assert batch.predictions["prediction"].null_count() == 0
    hashes = batch.inputs["colour"].to_list()
    assert hashes[0] == hashes[3]
    assert set(hashes) == set(baseline.column("colour").categories)
    assert "id" not in batch.inputs.columns
