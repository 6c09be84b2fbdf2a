"""
Capture that the container writes itself: of serverless endpoints, and where columns are redacted.

SageMaker captures no serverless endpoint and knows no redaction. The container is told by its
environment, at its rollout; `tidemill_jobs.capture.rule` reads it.
"""

import json

from tidemill.spec.compiled import Spec

VARIABLE = "TIDEMILL_CAPTURE_"
PIECE = 1_000  # characters; SageMaker takes 1,024 a variable
SERVERLESS_SECONDS = 5.0  # a container without requests is frozen, with what it has not written


def is_own(spec: Spec) -> bool:
    """Say whether the container captures its traffic, and SageMaker does not."""
    capture = spec.watch.capture
    return capture.percent > 0 and bool(capture.redact or spec.deploy.serverless)


def hash_key(spec: Spec, artifact_bucket: str) -> str:
    """
    Return where the key of a model's hashes lies; empty when nothing is hashed.

    It is hex, written once by an apply and never again: with another key equal values would have
    other hashes. The model's containers and jobs read it.
    """
    hashes = "hash" in spec.watch.capture.redact.values()
    return f"s3://{artifact_bucket}/keys/{spec.ref}/capture" if hashes else ""


def rule(spec: Spec, *, endpoint: str, variant: str, lake_bucket: str, artifact_bucket: str) -> str:
    """Return what the container is told, as JSON; empty when it captures nothing itself."""
    if not is_own(spec):
        return ""
    document = {
        "uri": f"s3://{lake_bucket}/capture/{spec.ref}",
        "endpoint": endpoint,
        "variant": variant,
        "percent": spec.watch.capture.percent,
        "redact": spec.watch.capture.redact,
    }
    if uri := hash_key(spec, artifact_bucket):
        document["key_uri"] = uri
    if spec.deploy.serverless:
        document["flush_seconds"] = SERVERLESS_SECONDS
    return json.dumps(document, sort_keys=True, separators=(",", ":"))


def environment(told: str) -> dict[str, str]:
    """Return the variables that hold *told*, in pieces that SageMaker takes."""
    starts = range(0, len(told), PIECE)
    return {f"{VARIABLE}{n}": told[at : at + PIECE] for n, at in enumerate(starts, start=1)}
