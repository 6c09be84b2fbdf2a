"""What a run's jobs left behind: files that Prepare left out, the gate's word, the version."""

from typing import Any

from tidemill.adapters.entries import Entry, upload_entry
from tidemill.adapters.jobs import Jobs
from tidemill.adapters.lake import Lake, split
from tidemill.adapters.quarantine import Quarantine
from tidemill.adapters.registry import Registry
from tidemill.adapters.stores import Stores
from tidemill.contracts.runs import ReadOutcome
from tidemill.domain.admission import ObjectVersion, Verdict
from tidemill.errors import PipelineFailedError

GATE = "Refuse"
EVALUATE = "Evaluate"


class Outcomes:
    """Reads the pipeline's steps and the documents they wrote. Safe to repeat."""

    def __init__(
        self, stores: Stores, jobs: Jobs, registry: Registry, lake: Lake, quarantine: Quarantine
    ) -> None:
        self._stores = stores
        self._jobs = jobs
        self._registry = registry
        self._lake = lake
        self._quarantine = quarantine

    def judge_files(self, request: ReadOutcome, now: float) -> list[str]:
        """
        Quarantine what Prepare could not read, and name the keys; note how many rows it read.

        What a person has released is left out too, and not set aside again: the run says so.
        """
        summary = self._lake.get_json(f"{request.prepared}/summary.json")
        rows = (summary or {}).get("rows", {}).get("read")
        if rows is not None:
            self._stores.runs.note(request.ref, request.run, dataset_rows=rows)
        left_out = [
            file for file in (summary or {}).get("files", []) if file["verdict"] == "left_out"
        ]
        for file in left_out:
            bucket, key = split(file["uri"])
            words = self._stores.ledger.last_words(request.ref, key)
            word = next((w for w in words if w.version.version_id == file["version_id"]), None)
            if word is not None and word.is_released:
                continue
            facts = word.facts if word else {}
            version = ObjectVersion(
                bucket,
                key,
                file["version_id"],
                facts.get("etag", ""),
                facts.get("size", 0),
                facts.get("uploaded", now),
                facts.get("sequencer", ""),
            )
            verdict = Verdict(
                "quarantine",
                file["reason"],
                "unreadable",
                "mend the file and upload it again under the same name",
            )
            self._quarantine.set_aside(request.ref, version, verdict)
            entry = upload_entry(request.ref, version, verdict, now, stage="prepare")
            self._stores.ledger.append(entry)
        return [file["uri"] for file in left_out]

    def read(self, request: ReadOutcome, now: float) -> dict[str, Any]:
        """
        Return how it ended, and record a new version.

        Returns:
            `{"status", "reason", "metric"}`; of a registered version also `gate` (the sentence
            that let it through), `version` and `package`.

        Raises:
            PipelineFailedError: A step failed that is not the gate; the message says which.
        """
        steps = {step["StepName"]: step for step in self._jobs.steps(request.pipeline)}
        evaluation = self._evaluation(steps)
        metric = evaluation.get("metric")
        package = steps.get("Register", {}).get("Metadata", {}).get("RegisterModel", {}).get("Arn")
        if package is None and GATE not in steps:
            raise PipelineFailedError(_failed_step(steps))
        if not evaluation:
            raise PipelineFailedError("the step Evaluate left no evaluation.json")
        if package is None:
            reason = evaluation["gate"]["reason"]
            self._stores.runs.note(request.ref, request.run, metric=metric)
            return {"status": "refused", "reason": reason, "metric": metric}
        described = self._registry.describe(package)
        number = described["ModelPackageVersion"]
        reason = f"version {number} registered: {evaluation['gate']['reason']}"
        facts = {"run": request.run, "package": package, "metric": metric}
        self._stores.ledger.append(
            Entry(
                request.ref,
                f"version#{number}#registered",
                now,
                "version",
                f"version {number}",
                "register",
                reason,
                facts,
            )
        )
        self._stores.runs.note(request.ref, request.run, version=number, metric=metric)
        return {
            "status": "registered",
            "reason": reason,
            "gate": evaluation["gate"]["reason"],
            "version": number,
            "package": package,
            "metric": metric,
        }

    def _evaluation(self, steps: dict[str, dict[str, Any]]) -> dict[str, Any]:
        arn = steps.get(EVALUATE, {}).get("Metadata", {}).get("ProcessingJob", {}).get("Arn")
        if arn is None:
            return {}
        output = self._jobs.processing_output(arn, "evaluation")
        return self._lake.get_json(f"{output}/evaluation.json") or {}


def _failed_step(steps: dict[str, dict[str, Any]]) -> str:
    for name, step in steps.items():
        if step["StepStatus"] == "Failed":
            return f"step {name}: {step.get('FailureReason') or 'no reason was given'}"
    return "no step of the pipeline failed, and none registered a version"
