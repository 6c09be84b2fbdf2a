"""What SageMaker moves between S3 and a container's file system."""

from __future__ import annotations

import json
import os
import shutil
import tarfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:  # the stubs are a development dependency
    from mypy_boto3_s3 import S3Client

_Item = TypeVar("_Item")
_TRANSFERS = 8  # objects on their way at once, per job

Check = Callable[[], None]
"""Called before each object; raises to end the transfer."""


class TransferError(Exception):
    """Data did not get through; the message is fit for a FailureReason."""


@dataclass(frozen=True)
class S3Object:
    """An object to fetch, and where it lies below the channel's directory."""

    bucket: str
    key: str
    place: str


def split_uri(uri: str) -> tuple[str, str]:
    """
    Return bucket and key (or prefix) of an `s3://` URI.

    Raises:
        TransferError: It is not one.
    """
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if not uri.startswith("s3://") or not bucket:
        raise TransferError(f"ClientError: {uri!r} is not an S3 URI; write s3://bucket/prefix.")
    return bucket, key


def objects_under(s3: S3Client, uri: str, role: str) -> list[S3Object]:
    """
    Return the objects whose keys begin with a URI's key (S3DataType S3Prefix).

    Below a prefix that names a folder, with or without its slash, objects keep their relative
    path; an object that only shares the beginning of its name lies beside them.

    Args:
        s3: The client.
        uri: The prefix.
        role: The job's role, for the message.

    Raises:
        TransferError: There is none, in SageMaker's words, or S3 refuses.
    """
    bucket, prefix = split_uri(uri)
    folder = prefix if prefix.endswith("/") or not prefix else f"{prefix}/"
    parent = prefix.rpartition("/")[0]
    found = []
    for key in _keys_under(s3, uri):
        start = folder if key.startswith(folder) else (f"{parent}/" if parent else "")
        found.append(S3Object(bucket, key, key.removeprefix(start)))
    if not found:
        raise TransferError(f"ClientError: Failed to download data. {nothing_under(uri, role)}")
    return found


def is_empty(s3: S3Client, uri: str) -> bool:
    """
    Whether no object's key begins with a URI's key; asks for one page of keys at a time.

    Raises:
        TransferError: S3 refuses.
    """
    return next(_keys_under(s3, uri), None) is None


def nothing_under(uri: str, role: str) -> str:
    """Return what SageMaker says of an empty prefix."""
    bucket = uri.removeprefix("s3://").partition("/")[0]
    return (
        f'No S3 objects found under S3 URL "{uri}" given in input data source. Please ensure that '
        "the bucket exists in the selected region, that objects exist under that S3 prefix, and "
        f'that the role "{role}" has "s3:ListBucket" permissions on bucket "{bucket}".'
    )


def objects_in_manifest(s3: S3Client, uri: str) -> list[S3Object]:
    """
    Return the objects that a ManifestFile names: `[{"prefix": "s3://b/p/"}, "a", "b/c"]`.

    Raises:
        TransferError: The manifest cannot be read, is malformed, or names nothing.
    """
    bucket, key = split_uri(uri)
    try:
        with s3.get_object(Bucket=bucket, Key=key)["Body"] as stream:
            manifest: Any = json.loads(stream.read())
    except (ClientError, BotoCoreError) as error:
        raise TransferError(
            f"ClientError: Failed to download data. The manifest {uri} cannot be read: {error}"
        ) from error
    except ValueError as error:
        raise _bad_manifest(uri, f"it is not JSON: {error}") from error
    if not isinstance(manifest, list) or not manifest or not isinstance(manifest[0], dict):
        raise _bad_manifest(uri, "it must be a list that begins with an object holding `prefix`")
    prefix, *names = manifest
    if not isinstance(prefix.get("prefix"), str) or not names:
        raise _bad_manifest(uri, "it must give a `prefix` and at least one name")
    if not all(isinstance(name, str) and name for name in names):
        raise _bad_manifest(uri, "every entry after the first must be a name")
    bucket, start = split_uri(prefix["prefix"])
    return [S3Object(bucket, start + name, name.lstrip("/")) for name in names]


def download(
    s3: S3Client, objects: Iterable[S3Object], directory: Path, check: Check = lambda: None
) -> None:
    """
    Fetch objects below *directory*.

    Raises:
        TransferError: S3 refuses, or two objects cannot lie in one file system (`a` and `a/b`).
    """
    directory.mkdir(parents=True, exist_ok=True)

    def fetch(item: S3Object) -> None:
        check()
        target = _inside(directory, item)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with (
                s3.get_object(Bucket=item.bucket, Key=item.key)["Body"] as source,
                target.open("wb") as sink,
            ):
                shutil.copyfileobj(source, sink, 1 << 20)
        except (ClientError, BotoCoreError) as error:
            raise TransferError(
                "ClientError: Failed to download data. "
                f"GetObject failed for s3://{item.bucket}/{item.key}: {error}"
            ) from error
        except OSError as error:
            raise TransferError(
                f"ClientError: Failed to download data. s3://{item.bucket}/{item.key} cannot lie "
                f"at {item.place} in the container: {error.strerror}"
            ) from error

    _each(fetch, objects)


class Upload:
    """
    Copies a directory's files below an S3 prefix, each again only when it has changed.

    Symbolic links are left out, as SageMaker does.
    """

    def __init__(self, s3: S3Client, directory: Path, uri: str) -> None:
        self._s3 = s3
        self._directory = directory
        self._uri = uri
        self._sent: dict[Path, tuple[int, int]] = {}

    def know(self) -> None:
        """Take what lies there now as sent: it came from S3."""
        self._sent = {path: _mark(path) for path in files_below(self._directory)}

    def run(self) -> None:
        """
        Send what is new or changed since the last time.

        Raises:
            TransferError: S3 refuses.
        """
        bucket, prefix = split_uri(self._uri)
        base = f"{prefix.rstrip('/')}/" if prefix else ""

        def send(path: Path) -> None:
            try:
                mark = _mark(path)
                if self._sent.get(path) == mark:
                    return
                key = base + path.relative_to(self._directory).as_posix()
                upload_file(self._s3, path, bucket, key)
            except FileNotFoundError:  # the job has removed it in between
                return
            self._sent[path] = mark

        _each(send, list(files_below(self._directory)))


def upload_file(s3: S3Client, path: Path, bucket: str, key: str) -> None:
    """
    Put one file into S3.

    Raises:
        TransferError: S3 refuses.
    """
    # Imported here: only uploads need it, and it takes a tenth of a second.
    from boto3.exceptions import Boto3Error  # noqa: PLC0415

    try:
        s3.upload_file(str(path), bucket, key)
    except (ClientError, BotoCoreError, Boto3Error) as error:
        raise TransferError(
            f"ClientError: Failed to upload data to s3://{bucket}/{key}: {error}. "
            "Check that the bucket exists."
        ) from error


def upload_archive(s3: S3Client, directories: Sequence[Path], uri: str) -> bool:
    """
    Put the files of directories into S3 as one tar.gz; return False, having done nothing, if none.

    Of files with the same relative path the last directory's is taken.

    Raises:
        TransferError: S3 refuses.
    """
    files = {
        path.relative_to(directory).as_posix(): path
        for directory in directories
        for path in files_below(directory)
    }
    if not files:
        return False
    archive = directories[0].with_name(f".{directories[0].name}.tar.gz")
    try:
        with tarfile.open(archive, "w:gz", compresslevel=6) as tar:
            for place in sorted(files):
                tar.add(files[place], place, recursive=False)
        upload_file(s3, archive, *split_uri(uri))
    finally:
        archive.unlink(missing_ok=True)
    return True


def files_below(directory: Path) -> Iterator[Path]:
    """Yield the regular files below a directory; symbolic links are neither told nor followed."""
    for parent, folders, names in os.walk(directory):
        folders.sort()
        for name in sorted(names):
            path = Path(parent, name)
            if path.is_file() and not path.is_symlink():
                yield path


def _mark(path: Path) -> tuple[int, int]:
    """Return what tells a file from what it was before."""
    status = path.stat()
    return status.st_mtime_ns, status.st_size


def _keys_under(s3: S3Client, uri: str) -> Iterator[str]:
    bucket, prefix = split_uri(uri)
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    try:
        for page in pages:
            for item in page.get("Contents", []):
                if not item["Key"].endswith("/"):  # the console's folder markers are no data
                    yield item["Key"]
    except (ClientError, BotoCoreError) as error:
        raise TransferError(
            f"ClientError: Failed to download data. ListObjectsV2 failed for {uri}: {error}"
        ) from error


def _each(work: Callable[[_Item], None], items: Iterable[_Item]) -> None:
    """Do the work for every item, a few at once; the first failure is raised when all are done."""
    items = list(items)
    if len(items) <= 1:  # no threads for what needs none
        for item in items:
            work(item)
        return
    with ThreadPoolExecutor(_TRANSFERS, thread_name_prefix="transfer") as pool:
        for _ in pool.map(work, items):
            pass


def _inside(directory: Path, item: S3Object) -> Path:
    if ".." in PurePosixPath(item.place).parts or item.place.startswith("/") or not item.place:
        raise TransferError(
            f"ClientError: Failed to download data. The key s3://{item.bucket}/{item.key} cannot "
            "be a file's path; rename the object."
        )
    return directory / item.place


def _bad_manifest(uri: str, why: str) -> TransferError:
    return TransferError(
        f"ClientError: Failed to download data. The manifest {uri} is malformed: {why}."
    )
