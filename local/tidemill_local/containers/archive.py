"""
Unpack a `model.tar.gz` or `sourcedir.tar.gz` that anybody may have written.

Only plain files and directories below the target are accepted: no absolute names, no `..`, no
links, no devices, and no more bytes or files than the limits. Modes and owners are ours.
"""

import gzip
import shutil
import tarfile
import zlib
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

MAX_BYTES = 8 * 1024**3
MAX_FILES = 20_000
_MAX_READ = 1024**2  # at once: files come in smaller pieces, only a made-up header asks for more
_GZIP = b"\x1f\x8b"


class ArchiveError(Exception):
    """The archive is damaged, or holds something that a model or script has no need of."""


class _InPieces:
    """A file that refuses to be read into memory: tarfile takes a header's word for its size."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def read(self, size: int) -> bytes:
        if size > _MAX_READ:
            raise ArchiveError(f"it has a header of {size} bytes")
        return self._file.read(size)

    def seek(self, offset: int) -> int:
        return self._file.seek(offset)

    def tell(self) -> int:
        return self._file.tell()


def unpack(
    archive: Path, into: Path, *, max_bytes: int = MAX_BYTES, max_files: int = MAX_FILES
) -> None:
    """
    Unpack *archive* into the directory *into*, which must exist.

    Args:
        archive: A tar file, gzipped or not.
        into: Receives the files; what was unpacked before an error stays.
        max_bytes: Sum of all files; the free disk space, less a tenth, is a limit too.
        max_files: Files and directories together.

    Raises:
        ArchiveError: Names the entry that is refused, or what is damaged.
    """
    room = min(max_bytes, shutil.disk_usage(into).free * 9 // 10)
    entries = written = 0
    try:
        with (
            _plain(archive) as file,
            tarfile.open(fileobj=cast("IO[bytes]", _InPieces(file)), mode="r:") as tar,
        ):
            while (member := tar.next()) is not None:
                tar.members = []  # type: ignore[attr-defined]  # it would keep all, perhaps millions
                entries += 1
                written += member.size
                if entries > max_files:
                    raise ArchiveError(f"it holds more than {max_files} files")
                if written > room:
                    raise ArchiveError(f"it unpacks to more than {room} bytes")
                _write(tar, member, into)
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise ArchiveError(f"it cannot be read: {error}") from error


def _plain(archive: Path) -> Any:
    with archive.open("rb") as file:
        zipped = file.read(len(_GZIP)) == _GZIP
    return gzip.open(archive) if zipped else archive.open("rb")


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, into: Path) -> None:
    target = into / _safe_name(member.name)
    if member.isdir():
        target.mkdir(parents=True, exist_ok=True)
        return
    source = tar.extractfile(member) if member.isreg() else None
    if source is None:
        raise ArchiveError(f"{member.name!r} is a link or a device; pack files only")
    target.parent.mkdir(parents=True, exist_ok=True)
    with source, target.open("wb") as file:
        shutil.copyfileobj(source, file)


def _safe_name(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name:
        raise ArchiveError(f"{name!r} leads out of the directory")
    return path
