"""An endpoint of several processes, as SageMaker starts it."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from onnx import TensorProto, helper

from local_cloud import free_port, wait_until
from tidemill_jobs.container import WORKERS
from tidemill_jobs.features import Column, Features, Target

CALLERS = 8
SERVE = (sys.executable, "-m", "tidemill_jobs", "serve")


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """The tree of a container whose model answers with the wind."""
    base = tmp_path_factory.mktemp("ml")
    (base / "model").mkdir()
    wind = Column("wind", "number", ("wind",))
    features = Features("regression", Target("delay", ()), ("wind",), (wind,), (), ())
    (base / "model" / "features.json").write_text(features.to_json())
    numeric, scores = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", 1])
        for name in ("numeric", "scores")
    )
    same = helper.make_node("Identity", ["numeric"], ["scores"])
    graph = helper.make_graph([same], "wind", [numeric], [scores])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    (base / "model" / "model.onnx").write_bytes(model.SerializeToString())
    return base


class Endpoint:
    """A serving container: its processes, what they say, and connections to it."""

    def __init__(self, command, environment, cwd=None):
        self.port = free_port()
        own = {"SAGEMAKER_BIND_TO_PORT": str(self.port), "PYTHONUNBUFFERED": "1"}
        self.process = subprocess.Popen(
            command, env={**os.environ, **own, **environment},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=cwd,
        )  # fmt: skip
        self.said = ""
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.said += line.decode()

    def workers(self):
        """Return the workers' process ids, in the order in which they were started."""
        return [int(found) for found in re.findall(r"worker (\d+) starts", self.said)]

    def dial(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)

    def ping(self):
        caller = self.dial()
        try:
            return ask(caller, "GET", "/ping")[0]
        except OSError:
            return 0
        finally:
            caller.close()

    def all_ended(self):
        """Say whether no process holds the pipe any more."""
        self._reader.join(20)
        return not self._reader.is_alive()


def ask(caller, method="POST", path="/invocations", body=b"7\n"):
    caller.request(method, path, body, {"Content-Type": "text/csv"})
    answer = caller.getresponse()
    return answer.status, answer.read()


@pytest.fixture
def start(base):
    started = []

    def run(*, serves=True, command=SERVE, cwd=None, **more):
        environment = {"SAGEMAKER_BASE_DIR": str(base), WORKERS: "2", **more}
        endpoint = Endpoint(command, environment, cwd)
        started.append(endpoint)
        if serves:
            wait_until(lambda: endpoint.said.count("serving port=") == 2, 60, lambda: endpoint.said)
        return endpoint

    yield run
    for endpoint in started:
        endpoint.process.kill()
        endpoint.process.wait()
        assert endpoint.all_ended()
        endpoint.process.stdout.close()


class Bucket(ThreadingHTTPServer):
    """S3 as far as capture needs it."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Put)
        self.objects = []


class Put(BaseHTTPRequestHandler):
    def do_PUT(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.objects.append((self.path, body))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def bucket():
    with Bucket() as bucket:
        thread = threading.Thread(target=bucket.serve_forever)
        thread.start()
        yield bucket
        bucket.shutdown()
        thread.join()


def test_the_end_loses_no_answer_and_nothing_captured(start, bucket):
    rule = {"uri": "s3://lake/capture/a/b", "endpoint": "e", "variant": "v", "percent": 100}
    endpoint = start(
        TIDEMILL_CAPTURE_1=json.dumps({**rule, "redact": {}}),
        AWS_ENDPOINT_URL=f"http://127.0.0.1:{bucket.server_port}",
        AWS_ACCESS_KEY_ID="a", AWS_SECRET_ACCESS_KEY="b", AWS_DEFAULT_REGION="us-east-1",
        AWS_REQUEST_CHECKSUM_CALCULATION="when_required",
    )  # fmt: skip
    callers = [endpoint.dial() for _ in range(CALLERS)]
    assert [ask(caller) for caller in callers] == [(200, b"7.0\n")] * CALLERS
    assert endpoint.ping() == 200
    bodies = [b"%d\n" % number * (1 if number % 2 else 20_000) for number in range(CALLERS)]
    for caller, body in zip(callers, bodies, strict=True):
        caller.request("POST", "/invocations", body, {"Content-Type": "text/csv"})

    os.kill(endpoint.process.pid, signal.SIGTERM)

    for caller, body in zip(callers, bodies, strict=True):
        answer = caller.getresponse()
        assert (answer.status, answer.read()) == (200, body.replace(b"\n", b".0\n"))
        caller.close()
    assert endpoint.process.wait(30) == 0
    assert endpoint.all_ended()
    assert endpoint.said.count("capture_ended") == 2
    paths = {path for path, _ in bucket.objects}
    assert len(paths) == len(bucket.objects) >= 2  # each worker wrote under names of its own
    events = [json.loads(line) for _, body in bucket.objects for line in body.splitlines()]
    asked = Counter(event["captureData"]["endpointInput"]["data"] for event in events)
    assert asked == Counter(["7\n"] * CALLERS + [body.decode() for body in bodies])


def test_callers_are_spread_and_a_dead_worker_is_replaced(start):
    endpoint = start()
    first, second = endpoint.workers()
    callers = [endpoint.dial() for _ in range(CALLERS)]
    assert [ask(caller)[0] for caller in callers] == [200] * CALLERS

    os.kill(first, signal.SIGKILL)

    def goes_on(caller):
        try:
            return ask(caller) == (200, b"7.0\n")
        except (OSError, http.client.HTTPException):
            return False

    still = [caller for caller in callers if goes_on(caller)]
    assert len(still) == CALLERS // 2
    wait_until(lambda: endpoint.said.count("serving port=") == 3, 60, lambda: endpoint.said)
    assert f"worker {first} ended with status -9; another starts" in endpoint.said
    os.kill(second, signal.SIGKILL)  # now the new one answers alone
    wait_until(lambda: endpoint.ping() == 200, 60)
    for caller in callers:
        caller.close()
    os.kill(endpoint.process.pid, signal.SIGKILL)
    assert endpoint.all_ended()  # nobody is left behind


#: Workers that are no servers: what they do with their end of the channel is given.
STAND_IN = """
import sys
from tidemill_jobs import __main__
from tidemill_jobs.serving import workers
workers.COMMAND = (sys.executable, "-I", "-S", "-c", {program!r})
sys.argv = ["tidemill_jobs", "serve"]
__main__.main()
"""
DIES = "import os, sys; os.write(int(sys.argv[1]), b'w'); os.kill(os.getpid(), 9)"
LATE = """
import os, socket, sys
channel = socket.socket(fileno=int(sys.argv[1]))
try:
    os.mkdir("first")
except FileExistsError:
    open("gate").read()  # until the test writes to it
print("warm", flush=True)
channel.send(b"w")
print("told", channel.recv(1), channel.recv(1), flush=True)
"""


def test_workers_that_die_again_and_again_end_the_container(start):
    endpoint = start(serves=False, command=[sys.executable, "-c", STAND_IN.format(program=DIES)])
    assert endpoint.process.wait(30) == 1
    assert endpoint.all_ended()
    assert endpoint.said.count("another starts") == 5
    assert "6 workers ended within 60 s, the last with status -9; if memory" in endpoint.said


def test_nobody_answers_before_all_are_warm(start, tmp_path):
    os.mkfifo(tmp_path / "gate")
    command = [sys.executable, "-c", STAND_IN.format(program=LATE)]
    endpoint = start(serves=False, command=command, cwd=tmp_path)
    wait_until(lambda: "warm" in endpoint.said, 30, lambda: endpoint.said)
    (tmp_path / "gate").write_text("go on")
    wait_until(lambda: "all workers serve" in endpoint.said, 30, lambda: endpoint.said)
    endpoint.process.terminate()
    assert endpoint.process.wait(30) == 0
    assert endpoint.all_ended()
    first, second = re.finditer("warm", endpoint.said)
    assert first.start() < second.start() < endpoint.said.index("told")
    assert endpoint.said.count("told b'g' b''") == 2  # and the end of the channel is the end
