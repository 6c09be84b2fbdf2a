"""A container's directory, which stands in for its file system."""

import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path, PurePosixPath
from typing import TypeVar

from tidemill_local.sagemaker.containers.container import Container
from tidemill_local.sagemaker.context import Context

CONTAINER_ROOT = "/opt/ml"
_HOSTS = Path("/etc/hosts")
_PROBE_SECONDS = 10.0
_Item = TypeVar("_Item")
# A container path inside an argument: `/opt/ml/x`, `--in=/opt/ml/x`, but not `/srv/opt/ml`.
_CONTAINER_PATH = re.compile(r"(?<![\w./-])/opt/ml(?=/|$)")


class Workspace:
    """
    A directory with `opt/ml`, `home` and `tmp`.

    Where the kernel allows (`private_paths`), the container's processes see it at /opt/ml, as in
    SageMaker. Elsewhere they find it by SAGEMAKER_BASE_DIR: `translate` turns the paths that they
    are given in arguments and environment into local ones; a program that has /opt/ml in its code
    does not find it.

    Args:
        directory: Where it lies.
        host: Which of its job's hosts it belongs to.
        hosts: All of them, in order.
    """

    def __init__(
        self, directory: Path, host: str = "algo-1", hosts: Sequence[str] = ("algo-1",)
    ) -> None:
        self.directory = directory
        self.base = directory / "opt" / "ml"
        self.host = host
        self.hosts = tuple(hosts)
        self.private = private_paths()
        #: What the container's processes know `base` as.
        self.seen = PurePosixPath(CONTAINER_ROOT if self.private else self.base)

    @classmethod
    def create(
        cls, directory: Path, host: str = "algo-1", hosts: Sequence[str] = ("algo-1",)
    ) -> "Workspace":
        """Make the directory, empty whatever was there."""
        workspace = cls(directory, host, hosts)
        remove(directory)
        for path in (workspace.base / "output", directory / "home", directory / "tmp"):
            path.mkdir(parents=True)
        _write_hosts(directory, hosts)
        return workspace

    @property
    def overlay(self) -> Path | None:
        """What a Container is to lay over the machine's files."""
        return self.directory if self.private else None

    def share(self, items: Iterable[_Item]) -> list[_Item]:
        """Return this host's part of what ShardedByS3Key divides among all: every n-th."""
        return list(items)[self.hosts.index(self.host) :: len(self.hosts)]

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
        """Return *text* with container paths replaced by those that its processes see."""
        return text if self.private else _CONTAINER_PATH.sub(lambda _: str(self.base), text)

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
            "SAGEMAKER_BASE_DIR": str(self.seen),
        }
        translated = {name: self.translate(value) for name, value in (declared or {}).items()}
        return defaults | translated | contract


def is_container_path(path: str) -> bool:
    """Whether a path lies below /opt/ml, where a job's directory can stand in for it."""
    parts = PurePosixPath(path)
    return ".." not in parts.parts and parts.is_relative_to(CONTAINER_ROOT)


@cache
def private_paths() -> bool:
    """
    Whether containers here see their own directory at /opt/ml; tried once per service process.

    It takes Linux, and a kernel that lets this user make mount namespaces.
    """
    with tempfile.TemporaryDirectory(prefix="tidemill-probe-") as name:
        directory = Path(name)
        (directory / "opt" / "ml" / "probe").mkdir(parents=True)
        _write_hosts(directory, ["algo-1"])
        container = Container(
            [sys.executable, "-I", "-S", "-c", "import os; os.stat('/opt/ml/probe')"],
            env={},
            directory=directory,
            output=lambda _: None,
            overlay=directory,
        )
        status = container.wait(_PROBE_SECONDS)
        container.kill()
        container.wait(_PROBE_SECONDS)
        return status == 0


def _write_hosts(directory: Path, hosts: Sequence[str]) -> None:
    """Give each host a loopback address of its own, so that two may listen on the same port."""
    (directory / "etc").mkdir(exist_ok=True)
    lines = [f"127.0.0.{number}\t{host}\n" for number, host in enumerate(hosts, start=1)]
    known = _HOSTS.read_text() if _HOSTS.exists() else "127.0.0.1\tlocalhost\n"
    (directory / "etc" / "hosts").write_text(f"{known.rstrip()}\n{''.join(lines)}")


def remove(directory: Path) -> None:
    """Delete a container's or job's directory, as far as the job's own file modes allow."""
    shutil.rmtree(directory, ignore_errors=True)


def prune(directories: Iterable[Path], keep: int) -> None:
    """Delete all but the *keep* youngest of these directories."""
    ages = {path: path.stat().st_mtime for path in directories}
    youngest_first = sorted(ages, key=lambda path: ages[path], reverse=True)
    for path in youngest_first[keep:]:
        remove(path)
