"""What a line of the ledger says, and what identifies it."""

import hashlib
from dataclasses import dataclass, field
from typing import Any, Literal

from tidemill.domain.admission import ObjectVersion, Verdict

Kind = Literal[
    "spec",
    "upload",
    "truth",
    "delivery",
    "check",
    "contract",
    "trigger",
    "run",
    "version",
    "approval",
    "rollout",
    "model",
    "watch",
    "finding",
    "quality",
    "tamper",
]
#: What people upload: data, and what really happened.
Seen = Literal["upload", "truth"]
#: Uploads that no model's prefix takes are kept under this name.
UNPLACED = "unplaced"
#: Entries that may go when their time has come. Uploads and contracts stay: intake and datasets
#: rest on them. So do versions, approvals and rollouts: people answer for those.
EXPIRING: tuple[Kind, ...] = ("delivery", "trigger", "run", "watch", "quality")


@dataclass(frozen=True, slots=True)
class Entry:
    """
    One line of the ledger.

    Args:
        ref: The model, `project/model`, or UNPLACED.
        key: The entry's identity within the model, such as `delivery#d-…`.
        at: Seconds since 1970.
        kind: What it is about.
        subject: What people call it: a file, a run, `version 3`.
        verdict: The outcome in one word.
        reason: A sentence.
        facts: What the verdict rested on; plain JSON.
    """

    ref: str
    key: str
    at: float
    kind: Kind
    subject: str
    verdict: str
    reason: str
    facts: dict[str, Any] = field(default_factory=dict)


def upload_entry(
    ref: str,
    version: ObjectVersion,
    verdict: Verdict,
    at: float,
    *,
    delivery: str | None = None,
    stage: str = "",
) -> Entry:
    """Return the entry of one object version; *stage* tells a later verdict from admission's."""
    return Entry(
        ref=ref,
        key=upload_key(version.key, version.version_id) + (f"#{stage}" if stage else ""),
        at=at,
        kind="upload",
        subject=version.key,
        verdict=verdict.name,
        reason=verdict.reason,
        facts={
            "bucket": version.bucket,
            "key": version.key,
            "version_id": version.version_id,
            "etag": version.etag,
            "size": version.size,
            "uploaded": version.uploaded,
            "sequencer": version.sequencer,
            "delivery": delivery,
            "rule": verdict.rule or None,
            "next_step": verdict.next_step or None,
            **({"row": verdict.row} if verdict.row is not None else {}),
            **({"column": verdict.column} if verdict.column is not None else {}),
            **({"catalogued": True} if verdict.catalogued else {}),
            **({"checksum": version.checksum} if version.checksum else {}),
        },
    )


def upload_key(key: str, version_id: str = "", kind: Seen = "upload") -> str:
    """Return the identity of an object version's entry; without a version, what all begin with."""
    return f"{kind}#{hashlib.sha256(key.encode()).hexdigest()[:16]}#{version_id}"
