"""The pool of connections to a serving process, against servers that hang up in every way."""

import socket
import threading
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tidemill_local.sagemaker.hosting.model_client import (
    ContainerRequest,
    ContainerTimeoutError,
    ContainerUnreachableError,
    ModelClient,
)

ASK = ContainerRequest("POST", "/invocations", 5, {"Content-Type": "text/csv"}, b"1,2")


class Handler(BaseHTTPRequestHandler):
    disable_nagle_algorithm = True

    def do_GET(self):
        self.do_POST()

    def do_POST(self):
        server = self.server
        server.bodies.append(self.rfile.read(int(self.headers.get("Content-Length", 0))))
        server.connections.add(self.client_address)
        mood = server.moods.popleft() if server.moods else "well"
        if mood == "slow":
            server.wake.wait(5)
        self.send_response(500 if mood == "sick" else 200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"o" if mood == "half" else b"ok")
        if mood in {"hang up", "half"}:
            # Without a word in a header: the client believes the connection to be alive.
            self.close_connection = True

    def log_message(self, *_):
        """Keep the test's output to what the test says."""


@pytest.fixture(params=["HTTP/1.1", "HTTP/1.0"])
def protocol(request):
    return request.param


@pytest.fixture
def server(protocol):
    handler = type("Versioned", (Handler,), {"protocol_version": protocol})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    server.moods, server.bodies, server.connections = deque(), [], set()
    server.wake = threading.Event()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.wake.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def client(server):
    client = ModelClient(server.server_port)
    yield client
    client.close()


def test_connections_are_kept(server, client, protocol):
    for _ in range(5):
        assert client.send(ASK).body == b"ok"

    assert server.bodies == [b"1,2"] * 5
    assert len(server.connections) == (1 if protocol == "HTTP/1.1" else 5)


def test_stale_connection_is_replaced_unseen(server, client):
    server.moods.extend(["hang up", "well", "hang up"])

    for _ in range(4):
        assert client.send(ASK).body == b"ok"

    assert server.bodies == [b"1,2"] * 4  # none was sent twice to a server that had read it


def test_half_an_answer_is_no_answer(server, client):
    server.moods.extend(["well", "half"])
    client.send(ASK)

    with pytest.raises(ContainerUnreachableError, match="IncompleteRead"):
        client.send(ASK)

    assert client.send(ASK).body == b"ok"


def test_silence_is_a_timeout(server, client):
    server.moods.append("slow")

    with pytest.raises(ContainerTimeoutError, match=r"0\.1 s"):
        client.send(ContainerRequest("POST", "/invocations", 0.1))

    server.wake.set()
    assert client.send(ASK).body == b"ok"


def test_many_threads_share_the_pool(server, client):
    answers = []
    threads = [
        threading.Thread(target=lambda: answers.extend(client.send(ASK).body for _ in range(20)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert answers == [b"ok"] * 160


def test_ping_is_true_for_200_only(server, client):
    assert client.ping(1)
    server.moods.append("sick")
    assert not client.ping(1)
    server.moods.append("slow")
    assert not client.ping(0.1)


def test_nobody_listens():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound and not listening: nobody else can take it
        client = ModelClient(unused.getsockname()[1])

        assert not client.ping(1)
        with pytest.raises(ContainerUnreachableError, match="refused"):
            client.send(ASK)


def test_closed_client_keeps_nothing(server, protocol):
    client = ModelClient(server.server_port)
    client.close()

    assert client.send(ASK).body == b"ok"
    assert not client._pool
