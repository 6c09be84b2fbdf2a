"""A user's source directory: fetched, unpacked where nothing of it can do harm, and looked at."""

import logging
import re
import shutil
import stat
import tempfile
from enum import Enum
from pathlib import Path

from tidemill_local.containers.archive import ArchiveError, unpack
from tidemill_local.containers.contract import Container, UserError

log = logging.getLogger(__name__)

_MAX_BYTES = 2 * 1024**3  # of unpacked source
_ENTRY_POINT = re.compile(r"[A-Za-z0-9._][A-Za-z0-9._+-]*(/[A-Za-z0-9._+-]+)*")


class Kind(Enum):
    """How an entry point is run."""

    PACKAGE = "python -m"
    PROGRAM = "python"
    COMMAND = "/bin/sh -c"


def fetch(container: Container, uri: str, into: Path) -> None:
    """
    Put a source directory at *into*, unless something lies there already.

    Args:
        container: Whose S3 and paths are meant.
        uri: `s3://…/sourcedir.tar.gz`, or a directory, archive or file in the container.
        into: Made if need be.

    Raises:
        UserError: It is not there, or is no archive that may be unpacked.
    """
    into.mkdir(parents=True, exist_ok=True)
    if any(into.iterdir()):
        log.info("%s is not empty: the source directory is taken from there", into)
        return
    if not uri.startswith("s3://"):
        _from_here(container.here_is(uri), into)
        return
    with tempfile.TemporaryDirectory() as scratch:
        archive = Path(scratch, "sourcedir.tar.gz")
        _download(uri, archive)
        _unpack(archive, uri, into)


def checked_entry_point(name: str | None, directory: Path) -> str:
    """
    Return an entry point's name, if it is a file's path within the source directory.

    Raises:
        UserError: It is missing, leads out, or would be taken for an option or shell syntax.
    """
    if not name:
        raise UserError(
            "The training entry point name is empty. Set the 'sagemaker_program' hyperparameter to "
            "the name of the script to run, relative to your source directory, such as 'train.py'."
        )
    if not _ENTRY_POINT.fullmatch(name) or {".", ".."} & set(name.split("/")):
        raise UserError(
            f"The training entry point {name!r} cannot be used: it must be a path inside your "
            "source directory, of letters, digits, '.', '_', '+', '-' and '/', that does not "
            "begin with '-' or '/'."
        )
    if not (directory / name).resolve().is_relative_to(directory.resolve()):
        raise UserError(f"The training entry point {name!r} leads out of your source directory.")
    return name


def kind_of(name: str, directory: Path) -> Kind:
    """Return how SageMaker runs an entry point, by its name and what lies beside it."""
    if name.endswith(".sh"):
        return Kind.COMMAND
    if (directory / "setup.py").exists():
        return Kind.PACKAGE
    return Kind.PROGRAM if name.endswith(".py") else Kind.COMMAND


def make_executable(path: Path) -> None:
    """Let the owner run a script."""
    if path.is_file():
        path.chmod(path.stat().st_mode | stat.S_IXUSR)


def _from_here(path: Path, into: Path) -> None:
    if path.is_dir():
        if path.resolve() != into.resolve():
            shutil.copytree(path, into, dirs_exist_ok=True)
    elif not path.is_file():
        raise UserError(f"The source directory {path} does not exist in the container.")
    elif path.name.endswith((".tar.gz", ".tgz", ".tar")):
        _unpack(path, str(path), into)
    else:
        shutil.copy2(path, into)


def _unpack(archive: Path, uri: str, into: Path) -> None:
    try:
        unpack(archive, into, max_bytes=_MAX_BYTES)
    except ArchiveError as error:
        raise UserError(f"The source archive {uri} was not unpacked: {error}") from error


def _download(uri: str, target: Path) -> None:
    try:  # 0.3 s, for scripts in S3 only
        import boto3  # noqa: PLC0415
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415
    except ImportError as error:
        raise UserError(
            "This Python has no boto3, which fetches the source archive from S3; install it there."
        ) from error
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    try:
        with target.open("wb") as file:
            boto3.client("s3").download_fileobj(bucket, key, file)
    except (BotoCoreError, ClientError, ValueError) as error:
        raise UserError(f"The source archive {uri} could not be fetched: {error}") from error


def contents(directory: Path) -> str:
    """Return what a folder holds, as a sentence's end; what Python compiled there is left out."""
    found = sorted(path.name for path in directory.iterdir() if path.name != "__pycache__")
    return ", ".join(found) or "nothing"
