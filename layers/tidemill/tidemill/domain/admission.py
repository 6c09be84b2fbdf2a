"""The verdict on one upload: accept, duplicate, quarantine or ignore, always with a reason."""

import hashlib
from dataclasses import dataclass
from typing import Literal

from tidemill.domain.placement import OWN_ZONES, TRUTH, Placement
from tidemill.spec.compiled import Data

VerdictName = Literal["accept", "duplicate", "quarantine", "ignore"]


@dataclass(frozen=True, slots=True)
class ObjectVersion:
    """One S3 object version. *uploaded* is S3's LastModified, in seconds since 1970."""

    bucket: str
    key: str
    version_id: str
    etag: str
    size: int
    uploaded: float
    sequencer: str  # S3's order of events of one key; empty when a sweep found the version
    checksum: str = ""  # `algorithm:value` over the whole object, where S3 says one
    sha256: str = ""  # of the bytes, once a check has read them
    rows: int | None = None  # that can be used, once a check has counted them
    released: bool = False  # a person uses it although it was set aside

    @property
    def identity(self) -> tuple[str, str, str]:
        """Bucket, key and version id: what makes two events speak of the same version."""
        return self.bucket, self.key, self.version_id

    @property
    def id(self) -> str:
        """32 hex digits that name what is kept about this version: its facts, and its report."""
        return name_of(self.bucket, self.key, self.version_id)

    @property
    def uri(self) -> str:
        """`s3://bucket/key`."""
        return f"s3://{self.bucket}/{self.key}"


def name_of(bucket: str, key: str, version_id: str) -> str:
    """Return `ObjectVersion.id` of a version of which no more is known."""
    return hashlib.sha256(f"{bucket}/{key} {version_id}".encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was decided of an upload. *rule* names the check a quarantined upload failed."""

    name: VerdictName
    reason: str
    rule: str = ""
    next_step: str = ""
    row: int | None = None  # the line that fails it, counted from 1, when there is one
    column: str | None = None  # the column, when there is one
    catalogued: bool = False  # accepted into the ledger only: in no delivery, in no dataset


def misplaced(key: str, placement: Placement | None) -> Verdict:
    """Say why an upload that no model's prefix takes is ignored."""
    zone = key.partition("/")[0]
    if zone in OWN_ZONES:
        return Verdict("ignore", f"{zone}/ is written by Tidemill itself; nothing is started")
    if zone == TRUTH:
        return Verdict(
            "ignore", f"{TRUTH}/ is joined with predictions by record_truth; nothing is started"
        )
    if placement is None:
        return Verdict(
            "ignore",
            "outside every model's prefix; uploads go to raw/<project>/<model>/<file>",
            next_step="upload it again with `tidemill upload PROJECT/MODEL FILE`",
        )
    return Verdict(
        "ignore",
        f"there is no model {placement.ref}",
        next_step="write its model.yaml and run `tidemill apply`; "
        f"what already lies under raw/{placement.ref}/ is then admitted by the next sweep",
    )


def catalogued(placement: Placement, data: Data) -> Verdict | None:
    """
    Return the verdict on an upload in one of the model's binary folders, None elsewhere.

    What lies there (images, audio) has a line in the ledger, and nothing reads it: no preflight,
    no check, no profile, and no dataset takes it.
    """
    for folder in data.binary:
        if placement.name.startswith(f"{folder.rstrip('/')}/"):
            return Verdict("accept", f"catalogued, not read: {folder} is binary", catalogued=True)
    return None


def repeated(version: ObjectVersion, previous: ObjectVersion | None) -> Verdict | None:
    """
    Return a duplicate's verdict when *previous*, the newest accepted version of the key, is equal.

    Only the newest counts: going back to older bytes is a change, and datasets must see it.
    """
    if previous is None or not _same_bytes(version, previous):
        return None
    return Verdict("duplicate", "the same bytes as the version accepted before; not used twice")


def _same_bytes(one: ObjectVersion, other: ObjectVersion) -> bool:
    """
    Say whether two versions are known to hold the same bytes.

    Equal ETags say so, also of multipart uploads. With SSE-KMS every ETag is another, and only a
    checksum can say it; where there is none, the same bytes count as a change.
    """
    if one.size != other.size:
        return False
    return one.etag == other.etag or (bool(one.checksum) and one.checksum == other.checksum)
