"""
The SageMaker SDK, imported once: each program runs in a fork of it.

Importing the SDK takes ten seconds, and a program that nobody here wrote the same each time. A line
of JSON comes in (program, argument, environment), one with status, printed and errors goes out.
"""

import importlib
import json
import os
import runpy
import sys
import tempfile
from pathlib import Path

_IMPORTED = (
    "sagemaker.core.resources",
    "sagemaker.core.processing",
    "sagemaker.core.model_monitor",
    "sagemaker.train.model_trainer",
    "sagemaker.train.tuner",
    "sagemaker.mlops.workflow.pipeline",
    "sagemaker.serve.model_builder",
)


def run(program, argument):
    """Run a program as `python program argument` would, in a process of its own."""
    with tempfile.TemporaryFile() as printed, tempfile.TemporaryFile() as errors:
        child = os.fork()
        if child == 0:
            _become(program, argument, printed, errors)
        _, status = os.waitpid(child, 0)
        texts = [_text(file) for file in (printed, errors)]
    return {"status": os.waitstatus_to_exitcode(status), "printed": texts[0], "errors": texts[1]}


def _become(program, argument, printed, errors):
    for stream, file in ((1, printed), (2, errors)):
        os.dup2(file.fileno(), stream)
    sys.argv = [program, argument]
    sys.path[0] = str(Path(program).parent)
    status = 1
    try:
        runpy.run_path(program, run_name="__main__")
        status = 0
    except SystemExit as left:
        status = left.code if isinstance(left.code, int) else 1
    except BaseException:  # noqa: BLE001 - told as Python tells it, and the fork ends
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _text(file):
    file.seek(0)
    return file.read().decode(errors="replace")


def main():
    """Answer each line."""
    for name in _IMPORTED:
        importlib.import_module(name)
    for line in sys.stdin:
        asked = json.loads(line)
        sys.stdout.write(json.dumps(run(asked["program"], asked["argument"])) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
