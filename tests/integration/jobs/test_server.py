"""The HTTP contract of an endpoint, over real connections."""

import http.client
import json
import socket
import threading
import time
from collections import deque

import pytest

from tidemill_jobs.capture.writer import Answered
from tidemill_jobs.serving import connection as module
from tidemill_jobs.serving.door import Port
from tidemill_jobs.serving.invocation import ATTRIBUTES, INFERENCE_ID
from tidemill_jobs.serving.server import Server

from .endpoint import QUICK, SLOW, Echo, call, serving


@pytest.fixture(params=[QUICK, SLOW], ids=["quick", "slow"])
def server(request):
    with serving(Echo(request.param)) as running:
        yield running


@pytest.fixture
def connection(server):
    client = http.client.HTTPConnection(*server.server_address, timeout=10)
    yield client
    client.close()


def test_rows_are_answered_in_the_asked_type(connection):
    assert call(connection)[:2] == (200, b"7.0\n")
    status, body, answer = call(connection, Accept="application/json")
    assert (status, json.loads(body)) == (200, [{"score": 7.0}])
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    lines = b'{"wind": 1, "origin": null}\n[2, "x"]\n'
    status, body, _ = call(connection, lines, "application/jsonlines")
    assert [json.loads(line)["score"] for line in body.splitlines()] == [1, 2]


class Kept:
    """A capture that keeps what it is given."""

    def __init__(self):
        self.answered = []

    def record(self, answered):
        self.answered.append(answered)


def test_what_was_answered_is_captured_and_what_was_refused_is_not(server, connection):
    server.capture = kept = Kept()
    before = time.time()
    headers = {INFERENCE_ID: "order-1", ATTRIBUTES: "a=b", "Accept": "application/json"}
    assert call(connection, **headers)[0] == 200
    assert call(connection, b"bad")[0] == 400
    assert call(connection, b"1,crash")[0] == 500

    (answered,) = kept.answered
    assert before <= answered.time <= time.time()
    assert answered == Answered(
        content_type="text/csv",
        kind="text/csv",
        body=b"7,Oslo\n",
        rows=[{"wind": "7", "origin": "Oslo"}],
        answer_type="application/json; charset=utf-8",
        answer=b'[{"score":7.0}]',
        time=answered.time,
        inference_id="order-1",
        custom_attributes="a=b",
    )


def test_a_connection_is_kept_for_many_requests(connection):
    call(connection)
    held = connection.sock
    for _ in range(5):
        assert call(connection)[0] == 200
        assert call(connection, b"bad", "text/csv")[0] == 400
    assert connection.sock is held


def test_ping_waits_for_the_model(server, connection):
    server.predictor = None
    assert call(connection, None, method="GET", path="/ping")[0] == 503
    assert call(connection)[0] == 503
    server.predictor = Echo()
    assert call(connection, None, method="GET", path="/ping")[0] == 200


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        ({"body": b"wind,origin\n1,x\nwindy,x\n"}, 400, "Row 2: column 'wind' is 'windy'"),
        ({"body": b'{"wind": 1}', "kind": "application/json"}, 400, "lacks the columns 'origin'"),
        ({"body": b"", "kind": "text/csv"}, 400, "no rows"),
        ({"kind": "image/png"}, 415, "Content-Type is 'image/png'"),
        ({"Accept": "text/html"}, 406, "Accept is 'text/html'"),
        ({"path": "/elsewhere"}, 404, "GET /ping and POST /invocations"),
        ({"method": "GET", "path": "/", "body": None}, 404, "GET /ping"),
        ({"body": b"x" * 1_001}, 413, "1,001 bytes and 1,000 are the most"),
        ({"body": iter([b"7,Oslo"])}, 411, "Content-Length"),
        ({"body": b"", "Content-Length": "ten"}, 400, "Content-Length is 'ten'"),
        ({"body": b"1,crash\n"}, 500, "the endpoint's log has the details"),
    ],
)
def test_a_refusal_has_its_status_and_a_sentence(connection, arguments, status, said):
    found, body, _ = call(connection, **arguments)
    assert found == status
    assert said in json.loads(body)["error"]


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"Content-Length: 5000000", 413),
        (b"Transfer-Encoding: chunked", 411),
        (b"Content-Length: many", 400),
        (b"no colon", 400),
    ],
)
def test_a_caller_that_sends_on_still_reads_why_it_was_refused(server, head, status):
    with socket.create_connection(server.server_address, timeout=10) as caller:
        caller.sendall(b"POST /invocations HTTP/1.1\r\n" + head + b"\r\n\r\n")
        caller.recv(1, socket.MSG_PEEK)  # the refusal is here, unread
        for _ in range(5):
            caller.sendall(b"x" * 1_000_000)
        assert caller.recv(65_536).startswith(b"HTTP/1.1 %d " % status)


def test_a_caller_that_never_stops_sending_is_left(server, monkeypatch):
    monkeypatch.setattr(module, "LINGER_SECONDS", 0.05)
    with socket.create_connection(server.server_address, timeout=10) as caller:
        caller.sendall(b"POST /invocations HTTP/1.1\r\nContent-Length: 5000000\r\n\r\n")
        with pytest.raises(ConnectionError):
            deque(iter(lambda: caller.send(b"x" * 1_000), 0), maxlen=0)


def test_a_caller_that_breaks_off_disturbs_nobody(server, connection):
    with socket.create_connection(server.server_address) as rude:
        rude.sendall(b"POST /invocations HTTP/1.1\r\nContent-Length: 100\r\n\r\nhalf")
    with socket.create_connection(server.server_address) as rude:
        rude.sendall(b"\x16\x03\x01 no http at all\r\n\r\n")
    assert call(connection)[0] == 200


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"content-length:7\r\nCONTENT-TYPE: text/csv", 200),
        (b"Content-Length: 7\nContent-Type: text/csv", 200),
        (b"Content-Length: 7\r\nContent-Length: 7\r\nContent-Type: text/csv", 200),
        (b"Content-Length: 7\r\nContent-Length: 8", 400),
        (b"Content-Length : 7", 400),
        (b" folded: 7", 400),
        (b"no colon", 400),
        (b": no name", 400),
        (b"Long: " + b"x" * 70_000, 431),
        (b"\r\n".join([b"Many: x"] * 101), 431),
    ],
)
def test_headers_are_read_as_http_says(server, head, status):
    with socket.create_connection(server.server_address, timeout=10) as raw:
        raw.sendall(b"POST /invocations HTTP/1.1\r\n" + head + b"\r\n\r\n7,Oslo\n")
        answer = raw.recv(65_536)
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert (b"Connection: close" in answer) == (status != 200)


def test_a_caller_may_close_the_connection_or_wait_for_leave_to_send(server):
    with socket.create_connection(server.server_address, timeout=10) as raw:
        raw.sendall(b"GET /ping HTTP/1.1\r\nConnection: Close\r\n\r\n")
        answer = b"".join(iter(lambda: raw.recv(65_536), b""))
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"Connection: close\r\n" in answer
    with socket.create_connection(server.server_address, timeout=10) as raw:
        raw.sendall(
            b"POST /invocations HTTP/1.1\r\nExpect: 100-continue\r\nContent-Type: text/csv\r\n"
            b"Content-Length: 7\r\n\r\n"
        )
        assert raw.recv(65_536).startswith(b"HTTP/1.1 100 ")
        raw.sendall(b"7,Oslo\n")
        assert raw.recv(65_536).startswith(b"HTTP/1.1 200 ")


def test_a_silent_connection_is_closed(server, monkeypatch):
    monkeypatch.setattr(module, "IDLE_SECONDS", 0.05)
    with socket.create_connection(server.server_address, timeout=5) as silent:
        assert silent.recv(1) == b""


def test_requests_are_answered_at_the_same_time(server):
    slow = Echo(SLOW)
    slow.go.clear()
    server.predictor = slow
    answers = []

    def ask():
        client = http.client.HTTPConnection(*server.server_address, timeout=10)
        answers.append(call(client)[0])
        client.close()

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert slow.entered.wait(5)
    client = http.client.HTTPConnection(*server.server_address, timeout=5)
    assert call(client, None, method="GET", path="/ping")[0] == 200
    client.close()
    slow.go.set()
    for thread in threads:
        thread.join(10)
    assert answers == [200] * 4


def test_draining_finishes_what_is_under_way_and_closes_idle_connections():
    door = Port("127.0.0.1", 0)
    running = Server(door, 1_000, threads=1)
    accepting = threading.Thread(target=running.serve_forever)
    accepting.start()
    slow = Echo(SLOW)
    slow.go.clear()
    running.predictor = slow
    idle = socket.create_connection(door.address, timeout=5)
    busy = http.client.HTTPConnection(*door.address, timeout=10)
    busy.request("POST", "/invocations", b"7,Oslo\n", {"Content-Type": "text/csv"})
    assert slow.entered.wait(5)

    draining = threading.Thread(target=running.drain)
    draining.start()
    assert idle.recv(1) == b""
    time.sleep(0.05)
    assert draining.is_alive()
    slow.go.set()
    answer = busy.getresponse()

    assert (answer.status, answer.read()) == (200, b"7.0\n")
    assert answer.headers["Connection"] == "close"
    draining.join(10)
    accepting.join(10)
    idle.close()
    busy.close()
    assert not draining.is_alive()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(door.address, timeout=1)
