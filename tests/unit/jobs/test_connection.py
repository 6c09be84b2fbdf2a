"""A caller's bytes, however they are cut, are the same requests."""

import asyncio
from http import HTTPStatus
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidemill_jobs.serving.connection import Connection
from tidemill_jobs.serving.http1 import JSON, Answer, RefusedError, read_head


class Wire(asyncio.Transport):
    """What was written, and whether anybody would still read."""

    def __init__(self):
        super().__init__()
        self.written = b""
        self.flows, self.ended = asyncio.Event(), asyncio.Event()
        self.flows.set()

    def write(self, data):
        self.written += data

    def get_write_buffer_size(self):
        return 0

    def pause_reading(self):
        self.flows.clear()

    def resume_reading(self):
        self.flows.set()

    def close(self):
        self.ended.set()

    abort = write_eof = close


class Host:
    """Answers a request with its body, at once or a turn later."""

    payload_bytes, draining = 100_000, False

    def __init__(self, *, later):
        self.connections = set()
        self.heard = memoryview(bytearray(4_096))
        self.later = later

    def ask(self, connection, head, body):
        answer = Answer(HTTPStatus.OK, JSON, f"{head.method} {head.path} ".encode() + body)
        if self.later:
            asyncio.get_running_loop().call_soon(connection.say, answer)
        else:
            connection.say(answer)

    def left(self, connection):
        self.connections.discard(connection)


async def receive(connection, wire, data):
    """Hand over bytes as a transport does: as many at once as there is room for."""
    while data:
        await wire.flows.wait()
        room = connection.get_buffer(-1)
        taken = min(len(room), len(data))
        room[:taken] = data[:taken]
        connection.buffer_updated(taken)
        data = data[taken:]


async def exchange(pieces, *, later):
    connection, wire = Connection(Host(later=later)), Wire()
    connection.connection_made(wire)
    for piece in pieces:
        await receive(connection, wire, piece)
    await wire.flows.wait()
    connection.eof_received()
    await wire.ended.wait()
    connection.connection_lost(None)
    return wire.written


def answers(written):
    """Return statuses and bodies, whatever their dates are."""
    found = []
    while written:
        head, _, rest = written.partition(b"\r\n\r\n")
        length = int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0])
        found.append((head.split()[1], rest[:length]))
        written = rest[length:]
    return found


bodies = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([b"", b"\r\n\r\n", b"GET /ping HTTP/1.1\r\n\r\n", b"x" * 70_000]),
)
requests = st.one_of(
    st.sampled_from([(b"GET /ping HTTP/1.1\r\n\r\n", b"GET /ping ")]),
    bodies.map(
        lambda body: (
            b"\r\nPOST /a HTTP/1.1\nContent-Length: %d\r\n\r\n%s" % (len(body), body),
            b"POST /a " + body,
        )
    ),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(requests, max_size=5), st.lists(st.integers(0, 400), max_size=8), st.booleans())
def test_requests_are_the_same_however_their_bytes_are_cut(asked, cuts, later):
    sent = b"".join(raw for raw, _ in asked)
    ends = [0, *sorted(min(cut, len(sent)) for cut in cuts), len(sent)]
    pieces = [sent[a:b] for a, b in pairwise(ends)]
    written = asyncio.run(exchange(pieces, later=later))
    assert answers(written) == [(b"200", answer) for _, answer in asked]


@pytest.mark.parametrize("later", [False, True])
def test_bytes_may_come_one_by_one(later):
    sent = b"POST /a HTTP/1.1\r\nContent-Length: 5\r\n\r\n\n\r\n\r\nGET /ping HTTP/1.1\r\n\r\n"
    written = asyncio.run(exchange([bytes([byte]) for byte in sent], later=later))
    assert answers(written) == [(b"200", b"POST /a \n\r\n\r\n"), (b"200", b"GET /ping ")]


def test_who_sends_far_ahead_waits():
    async def ask():
        connection, wire = Connection(Host(later=True)), Wire()
        connection.connection_made(wire)
        sending = asyncio.create_task(
            receive(connection, wire, b"GET /ping HTTP/1.1\r\n\r\n" * 10_000)
        )
        await asyncio.sleep(0)
        assert not wire.flows.is_set()
        sending.cancel()
        connection.connection_lost(None)

    asyncio.run(ask())


def test_a_refused_head_is_the_last_word():
    written = asyncio.run(
        exchange([b"DELETE / HTTP/1.1\r\n\r\nGET /ping HTTP/1.1\r\n\r\n"], later=0)
    )
    assert [status for status, _ in answers(written)] == [b"501"]
    assert b"Connection: close" in written


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"\r\n\r\n", 400),
        (b"hello\r\n\r\n", 400),
        (b"GET /ping\r\n\r\n", 400),
        (b"GET / ping HTTP/1.1\r\n\r\n", 400),
        (b"GET /ping HTTP/2.0\r\n\r\n", 505),
        (b"PUT /invocations HTTP/1.1\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\nContent-Length: 7, 7\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: -7\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: \xb2\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: " + b"9" * 5_000 + b"\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 411),
    ],
)
def test_what_is_no_request_is_refused(head, status):
    with pytest.raises(RefusedError) as refused:
        read_head(head)
    assert refused.value.status == status


def test_an_old_caller_is_answered_once():
    assert read_head(b"GET /ping HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").closes
    assert not read_head(b"GET /ping HTTP/1.1\r\n\r\n").closes
    assert read_head(b"GET /ping HTTP/1.1\r\ncontent-length: 3\r\n\r\n").length == 3
