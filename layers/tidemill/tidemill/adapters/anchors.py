"""Chain heads in a bucket with Object Lock, where whoever can write the tables cannot reach."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tidemill.domain.chain import Link

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

HEADS = "heads/"


@dataclass(frozen=True, slots=True)
class Anchor:
    """One object version below `heads/`: which link it is about, and its ETag (an MD5)."""

    number: int
    key: str
    version_id: str
    etag: str


class Anchors:
    """Writes and lists `heads/<project>/<model>/<number, 12 digits>.json`."""

    def __init__(self, client: "S3Client", bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def put(self, link: Link) -> None:
        """Write a head; the same bytes each time. The bucket's default retention locks it."""
        self._client.put_object(
            Bucket=self._bucket,
            Key=f"{HEADS}{link.model}/{link.number:012d}.json",
            Body=document(link),
            ContentType="application/json",
        )

    def of(self, model: str) -> Iterator[Anchor]:
        """Yield every version of every head of a model, oldest link first."""
        pages = self._client.get_paginator("list_object_versions").paginate(
            Bucket=self._bucket, Prefix=f"{HEADS}{model}/"
        )
        for page in pages:
            for item in page.get("Versions", []):
                number = item["Key"].rpartition("/")[2].removesuffix(".json")
                yield Anchor(
                    number=int(number) if number.isdecimal() else 0,
                    key=item["Key"],
                    version_id=item["VersionId"],
                    etag=item["ETag"].strip('"'),
                )

    def models(self) -> set[str]:
        """Return the models that have heads, also those that were deleted since."""
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=HEADS
        )
        return {
            item["Key"].removeprefix(HEADS).rpartition("/")[0]
            for page in pages
            for item in page.get("Contents", [])
        }

    def read(self, anchor: Anchor) -> str:
        """Return the hash that an anchor holds; its content when that is no anchor's."""
        answer = self._client.get_object(
            Bucket=self._bucket, Key=anchor.key, VersionId=anchor.version_id
        )
        text = answer["Body"].read().decode(errors="replace")
        try:
            return str(json.loads(text)["hash"])
        except (ValueError, TypeError, KeyError):
            return text[:80]


def document(link: Link) -> bytes:
    """Return the bytes that an anchor of *link* has."""
    held = {
        "hash": link.hash,
        "linked_at": link.linked_at,
        "model": link.model,
        "number": link.number,
    }
    return json.dumps(held, sort_keys=True, separators=(",", ":")).encode()


def etag(link: Link) -> str:
    """Return the ETag of an anchor of *link*: it need not be read to be compared."""
    return hashlib.md5(document(link), usedforsecurity=False).hexdigest()
