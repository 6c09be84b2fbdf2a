"""The verdicts on the versions of one key: ask the ledger, then S3, then the rules."""

from collections.abc import Iterator
from dataclasses import dataclass

from tidemill.adapters.entries import upload_entry
from tidemill.adapters.lake import Lake
from tidemill.adapters.ledger import History, Ledger
from tidemill.adapters.quarantine import Quarantine
from tidemill.contracts.uploads import ObjectCreated
from tidemill.domain.admission import ObjectVersion, Verdict, catalogued, misplaced, repeated
from tidemill.domain.dataset import age
from tidemill.domain.finding import Finding, NeedMore
from tidemill.domain.placement import Placement, place
from tidemill.domain.preflight import SAMPLE_BYTES, Sample, inspect, looked_at, reads_tail
from tidemill.spec.compiled import Spec
from tidemill.times import seconds

#: About 200,000 names with size and checksum; a function of 1 GB holds them.
LARGEST_MARKER_BYTES = 32 * 1024**2


@dataclass(frozen=True, slots=True)
class Case:
    """The uploads of one key that one batch brings; *ref* is UNPLACED when no model takes them."""

    ref: str
    spec: Spec | None
    uploads: tuple[ObjectCreated, ...]


@dataclass(frozen=True, slots=True)
class Settled:
    """It has its verdict in the ledger; *delivery* is the one that it was put into before."""

    upload: ObjectCreated
    verdict: str
    delivery: str | None = None


@dataclass(frozen=True, slots=True)
class Arrived:
    """It is judged, and its verdict is to be written together with the open delivery."""

    upload: ObjectCreated
    version: ObjectVersion
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Marks:
    """It is a marker, and no data."""

    upload: ObjectCreated
    version: ObjectVersion
    body: bytes  # at most LARGEST_MARKER_BYTES


@dataclass(frozen=True, slots=True)
class Failed:
    """It has no verdict yet; its message is to come again."""

    upload: ObjectCreated
    error: Exception


Outcome = Settled | Arrived | Marks | Failed


class Judging:
    """Safe to repeat: an upload that has a verdict keeps it."""

    def __init__(self, ledger: Ledger, lake: Lake, quarantine: Quarantine) -> None:
        self._ledger = ledger
        self._lake = lake
        self._quarantine = quarantine

    def judge(self, case: Case, now: float) -> list[Outcome]:
        """Judge *case* at *now* (seconds since 1970), oldest version first."""
        try:
            history = self._ledger.history(case.ref, case.uploads[0].key)
        except Exception as error:  # noqa: BLE001  # theirs must not hold up the batch's others
            return [Failed(upload, error) for upload in case.uploads]
        return list(self._each(case, history, now))

    def _each(self, case: Case, history: History, now: float) -> Iterator[Outcome]:
        previous = history.newest
        for upload in sorted(case.uploads, key=lambda upload: upload.sequencer.rjust(64, "0")):
            seen = history.of(upload.key, upload.version_id)
            if seen is not None:
                yield Settled(upload, seen["verdict"], seen["facts"].get("delivery"))
                continue
            try:
                outcome = self._one(case, upload, previous, now)
            except Exception as error:  # noqa: BLE001  # as above
                outcome = Failed(upload, error)
            if isinstance(outcome, Arrived) and outcome.verdict.name == "accept":
                newest = [version for version in (previous, outcome.version) if version is not None]
                previous = max(newest, key=age)
            yield outcome

    def _one(
        self, case: Case, upload: ObjectCreated, previous: ObjectVersion | None, now: float
    ) -> Outcome:
        placement, spec = place(upload.key), case.spec
        if placement is not None and spec is not None and _marks(placement, spec):
            opened = self._lake.open(
                upload.bucket, upload.key, upload.version_id, upload.sequencer, LARGEST_MARKER_BYTES
            )
            if opened is not None:
                return Marks(upload, *opened)
            version, verdict = self._gone(upload, now)
        else:
            version, verdict = self._verdict(placement, spec, upload, previous, now)
        if spec is not None and verdict.name == "quarantine":
            self._quarantine.set_aside(case.ref, version, verdict)
        if spec is not None and _arrives(spec, verdict):
            return Arrived(upload, version, verdict)
        self._ledger.append(upload_entry(case.ref, version, verdict, now))
        return Settled(upload, verdict.name)

    def _verdict(
        self,
        placement: Placement | None,
        spec: Spec | None,
        upload: ObjectCreated,
        previous: ObjectVersion | None,
        now: float,
    ) -> tuple[ObjectVersion, Verdict]:
        told = _told(upload, now)  # where it is enough, S3 is not asked
        duplicate = repeated(told, previous) if told is not None else None
        if told is not None and duplicate is not None:
            return told, duplicate
        unread = (
            misplaced(upload.key, placement)
            if placement is None or spec is None
            else catalogued(placement, spec.data)
        )
        if spec is None or unread is not None:
            version = told or self._look(upload)
            return (version, unread) if version and unread else self._gone(upload, now)
        opened = self._lake.open(
            upload.bucket, upload.key, upload.version_id, upload.sequencer, SAMPLE_BYTES
        )
        if opened is None:
            return self._gone(upload, now)
        version, head = opened
        return version, repeated(version, previous) or self._read(
            spec, version, head, replaces=previous is not None
        )

    def _look(self, upload: ObjectCreated) -> ObjectVersion | None:
        return self._lake.look(upload.bucket, upload.key, upload.version_id, upload.sequencer)

    def _gone(self, upload: ObjectCreated, now: float) -> tuple[ObjectVersion, Verdict]:
        version = _told(upload, now) or ObjectVersion(
            upload.bucket, upload.key, upload.version_id, "", 0, now, upload.sequencer
        )
        return version, Verdict("ignore", "deleted for good before it was read")

    def _read(self, spec: Spec, version: ObjectVersion, head: bytes, *, replaces: bool) -> Verdict:
        finding = preflight(self._lake, spec, version, head)
        if finding is not None:
            return Verdict(
                "quarantine",
                finding.reason,
                finding.rule,
                finding.next_step,
                row=finding.row,
                column=finding.column,
            )
        again = "replaces the version before" if replaces else "new"
        return Verdict("accept", f"{again}; {looked_at(version.key, spec.data.format)}")


def preflight(lake: Lake, spec: Spec, version: ObjectVersion, head: bytes) -> Finding | None:
    """Look at both ends of an upload, whose first bytes are *head*; return what speaks against."""
    tail, wanted = head, SAMPLE_BYTES
    if version.size > len(head) and reads_tail(head):
        tail = _tail(lake, version, wanted)
    while True:
        found = inspect(Sample(version.key, version.size, head, tail), spec.data)
        if not isinstance(found, NeedMore):
            return found
        if found.bytes <= wanted:
            raise AssertionError(f"preflight asks for {found.bytes} bytes and had {wanted}")
        wanted = found.bytes
        tail = _tail(lake, version, wanted)


def _tail(lake: Lake, version: ObjectVersion, count: int) -> bytes:
    return lake.read(version, max(0, version.size - count), count)


def _marks(placement: Placement, spec: Spec) -> bool:
    """Say whether it is a marker: by its file name, in whatever folder below the model's prefix."""
    return placement.name.rpartition("/")[2] == spec.delivery.marker


def _arrives(spec: Spec, verdict: Verdict) -> bool:
    """
    Say whether the open delivery must hear of an upload.

    Of what is data always; of the rest where a manifest may name it: it must not wait for it.
    """
    if verdict.name == "accept" and not verdict.catalogued:
        return True
    return spec.delivery.marker is not None and verdict.name != "ignore"


def _told(upload: ObjectCreated, now: float) -> ObjectVersion | None:
    """Return what the event itself says of the version, or None when it says too little."""
    if not upload.etag or upload.size is None:
        return None
    return ObjectVersion(
        upload.bucket,
        upload.key,
        upload.version_id,
        upload.etag,
        upload.size,
        seconds(upload.at) if upload.at else now,
        upload.sequencer,
    )
