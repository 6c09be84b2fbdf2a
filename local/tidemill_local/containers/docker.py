"""
Runs a real image, by docker or finch: `python -m tidemill_local.containers.docker SETTINGS WORDS…`.

This process stands for the container: it passes on what the container prints, its exit status and
SIGTERM. The job's directory is mounted at /opt/ml. A container whose process here was killed is
removed when the next one starts.
"""

import json
import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path
from types import FrameType
from typing import Any

from tidemill_local.containers.contract import Container

_LABEL = "tidemill.process"
_PORT = 8080  # where SageMaker's containers serve
_TOOL_FAILED = 125  # docker itself, not what it ran
_STOP_SECONDS = {"serve": 25, "": 110}  # a little less than SageMaker waits, or the service would
_OURS = frozenset(  # of this machine, not the container's
    {"PATH", "HOME", "TMPDIR", "LANG", "PWD", "OMP_WAIT_POLICY", "SAGEMAKER_BASE_DIR",
     "SAGEMAKER_BIND_TO_PORT"}
)  # fmt: skip


class Run:
    """One `docker run`."""

    def __init__(self, settings: dict[str, Any], words: list[str]) -> None:
        self._tool: str = settings["tool"]
        self._environment: dict[str, str] = settings["environment"]
        self._image: str = settings["image"]
        self._entrypoint: list[str] = settings["entrypoint"]
        self._words = words
        self._serves = words == ["serve"]
        self._name = f"tidemill-{uuid.uuid4().hex[:12]}"
        self._container = Container.here()
        self._directory = Path.cwd() / "opt" / "ml"  # the machine's path, whatever we see at /opt

    def command(self) -> list[str]:
        """Return the tool's words."""
        command = [self._tool, "run", "--rm", "--name", self._name]
        command += ["--label", f"{_LABEL}={os.getpid()}"]
        command += ["--volume", f"{self._directory}:/opt/ml"]
        if self._serves:
            command += ["--publish", f"127.0.0.1:{self._container.port}:{_PORT}"]
        elif sys.platform == "linux":
            command += ["--network", "host"]  # the local cloud listens on 127.0.0.1 only
        for address, name in _hosts(Path.cwd() / "etc" / "hosts"):
            command += ["--add-host", f"{name}:{address}"]
        for name, value in sorted(os.environ.items()):
            if name not in _OURS and not name.startswith("SM_"):
                command += ["--env", f"{name}={self._inside(value)}"]
        entry, *rest = self._entrypoint or [""]
        if entry:
            command += ["--entrypoint", entry]
        return [*command, self._image, *map(self._inside, [*rest, *self._words])]

    def main(self) -> int:
        """Run to the end; return the exit status."""
        self._sweep()
        process = subprocess.Popen(self.command(), env=self._environment)
        signal.signal(signal.SIGTERM, self._stop)
        status = process.wait()
        if status == _TOOL_FAILED:
            self._container.fail(
                f"{Path(self._tool).name} could not run the image {self._image}; the job's log "
                "says why"
            )
        self._give_back()
        return status

    def _inside(self, text: str) -> str:
        """Return text with this machine's path of /opt/ml as the container knows it."""
        return text.replace(str(self._directory), "/opt/ml")

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        patience = _STOP_SECONDS.get(self._words[0] if self._words else "", _STOP_SECONDS[""])
        words = [self._tool, "stop", "--time", str(patience), self._name]
        subprocess.Popen(words, env=self._environment, stdout=subprocess.DEVNULL)

    def _sweep(self) -> None:
        """Remove containers whose process of ours is gone: it was killed and could not do it."""
        form = f'{{{{.ID}}}} {{{{.Label "{_LABEL}"}}}}'
        for line in self._ask("ps", "--filter", f"label={_LABEL}", "--format", form).splitlines():
            name, _, pid = line.partition(" ")
            if pid.strip().isdigit() and not _lives(int(pid)):
                self._ask("rm", "--force", name)

    def _give_back(self) -> None:
        """Root's files in the job's directory become ours again, or nobody could remove them."""
        if sys.platform != "linux" or os.getuid() == 0:
            return
        owner = f"{os.getuid()}:{os.getgid()}"
        self._ask(
            "run", "--rm", "--volume", f"{self._directory}:/opt/ml", "--entrypoint", "chown",
            self._image, "-R", owner, "/opt/ml",
        )  # fmt: skip

    def _ask(self, *words: str) -> str:
        done = subprocess.run(
            [self._tool, *words],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout if done.returncode == 0 else ""


def _hosts(file: Path) -> list[tuple[str, str]]:
    """Return addresses and names of the job's hosts."""
    try:
        lines = [line.split() for line in file.read_text().splitlines()]
    except OSError:
        return []
    return [
        (words[0], name)
        for words in lines
        if words
        for name in words[1:]
        if name.startswith("algo")
    ]


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def main() -> None:
    """Run what the first argument describes, with the others as the container's arguments."""
    sys.exit(Run(json.loads(sys.argv[1]), sys.argv[2:]).main())


if __name__ == "__main__":
    main()
