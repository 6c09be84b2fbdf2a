"""
Run one Lambda function's invocations; started by `lambda_process` as a script, never imported.

Started with `python -I -S`: only the standard library is importable until the first line on
standard input says where the runtime, the layers and the code are. Requests and answers are one
JSON line each; whatever the function prints goes to standard error, which becomes its log.
"""

import importlib
import json
import os
import sys
import threading
import time
import traceback
from importlib import machinery
from types import CodeType
from typing import Any


def main() -> None:
    """Load the handler, then answer invocations until standard input closes."""
    requests = os.fdopen(os.dup(0), "r", encoding="utf-8")
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)  # at the level of file descriptors, so that programs it starts are covered too
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", buffering=1)
    setup = json.loads(requests.readline())
    sys.path[:0] = setup["code"]
    sys.path += setup["runtime"]
    keep_bytecode(setup["bytecode"], tuple(f"{folder}/" for folder in setup["archives"]))
    os.chdir(setup["directory"])
    handler, failure = load(setup["handler"])
    print(json.dumps({"ready": True}), file=answers, flush=True)
    for line in requests:
        request = json.loads(line)
        answer = failure or invoke(handler, setup, request)
        sys.stdout.flush()
        sys.stderr.write(request["end_of_log"] + "\n")
        sys.stderr.flush()
        print(answer, file=answers, flush=True)
        if failure:
            return  # AWS starts a new environment, too


def keep_bytecode(folder: str, archives: tuple[str, ...]) -> None:
    """
    Keep what is compiled of *archives* in *folder*: on AWS their own folders are read-only.

    Packages of this machine (boto3, those that a layer names) have it beside them as everywhere, so
    it is there already, and not compiled anew for each state directory.
    """
    lock = threading.Lock()

    class Loader(machinery.SourceFileLoader):
        def get_code(self, fullname: str) -> CodeType | None:
            with lock:  # the interpreter has but one
                sys.pycache_prefix = folder if self.path.startswith(archives) else None
                return super().get_code(fullname)

    sys.path_hooks[-1] = machinery.FileFinder.path_hook(
        (machinery.ExtensionFileLoader, machinery.EXTENSION_SUFFIXES),
        (Loader, machinery.SOURCE_SUFFIXES),
        (machinery.SourcelessFileLoader, machinery.BYTECODE_SUFFIXES),
    )
    sys.path_importer_cache.clear()


def load(name: str) -> tuple[Any, str]:
    """Return the handler, or the error that AWS reports when it cannot be imported."""
    module_name, _, function = name.rpartition(".")
    module_name = module_name.replace("/", ".")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        report(error)
        message = f"Unable to import module '{module_name}': {error}"
        return None, failed("Runtime.ImportModuleError", message, [])
    except SyntaxError as error:
        report(error)
        message = f"Syntax error in module '{module_name}': {error}"
        return None, failed("Runtime.UserCodeSyntaxError", message, [])
    except Exception as error:  # noqa: BLE001 - whatever the function's own code raises
        report(error)
        return None, described(error)
    if not hasattr(module, function):
        message = f"Handler '{function}' missing on module '{module_name}'"
        return None, failed("Runtime.HandlerNotFound", message, [])
    return getattr(module, function), ""


def invoke(handler: Any, setup: dict[str, Any], request: dict[str, Any]) -> str:
    """Call the handler once and return the answer's line."""
    for name, value in request["environment"].items():
        os.environ[name] = value
    try:
        result = handler(request["event"], Context(setup, request))
    except Exception as error:  # noqa: BLE001 - the class of it is the function's answer
        report(error)
        return described(error)
    try:
        return json.dumps({"result": result})
    except (TypeError, ValueError) as error:
        return failed("Runtime.MarshalError", f"Unable to marshal response: {error}", [])


def described(error: BaseException) -> str:
    """Return the answer for an exception, named by its class alone, as AWS does."""
    return failed(type(error).__name__, str(error), frames(error))


def failed(kind: str, message: str, trace: list[str]) -> str:
    """Return the answer of a failed invocation."""
    error = {"errorMessage": message, "errorType": kind, "stackTrace": trace}
    return json.dumps({"error": error})


def frames(error: BaseException) -> list[str]:
    """Return the stack without this file's own frames."""
    stack = traceback.extract_tb(error.__traceback__)
    return traceback.format_list([frame for frame in stack if frame.filename != __file__])


def report(error: BaseException) -> None:
    """Write an exception to the log the way AWS's runtime does."""
    lines = [f"[ERROR] {type(error).__name__}: {error}", "Traceback (most recent call last):"]
    sys.stderr.write("\n".join([*lines, *frames(error)]) + "\n")


class Context:
    """The second argument of a handler."""

    identity = None
    client_context = None

    def __init__(self, setup: dict[str, Any], request: dict[str, Any]) -> None:
        self.function_name = setup["function_name"]
        self.function_version = setup["function_version"]
        self.memory_limit_in_mb = setup["memory"]
        self.log_group_name = setup["log_group"]
        self.log_stream_name = setup["log_stream"]
        self.invoked_function_arn = request["arn"]
        self.aws_request_id = request["request_id"]
        self._deadline = time.monotonic() + setup["timeout"]

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until the invocation is stopped."""
        return max(0, int((self._deadline - time.monotonic()) * 1000))


if __name__ == "__main__":
    main()
