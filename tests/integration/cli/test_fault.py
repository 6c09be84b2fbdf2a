"""`fault`: what shall go wrong is asked of the local cloud that runs."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from click.testing import CliRunner

from tidemill_cli.main import main
from tidemill_local import faults
from tidemill_local.faults import Fault, FaultError, checked, missing
from tidemill_local.state_directory import StateDirectory

OPERATIONS = ("CreateTrainingJob", "DescribeTrainingJob", "CreateEndpoint")


class Answering(BaseHTTPRequestHandler):
    """The local cloud's admin path, with faults in a list."""

    def do_GET(self):
        self._answer([fault.to_json() for fault in self.server.faults])

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        kind = asked.pop("kind")
        try:
            scope = checked(kind, asked, OPERATIONS)
        except FaultError as error:
            self._answer({"message": str(error)}, 400)
            return
        fault = Fault(f"fault-{len(self.server.faults) + 1}", kind, since=time.time(), **scope)
        self.server.faults.append(fault)
        self._answer(fault.to_json())

    def do_DELETE(self):
        wanted = self.path.removeprefix(faults.PATH).strip("/")
        gone = [fault for fault in self.server.faults if wanted in ("", fault.id)]
        if wanted and not gone:
            self._answer({"message": str(missing(wanted))}, 400)
            return
        self.server.faults = [fault for fault in self.server.faults if fault not in gone]
        self._answer([fault.to_json() for fault in gone])

    def _answer(self, document, status=200):
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def run(tmp_path, monkeypatch):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    server.faults = []
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    directory = StateDirectory(tmp_path / "state")
    directory.create()
    monkeypatch.setenv("TIDEMILL_STATE", str(directory.root))
    with directory.owned(server.server_port):
        yield lambda *words: CliRunner().invoke(main, ["fault", *words])
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_fault_is_added_shown_and_removed(run, documented):
    added = run("add", "throttle", "--operation", "Describe*", "--count", "3", "--json")
    assert tuple(json.loads(added.stdout)) == documented("fault add")
    assert "CapacityError" in run("add", "capacity-error", "--name", "t--flights--*").stdout

    listed = json.loads(run("list", "--json").stdout)
    assert tuple(listed[0]) == documented("fault list")
    assert [(one["id"], one["kind"], one["count"]) for one in listed] == [
        ("fault-1", "throttle", 3),
        ("fault-2", "capacity-error", None),
    ]
    shown = run("list").stdout
    assert "Describe*" in shown
    assert "3 times" in shown
    assert "0 of 0" in shown

    removed = json.loads(run("remove", "fault-1", "--json").stdout)
    assert tuple(removed) == documented("fault remove")
    assert "fault-2 (capacity-error) is over; it struck 0 times" in run("clear").stdout
    assert json.loads(run("clear", "--json").stdout) == []
    assert "there was no fault" in run("clear").stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("add", "flood"), "'flood' is no kind of fault; there are throttle,"),
        (("add", "throttle", "--event", "Object Created"), "throttle strikes operations"),
        (("add", "drop-event", "--operation", "Create*"), "drop-event strikes events"),
        (("add", "throttle", "--seconds", "3"), "throttle takes no time"),
        (("add", "job-error", "--operation", "CreateEndpoint"), "job-error never strikes Create"),
        (("add", "throttle", "--probability", "0"), "probability must be above 0"),
        (("add", "slow-start", "--seconds", "-1"), "seconds must be a number of at least 0"),
        (("remove", "fault-9"), "there is no fault fault-9; `tidemill fault list`"),
    ],
)
def test_what_cannot_be_meant_is_malformed(run, words, said):
    answer = run(*words)
    assert answer.exit_code == 2
    assert said in answer.stderr


def test_without_a_local_cloud_it_says_how_to_start_one(tmp_path, monkeypatch):
    monkeypatch.setenv("TIDEMILL_STATE", str(tmp_path))
    answer = CliRunner().invoke(main, ["fault", "list"])
    assert answer.exit_code == 3
    assert "Start one with `tidemill up`" in answer.stderr
