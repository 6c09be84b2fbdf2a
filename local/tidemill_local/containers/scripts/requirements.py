"""A script's requirements.txt, in a Python that belongs to the user and is left as it is."""

import importlib.metadata
import importlib.util
import logging
import re
import subprocess
import sys
from pathlib import Path

from tidemill_local.containers.contract import UserError

log = logging.getLogger(__name__)

_NAME = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(\[[^]]*\])?\s*(.*)")
_EXACT = re.compile(r"===?\s*([^\s;,]+)\s*(;.*)?$")


def install(directory: Path, into: Path) -> Path | None:
    """
    See to it that a source directory's requirements can be imported.

    What this Python has already in the version asked for is used as it is. If anything is missing,
    pip installs the whole file, into a directory of this job: SageMaker throws its container
    away after the job, and nobody's Python here is to be changed by one.

    Args:
        directory: The source directory; without a requirements.txt nothing is done.
        into: Where pip may install.

    Returns:
        The directory to import from, or None when nothing was installed.

    Raises:
        UserError: InstallRequirementsError, in the toolkit's form.
    """
    file = directory / "requirements.txt"
    if not file.exists():
        return None
    missing = [line for line in _lines(file) if not _is_here(line)]
    if not missing:
        log.info("requirements.txt: this Python has all of it already; nothing is installed")
        return None
    command = [sys.executable, "-m", "pip", "install", "-r", "requirements.txt"]
    said = " ".join(command)
    if importlib.util.find_spec("pip") is None:
        raise _failed(
            1, f"{sys.executable} lacks {', '.join(missing)}, and has no pip; install them there",
            said,
        )  # fmt: skip
    log.info("Installing dependencies from requirements.txt into %s", into)
    command += ["--target", str(into), "--disable-pip-version-check"]
    done = subprocess.run(command, cwd=directory, stderr=subprocess.PIPE, check=False)
    if done.returncode:
        raise _failed(done.returncode, done.stderr.decode(errors="replace").strip(), said)
    return into


def _lines(file: Path) -> list[str]:
    text = file.read_text(encoding="utf-8", errors="replace")
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return [line for line in lines if line]


def _is_here(requirement: str) -> bool:
    """Whether a plain `name` or `name==version` is installed; anything else is pip's matter."""
    match = _NAME.fullmatch(requirement)
    if match is None or match[2]:
        return False
    exact = _EXACT.fullmatch(match[3])
    if match[3] and exact is None:
        return False
    try:
        version = importlib.metadata.version(match[1])
    except importlib.metadata.PackageNotFoundError:
        return False
    return exact is None or exact[1] == version


def _failed(code: int, output: str, command: str) -> UserError:
    return UserError(
        f'InstallRequirementsError:\nExitCode {code}\nErrorMessage "{output}"\nCommand "{command}"'
    )
