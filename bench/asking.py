"""
Asks a server over kept-alive connections, one request at a time on each, and tells how it went.

A process of its own that shares the machine with who is measured, so it does as little as it can:
the request is made once, an answer that came in one piece is looked at once, and nothing is
allocated but the bytes that came. Every server is asked alike. Its own CPU is told, too.

    python bench/asking.py PORT PATH CONNECTIONS SECONDS < body
"""

import json
import re
import select
import socket
import sys
import time
from array import array

OK = b"HTTP/1.1 200 "
MOST = 65_536  # bytes of an answer that are read at once
PATIENCE = 10.0  # seconds for an answer
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)


def size(heard: bytes) -> int:
    """
    Return how many bytes the answer has that begins so; 0 while its head is not whole.

    Raises:
        SystemExit: It is no answer, or one of another status than 200.
    """
    end = heard.find(b"\r\n\r\n")
    if end < 0:
        return 0
    length = _LENGTH.search(heard, 0, end)
    if length is None or not heard.startswith(OK):
        raise SystemExit(heard.decode(errors="replace"))
    return end + 4 + int(length[1])


def ask(port: int, request: bytes, number: int, seconds: float) -> tuple["array[float]", float]:
    """Return the seconds that each answer took, and how long asking went on (Linux)."""
    callers = [socket.create_connection(("127.0.0.1", port), PATIENCE) for _ in range(number)]
    by_file = {caller.fileno(): (caller.recv, caller.send) for caller in callers}
    asked, begun = dict.fromkeys(by_file, 0.0), dict.fromkeys(by_file, b"")
    took, now = array("d"), time.perf_counter
    with select.epoll(number) as events:
        for caller in callers:
            caller.setblocking(False)
            caller.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            events.register(caller, select.EPOLLIN)
            asked[caller.fileno()] = now()
            caller.send(request)
        began = ended = now()
        while ended - began < seconds:
            ready = events.poll(PATIENCE)
            if not ready:
                raise SystemExit(f"No answer within {PATIENCE:g} s.")
            for file, _ in ready:
                receive, send = by_file[file]
                came = receive(MOST)
                if not came:
                    raise SystemExit("The server closed a connection.")
                heard = begun[file] + came
                if len(heard) != size(heard):  # there is more to come
                    begun[file] = heard
                    continue
                ended = now()
                took.append(ended - asked[file])
                begun[file], asked[file] = b"", ended
                send(request)
    return took, ended - began


def main() -> None:
    """Ask for some seconds and print requests per second, latencies in ms and CPU in us."""
    port, path, number, seconds = (
        int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
    )  # fmt: skip
    body = sys.stdin.buffer.read()
    request = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        f"Accept: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body
    if len(request) > MOST:
        raise SystemExit("A larger request is not sent at once.")
    before = time.process_time()
    took, whole = ask(port, request, number, seconds)
    cpu = time.process_time() - before
    ordered = sorted(took)
    found = {
        "rate": len(took) / whole,
        "p50": 1000 * ordered[len(took) // 2],
        "p99": 1000 * ordered[len(took) * 99 // 100],
        "asker": 1e6 * cpu / len(took),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
