"""
The lake: exact object versions in, prepared files out. The only user of boto3 in jobs.

SageMaker's channels cannot name an object version; a dataset is a list of versions. So Prepare
reads them itself, here.
"""

import hashlib
import json
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from tidemill_jobs.errors import GoneError, JobError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CHUNK = 1_048_576
ATTEMPTS = 3  # of one download; botocore repeats a request, not a body that breaks off
GONE = ("NoSuchKey", "NoSuchVersion", "MethodNotAllowed")  # the last: a delete marker


@dataclass(frozen=True, slots=True)
class ObjectVersion:
    """
    One object version of a dataset; `size` in bytes.

    A person has *released* it: what breaks the contract in it is judged as by `warn`.
    """

    uri: str
    version_id: str
    size: int
    etag: str = ""
    released: bool = False

    @classmethod
    def parse(cls, document: dict[str, Any]) -> Self:
        """Read an entry of dataset.json or plan.json."""
        return cls(
            document["uri"],
            document["version_id"],
            int(document["size"]),
            document.get("etag", ""),
            document.get("released", False),
        )

    @property
    def name(self) -> str:
        """The object's last path segment."""
        return self.uri.rsplit("/", 1)[-1]


def read_dataset(text: str) -> list[ObjectVersion]:
    """
    Return the object versions that dataset.json lists, in its order.

    Raises:
        JobError: The text is no dataset document of version 1.
    """
    try:
        document = json.loads(text)
        if document["version"] != 1:
            raise JobError(
                f"dataset.json has version {document['version']}; this image reads 1: "
                "build the jobs image anew, then run again."
            )
        return [ObjectVersion.parse(entry) for entry in document["objects"]]
    except (KeyError, TypeError, ValueError) as exc:
        raise JobError(f"dataset.json is not a dataset ({exc!r}); start a new run.") from exc


class Lake:
    """Reads and writes objects of the lake bucket."""

    def __init__(self, client: "S3Client | None" = None) -> None:
        self._client = client or boto3.client(
            "s3", config=Config(retries={"mode": "standard", "total_max_attempts": 5})
        )

    def read(self, version: ObjectVersion, path: Path) -> str:
        """
        Stream one object version into *path* and return the SHA-256 of its bytes, in hex.

        Raises:
            GoneError: There is no such version any more.
            JobError: It may not be read, or has another size than the dataset says.
        """
        for attempt in range(1, ATTEMPTS + 1):
            try:
                size, digest = self._stream(version, path)
                break
            except ClientError as exc:
                kind = GoneError if exc.response["Error"]["Code"] in GONE else JobError
                raise kind(
                    f"{version.uri} (version {version.version_id}) cannot be read: {exc}. "
                    "A dataset names exact versions: restore this one, or start a new run."
                ) from exc
            except BotoCoreError as exc:  # a body that broke off
                if attempt == ATTEMPTS:
                    raise JobError(
                        f"{version.uri} broke off {ATTEMPTS} times ({exc}); run again."
                    ) from exc
        if size != version.size:
            raise JobError(
                f"{version.uri} (version {version.version_id}) has {size:,} bytes; the dataset "
                f"says {version.size:,}. Start a new run, so that the dataset is listed anew."
            )
        return digest

    def find_text(self, uri: str) -> str | None:
        """
        Return a UTF-8 document, None where there is none that this role may read.

        Raises:
            JobError: S3 cannot be reached, or refuses.
        """
        bucket, key = _split(uri)
        try:
            return self._client.get_object(Bucket=bucket, Key=key)["Body"].read().decode()
        except ClientError as exc:
            # Without s3:ListBucket, S3 says AccessDenied of what does not exist.
            if exc.response["Error"]["Code"] in (*GONE, "AccessDenied"):
                return None
            raise JobError(f"{uri} cannot be read: {exc}. Check the job's role.") from exc
        except BotoCoreError as exc:
            raise JobError(f"{uri} broke off ({exc}); run again.") from exc

    def fetch(self, uri: str, path: Path) -> bool:
        """
        Stream the newest version of an object into *path*; False when there is none.

        Raises:
            JobError: S3 cannot be reached, or refuses.
        """
        bucket, key = _split(uri)
        try:
            answer = self._client.get_object(Bucket=bucket, Key=key)
            with closing(answer["Body"]) as body, path.open("wb") as file:
                for chunk in body.iter_chunks(CHUNK):
                    file.write(chunk)
        except ClientError as exc:
            if exc.response["Error"]["Code"] in GONE:
                return False
            raise JobError(f"{uri} cannot be read: {exc}. Check the job's role.") from exc
        except BotoCoreError as exc:
            raise JobError(f"{uri} broke off ({exc}); run again.") from exc
        return True

    def names(self, prefix: str) -> list[str]:
        """
        Return what follows *prefix*, an S3 address, in the addresses of all that begin with it.

        Raises:
            JobError: S3 cannot be reached, or refuses.
        """
        bucket, key = _split(prefix)
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=key)
        try:
            return [
                item["Key"].removeprefix(key) for page in pages for item in page.get("Contents", [])
            ]
        except (BotoCoreError, ClientError) as exc:
            raise JobError(f"{prefix} cannot be listed: {exc}. Check the job's role.") from exc

    def newest(self, prefix: str) -> dict[str, ObjectVersion]:
        """
        Return the newest versions of the objects whose addresses begin with *prefix*, by address.

        Raises:
            JobError: S3 cannot be reached, or refuses.
        """
        bucket, key = _split(prefix)
        pages = self._client.get_paginator("list_object_versions").paginate(
            Bucket=bucket, Prefix=key
        )
        try:
            found = [
                ObjectVersion(
                    f"s3://{bucket}/{item['Key']}",
                    item["VersionId"],
                    item["Size"],
                    item["ETag"].strip('"'),
                )
                for page in pages
                for item in page.get("Versions", [])
                if item["IsLatest"]
            ]
        except (BotoCoreError, ClientError) as exc:
            raise JobError(f"{prefix} cannot be listed: {exc}. Check the job's role.") from exc
        return {one.uri: one for one in found}

    def put_file(self, path: Path, uri: str) -> None:
        """Write a local file to *uri*."""
        bucket, key = _split(uri)
        with path.open("rb") as file:
            self._client.put_object(Bucket=bucket, Key=key, Body=file)

    def put_text(self, text: str, uri: str) -> None:
        """
        Write a UTF-8 document to *uri*.

        Raises:
            JobError: S3 cannot be reached, or refuses.
        """
        self.put_bytes(text.encode(), uri)

    def put_bytes(self, data: bytes, uri: str) -> None:
        """
        Write an object to *uri*.

        Raises:
            JobError: S3 cannot be reached, or refuses.
        """
        bucket, key = _split(uri)
        try:
            self._client.put_object(Bucket=bucket, Key=key, Body=data)
        except (BotoCoreError, ClientError) as exc:
            raise JobError(f"{uri} cannot be written: {exc}. Check the job's role.") from exc

    def put_manifest(self, prefix: str, names: Sequence[str], uri: str) -> None:
        """
        Write a SageMaker ManifestFile: *names* are relative to *prefix* (no trailing slash).

        Raises:
            JobError: There is no name; SageMaker fails a job whose manifest is empty.
        """
        if not names:
            raise JobError(f"there is nothing to list in {uri}; report this as a fault.")
        self.put_text(json.dumps([{"prefix": f"{prefix}/"}, *names]), uri)

    def _stream(self, version: ObjectVersion, path: Path) -> tuple[int, str]:
        bucket, key = _split(version.uri)
        answer = self._client.get_object(Bucket=bucket, Key=key, VersionId=version.version_id)
        size, digest = 0, hashlib.sha256()
        # Its own `with` would hand out the raw response, past the checksum.
        with closing(answer["Body"]) as body, path.open("wb") as file:
            for chunk in body.iter_chunks(CHUNK):
                size += file.write(chunk)
                digest.update(chunk)
        return size, digest.hexdigest()


def _split(uri: str) -> tuple[str, str]:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key
