"""Checks of this side: versions, credentials, region, the local cloud, the clock."""

import os
import platform
import socket
import time
from collections.abc import Callable, Iterable, Mapping
from email.utils import parsedate_to_datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.exceptions import ClientError, NoCredentialsError

from tidemill_cli.checkup import Check, Finding, Patient, UnseenError
from tidemill_cli.failures import credentials_hint, explained, running_local_cloud
from tidemill_cli.output import span

#: S3 refuses requests that are 15 minutes off, most services 5.
MOST_SKEW_SECONDS = 60.0


def versions(patient: Patient) -> Iterable[Finding]:
    """Say what runs here."""
    del patient
    found = f"tidemill {installed()}, boto3 {boto3.__version__}, Python {platform.python_version()}"
    yield Finding("versions", "ok", found)


def installed() -> str:
    """Return this command's version."""
    try:
        return version("tidemill")
    except PackageNotFoundError:
        return "unknown"


def credentials(patient: Patient) -> Iterable[Finding]:
    """Ask who the caller is."""
    sts = patient.clients.of("sts")
    try:
        who = sts.get_caller_identity()
    except (NoCredentialsError, ClientError) as error:
        yield Finding("credentials", "wrong", explained(error)[0], credentials_hint())
        return
    yield Finding("credentials", "ok", f"{who['Arn']} in account {who['Account']}")


def region(patient: Patient) -> Iterable[Finding]:
    """Look whether a region is meant at all."""
    found = patient.session.region_name
    if found is None:
        # boto3 does not read AWS_REGION, which other SDKs do.
        yield Finding("region", "wrong", "no region is set", "export AWS_DEFAULT_REGION=eu-west-1")
    else:
        yield Finding("region", "ok", found)


def local_cloud(patient: Patient) -> Iterable[Finding]:
    """Look whether the local cloud that is meant is the one that runs."""
    running = running_local_cloud()
    fix = 'eval "$(tidemill env)"'
    if patient.local is None:
        if running:
            said = f"a local cloud runs at {running}, and this shell uses AWS"
            yield Finding("local cloud", "ok", said)
        return
    if running is None:
        state = os.environ.get("TIDEMILL_STATE", ".tidemill")
        said = f"AWS_ENDPOINT_URL is {patient.local}; no local cloud runs on {state} here"
        if _answers(patient.local):
            yield Finding("local cloud", "unseen", said, "run this where `tidemill up` was run")
        else:
            yield Finding("local cloud", "wrong", f"{said}, and nothing answers", "tidemill up")
    elif running != patient.local:
        said = f"AWS_ENDPOINT_URL is {patient.local}, and the local cloud answers at {running}"
        yield Finding("local cloud", "wrong", said, fix)
    else:
        yield from _self_tests(running)


def _answers(endpoint: str) -> bool:
    """Say whether anything listens there."""
    place = urlsplit(endpoint)
    try:
        with socket.create_connection((place.hostname, place.port or 80), timeout=2.0):
            return True
    except OSError:
        return False


def _self_tests(endpoint: str) -> Iterable[Finding]:
    from tidemill_cli.cloud import launcher  # noqa: PLC0415  # only on a local cloud

    found: Mapping[str, Any] = launcher().status(None)
    failed = [test for test in found["self_tests"] if not test["ok"]]
    for test in failed:
        said = f"its self-test {test['hook']} failed: {test['detail']}"
        yield Finding("local cloud", "wrong", said, "tidemill down; tidemill up")
    if not failed:
        said = f"{endpoint}, state {found['state']}, {len(found['self_tests'])} self-tests passed"
        yield Finding("local cloud", "ok", said)


def clock(patient: Patient, *, now: Callable[[], float] = time.time) -> Iterable[Finding]:
    """Compare this machine's clock with the date that S3 writes on every answer."""
    try:
        lake = patient.stack.lake_bucket
        answer: Mapping[str, Any] = patient.clients.s3.head_bucket(Bucket=lake)
    except UnseenError:
        answer = patient.clients.s3.list_buckets()
    except ClientError as error:
        answer = error.response  # a refusal is dated too
    date = answer["ResponseMetadata"].get("HTTPHeaders", {}).get("date")
    if not date:
        raise UnseenError("S3's answer had no date")
    skew = now() - parsedate_to_datetime(date).timestamp()
    way = "ahead of" if skew > 0 else "behind"
    said = f"{span(abs(skew))} {way} S3's"
    if abs(skew) > MOST_SKEW_SECONDS:
        fix = "sudo timedatectl set-ntp true"
        yield Finding("clock", "wrong", f"this machine's clock is {said}", fix)
    else:
        yield Finding("clock", "ok", said)


CHECKS: tuple[tuple[str, Check], ...] = (
    ("versions", versions),
    ("region", region),
    ("credentials", credentials),
    ("local cloud", local_cloud),
    ("clock", clock),
)
