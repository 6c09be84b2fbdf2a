"""The text of a captured body, and of what type it is."""

import base64
import binascii
from typing import Any, Final

from tidemill_jobs.capture.errors import UnreadableError
from tidemill_jobs.payload import ALIASES, CSV, JSON, JSON_LINES
from tidemill_jobs.values import show

UNSAID: Final = ("", "application/octet-stream", "binary/octet-stream", "text/plain")
_CONTROLS = frozenset(map(chr, range(32))) - frozenset("\t\n\r\f\v")


def read_body(part: Any) -> tuple[str, str]:
    """
    Return the type (`text/csv`, `application/json`, `application/jsonlines`) and the text.

    Base64 is undone: SageMaker writes types so that its configuration does not list. Where the
    caller named no type, the text tells it.

    Raises:
        UnreadableError: `content_type`, `binary` or `other_layout`.
    """
    if not isinstance(part, dict) or not isinstance(part.get("data"), str):
        raise UnreadableError("other_layout", "a body without data")
    text: str = part["data"]
    encoding = part.get("encoding")
    if encoding == "BASE64":
        text = _decoded(text)
    observed = str(part.get("observedContentType") or "")
    media = observed.partition(";")[0].strip().lower()
    kind = ALIASES.get(media)
    if kind is None and media not in UNSAID:
        raise UnreadableError("content_type", f"the content type {show(media)}")
    text = text.removeprefix("\ufeff")
    return kind or _told(text, encoding), text


def _decoded(data: str) -> str:
    try:
        text = base64.b64decode(data, validate=True).decode()
    except binascii.Error as exc:
        raise UnreadableError("other_layout", f"data that is no base64 ({exc})") from exc
    except UnicodeDecodeError as exc:
        raise UnreadableError(
            "binary", f"base64 of bytes that are no UTF-8 ({exc.reason})"
        ) from exc
    if not _CONTROLS.isdisjoint(text):
        raise UnreadableError("binary", "base64 of control characters")
    return text


def _told(text: str, encoding: Any) -> str:
    if encoding == "CSV":
        return CSV
    begin = text.lstrip()
    if not begin.startswith(("{", "[")):
        return CSV
    lines = begin.rstrip().split("\n")
    several = len(lines) > 1 and all(line.strip()[-1:] in ("}", "]") for line in lines)
    return JSON_LINES if several else JSON
