"""An endpoint in service and what it was asked, for the watch's tests."""

import io
import json
import random
import tarfile

import polars as pl

from tidemill.adapters.entries import Entry
from tidemill_jobs.capture.layout import line, object_key, payload
from tidemill_jobs.features import Column, Features, Target
from tidemill_jobs.profile import Profiler

from ...stack import ARTIFACTS, LAKE
from ..cloud import client
from .scenes import MODEL, NAME, REF

HOUR = 3_600.0
FEATURES = Features(
    problem="binary",
    target=Target("late", (False, True)),
    header=("distance", "carrier"),
    columns=(
        Column("distance", "number", ("distance",)),
        Column("carrier", "category", ("carrier",), categories=("AA", "UA")),
    ),
    dropped=(),
    notes=(),
)
FIRED = {**MODEL, "at": "2026-11-20T10:02:00Z"}
DRIFT = {"minimum_rows": 500, "windows": 2, "of": 3, "cooldown_seconds": 0, "per_week": 100}
BASELINE = f"pipelines/{REF}/run-1/baseline"


def rows(count=600, *, seed=1, shift=0.0, gaps=0.0, carriers=("AA", "UA")):
    """Return rows of traffic: `shift` moves every distance, `gaps` is the share without one."""
    chance = random.Random(seed)
    return [
        {
            "distance": None
            if chance.random() < gaps
            else round(chance.gauss(500, 100) + shift, 2),
            "carrier": chance.choice(carriers),
            "score": round(chance.random(), 4),
        }
        for _ in range(count)
    ]


def moved(count=600, *, seed=1):
    """Return rows of a changed world; were all moved by as much, the data would look broken."""
    chance = random.Random(seed)
    far = [round(400 + chance.expovariate(1 / 300), 2) for _ in range(count)]
    same = rows(count, seed=seed)
    return [{**row, "distance": one} for row, one in zip(same, far, strict=True)]


def serve(cloud, *, version=1, baseline=True, since=None, carriers=("AA", "UA")):
    """Put a version in service, with its archive and its baseline."""
    key = f"models/{REF}/run-{version}/model.tar.gz"
    client("s3").put_object(Bucket=ARTIFACTS, Key=key, Body=archive(FEATURES.to_json()))
    more = {}
    if baseline:
        known = profile(rows(5_000, seed=99, carriers=carriers))
        client("s3").put_object(Bucket=ARTIFACTS, Key=f"{BASELINE}/profile.json.gz", Body=known)
        named = {
            name.capitalize(): {"S3Uri": f"s3://{ARTIFACTS}/{BASELINE}/{name}.json"}
            for name in ("statistics", "constraints")
        }
        more["DriftCheckBaselines"] = {"ModelDataQuality": named}
    package = cloud.sagemaker.add_version(
        NAME,
        version,
        "Approved",
        InferenceSpecification={"Containers": [{"ModelDataUrl": f"s3://{ARTIFACTS}/{key}"}]},
        **more,
    )
    now = cloud.now if since is None else since
    entry = Entry(REF, f"rollout#{version}", now, "rollout", f"version {version}", "finish", "ok")
    cloud.stores.champions.crown(
        REF, version=version, config=f"c{version}", package=package, now=now, entry=entry
    )


def archive(text):
    """Return a model archive with that features.json."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        info = tarfile.TarInfo("features.json")
        info.size = len(text.encode())
        tar.addfile(info, io.BytesIO(text.encode()))
    return out.getvalue()


def profile(some):
    profiler = Profiler({"distance": "number", "carrier": "category", "prediction": "number"})
    frame = pl.DataFrame(some)
    profiler.add(frame.rename({"score": "prediction"}))
    return profiler.profile().dumps()


def asked(some, at, event_id):
    """Return the captured line of a request with these rows."""
    cells = [{name: row[name] for name in ("distance", "carrier")} for row in some]
    answers = [{"score": row["score"]} for row in some]
    return line(
        {
            "endpointInput": payload(
                "application/json", "INPUT", "JSON", json.dumps({"instances": cells})
            ),
            "endpointOutput": payload(
                "application/json", "OUTPUT", "JSON", json.dumps({"predictions": answers})
            ),
        },
        event_id=event_id,
        time=at,
    )


def capture(cloud, some, *, at=None, name="a", body=None, events=None):
    """
    Write a captured file of *at* with these rows, a request each hundred; return its key.

    *events* is what their events' ids begin with, if they are to be the same in several files.
    """
    at = cloud.now if at is None else at
    key = object_key(f"capture/{REF}", NAME, "champion", at, name)
    lines = [
        asked(some[first : first + 100], at, f"{events or f'{name}-{at}'}-{first}")
        for first in range(0, len(some), 100)
    ]
    client("s3").put_object(
        Bucket=LAKE, Key=key, Body=body if body is not None else "".join(lines).encode()
    )
    return key


def look(cloud, watch="a-1", *, asked=True):
    """Go through a look as its machine does; return what it came to."""
    document = {**MODEL, "watch": watch, "asked": asked}
    planned = cloud.invoke("plan_watch", document)
    for part in planned["parts"]:
        cloud.invoke("profile_traffic", {"plan": part["plan"]})
    return cloud.invoke("conclude_watch", {**document, "plan": planned["plan"]})


def hour(cloud, some, **how):
    """Have an hour pass with that traffic in it; then the scheduled look; return what it says."""
    if some:
        capture(cloud, some, at=cloud.now + 600, **how)
    cloud.now += HOUR
    return look(cloud, f"w-{cloud.now:.0f}", asked=False)


def written(prefix):
    """Return the keys below `watch/<model>/<prefix>`, without that."""
    root = f"watch/{REF}/{prefix}"
    listed = client("s3").list_objects_v2(Bucket=LAKE, Prefix=root).get("Contents", [])
    return sorted(item["Key"].removeprefix(root) for item in listed)


def document(name):
    """Return the JSON document at `watch/<model>/<name>`."""
    body = client("s3").get_object(Bucket=LAKE, Key=f"watch/{REF}/{name}")["Body"].read()
    return json.loads(body)


def page(window):
    """Return the report of the window that starts then (ISO 8601)."""
    answer = client("s3").get_object(Bucket=LAKE, Key=f"watch/{REF}/windows/{window}/report.html")
    assert answer["ContentType"] == "text/html; charset=utf-8"
    return answer["Body"].read().decode()
