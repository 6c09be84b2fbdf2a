"""
The SageMaker SDK, imported once: each program runs in a fork of it, side by side with the others.

Importing the SDK takes seconds, and a program that nobody here wrote the same each time. A line of
JSON comes in (number, program, argument, and the files for what it prints and what goes wrong); a
line with number and status goes out when the program has ended.
"""

import importlib
import json
import os
import runpy
import sys
from pathlib import Path

_IMPORTED = (
    "sagemaker.core.lineage",
    "sagemaker.core.model_monitor",
    "sagemaker.core.processing",
    "sagemaker.core.resources",
    "sagemaker.core.transformer",
    "sagemaker.mlops.workflow.pipeline",
    "sagemaker.serve.model_builder",
    "sagemaker.train.model_trainer",
    "sagemaker.train.tuner",
)


def main():
    """Start a process for each line, which answers it."""
    for name in _IMPORTED:
        importlib.import_module(name)
    _check_the_schema_once()
    watchers = []
    for line in sys.stdin:
        watcher = os.fork()
        if watcher == 0:
            _answer(json.loads(line))
            os._exit(0)
        watchers.append(watcher)
    for watcher in watchers:
        os.waitpid(watcher, 0)


def _check_the_schema_once():
    """Whether its own schema is one: the SDK asks at each look into its configuration, for long."""
    validators = importlib.import_module("jsonschema.validators")
    config = importlib.import_module("sagemaker.core.config.config_schema")
    schema = config.SAGEMAKER_PYTHON_SDK_CONFIG_SCHEMA
    validator = validators.validator_for(schema)
    check = validator.check_schema
    check(schema)
    validator.check_schema = lambda other: None if other is schema else check(other)


def _answer(asked):
    program = os.fork()
    if program == 0:
        _become(**asked)
    _, status = os.waitpid(program, 0)
    done = {"number": asked["number"], "status": os.waitstatus_to_exitcode(status)}
    os.write(1, f"{json.dumps(done)}\n".encode())  # whole, as it is short, beside the others'


def _become(program, argument, printed, errors, **_):
    """Run a program as `python program argument` would."""
    for stream, file in ((1, printed), (2, errors)):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
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


if __name__ == "__main__":
    main()
