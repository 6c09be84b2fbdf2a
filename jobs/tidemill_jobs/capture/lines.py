"""The lines of a stream that may break off anywhere, in bounded memory."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Protocol

CHUNK: Final = 1_048_576
LINE_LIMIT: Final = (
    64 * 1_048_576
)  # a request and its answer have 6 MiB each, escapes make them more


class Stream(Protocol):
    """A file opened for bytes, or the body of an S3 answer."""

    def read(self, size: int, /) -> bytes:
        """Return at most *size* bytes, none at the end."""


@dataclass(frozen=True, slots=True)
class Line:
    """
    One line without its end.

    Args:
        data: Its bytes, None when they are more than a line may have.
        ended: Whether a line feed followed; a last line without one may be half written.
        begin: Its first byte's offset in the stream.
    """

    data: bytes | None
    ended: bool
    begin: int


def lines(stream: Stream) -> Iterator[Line]:
    """Yield the stream's lines; what follows the last line feed is one too, unless it is empty."""
    rest, length, begin = [], 0, 0  # `length` counts what `rest` would hold if it kept all
    while block := stream.read(CHUNK):
        first, *others = block.split(b"\n")
        length += len(first)
        if length <= LINE_LIMIT:
            rest.append(first)
        if others:
            yield Line(b"".join(rest) if length <= LINE_LIMIT else None, ended=True, begin=begin)
            begin += length + 1
            for whole in others[:-1]:
                yield Line(whole, ended=True, begin=begin)
                begin += len(whole) + 1
            rest, length = [others[-1]], len(others[-1])
        elif length > LINE_LIMIT:
            rest = []
    if length:
        yield Line(b"".join(rest) if length <= LINE_LIMIT else None, ended=False, begin=begin)
