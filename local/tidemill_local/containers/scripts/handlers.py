"""A user's serving functions, called as the `sagemaker-inference` toolkit calls them."""

import importlib
import importlib.util
import inspect
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from types import ModuleType
from typing import Any

from tidemill_local.containers.contract import UserError
from tidemill_local.containers.http_server import Answer, Request
from tidemill_local.containers.scripts import codecs

_PARTS = ("input_fn", "predict_fn", "output_fn")
_DEFAULT_TYPE = "application/octet-stream"


class Defaults:
    """What is done where the script says nothing; an image for one framework may know better."""

    def model_fn(self, model_dir: str) -> Any:
        """Refuse: how a model is loaded, only the script knows."""
        raise NotImplementedError(
            f"Please provide a model_fn implementation: no script says how to load {model_dir}."
        )

    def input_fn(self, body: str | bytes, content_type: str | None) -> Any:
        """Return a JSON, CSV, npy or npz body as an array."""
        return codecs.decode(body, content_type)

    def predict_fn(self, data: Any, model: Any) -> Any:
        """Ask the model, if it has `predict`, as scikit-learn's have."""
        if not hasattr(model, "predict"):
            raise NotImplementedError("Please provide a predict_fn implementation.")
        return model.predict(data)

    def output_fn(self, prediction: Any, accept: str) -> tuple[bytes, str]:
        """Return the prediction as JSON, CSV or npy."""
        return codecs.encode(prediction, accept)


@dataclass
class Context:
    """What a handler with one parameter more is given: the request's surroundings."""

    system_properties: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)

    def get_all_request_header(self, _index: int = 0) -> Mapping[str, str]:
        """Return the request's headers, by their names in lower case."""
        return self.headers

    def get_request_header(self, _index: int, name: str) -> str | None:
        """Return one of them."""
        return self.headers.get(name.lower())


class Handlers:
    """
    A script's functions with a loaded model; one request at a time, as a worker of the toolkit.

    Args:
        module: The user's; None when there is none.
        model_dir: Where the model lies.
        defaults: For functions that the module lacks.
        accept: The answer's type when the caller does not care.

    Raises:
        UserError: transform_fn stands beside a function that it replaces.
    """

    def __init__(
        self, module: ModuleType | None, model_dir: Path, defaults: Defaults, accept: str
    ) -> None:
        self._accept = accept
        self._context = Context({"model_dir": str(model_dir), "gpu_id": None})
        self._lock = threading.Lock()
        given = {name: getattr(module, name, None) for name in ("transform_fn", *_PARTS)}
        if given["transform_fn"] and any(given[name] for name in _PARTS):
            raise UserError(
                "Cannot use transform_fn implementation in conjunction with input_fn, predict_fn, "
                "and/or output_fn implementation"
            )
        self._parts = {name: given[name] or getattr(defaults, name) for name in _PARTS}
        self._transform = given["transform_fn"] or self._in_three_steps
        load = getattr(module, "model_fn", None) or defaults.model_fn
        self._model = self._call(load, str(model_dir))

    def answer(self, request: Request) -> Answer:
        """Return the script's answer, or its error with a traceback, as the toolkit does."""
        content_type = request.content_type or _DEFAULT_TYPE
        accept = request.accept or self._accept
        with self._lock:
            self._context.headers = request.headers
            try:
                body: str | bytes = request.body
                if codecs.is_text(content_type):
                    body = request.body.decode()
                said = self._call(self._transform, self._model, body, content_type, accept)
            except Exception as error:  # noqa: BLE001  # whatever a script raises is its answer
                return _failure(error)
        said, kind = said if isinstance(said, tuple) else (said, accept)
        return Answer(said.encode() if isinstance(said, str) else bytes(said), kind)

    def _in_three_steps(self, model: Any, body: Any, content_type: str, accept: str) -> Any:
        data = self._call(self._parts["input_fn"], body, content_type)
        prediction = self._call(self._parts["predict_fn"], data, model)
        return self._call(self._parts["output_fn"], prediction, accept)

    def _call(self, function: Callable[..., Any], *given: Any) -> Any:
        """Call with the context too, if the function has room for it."""
        wanted = len(inspect.signature(function).parameters)
        if wanted == len(given) + 1:
            return function(*given, self._context)
        if wanted != len(given):
            name = getattr(function, "__name__", repr(function))
            raise TypeError(f"{name} takes {wanted} arguments but {len(given)} were given.")
        return function(*given)


def module_in(directory: Path, program: str) -> ModuleType | None:
    """
    Import the module of a script's name from a directory, which comes first on the path.

    Args:
        directory: The code directory.
        program: The script's file name.

    Returns:
        The module, or None when there is no such file.
    """
    if not (directory / program).is_file():
        return None
    sys.path.insert(0, str(directory))
    return importlib.import_module(program.removesuffix(".py").replace("/", "."))


def _failure(error: Exception) -> Answer:
    """An error may bring its status, as the toolkit's own do."""
    status = getattr(error, "status_code", HTTPStatus.INTERNAL_SERVER_ERROR)
    message = getattr(error, "message", None) or str(error)
    traceback.print_exception(error)
    text = f"{message}\n{''.join(traceback.format_exception(error))}"
    return Answer(text.encode(), "text/plain; charset=utf-8", int(status))
