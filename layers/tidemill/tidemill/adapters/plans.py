"""What a check reads: plan documents in S3, and where its facts go."""

import json

from tidemill.adapters.lake import Lake
from tidemill.domain.admission import ObjectVersion
from tidemill.spec.compiled import Spec
from tidemill.times import iso


class Plans:
    """Safe to repeat: equal plans are written to the same place."""

    def __init__(self, lake: Lake, bucket: str) -> None:
        self._lake = lake
        self._bucket = bucket

    def write(
        self,
        spec: Spec,
        delivery: str,
        attempt: int,
        number: int,
        objects: tuple[ObjectVersion, ...],
        *,
        contract: str | None = None,
    ) -> str:
        """
        Write the plan of one part of a delivery, and return its URI.

        *contract* is the one in force: by it a job names the bad rows of what it cannot use.
        """
        uri = f"{checks(self._bucket, spec.ref)}/plans/{delivery}/{attempt}/{number}/plan.json"
        document = {
            "version": 2,
            "spec": json.loads(spec.to_json()),
            "facts": packs(self._bucket, spec.ref, delivery),
            "part": f"{attempt:04d}-{number:04d}",
            "model": spec.ref,
            "contract": contract,
            "explained": explained(self._bucket, spec.ref),
            "objects": [
                {
                    "uri": item.uri,
                    "version_id": item.version_id,
                    "etag": item.etag,
                    "size": item.size,
                    "uploaded": iso(item.uploaded),
                }
                for item in objects
            ],
        }
        self._lake.put_json(uri, document)
        return uri


def checks(bucket: str, ref: str) -> str:
    """Return where all of a model's checks are; *bucket* is the artifact bucket."""
    return f"s3://{bucket}/checks/{ref}"


def packs(bucket: str, ref: str, delivery: str) -> str:
    """Return where the facts of a delivery's uploads are, many in an object."""
    return f"{checks(bucket, ref)}/facts/{delivery}"


def explained(bucket: str, ref: str) -> str:
    """Return where jobs leave what they found at a second look, until it is set beside the data."""
    return f"{checks(bucket, ref)}/explained"
