"""A model in service: its predictions as a watch keeps them, and their truth."""

import dataclasses
import io
import json

import polars as pl

from tidemill.adapters.entries import Entry
from tidemill.spec.compiled import Drift, Quality, Watch
from tidemill.times import iso
from tidemill_jobs.truth.columns import PREDICTIONS

from ...stack import ARTIFACTS, LAKE
from ..cloud import NOW, client
from .scenes import NAME, REF


def records(*events):
    """Return a batch of the truth queue's messages."""
    return {
        "Records": [
            {"messageId": f"m{n}", "body": event if isinstance(event, str) else json.dumps(event)}
            for n, event in enumerate(events)
        ]
    }


HOUR = 3_600.0
SINCE = NOW - 48 * HOUR
EVALUATION = {
    "problem": "binary",
    "classes": [0, 1],
    "binary_classification_metrics": {"accuracy": {"value": 0.93}},
}


def watched(spec, **changes):
    """Return *spec* with a floor: predictions must be right seven times of ten."""
    floor = Quality("accuracy", "maximize", 0.7, minimum_rows=4)
    drift = Drift(windows=2, of=3, cooldown_seconds=6 * 3_600, per_week=5)
    watch = Watch(every_seconds=3_600, quality=floor, drift=drift)
    return dataclasses.replace(spec, watch=dataclasses.replace(watch, **changes))


def serve(cloud, spec, version=3, since=SINCE):
    """Put a version in service."""
    if cloud.stores.specs.find(REF) is None:
        cloud.apply(spec)
    package = cloud.sagemaker.add_version(NAME, version, "Approved")
    client("s3").put_object(
        Bucket=ARTIFACTS, Key=f"pipelines/e{version}/evaluation.json", Body=json.dumps(EVALUATION)
    )
    entry = Entry(REF, f"rollout#v{version}", since, "rollout", f"version {version}", "ok", "ok")
    cloud.stores.champions.crown(
        REF, version=version, config="c", package=package, now=since, entry=entry
    )


def predict(hour, rows=4, part="p1", since=SINCE):
    """Have a watch keep the predictions of an hour since the version came into service."""
    start = since + hour * HOUR
    made = [(f"h{hour}-{n}", None, 0, start + n, "1", 0.9) for n in range(rows)]
    buffer = io.BytesIO()
    shares = pl.lit(None, pl.List(pl.Float64)).alias("probabilities")  # of many classes only
    frame = pl.DataFrame(made, schema=PREDICTIONS, orient="row").with_columns(shares)
    frame.write_parquet(buffer)
    key = f"watch/{REF}/predictions/{iso(start)}/{part}.parquet"
    client("s3").put_object(Bucket=LAKE, Key=key, Body=buffer.getvalue())


def tell(cloud, hour, right, rows=4, time=""):
    """Upload the truth of an hour, of which so many predictions were *right*."""
    lines = [f"h{hour}-{n},{int(n < right)},{time}" for n in range(rows)]
    body = "\n".join(["id,label,time", *lines]).encode()
    uploaded = cloud.upload(f"truth/{REF}/h{hour}.csv", body)
    cloud.invoke("record_truth", records(uploaded.to_event()))
