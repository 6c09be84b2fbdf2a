"""Function code and layers, unpacked once per content; and AWS's part of the Python runtime."""

import importlib.metadata
import io
import shutil
import stat
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

_RUNTIME = ("boto3", "botocore", "s3transfer", "jmespath", "python-dateutil", "six", "urllib3")


LOCAL_PACKAGES = "local-packages"
"""The file of a layer that names a folder of this machine instead of carrying what is in it."""


class UnsafeArchiveError(Exception):
    """An archive wants to write outside its own folder."""


class FunctionFiles:
    """
    Folders named by the digest of the archive they came from; equal archives share one.

    Args:
        root: Where they lie.
    """

    def __init__(self, root: Path) -> None:
        self.runtime = root / "runtime"
        self.bytecode = root / "bytecode"
        self._unpacked = root / "unpacked"
        self._unpacked.mkdir(parents=True, exist_ok=True)

    def unpacked(self, digest: str, read: Callable[[], bytes]) -> Path:
        """
        Return the folder with an archive's content, unpacking it when it is new.

        Args:
            digest: SHA-256 of the archive, hexadecimal.
            read: Fetches the archive; called only when it is new.

        Raises:
            UnsafeArchiveError: A member's path leads outside, or is a symbolic link.
            zipfile.BadZipFile: It is no zip file.
        """
        folder = self._unpacked / digest
        if not folder.is_dir():
            self._unpack_into(read(), folder)
        return folder

    def keep_only(self, digests: set[str]) -> None:
        """Remove folders whose archive no function has any more, and unfinished ones."""
        for folder in self._unpacked.iterdir():
            if folder.name not in digests:
                shutil.rmtree(folder, ignore_errors=True)

    def install_runtime(self) -> None:
        """
        Link boto3 and what it needs, and nothing else, from the running Python's own packages.

        Raises:
            importlib.metadata.PackageNotFoundError: One of them is not installed.
        """
        shutil.rmtree(self.runtime, ignore_errors=True)
        self.runtime.mkdir(parents=True)
        for name in _RUNTIME:
            distribution = importlib.metadata.distribution(name)
            tops = {file.parts[0] for file in distribution.files or ()}
            for top in tops - {"..", "__pycache__", "bin"}:
                (self.runtime / top).symlink_to(Path(str(distribution.locate_file(top))))

    def _unpack_into(self, archive: bytes, folder: Path) -> None:
        # A neighbour first, so that nobody ever sees (or, after a crash, finds) half of it.
        part = Path(tempfile.mkdtemp(dir=self._unpacked))
        try:
            with zipfile.ZipFile(io.BytesIO(archive)) as zipped:
                for member in zipped.infolist():
                    _extract(zipped, member, part)
            part.chmod(0o755)
            part.rename(folder)
        except OSError:
            if not folder.is_dir():  # else another thread was first
                raise
        finally:
            shutil.rmtree(part, ignore_errors=True)


def local_packages(layer: Path) -> Path | None:
    """
    Return the folder that an unpacked layer names, or None when it carries all it has.

    `sam build` for the local cloud makes such layers: hundreds of megabytes of wheels are neither
    zipped nor unpacked at each deployment, and no state directory holds a copy of them.
    """
    try:
        return Path((layer / LOCAL_PACKAGES).read_text().strip())
    except FileNotFoundError:
        return None


def _extract(zipped: zipfile.ZipFile, member: zipfile.ZipInfo, folder: Path) -> None:
    target = (folder / member.filename).resolve()
    if not target.is_relative_to(folder.resolve()):
        raise UnsafeArchiveError(f"{member.filename!r} leads out of the archive's folder")
    mode = member.external_attr >> 16
    if stat.S_ISLNK(mode):
        raise UnsafeArchiveError(f"{member.filename!r} is a symbolic link")
    zipped.extract(member, folder)
    if stat.S_IMODE(mode) and not member.is_dir():
        target.chmod(stat.S_IMODE(mode) | stat.S_IRUSR)
