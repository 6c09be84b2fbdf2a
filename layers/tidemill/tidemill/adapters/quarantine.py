"""Setting an upload aside: tagged where it lies, with the reason beside it. Nothing is moved."""

from typing import Any

from tidemill.adapters.bus import Bus
from tidemill.adapters.lake import Lake
from tidemill.contracts.domain_events import UploadQuarantined
from tidemill.domain.admission import ObjectVersion, Verdict
from tidemill.domain.second_look import not_looked_at
from tidemill.times import iso


class Quarantine:
    """Safe to repeat; the ledger's entry, which counts, is the caller's."""

    def __init__(self, lake: Lake, bus: Bus) -> None:
        self._lake = lake
        self._bus = bus

    def set_aside(self, ref: str, version: ObjectVersion, verdict: Verdict) -> None:
        """Tag the version, write `quarantine/<project>/<model>/<id>.json`, tell subscribers."""
        self._lake.tag(version, **{"tidemill:verdict": "quarantine", "tidemill:rule": verdict.rule})
        self._lake.put_json(report_uri(ref, version, "json"), _report(ref, version, verdict))
        project, _, model = ref.partition("/")
        self._bus.put(
            UploadQuarantined(
                project, model, key=version.key, rule=verdict.rule, reason=verdict.reason
            )
        )


def report_uri(ref: str, version: ObjectVersion, ending: str) -> str:
    """Return where it is said what is wrong with an upload, as `json` or `html`."""
    return f"s3://{version.bucket}/quarantine/{ref}/{version.id}.{ending}"


def _report(ref: str, version: ObjectVersion, verdict: Verdict) -> dict[str, Any]:
    """Return what is known at once, in the shape of a second look (docs/checks.md)."""
    places = []
    if verdict.row is not None:
        places = [
            {
                "row": verdict.row,
                "rule": verdict.rule,
                "column": verdict.column,
                "value": None,
                "raw": "",
                "at": None,
            }
        ]
    return {
        "version": 1,
        "upload": {
            "uri": version.uri,
            "version_id": version.version_id,
            "model": ref,
            "uploaded": iso(version.uploaded),
            "size": version.size,
        },
        "judgement": {
            "verdict": "quarantine",
            "rule": verdict.rule,
            "reason": verdict.reason,
            "next_step": verdict.next_step,
            "row": verdict.row,
            "column": verdict.column,
        },
        "bad": {
            "version": 1,
            "unit": "row" if ".parquet" in version.key.lower() else "line",
            "bad_rows": len(places),
            "rules": {verdict.rule: 1} if places else {},
            "rows": places,
            "complete": False,
            "note": not_looked_at(version.key, version.size),
        },
    }
