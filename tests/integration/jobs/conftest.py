"""A versioned lake bucket (moto), and a small dataset that can be learned."""

import json
import random

import boto3
import pytest
from moto import mock_aws

BUCKET = "lake"


@pytest.fixture
def s3():
    with mock_aws():
        client = boto3.client("s3")
        client.create_bucket(Bucket=BUCKET)
        client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        yield client


def departures(rows, seed=0):
    """Return CSV: late when it storms, mostly late from Oslo."""
    draw = random.Random(seed)
    lines = ["flight,left,wind,origin,late"]
    for number in range(rows):
        wind, origin = round(draw.uniform(0, 40), 1), draw.choice(["Oslo", "Rome", "Nice"])
        late = wind + 15 * (origin == "Oslo") + draw.gauss(0, 5) > 30
        left = f"2026-0{draw.randint(1, 9)}-1{draw.randint(0, 9)}T{draw.randint(10, 23)}:30:00Z"
        cell = "" if draw.random() < 0.05 else wind
        lines.append(f"f{seed}-{number},{left},{cell},{origin},{'yes' if late else 'no'}")
    return ("\n".join(lines) + "\n").encode()


SPEC = {
    "version": 1,
    "project": "air",
    "model": "late",
    "data": {
        "format": "csv",
        "target": "late",
        "id": "flight",
        "timestamp": "left",
        "exclude": [],
    },
    "prepare": {"validation": 0.15, "test": 0.2, "seed": 7},
    "train": {"algorithm": "xgboost", "problem": "binary", "hyperparameters": {"eta": "0.3"}},
    "evaluate": {"metric": "auc", "direction": "maximize", "minimum": 0.7},
}


def upload(s3, key, body):
    """Put an object and return its entry of dataset.json."""
    answer = s3.put_object(Bucket=BUCKET, Key=key, Body=body)
    return {
        "uri": f"s3://{BUCKET}/{key}",
        "version_id": answer["VersionId"],
        "etag": answer["ETag"].strip('"'),
        "size": len(body),
        "uploaded": "2026-11-20T10:00:00Z",
    }


def download(s3, manifest, folder):
    """Do what SageMaker does with a ManifestFile: files lie under their path after the prefix."""
    key = manifest.removeprefix(f"s3://{BUCKET}/")
    first, *names = json.loads(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())
    prefix = first["prefix"].removeprefix(f"s3://{BUCKET}/")
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(s3.get_object(Bucket=BUCKET, Key=f"{prefix}{name}")["Body"].read())
    return names
