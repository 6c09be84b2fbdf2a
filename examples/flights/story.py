"""How the demo shows its progress, runs commands, and measures answers."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

BIN = Path(sys.executable).parent


class DemoError(Exception):
    """The demo cannot go on; the message says what was expected."""


class Story:
    """Stages with their elapsed seconds, and the story at the end."""

    def __init__(self, stages: int) -> None:
        self._stages = stages
        self._stage = 0
        self._began = time.monotonic()

    @contextmanager
    def stage(self, title: str) -> Iterator[None]:
        """Announce a stage, and say how long it took."""
        self._stage += 1
        print(f"[{self._stage}/{self._stages}] {title} …", flush=True)
        began = time.monotonic()
        yield
        took, total = time.monotonic() - began, time.monotonic() - self._began
        print(f"      done in {took:.1f} s ({total:.0f} s so far)", flush=True)

    def fail(self, reason: str) -> None:
        """Say what went wrong, where to look, and what to type."""
        print(f"\nThe demo stopped in stage {self._stage}: {reason}", file=sys.stderr)
        print(
            'Look: eval "$(.venv/bin/tidemill env)"; tidemill why flights/late-arrival\n'
            "Logs: .tidemill/local.log    Stop: make down    Again: make demo [PORT=4700]",
            file=sys.stderr,
        )

    def tell(self, sentences: Sequence[str]) -> None:
        """Tell what happened, and which commands go on from here."""
        took = time.monotonic() - self._began
        print(f"\nWhat happened, in {took:.0f} s:")
        for sentence in sentences:
            print(f"  · {sentence}")
        print(GO_ON)


GO_ON = """
The local cloud is running. Go on:
  eval "$(.venv/bin/tidemill env)"
  tidemill why flights/late-arrival         every decision, with its reason
  tidemill runs flights/late-arrival        what ran, and how it ended
  tidemill versions flights/late-arrival    what was learned, and what is in service
  aws sagemaker list-endpoints              it speaks SageMaker's own protocol

Drop another month, and watch:
  python examples/flights/data.py /tmp/flights 5
  aws s3 cp /tmp/flights/2013-05.csv "s3://$TIDEMILL_LAKE/raw/flights/late-arrival/"
  tidemill follow flights/late-arrival

Stop it with: make down"""


class Commands:
    """Runs what a person would type."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._environment = {**os.environ, "TIDEMILL_STATE": str(state)}
        for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
            self._environment.pop(name, None)

    @property
    def environment(self) -> dict[str, str]:
        """What the commands see: the local cloud's endpoint, never a real account's."""
        return self._environment

    def fresh_cloud(self, port: int) -> None:
        """
        Start the local cloud with an empty state; a state that is there already is kept aside.

        Raises:
            DemoError: The port is taken.
        """
        self.tidemill("down", check=False, show=False)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                raise DemoError(f"port {port} is taken ({error.strerror})") from error
        if (self._state / "services").exists():
            aside = self._state.with_name(f"{self._state.name}-{time.strftime('%Y%m%dT%H%M%S')}")
            self._state.rename(aside)
            print(f"      the state that was there is kept in {aside}", flush=True)
        self.tidemill("up", "--port", str(port), "--detach", show=False)
        variables = json.loads(self.tidemill("env", "--json", show=False))
        self._environment |= {item["name"]: item["value"] for item in variables}

    def deploy(self) -> None:
        """`sam build` and `sam deploy --config-env local`, as README says."""
        tools = Path(".tools")
        packages = str((tools / "layers").resolve())
        environment = {
            **self._environment, "LOCAL_PACKAGES": packages, "SAM_CLI_TELEMETRY": "0",
        }  # fmt: skip
        sam = str(tools / "sam/bin/sam")
        for command in ([sam, "build"], [sam, "deploy"]):
            self._run([*command, "--config-env", "local"], environment, show=False)

    def tidemill(self, *arguments: str | Path, check: bool = True, show: bool = True) -> str:
        """Run a `tidemill` command; what it prints is shown, indented, and returned."""
        command = [str(BIN / "tidemill"), *map(str, arguments)]
        return self._run(command, self._environment, check=check, show=show)

    def tidemill_json(self, *arguments: str | Path) -> Any:
        """Run a `tidemill` command with `--json` and return its document."""
        return json.loads(self.tidemill(*arguments, "--json", show=False))

    def follow(self, model: str) -> None:
        """Show the run's progress until it and its rollout have ended."""
        self.tidemill("follow", model)

    def _run(
        self, command: list[str], environment: dict[str, str], *, check: bool = True, show: bool
    ) -> str:
        process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if not show else subprocess.STDOUT,
            text=True,
        )
        if show:
            lines = []
            for line in process.stdout or ():
                print(f"      {line}", end="", flush=True)
                lines.append(line)
            out, errors = "".join(lines), ""
            process.wait()
        else:
            out, errors = process.communicate()
        if check and process.returncode:
            raise DemoError(
                f"`{' '.join(command)}` ended with {process.returncode}: {(errors or out)[-2000:]}"
            )
        return out


def area_under_curve(truth: Sequence[int], scores: Sequence[float]) -> float:
    """
    Return the area under the ROC curve: how often a late flight scores above a punctual one.

    Ties count half (Hanley and McNeil, Radiology 143, 1982).
    """
    order = sorted(range(len(scores)), key=scores.__getitem__)
    ranks = [0.0] * len(scores)
    start = 0
    while start < len(order):
        end = start
        while end < len(order) and scores[order[end]] == scores[order[start]]:
            end += 1
        for index in order[start:end]:
            ranks[index] = (start + end + 1) / 2
        start = end
    late = sum(truth)
    total = sum(rank for rank, label in zip(ranks, truth, strict=True) if label)
    return (total - late * (late + 1) / 2) / (late * (len(truth) - late))


def lift(truth: Sequence[int], scores: Sequence[float], share: float = 0.1) -> float:
    """Return how many times as many are late among the highest *share* of scores as overall."""
    order = sorted(range(len(scores)), key=scores.__getitem__, reverse=True)
    top = order[: max(1, round(len(order) * share))]
    return (sum(truth[index] for index in top) / len(top)) / (sum(truth) / len(truth))
