"""Requests to serving scripts, and the toolkit's answers to them: JSON on standard output."""

import io
import json
import sys
import tempfile
import types
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

JSON, CSV, NPY = "application/json", "text/csv", "application/x-npy"
MODEL = "def model_fn(model_dir):\n    return 2\n"
TWICE = MODEL + "def predict_fn(data, model):\n    return data * model\n"
ECHO = MODEL + "def transform_fn(model, body, content_type, accept):\n"
CONTEXT = MODEL + "def transform_fn(model, body, content_type, accept, context):\n"


@dataclass(frozen=True)
class Case:
    """A script and a request to it."""

    name: str
    script: str
    body: bytes = b"[[1, 2], [3, 4]]"
    content_type: str = JSON
    accept: str | None = None
    environment: dict[str, str] = field(default_factory=dict)


NPY_BODY = (
    b"\x93NUMPY\x01\x00v\x00{'descr': '<i8', 'fortran_order': False, 'shape': (1,), }".ljust(127)
    + b"\n\x05\x00\x00\x00\x00\x00\x00\x00"
)
CASES = (
    Case("json to json", TWICE),
    Case("json to csv", TWICE, accept=CSV),
    Case("csv to csv", TWICE, b"1,2\n3,4", CSV, CSV),
    Case("csv, one row", TWICE, b"1,2", CSV),
    Case("csv with a hole", TWICE, b"1,\n3,4", CSV),
    Case("npy to json", TWICE, NPY_BODY, NPY),
    Case("npy to npy", TWICE, NPY_BODY, NPY, NPY),
    Case("any type will do", TWICE, accept="*/*"),
    Case("the first type known", TWICE, accept="image/png, text/csv, application/json"),
    Case("another default", TWICE, environment={"SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT": CSV}),
    Case("a type nobody reads", TWICE, b"x", "image/png"),
    Case("a type nobody writes", TWICE, accept="image/png"),
    Case("no JSON", TWICE, b"{"),
    Case("no predict_fn", MODEL),
    Case("text for text", ECHO + "    return repr(body)", b"1,2", CSV, "text/plain"),
    Case("bytes for others", ECHO + "    return repr(body)", b"1", "image/png", "text/plain"),
    Case("a pair", ECHO + "    return 'x', 'a/b'"),
    Case(
        "with a context", CONTEXT + "    return str(context.system_properties['model_dir'] != '')"
    ),
    Case("it raises", ECHO + "    raise ValueError('no')"),
    Case("too few parameters", MODEL + "def predict_fn(data):\n    return data"),
)
Told = list[Any]  # status, content type (of a success), body or an error's first line


def by_ours(case: Case) -> Told:
    """Return what our handlers answer."""
    # The toolkit's Python has no such package, and runs this module too.
    from tidemill_local.containers.http_server import Request  # noqa: PLC0415
    from tidemill_local.containers.scripts.handlers import Defaults, Handlers  # noqa: PLC0415

    headers = {"content-type": case.content_type}
    if case.accept is not None:
        headers["accept"] = case.accept
    accept = case.environment.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", JSON)
    handlers = Handlers(_module(case), Path("/opt/ml/model"), Defaults(), accept)
    answer = handlers.answer(Request(case.body, headers))
    return _told(answer.status, answer.content_type, answer.body)


def by_theirs(case: Case) -> Told:
    """Return what the toolkit's transformer answers, in place of a model server."""
    import os  # noqa: PLC0415

    from sagemaker_inference import transformer  # noqa: PLC0415

    sys.modules["inference"] = _module(case)
    transformer.find_spec = lambda _name: True
    os.environ.pop("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", None)
    os.environ.update(case.environment)
    request = {"Content-Type": case.content_type}
    if case.accept is not None:
        request["Accept"] = case.accept
    said = {"status": 200, "type": None}
    context = types.SimpleNamespace(
        system_properties={"model_dir": "/opt/ml/model"},
        request_processor=[types.SimpleNamespace(get_request_properties=lambda: request)],
        set_response_content_type=lambda _index, kind: said.update(type=kind),
        set_response_status=lambda code, phrase: said.update(status=code),
    )
    (body,) = transformer.Transformer().transform([{"body": case.body}], context)
    raw = body if isinstance(body, bytes) else str(body).encode()
    return _told(said["status"], said["type"], raw)


def _module(case: Case) -> types.ModuleType:
    module = types.ModuleType("inference")
    exec(case.script, vars(module))
    return module


def _told(status: int, kind: str | None, body: bytes) -> Told:
    if status >= 400:
        return [status, None, body.decode().strip().partition("\n")[0]]
    return [status, kind, io.BytesIO(body).read().decode("latin-1")]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        import os

        os.environ["SAGEMAKER_BASE_DIR"] = folder
        sys.stdout.write(json.dumps([by_theirs(case) for case in CASES]))
