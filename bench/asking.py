"""
Asks a server over kept-alive connections, one request at a time on each, and tells how it went.

A process of its own, with nothing but sockets, so that it takes little from who is measured.

    python bench/asking.py PORT PATH CONNECTIONS SECONDS < body
"""

import json
import selectors
import socket
import sys
import time


class Connection:
    """One kept-alive connection and the answer that is coming."""

    def __init__(self, port: int, request: bytes) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), 10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._request = request
        self._port = port
        self._heard = b""
        self.asked = 0.0

    def ask(self) -> None:
        """Send the request."""
        self._heard = b""
        self.asked = time.perf_counter()
        self.socket.sendall(self._request)

    def hear(self) -> float | None:
        """Read; return the seconds that the answer took, None while there is more to come."""
        self._heard += self.socket.recv(65_536)
        head, found, body = self._heard.partition(b"\r\n\r\n")
        if not found:
            return None
        if not head.startswith(b"HTTP/1.1 200"):
            raise SystemExit(self._heard.decode(errors="replace"))
        lower = head.lower()
        length = int(lower.split(b"content-length:")[1].split(b"\r\n")[0])
        return time.perf_counter() - self.asked if len(body) >= length else None


def main() -> None:
    """Ask for some seconds and print requests per second and the latencies in milliseconds."""
    port, path, number, seconds = (
        int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
    )  # fmt: skip
    body = sys.stdin.buffer.read()
    request = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        f"Accept: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body
    connections = [Connection(port, request) for _ in range(number)]
    took: list[float] = []
    with selectors.DefaultSelector() as selector:
        for connection in connections:
            selector.register(connection.socket, selectors.EVENT_READ, connection)
            connection.ask()
        began = time.perf_counter()
        while time.perf_counter() - began < seconds:
            for key, _ in selector.select(1.0):
                answered = key.data.hear()
                if answered is not None:
                    took.append(answered)
                    key.data.ask()
        whole = time.perf_counter() - began
    took.sort()
    found = {
        "rate": len(took) / whole,
        "p50": 1000 * took[len(took) // 2],
        "p99": 1000 * took[len(took) * 99 // 100],
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
