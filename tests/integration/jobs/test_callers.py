"""Many callers at once: nobody's request is another's matter."""

import http.client
import json
import socket
import time

import pytest

from tidemill_jobs.serving import connection as module

from .endpoint import QUICK, Echo, call, serving

PING = b"GET /ping HTTP/1.1\r\n\r\n"
GOOD, BAD, CRASH = b"7,Oslo\n", b"windy,Oslo\n", b"1,crash\n"


def request(body):
    head = f"POST /invocations HTTP/1.1\r\nContent-Type: text/csv\r\nContent-Length: {len(body)}"
    return head.encode() + b"\r\n\r\n" + body


@pytest.fixture
def model():
    return Echo(QUICK)


@pytest.fixture
def server(model):
    with serving(model, payload_bytes=10_000_000) as running:
        yield running


@pytest.fixture
def dial(server):
    """Return a function that opens a connection."""
    opened = []

    def connect():
        opened.append(socket.create_connection(server.server_address, timeout=10))
        return opened[-1]

    yield connect
    for caller in opened:
        caller.close()


def heard(caller, answers):
    """Return the bodies of so many answers, with their statuses."""
    found = []
    with caller.makefile("rb") as stream:
        for _ in range(answers):
            status = int(stream.readline().split()[1])
            headers = dict(line.split(b": ", 1) for line in iter(stream.readline, b"\r\n"))
            found.append((status, stream.read(int(headers[b"Content-Length"]))))
    return found


def ask_at_once(model, dial, bodies):
    """Return the answers to requests that come while the loop is busy, so all in its next turn."""
    model.go.clear()
    first = dial()
    first.sendall(request(GOOD))
    assert model.entered.wait(5)
    callers = [dial() for _ in bodies]
    for caller, body in zip(callers, bodies, strict=True):
        caller.sendall(request(body))
    model.go.set()
    heard(first, 1)
    return [heard(caller, 1)[0] for caller in callers]


def test_requests_that_come_at_once_are_predicted_together(model, dial):
    answers = ask_at_once(model, dial, [b"%d,Oslo\n" % wind * (wind + 1) for wind in range(4)])
    assert answers == [(200, b"%d.0\n" % wind * (wind + 1)) for wind in range(4)]
    assert model.asked[0] == 1
    assert sum(model.asked) == 11
    assert len(model.asked) < 5  # some came together; how many, the kernel decides


def test_a_bad_row_is_its_own_requests_matter(model, dial):
    good, bad, crash, last = ask_at_once(model, dial, [GOOD, BAD, CRASH, b"8,Rome\n"])
    assert (good, last) == ((200, b"7.0\n"), (200, b"8.0\n"))
    assert bad[0] == 400
    assert json.loads(bad[1])["error"].startswith("Row 1: column 'wind' is 'windy'")
    assert crash[0] == 500


def test_requests_sent_ahead_are_answered_in_order(dial):
    caller = dial()
    caller.sendall(request(b"1,Oslo\n") + PING + request(BAD) + request(b"2,Oslo\n"))
    answers = heard(caller, 4)
    assert [status for status, _ in answers] == [200, 200, 400, 200]
    assert [answers[at][1] for at in (0, 1, 3)] == [b"1.0\n", b"{}", b"2.0\n"]


def test_a_caller_that_sends_no_more_is_still_answered(dial):
    caller = dial()
    caller.sendall(request(b"1,Oslo\n") + request(b"2,Oslo\n") + b"POST /half")
    caller.shutdown(socket.SHUT_WR)
    assert [body for _, body in heard(caller, 2)] == [b"1.0\n", b"2.0\n"]
    assert caller.recv(1) == b""


def test_a_caller_that_does_not_read_holds_nobody_up(server):
    many, small = 2_000, 4_096
    server.door.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, small)  # of what it accepts
    with socket.socket() as caller:
        caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, small)
        caller.connect(server.server_address)
        caller.settimeout(10)
        caller.sendall(PING * many)
        waiting = time.monotonic() + 5
        while not any(each._full for each in server.connections) and time.monotonic() < waiting:
            time.sleep(0.01)
        other = http.client.HTTPConnection(*server.server_address, timeout=10)
        assert call(other)[0] == 200
        other.close()
        assert heard(caller, many) == [(200, b"{}")] * many


class Held(Echo):
    """Lets one row pass, and holds up more of them."""

    def predict(self, rows):
        if len(rows) > 1:
            return super().predict(rows)
        return [{"score": 1.0}]


def test_a_large_request_leaves_the_loop_to_small_ones():
    model = Held()
    model.go.clear()
    with serving(model, payload_bytes=1_000_000, threads=1) as server:
        large = socket.create_connection(server.server_address, timeout=10)
        large.sendall(request(GOOD * 10_000))
        assert model.entered.wait(5)
        small = http.client.HTTPConnection(*server.server_address, timeout=5)
        assert [call(small)[0], call(small, None, method="GET", path="/ping")[0]] == [200, 200]
        model.go.set()
        assert heard(large, 1) == [(200, b"7.0\n" * 10_000)]
        large.close()
        small.close()


def test_half_a_request_does_not_keep_an_ending_endpoint(model, monkeypatch):
    monkeypatch.setattr(module, "DRAIN_SECONDS", 0.05)
    with serving(model) as server:
        slow = socket.create_connection(server.server_address, timeout=5)
        slow.sendall(request(GOOD)[:-1])
        deadline = time.monotonic() + 5
        while not server.connections and time.monotonic() < deadline:
            time.sleep(0.01)
    assert slow.recv(1) == b""
    slow.close()
