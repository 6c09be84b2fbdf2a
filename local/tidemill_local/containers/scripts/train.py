"""`train` in script mode: the user's entry point, with the surroundings the toolkit gives it."""

import builtins
import logging
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO

from tidemill_local.containers.contract import Container, UserError
from tidemill_local.containers.scripts import environment, requirements, sources
from tidemill_local.containers.scripts.sources import Kind

log = logging.getLogger(__name__)

_KEPT = 16_384  # characters of what a failing script said
_KILLED = 137
_ERRORS = tuple(name for name in dir(builtins) if name.endswith(("Error", "Exception")))


def main(container: Container) -> None:
    """
    Fetch the job's source directory and run its entry point to the end.

    Raises:
        UserError: The source cannot be had, or ExecuteUserScriptError in the toolkit's form.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    documents = environment.Documents(
        container.hyperparameters(), container.channels(), container.resources()
    )
    every = environment.decoded(documents.hyperparameters)
    _refuse_distributed(every)
    code = container.base / "code"
    variables = environment.variables(container.base, documents, container.environment)
    sources.fetch(container, variables["SM_MODULE_DIR"], code)
    program = sources.checked_entry_point(variables["SM_USER_ENTRY_POINT"], code)
    if not (code / program).exists() and sources.kind_of(program, code) is not Kind.PACKAGE:
        found = sources.contents(code)
        raise UserError(f"The source directory has no {program}; it holds: {found}")
    installed = requirements.install(code, container.base / "site-packages")
    paths = [str(code), *([str(installed)] if installed else [])]
    paths += filter(None, [container.environment.get("PYTHONPATH")])
    command = command_of(program, code, environment.arguments(environment.of_script(every)))
    log.info("Invoking user script: %s", shlex.join(command))
    own = {**os.environ, **variables, "PYTHONPATH": os.pathsep.join(paths)}
    run(command, own, code)
    (container.base / "output").mkdir(parents=True, exist_ok=True)
    (container.base / "output" / "success").touch()
    log.info("Reporting training SUCCESS")


def command_of(program: str, code: Path, arguments: list[str]) -> list[str]:
    """Return the command that runs an entry point: a program, a package's module, or a script."""
    kind = sources.kind_of(program, code)
    if kind is Kind.PACKAGE:
        return [sys.executable, "-m", program.removesuffix(".py"), *arguments]
    if kind is Kind.PROGRAM:
        return [sys.executable, "--", program, *arguments]
    sources.make_executable(code / program)
    return ["/bin/sh", "-c", f"./{shlex.quote(program)} {' '.join(map(shlex.quote, arguments))}"]


def run(command: list[str], variables: dict[str, str], directory: Path) -> None:
    """
    Run a command to its end, passing on what it prints and SIGTERM.

    Raises:
        UserError: It failed: ExecuteUserScriptError with its command and what it said last.
    """
    with subprocess.Popen(command, env=variables, cwd=directory, stderr=subprocess.PIPE) as process:
        signal.signal(signal.SIGTERM, lambda number, _frame: process.send_signal(number))
        said = _pass_on(process.stderr)
    code = process.returncode
    if not code:
        return
    more = ""
    if code in (_KILLED, -signal.SIGKILL):
        more = '\nExtraInfo "OutOfMemory: Process killed by SIGKILL (signal 9)"'
    raise UserError(
        f'ExecuteUserScriptError:\nExitCode {code}\nErrorMessage "{said}"{more}\n'
        f'Command "{" ".join(command)}"'
    )


def _pass_on(stream: IO[bytes] | None) -> str:
    """Copy a stream to our own stderr; return it from the first line that names an error on."""
    told: dict[str, None] = {}
    size = 0
    for raw in stream or ():
        sys.stderr.buffer.write(raw)
        sys.stderr.buffer.flush()
        line = raw.decode("utf-8", "replace").strip(" :\n")
        if size < _KEPT and (told or any(name in line for name in _ERRORS)):
            told[line] = None  # once each, as the toolkit has it
            size += len(line)
    return "\n ".join(told)


def _refuse_distributed(hyperparameters: dict[str, object]) -> None:
    asked = [name for name in environment.DISTRIBUTED if hyperparameters.get(name)]
    if asked:
        raise UserError(
            f"{asked[0]} asks for a distributed launcher, which the local script mode does not "
            "have: it starts the entry point once per host. Leave it out."
        )
