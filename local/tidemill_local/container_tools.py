"""Docker or finch, if one answers on this machine: they run the images that we do not know."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass

#: Where the engine's process keeps the caller's DOCKER_HOST, as it hides Docker from ministack.
HOST = "TIDEMILL_DOCKER_HOST"
_TOOLS = ("docker", "finch")
_INHERITED = ("PATH", "HOME", "DOCKER_CONFIG", "DOCKER_CONTEXT")
_ANSWER_SECONDS = 5.0
_KNOWN_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Tool:
    """A program that takes `docker run`'s words, and the environment in which it answered."""

    path: str
    environment: Mapping[str, str]

    def command(self, image: str, entrypoint: list[str]) -> list[str]:
        """Return the command that runs an image; the container's arguments follow."""
        settings = {
            "tool": self.path,
            "environment": dict(self.environment),
            "image": image,
            "entrypoint": entrypoint,
        }
        program = [sys.executable, "-I", "-m", "tidemill_local.containers.docker"]
        return [*program, json.dumps(settings)]


class _Found:
    """What was found, for a while: asking takes a process."""

    tool: Tool | None = None
    until = 0.0


def find() -> Tool | None:
    """Return the first tool on PATH whose server answers, or None."""
    if time.monotonic() >= _Found.until:
        _Found.tool = _look()
        _Found.until = time.monotonic() + _KNOWN_SECONDS
    return _Found.tool


def forget() -> None:
    """Look again when next asked."""
    _Found.until = 0.0


def _look() -> Tool | None:
    environment = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    # In the engine's process DOCKER_HOST leads nowhere, and HOST is set, if only to nothing.
    if host := os.environ.get(HOST, os.environ.get("DOCKER_HOST")):
        environment["DOCKER_HOST"] = host
    for name in _TOOLS:
        path = shutil.which(name)
        if path is not None and _answers(path, environment):
            return Tool(path, environment)
    return None


def _answers(path: str, environment: Mapping[str, str]) -> bool:
    try:
        done = subprocess.run(
            [path, "version"],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_ANSWER_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
