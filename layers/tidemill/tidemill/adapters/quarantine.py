"""Setting an upload aside: tagged where it lies, with the reason beside it. Nothing is moved."""

from tidemill.adapters.bus import Bus
from tidemill.adapters.lake import Lake
from tidemill.contracts import UploadQuarantined
from tidemill.domain.admission import ObjectVersion, Verdict


class Quarantine:
    """Safe to repeat; the ledger's entry, which counts, is the caller's."""

    def __init__(self, lake: Lake, bus: Bus) -> None:
        self._lake = lake
        self._bus = bus

    def set_aside(self, ref: str, version: ObjectVersion, verdict: Verdict) -> None:
        """Tag the version, write `quarantine/<project>/<model>/<id>.json`, tell subscribers."""
        self._lake.tag(version, **{"tidemill:verdict": "quarantine", "tidemill:rule": verdict.rule})
        name = f"{version.etag[:12]}-{version.version_id}.json"
        self._lake.put_json(
            f"s3://{version.bucket}/quarantine/{ref}/{name}",
            {
                "uri": version.uri,
                "version_id": version.version_id,
                "rule": verdict.rule,
                "reason": verdict.reason,
                "next_step": verdict.next_step,
                "row": verdict.row,
                "column": verdict.column,
            },
        )
        project, _, model = ref.partition("/")
        self._bus.put(
            UploadQuarantined(
                project, model, key=version.key, rule=verdict.rule, reason=verdict.reason
            )
        )
