"""
A local cloud, and the SageMaker SDK, in an environment of its own, that runs programs on it.

All programs that tests are marked with start at once and run side by side, on one cloud: most of
their time they wait for it. So a program's names begin with its own, and so do its lists.
"""

import contextlib
import io
import itertools
import json
import os
import shutil
import subprocess
import sys
import tarfile
import textwrap
import threading
from concurrent.futures import Future
from pathlib import Path

import pytest

from local_cloud import ROLE, LocalCloud

ROOT = Path(__file__).parents[2]
SDK = ROOT / ".tools" / "sdk" / "bin" / "python"
PROGRAMS = Path(__file__).with_name("programs")
BUCKET = "artifacts"
REGISTRY = "000000000000.dkr.ecr.us-east-1.amazonaws.com"
SCRIPTS = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"

# It tells nobody who uses it; only the local cloud is there to be reached.
CONFIG = """
SchemaVersion: "1.0"
SageMaker:
  PythonSDK:
    Modules:
      TelemetryOptOut: true
"""
WORK = """
import os, pathlib
model = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"], "model")
if model.is_dir():
    (model / "weights").write_text("7")
"""
# Answers the sum of each row.
SERVE = """
import http.server, os

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        self.answer(b"")

    def do_POST(self):
        row = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        self.answer(str(sum(float(cell) for cell in row.split(","))).encode())

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Type", "text/csv")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

port = int(os.environ["SAGEMAKER_BIND_TO_PORT"])
http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""


def pytest_configure(config):
    config.addinivalue_line(
        "markers", "program(name, **argument): what the SDK runs; `told` is what it printed"
    )


def pytest_collection_modifyitems(items):
    there = SDK.exists()
    for item in items:
        if "run_program" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.engine)
            if not there:
                item.add_marker(pytest.mark.skip("no SDK here; `make test-sdk` fetches it"))


class Programs:
    """Runs programs of `programs/` with the SDK; see programs_server.py."""

    def __init__(self, cloud, home):
        self._home = home
        self._given = {"bucket": BUCKET, "role": ROLE, "source": str(home / "source")}
        shutil.copytree(PROGRAMS / "source", home / "source")
        (home / "config.yaml").write_text(CONFIG)
        self._numbers = itertools.count()
        self._running = {}
        self._errors = (home / "errors.txt").open("w+")
        self._server = subprocess.Popen(
            [SDK, "-W", "ignore", PROGRAMS.with_name("programs_server.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(home),
                **cloud.environment(),
                "SAGEMAKER_USER_CONFIG_OVERRIDE": str(home / "config.yaml"),
                "SAGEMAKER_VALIDATE_ROLE": "false",
                "HTTPS_PROXY": "http://127.0.0.1:9",
            },
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def give(self, **argument):
        """Hand this to every program."""
        self._given |= argument

    def start(self, program, **argument):
        """Start a program with this argument; return the future of what it prints last, read."""
        number = next(self._numbers)
        printed, errors = (self._home / f"{number}.{name}" for name in ("printed", "errors"))
        asked = {
            "number": number,
            "program": str(PROGRAMS / f"{program}.py"),
            "argument": json.dumps(self._given | argument),
            "printed": str(printed),
            "errors": str(errors),
        }
        future = Future()
        self._running[number] = future, printed, errors
        try:
            self._server.stdin.write(json.dumps(asked) + "\n")
            self._server.stdin.flush()
        except BrokenPipeError:
            raise AssertionError(self._said()) from None
        return future

    def __call__(self, program, **argument):
        """Run a program with this argument; return the document that it prints last."""
        return self.start(program, **argument).result()

    def close(self):
        with contextlib.suppress(BrokenPipeError):
            self._server.stdin.close()
        self._server.wait(60)
        self._reader.join()
        self._server.stdout.close()
        self._errors.close()

    def _read(self):
        for line in self._server.stdout:
            done = json.loads(line)
            future, printed, errors = self._running.pop(done["number"])
            if done["status"] == 0:
                future.set_result(_last(printed))
            else:
                future.set_exception(AssertionError(errors.read_text()[-5_000:]))
        for future, *_ in self._running.values():  # the server has ended
            future.set_exception(AssertionError(self._said()))

    def _said(self):
        self._errors.seek(0)
        return self._errors.read()[-5_000:]


@pytest.fixture(scope="session")
def cloud(tmp_path_factory):
    cloud = LocalCloud(tmp_path_factory.mktemp("sdk") / "state").start()
    try:
        cloud.client("s3").create_bucket(Bucket=BUCKET)
        yield cloud
    finally:
        cloud.close()


@pytest.fixture(scope="session")
def run_program(cloud, tmp_path_factory):
    programs = Programs(cloud, tmp_path_factory.mktemp("programs"))
    with contextlib.closing(programs):
        programs.give(
            scripts=SCRIPTS,
            model=_lake(cloud),
            working=_image(cloud, "working", WORK),
            serving=_image(cloud, "serving", SERVE),
        )
        yield programs


@pytest.fixture(scope="session")
def _started(request, run_program):
    marks = {item.nodeid: item.get_closest_marker("program") for item in request.session.items}
    return {
        node: run_program.start(*mark.args, **mark.kwargs) for node, mark in marks.items() if mark
    }


@pytest.fixture
def told(request, _started):
    """What the test's program has told."""
    return _started[request.node.nodeid].result()


def _last(printed):
    """Return the document in the last line, which may begin with the end of a progress box."""
    return json.loads(printed.read_text().splitlines()[-1].rpartition("╯")[2])


def _lake(cloud):
    """Two rows to work on, and a model's archive, whose address is returned."""
    s3 = cloud.client("s3")
    s3.put_object(Bucket=BUCKET, Key="rows/a.csv", Body=b"1,2\n3,4\n")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        tar.addfile(tarfile.TarInfo("weights"), io.BytesIO())
    s3.put_object(Bucket=BUCKET, Key="served/model.tar.gz", Body=packed.getvalue())
    return f"s3://{BUCKET}/served/model.tar.gz"


def _image(cloud, name, code):
    """Return the URI of an image whose program is this Python code."""
    folder = cloud.state / "sagemaker"
    script = folder / f"{name}.py"
    script.write_text(textwrap.dedent(code))
    path = folder / "images.json"
    images = json.loads(path.read_text()) if path.exists() else {}
    named = {f"{REGISTRY}/{name}": [sys.executable, "-S", str(script)]}
    path.write_text(json.dumps(images | named))
    return f"{REGISTRY}/{name}:1"
