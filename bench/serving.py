"""
What an answer costs: our serving process beside Flask under gunicorn, and the router before it.

The servers answer the same question with the same model and take turns; both are asked over eight
kept-alive connections. Both have a worker per core, and share the cores with who asks; CPU per
request is the servers' own.
"""

import json
import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import served_model
from cloud import ROOT, BenchError, Workspace, clean_environment, free_port
from figures import Figure, Result, median, percentile
from memory import tree

from tidemill_local.sagemaker import operations
from tidemill_local.sagemaker.hosting.model_client import ContainerRequest, ModelClient
from tidemill_local.sagemaker.hosting.router import Router
from tidemill_local.sagemaker.service import Service

PYTHON = ROOT / ".tools" / "servers" / "bin" / "python"  # gunicorn's own
COMPILER = (str(ROOT / ".tools" / "zig" / "bin" / "python"), "-m", "ziglang", "cc")
ASKING = Path(__file__).with_name("asking.c")
CONNECTIONS, SECONDS, ROUNDS = 8, 5.0, 5
CALLS, QUICK_CALLS = 3000, 300
RATE_GOAL = 1 / 5
ROUTER_GOAL = 0.5  # ms
START_SECONDS, COMPILE_SECONDS = 60.0, 300.0
IMAGE = "000000000000.dkr.ecr.us-east-1.amazonaws.com/served"
#: An image whose model is there already: the bench has no S3.
PROGRAM = """
import os, pathlib, runpy, shutil, sys
model = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"], "model")
shutil.copytree({folder!r}, model, dirs_exist_ok=True)
sys.argv = ["tidemill_jobs", "serve"]
runpy.run_module("tidemill_jobs", run_name="__main__")
"""

Samples = dict[str, list[float]]


def measure(workspace: Workspace) -> Result:
    """Ask the servers in turns, then the router and its container in turns."""
    if not PYTHON.exists():
        raise BenchError("gunicorn and Flask are not there; run: make servers")
    if not Path(COMPILER[0]).exists():
        raise BenchError("the compiler of who asks is not there; run: make install")
    folder = workspace.directory / "ml" / "model"
    served_model.write(folder)
    asking = _compiled(ASKING, workspace.directory / "asking")
    samples: Samples = defaultdict(list)
    with _ours(folder) as ours, _theirs(folder) as theirs:
        for _ in range(1 if workspace.quick else ROUNDS):
            for name, server in (("ours", ours), ("gunicorn", theirs)):
                found = _asked(asking, server, 1.0 if workspace.quick else SECONDS)
                for what, value in found.items():
                    samples[f"{name} {what}"].append(value)
    _ask_the_router(workspace, folder, samples)
    return Result("An answer of one row", tuple(_figures(samples)), dict(samples))


def _figures(samples: Samples) -> Iterator[Figure]:
    def of(name: str) -> float:
        return median(samples[name])

    for name, note in (
        ("ours", f"{os.cpu_count()} workers, an event loop each"),
        ("gunicorn", f"Flask, {os.cpu_count()} workers of {CONNECTIONS} threads"),
    ):
        latency = (
            f"p50 {of(f'{name} p50'):.2f} ms, p99 {of(f'{name} p99'):.2f} ms; "
            f"{of(f'{name} cpu'):.0f} us of CPU each, and {of(f'{name} asker'):.0f} to ask; {note}"
        )
        yield Figure(f"{name}: requests", of(f"{name} rate"), "/s", note=latency)
    yield Figure(
        "gunicorn ÷ ours, requests/s", of("gunicorn rate") / of("ours rate"), "x", RATE_GOAL,
        "medians; the goal is five times theirs",
    )  # fmt: skip
    yield Figure("ours ÷ gunicorn, CPU", of("ours cpu") / of("gunicorn cpu"), "x", note="medians")
    yield Figure("ours ÷ gunicorn, p99", of("ours p99") / of("gunicorn p99"), "x", 1.0, "medians")
    direct, routed = samples["direct ms"], samples["routed ms"]
    added = percentile(routed, 0.5) - percentile(direct, 0.5)
    note = f"p50 {percentile(routed, 0.5):.2f} ms, without it {percentile(direct, 0.5):.2f} ms"
    yield Figure("the router adds, p50", added, "ms", ROUTER_GOAL, note)


@dataclass(frozen=True, slots=True)
class _Server:
    port: int
    pid: int

    def cpu_seconds(self) -> float:
        """Return what it and its workers have taken so far (Linux)."""
        ticks = 0
        for pid in tree(self.pid):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])  # utime, stime
        return ticks / os.sysconf("SC_CLK_TCK")


@contextmanager
def _ours(folder: Path) -> Iterator[_Server]:
    port = free_port()
    own = {
        "SAGEMAKER_BASE_DIR": str(folder.parent),
        "SAGEMAKER_BIND_TO_PORT": str(port),
        "SAGEMAKER_MODEL_SERVER_WORKERS": str(os.cpu_count()),
    }
    with _server([sys.executable, "-m", "tidemill_jobs", "serve"], own, port) as server:
        yield server


@contextmanager
def _theirs(folder: Path) -> Iterator[_Server]:
    port = free_port()
    command = [
        str(PYTHON), "-m", "gunicorn", "--chdir", str(ROOT / "bench"),
        "--bind", f"127.0.0.1:{port}", "--workers", str(os.cpu_count()),
        "--worker-class", "gthread", "--threads", str(CONNECTIONS), "--log-level", "warning",
        "flask_peer:app",
    ]  # fmt: skip
    with _server(command, {"MODEL": str(folder)}, port) as server:
        yield server


@contextmanager
def _server(command: list[str], own: dict[str, str], port: int) -> Iterator[_Server]:
    process = subprocess.Popen(command, env=clean_environment() | own, cwd=ROOT)
    try:
        client, deadline = ModelClient(port), time.monotonic() + START_SECONDS
        while not client.ping(1.0):
            if process.poll() is not None or time.monotonic() > deadline:
                raise BenchError(f"`{' '.join(command)}` does not answer")
            time.sleep(0.1)
        client.close()
        yield _Server(port, process.pid)
    finally:
        process.terminate()
        process.wait(START_SECONDS)


def _compiled(source: Path, program: Path) -> Path:
    command = [*COMPILER, "-O2", "-fno-sanitize=all", "-o", str(program), str(source)]
    subprocess.run(command, check=True, timeout=COMPILE_SECONDS)
    return program


def _asked(asking: Path, server: _Server, seconds: float) -> dict[str, float]:
    before = server.cpu_seconds()
    done = subprocess.run(
        [str(asking), str(server.port), "/invocations", str(CONNECTIONS), str(seconds)],
        input=served_model.question(), capture_output=True, check=False,
        timeout=seconds + START_SECONDS,
    )  # fmt: skip
    if done.returncode:
        raise BenchError(f"nobody could be asked: {done.stderr.decode()[-400:]}")
    found: dict[str, float] = json.loads(done.stdout)
    cpu = server.cpu_seconds() - before
    return found | {"cpu": 1e6 * cpu / (found["rate"] * seconds)}


def _ask_the_router(workspace: Workspace, folder: Path, samples: Samples) -> None:
    """Ask a container with and without the router before it, call by call."""
    root = workspace.directory / "sagemaker"
    root.mkdir()
    program = PROGRAM.format(folder=str(folder))
    (root / "images.json").write_text(json.dumps({IMAGE: ["python", "-c", program]}))
    service = Service(
        root=root, endpoint_url="http://127.0.0.1:9", account="0" * 12, region="us-east-1",
        emit=lambda *_: None,
    )  # fmt: skip
    service.start()
    try:
        _host(service)
        body, headers = served_model.question(), {"Content-Type": "application/json"}
        fleet = service.context.part(Router).get("served")
        client = fleet.variants["A"].instances[0].process.client if fleet else None
        if client is None:
            raise BenchError("the endpoint of the bench does not serve")
        path = "/endpoints/served/invocations"
        direct = ContainerRequest("POST", "/invocations", 60.0, headers, body)
        for _ in range(QUICK_CALLS if workspace.quick else CALLS):
            began = time.perf_counter()
            client.send(direct)
            between = time.perf_counter()
            status, _headers, answer = service.invoke("POST", path, headers, body)
            ended = time.perf_counter()
            if status != 200:  # noqa: PLR2004 - HTTP's own
                raise BenchError(f"the router answers {status}: {answer[:400]!r}")
            samples["direct ms"].append(1000 * (between - began))
            samples["routed ms"].append(1000 * (ended - between))
    finally:
        service.stop()


def _host(service: Service) -> None:
    def call(operation: str, **request: Any) -> None:
        operations.call(service.context, operation, request)

    role = "arn:aws:iam::000000000000:role/jobs"
    call("CreateModel", ModelName="m", ExecutionRoleArn=role, PrimaryContainer={"Image": IMAGE})
    variant = {"VariantName": "A", "ModelName": "m", "InstanceType": "ml.m5.large"}
    call("CreateEndpointConfig", EndpointConfigName="c", ProductionVariants=[variant])
    call("CreateEndpoint", EndpointName="served", EndpointConfigName="c")
    body = service.context.store.wait_for(
        "Endpoint",
        "served",
        lambda found: found is None or found["EndpointStatus"] != "Creating",
        START_SECONDS,
    )
    if body is None or body["EndpointStatus"] != "InService":
        raise BenchError(f"the endpoint of the bench does not serve: {body}")
