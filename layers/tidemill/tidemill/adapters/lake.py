"""Objects in S3: exact versions of uploads, and the documents that automation writes."""

import json
import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from tidemill.contracts.uploads import ObjectCreated
from tidemill.domain.admission import ObjectVersion
from tidemill.times import iso

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


MOST_TAGS = 10
#: Documents fetched at a time, and so many ahead of the one that is wanted.
TRANSFERS, AHEAD = 8, 32
#: How S3 says that an object version does not exist; HEAD has no body to say it in.
GONE = ("404", "NoSuchKey", "NoSuchVersion", "NotFound")
_CHUNK = 1_048_576
#: Checksums that tell contents apart for certain; CRC32 does not.
_CHECKSUMS = ("SHA256", "SHA1", "CRC64NVME")
_MD5 = re.compile(r"[0-9a-f]{32}")  # a multipart ETag ends with the number of its parts


@dataclass(frozen=True, slots=True)
class Listed:
    """An object as a listing has it; *size* in bytes."""

    key: str
    size: int
    etag: str


class Lake:
    """Reads by version, writes JSON."""

    def __init__(self, client: "S3Client") -> None:
        self._client = client

    def look(self, bucket: str, key: str, version_id: str, sequencer: str) -> ObjectVersion | None:
        """Return what S3 says of an object version, or None when it has been deleted for good."""
        try:
            head = self._client.head_object(Bucket=bucket, Key=key, VersionId=version_id)
        except ClientError as error:
            if error.response["Error"]["Code"] in GONE:
                return None
            raise
        return _version((bucket, key, version_id), head, head["ContentLength"], sequencer)

    def open(
        self, bucket: str, key: str, version_id: str, sequencer: str, count: int
    ) -> tuple[ObjectVersion, bytes] | None:
        """
        Return what S3 says of an object version and its first *count* bytes, in one request.

        None when it has been deleted for good.
        """
        try:
            answer = self._client.get_object(
                Bucket=bucket, Key=key, VersionId=version_id, Range=f"bytes=0-{count - 1}"
            )
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in GONE:
                return None
            if code == "InvalidRange":  # an empty object has no first byte
                empty = self.look(bucket, key, version_id, sequencer)
                return None if empty is None else (empty, b"")
            raise
        size = int(answer["ContentRange"].rpartition("/")[2])
        version = _version((bucket, key, version_id), answer, size, sequencer, _checksum(answer))
        return version, answer["Body"].read()

    def read(self, version: ObjectVersion, first: int, count: int) -> bytes:
        """Return up to *count* bytes from offset *first* of an object version."""
        if count <= 0 or first >= version.size:
            return b""
        answer = self._client.get_object(
            Bucket=version.bucket,
            Key=version.key,
            VersionId=version.version_id,
            Range=f"bytes={first}-{min(first + count, version.size) - 1}",
        )
        return answer["Body"].read()

    def tag(self, version: ObjectVersion, **tags: str) -> None:
        """
        Add *tags* to an object version; its bytes, its place and its owner's tags stay.

        S3 keeps ten tags: an object whose owner used them up stays as it is. So does one that
        was deleted for good meanwhile.
        """
        try:
            held = self._client.get_object_tagging(
                Bucket=version.bucket, Key=version.key, VersionId=version.version_id
            )["TagSet"]
        except ClientError as error:
            if error.response["Error"]["Code"] in GONE:
                return
            raise
        merged = {tag["Key"]: tag["Value"] for tag in held} | tags
        if len(merged) <= MOST_TAGS:
            self._client.put_object_tagging(
                Bucket=version.bucket,
                Key=version.key,
                VersionId=version.version_id,
                Tagging={"TagSet": [{"Key": key, "Value": merged[key]} for key in merged]},
            )

    def put_json(self, uri: str, document: Any) -> None:
        """Write *document* at an `s3://` URI."""
        self.put_text(uri, json.dumps(document, sort_keys=True, separators=(",", ":")))

    def put_text(self, uri: str, text: str, kind: str = "application/json") -> None:
        """Write JSON that is text already, or text of another media type, at an `s3://` URI."""
        self.put_bytes(uri, text.encode(), kind)

    def listed(self, bucket: str, prefix: str, *, after: str = "") -> Iterator[Listed]:
        """Yield the objects under *prefix* whose keys come after *after*, in their order."""
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=bucket, Prefix=prefix, StartAfter=after
        )
        return (
            Listed(item["Key"], item["Size"], item["ETag"].strip('"'))
            for page in pages
            for item in page.get("Contents", [])
        )

    def download(self, bucket: str, key: str, path: Path) -> bool:
        """Write an object's newest bytes to *path*; say whether there were any."""
        try:
            answer = self._client.get_object(Bucket=bucket, Key=key)
        except self._client.exceptions.NoSuchKey:
            return False
        _write(answer, path)
        return True

    def put_file(self, uri: str, path: Path) -> None:
        """Write a local file's bytes at an `s3://` URI."""
        bucket, key = split(uri)
        with path.open("rb") as file:
            self._client.put_object(Bucket=bucket, Key=key, Body=file)

    def put_once(self, uri: str, text: str) -> bool:
        """Write *text* unless there is something at the URI; say whether it was written."""
        bucket, key = split(uri)
        try:
            self._client.put_object(Bucket=bucket, Key=key, Body=text.encode(), IfNoneMatch="*")
        except ClientError as error:
            if error.response["Error"]["Code"] == "PreconditionFailed":
                return False
            raise
        return True

    def fetch(self, bucket: str, key: str, version_id: str, path: Path) -> ObjectVersion | None:
        """
        Write an object version's bytes to *path*, and return what S3 says of it.

        None when it has been deleted for good.
        """
        try:
            answer = self._client.get_object(Bucket=bucket, Key=key, VersionId=version_id)
        except ClientError as error:
            if error.response["Error"]["Code"] in GONE:
                return None
            raise
        _write(answer, path)
        return _version((bucket, key, version_id), answer, answer["ContentLength"])

    def get_text(self, uri: str) -> str:
        """Return a UTF-8 document that must be there."""
        bucket, key = split(uri)
        return self._client.get_object(Bucket=bucket, Key=key)["Body"].read().decode()

    def get_json(self, uri: str) -> Any | None:
        """Return the JSON document at an `s3://` URI, or None when there is none."""
        found = self.find_bytes(uri)
        return None if found is None else json.loads(found)

    def find_text(self, uri: str) -> str | None:
        """Return the text at an `s3://` URI, or None when there is nothing."""
        found = self.find_bytes(uri)
        return None if found is None else found.decode()

    def names(self, prefix: str) -> list[str]:
        """Return what follows *prefix*, an S3 URI, in the URIs of all that begin with it."""
        bucket, key = split(prefix)
        return [name.removeprefix(key) for name in self.keys(bucket, key)]

    def texts(self, uris: Iterable[str], *, ahead: int = AHEAD) -> Iterator[str | None]:
        """Yield the text at each URI, in order, or None; so many are fetched *ahead*."""
        waiting: deque[Future[str | None]] = deque()
        with ThreadPoolExecutor(TRANSFERS) as pool:
            for uri in uris:
                waiting.append(pool.submit(self.find_text, uri))
                if len(waiting) == ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    def keys(self, bucket: str, prefix: str, *, after: str = "") -> Iterator[str]:
        """Yield the keys under *prefix* that come after *after*, in their order."""
        return (one.key for one in self.listed(bucket, prefix, after=after))

    def find_bytes(self, uri: str) -> bytes | None:
        """Return the bytes at an `s3://` URI, or None when there is nothing."""
        bucket, key = split(uri)
        try:
            return self._client.get_object(Bucket=bucket, Key=key)["Body"].read()
        except self._client.exceptions.NoSuchKey:
            return None

    def put_bytes(self, uri: str, data: bytes, kind: str = "application/octet-stream") -> None:
        """Write *data* at an `s3://` URI."""
        bucket, key = split(uri)
        self._client.put_object(Bucket=bucket, Key=key, Body=data, ContentType=kind)

    def versions(
        self, bucket: str, prefix: str, after: tuple[str, str] | None = None
    ) -> tuple[list[ObjectCreated], tuple[str, str] | None]:
        """
        Return up to 1,000 object versions under *prefix*, as the events that they should have had.

        Args:
            bucket: The bucket.
            prefix: What the keys begin with.
            after: Where the page before ended; None for the first.

        Returns:
            The page, and where it ended; None when it was the last.
        """
        marker: Any = {"KeyMarker": after[0], "VersionIdMarker": after[1]} if after else {}
        answer = self._client.list_object_versions(Bucket=bucket, Prefix=prefix, **marker)
        page = [
            ObjectCreated(
                bucket, item["Key"], item["VersionId"], "",
                etag=item["ETag"].strip('"'),
                size=item["Size"],
                at=iso(item["LastModified"].timestamp()),
            )
            for item in answer.get("Versions", [])
        ]  # fmt: skip
        if not answer.get("IsTruncated"):
            return page, None
        return page, (answer["NextKeyMarker"], answer.get("NextVersionIdMarker", ""))


def _write(answer: Mapping[str, Any], path: Path) -> None:
    """Write the bytes of GetObject's *answer* to *path*, piece by piece."""
    with closing(answer["Body"]) as body, path.open("wb") as file:
        for chunk in body.iter_chunks(_CHUNK):
            file.write(chunk)


def _version(
    name: tuple[str, str, str],
    answer: Mapping[str, Any],
    size: int,
    sequencer: str = "",
    checksum: str = "",
) -> ObjectVersion:
    """Return the version *name* (bucket, key, version) with what S3's answer says of it."""
    bucket, key, version_id = name
    return ObjectVersion(
        bucket=bucket,
        key=key,
        version_id=version_id,
        etag=answer["ETag"].strip('"'),
        size=size,
        uploaded=answer["LastModified"].timestamp(),
        sequencer=sequencer,
        checksum=checksum,
    )


def _checksum(answer: Mapping[str, Any]) -> str:
    """Return the checksum of the whole object in S3's answer as `SHA256:…`, or an empty text."""
    if answer.get("ChecksumType") != "FULL_OBJECT":
        etag = answer["ETag"].strip('"')
        plain = answer.get("ServerSideEncryption", "AES256") == "AES256"  # a KMS ETag is no MD5
        return f"MD5:{etag}" if plain and _MD5.fullmatch(etag) else ""
    found = (
        f"{name}:{answer[f'Checksum{name}']}"
        for name in _CHECKSUMS
        if answer.get(f"Checksum{name}")
    )
    return next(found, "")


def split(uri: str) -> tuple[str, str]:
    """Return bucket and key of an `s3://` URI."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key
