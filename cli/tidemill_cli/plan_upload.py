"""
What an upload would meet on its way: the same rules that the stack applies, and nothing written.

The upload is a file here, or an object that lies in S3 already. Each step says its verdict; the
way ends at the first that turns the upload away.
"""

import hashlib
import json
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tidemill.adapters.lake import GONE
from tidemill.adapters.outlook import look
from tidemill.adapters.triggers import Waiting
from tidemill.domain.admission import ObjectVersion, catalogued, misplaced, repeated
from tidemill.domain.delivery import Close, OpenDelivery, Wait, judge
from tidemill.domain.finding import NeedMore
from tidemill.domain.placement import Placement, place
from tidemill.domain.preflight import SAMPLE_BYTES, Sample, inspect
from tidemill.domain.trigger import Trigger
from tidemill.spec.compiled import Spec
from tidemill_cli import samples
from tidemill_cli.contracts import contract_of
from tidemill_cli.failures import MalformedError, UnreachableError
from tidemill_cli.output import size, span
from tidemill_cli.stack import Stack

#: An object in S3 is fetched to be read when it is no larger; the stack reads any.
MOST_FETCHED_BYTES = 1_000_000_000
#: Larger files are sent in parts, and their ETag is another digest.
_ONE_PART_BYTES = 8 * 1024 * 1024
_TURNED_AWAY = frozenset({"quarantine", "ignore", "duplicate"})


@dataclass(frozen=True, slots=True)
class Step:
    """One station of the way. *verdict* is as in the ledger, or `unseen` where nobody looked."""

    step: str
    verdict: str
    said: str
    next_step: str | None = None

    @property
    def ends(self) -> bool:
        """Whether the upload comes no further."""
        return self.verdict in _TURNED_AWAY


class Source:
    """The bytes: a local file, or an object version."""

    def __init__(self, stack: Stack, version: ObjectVersion, path: Path | None) -> None:
        self._stack = stack
        self.version = version
        self.path = path

    def read(self, first: int, count: int) -> bytes:
        """Return up to *count* bytes from *first* on."""
        if self.path is None:
            return self._stack.lake.read(self.version, first, count)
        with self.path.open("rb") as file:
            file.seek(first)
            return file.read(count)

    def fetched(self, folder: Path) -> Path:
        """Return a local file with the content."""
        if self.path is not None:
            return self.path
        target = folder / Path(self.version.key).name
        self._stack.clients.s3.download_file(
            self.version.bucket,
            self.version.key,
            str(target),
            ExtraArgs={"VersionId": self.version.version_id},
        )
        return target


def local_source(stack: Stack, ref: str, path: Path) -> Source:
    """
    Return a file as the upload that it would be.

    Raises:
        MalformedError: There is no such file.
    """
    if not path.is_file():
        raise MalformedError(f"there is no file {path}")
    count = path.stat().st_size
    etag = ""
    if count < _ONE_PART_BYTES:
        etag = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    key = f"raw/{ref}/{path.name}"
    version = ObjectVersion(stack.lake_bucket, key, "", etag, count, time.time(), "")
    return Source(stack, version, path)


def remote_source(stack: Stack, uri: str) -> Source:
    """
    Return the newest version of an object.

    Raises:
        MalformedError: It is no object, or not of this stack's lake.
    """
    from botocore.exceptions import ClientError  # noqa: PLC0415  # only for what lies in S3

    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if bucket != stack.lake_bucket:
        raise MalformedError(f"{uri} is not in this stack's lake, s3://{stack.lake_bucket}/")
    try:
        head = stack.clients.s3.head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error.response["Error"]["Code"] not in GONE:
            raise
        raise MalformedError(f"there is no object {uri}") from error
    version = ObjectVersion(
        bucket,
        key,
        head.get("VersionId", "null"),
        head["ETag"].strip('"'),
        head["ContentLength"],
        head["LastModified"].timestamp(),
        "",
    )
    return Source(stack, version, None)


def way(stack: Stack, source: Source, now: float) -> Iterator[Step]:
    """Yield the steps up to the one that turns the upload away, or to the trigger's verdict."""
    placement = place(source.version.key)
    spec = stack.stores.specs.find(placement.ref) if placement else None
    if placement is None or spec is None:
        verdict = misplaced(source.version.key, placement)
        yield Step("placement", verdict.name, verdict.reason, verdict.next_step or None)
        return
    yield Step("placement", "accept", f"an upload of {placement.ref}, called {placement.name}")
    admission = _admission(stack, source, placement, spec)
    yield admission
    if admission.ends or admission.step in ("marker", "catalogue"):
        return
    checked, rows = _check(stack, source, spec)
    yield checked
    if checked.ends:
        return
    delivery, closes = _delivery(stack, source, spec, now)
    yield delivery
    yield _trigger(stack, placement, rows, now + closes)


def _admission(stack: Stack, source: Source, placement: Placement, spec: Spec) -> Step:
    """Say what intake would: from its two ends, and from the version before."""
    version = source.version
    history = stack.stores.ledger.history(spec.ref, version.key)
    seen = history.of(version.key, version.version_id) if version.version_id else None
    if seen is not None and seen["verdict"] != "accept":
        return Step("admission", seen["verdict"], f"it has its verdict: {seen['reason']}")
    if placement.name == spec.delivery.marker:
        return Step("marker", "accept", "it is the marker: it closes the open delivery")
    unread = catalogued(placement, spec.data)
    if unread is not None:
        return Step("catalogue", unread.name, unread.reason)
    duplicate = None if seen else repeated(version, history.newest)
    if duplicate is not None:
        return Step("admission", duplicate.name, duplicate.reason)
    head, wanted = source.read(0, SAMPLE_BYTES), SAMPLE_BYTES
    while True:
        tail = source.read(max(0, version.size - wanted), wanted)
        found = inspect(Sample(version.key, version.size, head, tail), spec.data)
        if not isinstance(found, NeedMore):
            break
        wanted = found.bytes
    if found is not None:
        return Step("admission", "quarantine", f"{found.rule}: {found.reason}", found.next_step)
    said = "admitted already" if seen else "its two ends look as they should"
    return Step("admission", "accept", f"{said} ({size(version.size)})")


def _check(stack: Stack, source: Source, spec: Spec) -> tuple[Step, int | None]:
    """Say what the check would, and how many rows the upload has."""
    if source.path is None and source.version.size > MOST_FETCHED_BYTES:
        said = f"{size(source.version.size)} are not fetched for a plan; the stack checks it"
        return Step("check", "unseen", said), None
    contract = contract_of(stack, spec.ref)
    with tempfile.TemporaryDirectory() as folder:
        try:
            path = source.fetched(Path(folder))
            facts = samples.facts_of(
                path,
                spec.data.format,
                timestamp=spec.data.timestamp,
                exclude=spec.data.exclude,
            )
            found = _judged(Path(folder), spec, facts, contract.document if contract else None)
        except UnreachableError as error:
            return Step("check", "unseen", str(error)), None
    by = f"contract {contract.digest}" if contract else "no contract yet: it would give the first"
    verdict = "quarantine" if found["verdict"] == "quarantine" else "accept"
    rule = f"{found['rule']}: " if found.get("rule") else ""
    where = _where(found)
    said = f"{rule}{found['reason']}{where} ({by})"
    return Step("check", verdict, said, found.get("next_step")), found["rows"]


def _judged(
    folder: Path, spec: Spec, facts: dict[str, Any], contract: dict[str, Any] | None
) -> dict[str, Any]:
    """Have the jobs judge the facts."""
    files = {"facts": json.dumps(facts), "spec": spec.to_json()}
    if contract:
        files["contract"] = json.dumps(contract)
    for name, text in files.items():
        (folder / f"{name}.json").write_text(text, encoding="utf-8")
    given = ["--contract", str(folder / "contract.json")] if contract else []
    return samples.asked(
        "judge", str(folder / "facts.json"), "--spec", str(folder / "spec.json"), *given
    )


def _where(found: dict[str, Any]) -> str:
    row, column = found.get("row"), found.get("column")
    parts = [f"row {row}" if row else "", f"column {column}" if column else ""]
    said = ", ".join(part for part in parts if part)
    return f" [{said}]" if said else ""


def _delivery(stack: Stack, source: Source, spec: Spec, now: float) -> tuple[Step, float]:
    """Say which delivery takes it and when that closes; and in how many seconds."""
    held = stack.stores.deliveries.open(spec.ref)
    before = held or OpenDelivery("", 0, now, now, 0, 0, None)
    joined = replace(
        before,
        last_arrival=now,
        uploads=before.uploads + 1,
        bytes=before.bytes + source.version.size,
    )
    judged = judge(joined, spec.delivery, now)
    which = f"joins {held.id}" if held else "opens a delivery"
    if isinstance(judged, Close):
        return Step("delivery", "accept", f"{which}, which closes then: {judged.reason}"), 0.0
    if not isinstance(judged, Wait):
        said = f"{which}, which is then held against its manifest"
        return Step("delivery", "accept", said), 0.0
    marker = spec.delivery.marker
    until = f"when {marker} arrives, or" if marker and joined.marker_at is None else ""
    said = f"{which}, which closes {until} in {span(judged.seconds)} if nothing more comes"
    return Step("delivery", "accept", " ".join(said.split())), judged.seconds


def _trigger(stack: Stack, placement: Placement, rows: int | None, then: float) -> Step:
    """Say what would be decided when the delivery is closed, as the model stands now."""
    seen = look(stack.stores, placement.ref)
    trigger = Trigger("planned", "data", then, "this upload's delivery", rows)
    decision = replace(seen, waiting=(*seen.waiting, Waiting(trigger))).decide(then)
    verdict = next(item for item in decision.verdicts if item.trigger.id == trigger.id)
    said = verdict.reason.replace(decision.run, "a run") if decision.run else verdict.reason
    return Step("trigger", verdict.name, said)
