"""Loopback guard: only programs of this machine may ask; no web page may, and none is answered."""

import json
from typing import Any

from ministack import app

from tidemill_local.engine.hooks import expect
from tidemill_local.engine.surroundings import Application, Surroundings

_NAMES = ("127.0.0.1", "localhost")
_SITES = (b"none", b"same-origin")


def check() -> None:
    """Require the application that we wrap."""
    expect(app, "app", "(scope, receive, send)")


def apply(surroundings: Surroundings) -> None:
    """Put the guard in front of ministack."""
    surroundings.application = guarded(surroundings.application)


def guarded(application: Application) -> Application:
    """
    Return *application* behind the guard.

    Refused with 403 are foreign Host headers (a name that resolves to 127.0.0.1 is how a web page
    gets around the browser's same-origin rule) and whatever carries the marks of a browser acting
    for a page: any Origin, and Sec-Fetch-Site from another site.
    """

    async def guard(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await application(scope, receive, send)
            return
        reason = refusal(scope["headers"])
        if reason is None:
            await application(scope, receive, _without_cors(send))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": reason})
        else:
            await _refuse(send, reason)

    return guard


def refusal(headers: list[tuple[bytes, bytes]]) -> str | None:
    """Return why a request with these headers is refused, or None when it may pass."""
    hosts = [value.decode("latin-1") for name, value in headers if name.lower() == b"host"]
    if len(hosts) != 1 or not _is_local(hosts[0]):
        named = ", ".join(hosts) or "none"
        return (
            f"The local cloud answers only to 127.0.0.1 and localhost, not to Host {named}. "
            "Use http://127.0.0.1 and its port as the endpoint URL."
        )
    for name, value in headers:
        if name.lower() == b"origin":
            return (
                "The local cloud does not answer web pages "
                f"(the request came from {value.decode('latin-1')}). Use a program instead."
            )
        if name.lower() == b"sec-fetch-site" and value not in _SITES:
            return "The local cloud does not answer web pages. Use a program instead."
    return None


def _is_local(host: str) -> bool:
    name, colon, port = host.lower().partition(":")
    if colon and not port.isdigit():
        return False
    return name in _NAMES or name.endswith(".localhost")


def _without_cors(send: Any) -> Any:
    async def filtered(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            headers = [
                (name, value)
                for name, value in message.get("headers", ())
                if not name.lower().startswith(b"access-control-")
            ]
            message = {**message, "headers": headers}
        await send(message)

    return filtered


async def _refuse(send: Any, reason: str) -> None:
    body = json.dumps({"__type": "AccessDeniedException", "message": reason}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": body})
