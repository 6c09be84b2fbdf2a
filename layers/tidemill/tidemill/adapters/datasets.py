"""Datasets: what a run trains on, written down once under its own hash."""

from dataclasses import dataclass
from typing import Any

from tidemill.adapters.lake import Lake
from tidemill.adapters.ledger import Ledger
from tidemill.domain.dataset import Dataset, newest_of_each_key
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
    def facts(self) -> dict[str, Any]:
        """What a run's record keeps of it; sizes in bytes as stored."""
        return {
            "dataset": self.dataset.hash,
            "files": len(self.dataset.objects),
            "bytes": self.dataset.bytes,
            "spec": self.spec.digest,
        }


class Datasets:
    """Safe to repeat: equal uploads give an equal document at the same place."""

    def __init__(self, ledger: Ledger, lake: Lake, bucket: str) -> None:
        self._ledger = ledger
        self._lake = lake
        self._bucket = bucket

    def fix(self, spec: Spec) -> Fixed:
        """
        Fix the newest accepted version of every upload of the model as a dataset.

        Raises:
            NothingToTrainError: No upload was accepted.
        """
        objects = newest_of_each_key(self._ledger.accepted(spec.ref))
        if not objects:
            raise NothingToTrainError(
                f"{spec.ref} has no accepted upload; "
                f"send one with `tidemill upload {spec.ref} FILE`"
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
