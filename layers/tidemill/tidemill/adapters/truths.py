"""Truth files from their events to their verdicts: each version is read once."""

from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from tidemill.adapters.entries import UNPLACED, Entry, upload_entry
from tidemill.adapters.lake import Lake
from tidemill.adapters.quarantine import Quarantine
from tidemill.adapters.stores import Stores
from tidemill.contracts.uploads import ObjectCreated
from tidemill.domain.admission import ObjectVersion, Verdict
from tidemill.domain.placement import TRUTH, place
from tidemill.domain.truth import MOST_BYTES, misplaced, too_large
from tidemill.spec.compiled import Spec
from tidemill.times import iso


class Record(Protocol):
    """Reading a truth file, which lives with the jobs: `tidemill_jobs.truth.recording`."""

    def __call__(
        self,
        path: Path,
        name: str,
        part: Path,
        *,
        upload: str,
        uploaded: float,
        target: str,
        most: int,
    ) -> dict[str, Any]:
        """Write a local file's labels to *part*; return the verdict and the facts."""


class Truths:
    """Safe to repeat: a version that has a verdict keeps it, and its labels their place."""

    def __init__(self, stores: Stores, lake: Lake, quarantine: Quarantine, record: Record) -> None:
        self._stores = stores
        self._lake = lake
        self._quarantine = quarantine
        self._record = record

    def record(self, upload: ObjectCreated, work: Path, now: float) -> str:
        """
        Read one object version at *now* (seconds since 1970), and write its labels down.

        Args:
            upload: Which version.
            work: An empty folder with room for the file, unpacked.
            now: When.

        Returns:
            Its verdict's name.
        """
        placed = place(upload.key, TRUTH)
        spec = self._stores.specs.find(placed.ref) if placed else None
        ref = spec.ref if spec else UNPLACED
        known = self._stores.ledger.upload(ref, upload.key, upload.version_id, "truth")
        if known is not None:
            return str(known["verdict"])
        found = self._lake.look(upload.bucket, upload.key, upload.version_id, upload.sequencer)
        facts: dict[str, Any] = {}
        if found is None:
            version = ObjectVersion(
                upload.bucket, upload.key, upload.version_id, "", 0, now, upload.sequencer
            )
            verdict = Verdict("ignore", "deleted for good before it was read")
        elif spec is None:
            version, verdict = found, misplaced(placed)
        else:
            version = found
            verdict, facts = self._read(spec, version, work)
        if verdict.name == "quarantine":
            self._quarantine.set_aside(ref, version, verdict)
        self._stores.ledger.append(_entry(ref, version, verdict, now, facts))
        return verdict.name

    def _read(
        self, spec: Spec, version: ObjectVersion, work: Path
    ) -> tuple[Verdict, dict[str, Any]]:
        large = too_large(version)
        if large is not None:
            return large, {}
        path, part = work / "truth", work / "labels.parquet"
        if self._lake.fetch(version.bucket, version.key, version.version_id, path) is None:
            return Verdict("ignore", "deleted for good before it was read"), {}
        read = self._record(
            path,
            version.key.rpartition("/")[2],
            part,
            upload=version.id,
            uploaded=version.uploaded,
            target=spec.data.target,
            most=MOST_BYTES,
        )
        verdict = Verdict(**read["verdict"])
        if verdict.name != "accept":
            return verdict, {}
        uri = part_uri(spec.ref, version)
        self._lake.put_file(uri, part)
        return verdict, {**read["facts"], "part": uri}


def _entry(
    ref: str, version: ObjectVersion, verdict: Verdict, at: float, facts: dict[str, Any]
) -> Entry:
    entry = upload_entry(ref, version, verdict, at)
    kept = {name: value for name, value in entry.facts.items() if name != "delivery"}
    key = entry.key.replace("upload#", "truth#", 1)
    return replace(entry, key=key, kind="truth", facts=kept | facts)


def part_uri(ref: str, version: ObjectVersion) -> str:
    """Return where the labels of a truth file are kept: below the day of its upload."""
    day = iso(version.uploaded)[:10]
    return f"s3://{version.bucket}/watch/{ref}/truth/{day}/{version.id}.parquet"
