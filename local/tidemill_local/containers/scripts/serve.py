"""`serve` in script mode: the user's inference.py behind /ping and /invocations."""

import json
import logging
import os
import sys
from pathlib import Path

from tidemill_local.containers import http_server
from tidemill_local.containers.contract import Container, UserError
from tidemill_local.containers.http_server import Invoke
from tidemill_local.containers.scripts import codecs, requirements, sources
from tidemill_local.containers.scripts.handlers import Defaults, Handlers, module_in

_PROGRAM = "inference.py"


def main(container: Container, defaults: Defaults | None = None) -> None:
    """
    Serve until SIGTERM with the functions of SAGEMAKER_PROGRAM, inference.py unless it says other.

    Args:
        container: Its model may hold `code/`; SAGEMAKER_SUBMIT_DIRECTORY may name another place.
        defaults: For functions that the script lacks; None takes the toolkit's.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    os.environ.setdefault("SM_MODEL_DIR", str(container.model))
    parameters = {
        "MaxConcurrentTransforms": 1,
        "BatchStrategy": "MULTI_RECORD",
        "MaxPayloadInMB": container.payload_bytes >> 20,
    }
    http_server.serve(
        container.port,
        container.payload_bytes,
        lambda: load(container, defaults or Defaults()),
        json.dumps(parameters).encode(),
    )


def load(container: Container, defaults: Defaults) -> Invoke:
    """
    Import the script, load the model, and return what answers a request.

    Raises:
        UserError: The script is not where it should be, or cannot be had.
    """
    environment = container.environment
    program = environment.get("SAGEMAKER_PROGRAM") or ""
    directory = _code(container, environment.get("SAGEMAKER_SUBMIT_DIRECTORY") or "")
    if program:
        sources.checked_entry_point(program, directory)
    installed = requirements.install(directory, container.base / "site-packages")
    if installed is not None:
        sys.path.insert(0, str(installed))
    module = module_in(directory, program or _PROGRAM)
    if program and module is None:
        found = sources.contents(directory)
        raise UserError(f"{directory} has no {program}; it holds: {found}")
    accept = environment.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT") or codecs.JSON
    try:
        return Handlers(module, container.model, defaults, accept).answer
    except NotImplementedError as error:
        raise UserError(str(error)) from error


def _code(container: Container, submitted: str) -> Path:
    """Return the source directory: the model's own, one in the container, or one from S3."""
    inside = container.model / "code"
    if submitted.startswith("s3://"):
        target = container.base / "code"
        sources.fetch(container, submitted, target)
        return target
    named = container.here_is(submitted) if submitted else inside
    return named if named.is_dir() else (inside if inside.is_dir() else container.model)
