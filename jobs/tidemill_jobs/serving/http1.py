"""
What HTTP/1.1 says of requests and answers, without a socket.

No framework and no parser of mail: they took more than half of a request's time. This reads what
HTTP/1.1 allows and refuses the rest, which no load balancer and no SDK sends.
"""

import json
import re
import time
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import Final, NamedTuple

JSON: Final = "application/json"
HEADERS: Final = 100  # the most of a request
HEAD_BYTES: Final = 65_536  # of the request line and all headers
METHODS: Final = ("GET", "POST")
DIGITS: Final = 15  # of a length; more bytes are nowhere
CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"

_SHOWN: Final = 60
_END: Final = re.compile(rb"\n\r?\n")


class RefusedError(Exception):
    """A head that is not answered; nobody knows where its body ends."""

    def __init__(self, status: HTTPStatus, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class Head(NamedTuple):
    """What comes before a body of `length` bytes; `headers` in lower case, the first counts."""

    method: str
    path: str
    headers: dict[str, str]
    length: int
    closes: bool  # whether the caller will ask no more on this connection
    waits: bool  # whether it wants to be told before it sends the body


class Answer(NamedTuple):
    """What a request is answered with."""

    status: HTTPStatus
    kind: str
    body: bytes


def refusal(status: HTTPStatus, sentence: str) -> Answer:
    """Return an answer that says what was found and what to do."""
    return Answer(status, JSON, json.dumps({"error": sentence}, ensure_ascii=False).encode())


def head_end(data: bytearray, start: int) -> int:
    """
    Return where the body begins, 0 when the head is not whole yet; *start* is where to look.

    Raises:
        RefusedError: The head is longer than heads are.
    """
    found = _END.search(data, start)
    end = found.end() if found else 0
    if (end or len(data)) > HEAD_BYTES:
        raise RefusedError(_TOO_LARGE, f"The headers have more than {HEAD_BYTES:,} bytes.")
    return end


def read_head(data: bytes | bytearray) -> Head:
    """
    Read a request line and its headers, up to and with the empty line.

    Raises:
        RefusedError: It is no request, or none that is answered here.
    """
    first, *lines = data.decode("latin-1").strip("\r\n").split("\n")
    words = first.split()
    if len(words) != 3 or not words[2].startswith("HTTP/"):  # noqa: PLR2004  # method, path, version
        raise RefusedError(HTTPStatus.BAD_REQUEST, f"'{first[:_SHOWN].strip()}' is no request.")
    method, path, version = words
    if version not in ("HTTP/1.1", "HTTP/1.0"):
        sentence = f"{version[:_SHOWN]} is not spoken here; send HTTP/1.1."
        raise RefusedError(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, sentence)
    if method not in METHODS:
        sentence = f"There is no {method[:_SHOWN]}; send GET or POST."
        raise RefusedError(HTTPStatus.NOT_IMPLEMENTED, sentence)
    headers = _headers(lines)
    is_old = version == "HTTP/1.0"
    return Head(
        method,
        path,
        headers,
        _length(headers, method),
        closes=is_old or headers.get("connection", "").lower() == "close",
        waits=not is_old and headers.get("expect", "").lower() == "100-continue",
    )


def write(answer: Answer, *, closes: bool) -> bytes:
    """Return an answer as it goes over the wire, head and body in one piece."""
    status, kind, body = answer
    connection = b"Connection: close\r\n" if closes else b""
    head = _head(status, kind, int(time.time()))
    return b"%b%d\r\n%b\r\n%b" % (head, len(body), connection, body)


def _headers(lines: list[str]) -> dict[str, str]:
    if len(lines) > HEADERS:
        raise RefusedError(_TOO_LARGE, f"There are more than {HEADERS} headers.")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise RefusedError(HTTPStatus.BAD_REQUEST, "A header is not of the form name: value.")
        key, text = name.lower(), value.strip()
        if headers.setdefault(key, text) != text and key == "content-length":
            raise RefusedError(HTTPStatus.BAD_REQUEST, "Two lengths of one body differ.")
    return headers


def _length(headers: dict[str, str], method: str) -> int:
    text = headers.get("content-length", "")
    if "transfer-encoding" in headers or (not text and method == "POST"):
        raise RefusedError(HTTPStatus.LENGTH_REQUIRED, "Send the body's Content-Length.")
    if text and (not text.isdecimal() or len(text) > DIGITS):
        sentence = f"Content-Length is '{text[:_SHOWN]}'; send a number."
        raise RefusedError(HTTPStatus.BAD_REQUEST, sentence)
    return int(text or "0")


_TOO_LARGE: Final = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE


@lru_cache(maxsize=8)
def _head(status: HTTPStatus, kind: str, seconds: int) -> bytes:
    """Return what answers of one second have in common, up to their length."""
    return (
        f"HTTP/1.1 {status.value} {status.phrase}\r\n"
        "Server: tidemill\r\n"
        f"Date: {formatdate(seconds, usegmt=True)}\r\n"
        f"Content-Type: {kind}; charset=utf-8\r\n"
        "Content-Length: "
    ).encode("latin-1")
