"""Datasets: what a run trains on, written down once under its own hash."""

from dataclasses import dataclass
from typing import Any

from tidemill.adapters.lake import Lake
from tidemill.adapters.ledger import Ledger
from tidemill.domain.dataset import Dataset, within
from tidemill.domain.size import SMALL_BYTES, total_text_bytes
from tidemill.errors import NothingToTrainError
from tidemill.spec.compiled import Spec


@dataclass(frozen=True, slots=True)
class Fixed:
    """A dataset and the spec that it is prepared by, as documents in S3."""

    dataset: Dataset
    dataset_uri: str
    spec: Spec
    spec_uri: str

    @property
    def is_small(self) -> bool:
        """Whether one Lambda prepares it: by an estimate of what its rows take as plain text."""
        return total_text_bytes(self.dataset.objects) <= SMALL_BYTES

    @property
    def uris(self) -> dict[str, str]:
        """Where its documents are, as `functions/prepare_dataset` takes them."""
        return {"dataset": self.dataset_uri, "spec": self.spec_uri}

    @property
    def facts(self) -> dict[str, Any]:
        """What a run's record keeps of it; sizes in bytes as stored."""
        return {
            "dataset": self.dataset.hash,
            "files": len(self.dataset.objects),
            "bytes": self.dataset.bytes,
            "dataset_rows": self.dataset.rows,
            "spec": self.spec.digest,
        }


class Datasets:
    """Safe to repeat: equal uploads give an equal document at the same place."""

    def __init__(self, ledger: Ledger, lake: Lake, bucket: str) -> None:
        self._ledger = ledger
        self._lake = lake
        self._bucket = bucket

    def fix(self, spec: Spec, began: float) -> Fixed:
        """
        Fix the newest accepted version of every upload in the model's window as a dataset.

        Args:
            spec: The model.
            began: When the run began, in seconds since 1970: what a window of age counts from.

        Raises:
            NothingToTrainError: No upload was accepted, or none in the window.
        """
        arrivals = self._ledger.arrivals(spec.ref)
        objects = within(spec.prepare.window, arrivals, began)
        if not arrivals:
            waiting = len(self._ledger.accepted(spec.ref))
            raise NothingToTrainError(
                f"the check of {spec.ref}'s {waiting} accepted uploads has not ended; it starts a "
                f"run itself, and `tidemill why {spec.ref}` says how far it is"
                if waiting
                else f"{spec.ref} has no accepted upload; "
                f"send one with `tidemill upload {spec.ref} FILE`"
            )
        if not objects:
            raise NothingToTrainError(
                f"none of {spec.ref}'s {len(arrivals)} accepted uploads is inside prepare.window; "
                f"widen it in model.yaml, or send newer data with `tidemill upload {spec.ref} FILE`"
            )
        dataset = Dataset(spec.project, spec.model, objects)
        base = f"s3://{self._bucket}/datasets/{spec.ref}"
        fixed = Fixed(
            dataset,
            f"{base}/{dataset.hash}/dataset.json",
            spec,
            f"{base}/spec-{spec.digest}/spec.json",
        )
        self._lake.put_json(fixed.dataset_uri, dataset.to_document())
        self._lake.put_text(fixed.spec_uri, spec.to_json())
        return fixed
