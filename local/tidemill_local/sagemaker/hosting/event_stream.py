"""AWS's binary event streams, as far as the runtime speaks them: PayloadPart events."""

import binascii
import struct

CONTENT_TYPE = "application/vnd.amazon.eventstream"
_PART_BYTES = 65_536
_STRING = 7  # the type of a header's value


def payload_parts(body: bytes) -> bytes:
    """Return a body as a stream of PayloadPart events; an empty one is no event at all."""
    starts = range(0, len(body), _PART_BYTES)
    return b"".join(_event("PayloadPart", body[start : start + _PART_BYTES]) for start in starts)


def _event(kind: str, payload: bytes) -> bytes:
    headers = b"".join(
        _header(name, value)
        for name, value in (
            (":message-type", "event"),
            (":event-type", kind),
            (":content-type", "application/octet-stream"),
        )
    )
    total = 4 + 4 + 4 + len(headers) + len(payload) + 4  # two lengths, two checksums
    prelude = struct.pack(">II", total, len(headers))
    prelude += struct.pack(">I", binascii.crc32(prelude))
    message = prelude + headers + payload
    return message + struct.pack(">I", binascii.crc32(message))


def _header(name: str, value: str) -> bytes:
    key, text = name.encode(), value.encode()
    return bytes([len(key)]) + key + bytes([_STRING]) + struct.pack(">H", len(text)) + text
