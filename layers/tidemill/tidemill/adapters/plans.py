"""What a check reads: plan documents and facts in S3."""

import json

from tidemill.adapters.lake import Lake
from tidemill.domain.admission import ObjectVersion
from tidemill.spec.compiled import Spec


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
    ) -> str:
        """Write the plan of one part of a delivery, and return its URI."""
        results = facts_prefix(self._bucket, spec.ref)
        uri = f"{results}/plans/{delivery}/{attempt}/{number}/plan.json"
        document = {
            "version": 1,
            "spec": json.loads(spec.to_json()),
            "results": results,
            "objects": [
                {
                    "uri": item.uri,
                    "version_id": item.version_id,
                    "etag": item.etag,
                    "size": item.size,
                }
                for item in objects
            ],
        }
        self._lake.put_json(uri, document)
        return uri


def facts_prefix(bucket: str, ref: str) -> str:
    """Return where a model's facts are; *bucket* is the artifact bucket."""
    return f"s3://{bucket}/checks/{ref}"


def facts_uri(bucket: str, ref: str, item: ObjectVersion) -> str:
    """Return where the facts of one object version are (or will be)."""
    return f"{facts_prefix(bucket, ref)}/{item.id}.json"
