"""Uploads that are set aside, from the ledger, and the reports beside the data. Reads only."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tidemill.domain.admission import name_of
from tidemill.domain.placement import place
from tidemill_cli.stack import Stack

_QUARANTINE, _ACCEPT = "quarantine", "accept"


@dataclass(frozen=True, slots=True)
class Upload:
    """One object version that is set aside. *at* is ISO 8601; *rows* is None when uncounted."""

    model: str
    bucket: str
    key: str
    version_id: str
    etag: str
    at: str
    rule: str | None
    reason: str
    next_step: str | None
    rows: int | None

    @property
    def name(self) -> str:
        """The name below the model's prefix."""
        placement = place(self.key)
        return placement.name if placement else self.key

    def is_called(self, word: str) -> bool:
        """Say whether a person who typed *word* may mean this one."""
        return word in (self.key, self.name, self.version_id)


@dataclass(frozen=True, slots=True)
class Reports:
    """What lies beside the data about one upload: documents, and the URI of a page for people."""

    documents: list[dict[str, Any]]
    html: str | None


def set_aside(stack: Stack, ref: str) -> list[Upload]:
    """
    Return the uploads of a model whose last word is "quarantine", oldest first.

    A later `accept` of another stage than admission is a release: it takes one out.
    """
    last: dict[tuple[str, str], dict[str, Any]] = {}
    rows: dict[tuple[str, str], int] = {}
    for entry in _verdicts(stack, ref):
        facts = entry["facts"]
        identity = (facts["key"], facts["version_id"])
        last[identity] = entry
        if facts.get("rows") is not None:
            rows[identity] = int(facts["rows"])
    return [
        _upload(ref, entry, rows.get(identity))
        for identity, entry in last.items()
        if entry["verdict"] == _QUARANTINE
    ]


def _verdicts(stack: Stack, ref: str) -> Iterable[dict[str, Any]]:
    """Yield what was said of each upload, oldest first."""
    for entry in stack.stores.ledger.under(ref, "upload#"):
        if entry["verdict"] in (_QUARANTINE, _ACCEPT) and "version_id" in entry["facts"]:
            yield entry


def _upload(ref: str, entry: dict[str, Any], rows: int | None) -> Upload:
    facts = entry["facts"]
    return Upload(
        model=ref,
        bucket=facts["bucket"],
        key=facts["key"],
        version_id=facts["version_id"],
        etag=facts.get("etag", ""),
        at=entry["at"],
        rule=facts.get("rule"),
        reason=entry["reason"],
        next_step=facts.get("next_step"),
        rows=rows,
    )


def reports_of(stack: Stack, upload: Upload) -> Reports:
    """Return what was written about an upload under `quarantine/`."""
    name = name_of(upload.bucket, upload.key, upload.version_id)
    prefix = f"quarantine/{upload.model}/{name}"
    listed = stack.clients.s3.list_objects_v2(Bucket=upload.bucket, Prefix=prefix)
    documents, page = [], None
    for item in listed.get("Contents", []):
        uri = f"s3://{upload.bucket}/{item['Key']}"
        if item["Key"].endswith(".html"):
            page = uri
        elif item["Key"].endswith(".json"):
            documents.append({"uri": uri, **(stack.lake.get_json(uri) or {})})
    return Reports(documents, page)
