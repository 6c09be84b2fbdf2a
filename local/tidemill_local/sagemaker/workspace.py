"""A job's directory, which stands in for its container's file system."""

import os
import re
import shutil
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from tidemill_local.sagemaker.context import Context

CONTAINER_ROOT = "/opt/ml"
# A container path inside an argument: `/opt/ml/x`, `--in=/opt/ml/x`, but not `/srv/opt/ml`.
_CONTAINER_PATH = re.compile(r"(?<![\w./-])/opt/ml(?=/|$)")


class Workspace:
    """
    A directory with `opt/ml`, `home` and `tmp`; programs find it by SAGEMAKER_BASE_DIR.

    Programs that spell out `/opt/ml/…` in their arguments or environment work too: `translate`
    turns such paths into the local ones. One that has it in its code does not.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.base = directory / "opt" / "ml"

    @classmethod
    def create(cls, directory: Path) -> "Workspace":
        """Make the directory, empty whatever was there."""
        workspace = cls(directory)
        workspace.remove()
        for path in (workspace.base / "output", directory / "home", directory / "tmp"):
            path.mkdir(parents=True)
        return workspace

    def remove(self) -> None:
        """Delete the directory, as far as the job's own file modes allow."""
        shutil.rmtree(self.directory, ignore_errors=True)

    def path(self, container_path: str) -> Path:
        """
        Return where a path below /opt/ml lies here.

        Raises:
            ValueError: It leads elsewhere.
        """
        if not is_container_path(container_path):
            raise ValueError(f"{container_path} is not below {CONTAINER_ROOT}")
        return self.base / PurePosixPath(container_path).relative_to(CONTAINER_ROOT)

    def translate(self, text: str) -> str:
        """Return *text* with container paths replaced by local ones."""
        return _CONTAINER_PATH.sub(lambda _: str(self.base), text)

    def environment(
        self, context: Context, declared: Mapping[str, str] | None = None
    ) -> dict[str, str]:
        """
        Return what every container's environment begins with; of the service's own, only PATH.

        Args:
            context: Whose S3, region and account the program should find.
            declared: The request's Environment. It may replace PATH, HOME and the like, but not
                what leads to the local cloud: a program must not reach AWS from here.
        """
        python = str(Path(sys.executable).parent)
        defaults = {
            "PATH": os.pathsep.join([python, os.environ.get("PATH", os.defpath)]),
            "HOME": str(self.directory / "home"),
            "TMPDIR": str(self.directory / "tmp"),
            "LANG": "C.UTF-8",
            "PYTHONUNBUFFERED": "1",
        }
        contract = {
            "AWS_ENDPOINT_URL": context.endpoint_url,
            "AWS_DEFAULT_REGION": context.region,
            "AWS_REGION": context.region,
            "AWS_ACCESS_KEY_ID": context.account,  # names the local account
            "AWS_SECRET_ACCESS_KEY": context.account,  # opens nothing: nobody checks it
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": "127.0.0.1,localhost",
            "SAGEMAKER_BASE_DIR": str(self.base),
        }
        translated = {name: self.translate(value) for name, value in (declared or {}).items()}
        return defaults | translated | contract


def is_container_path(path: str) -> bool:
    """Whether a path lies below /opt/ml, where a job's directory can stand in for it."""
    parts = PurePosixPath(path)
    return ".." not in parts.parts and parts.is_relative_to(CONTAINER_ROOT)


def prune(directories: Iterable[Path], keep: int) -> None:
    """Delete all but the *keep* youngest of these directories."""
    ages = {path: path.stat().st_mtime for path in directories}
    youngest_first = sorted(ages, key=lambda path: ages[path], reverse=True)
    for path in youngest_first[keep:]:
        shutil.rmtree(path, ignore_errors=True)
