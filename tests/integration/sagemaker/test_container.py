"""A container's process: its output, its end, and that nothing of it is left."""

import os
import subprocess
import sys
import time

import pytest

from tidemill_local.sagemaker.containers.container import Container

from .conftest import eventually


@pytest.fixture
def run(tmp_path):
    """Start Python code as a container; return it and the list of what it printed."""
    started = []

    def start(code, **limits):
        printed = []
        container = Container(
            [sys.executable, "-S", "-c", code],
            env={"PATH": os.environ["PATH"]},
            directory=tmp_path,
            output=printed.append,
            **limits,
        )
        started.append(container)
        return container, printed

    yield start
    for container in started:
        container.kill()
        container.wait(10)


def test_output_of_both_streams_is_complete_when_the_end_is_known(run):
    container, printed = run("import os; os.write(1, b'x' * 300_000); os.write(2, b'end')")

    assert container.wait(20) == 0
    assert b"".join(printed) == b"x" * 300_000 + b"end"


@pytest.mark.parametrize(
    ("end", "status"),
    [("raise SystemExit(7)", 7), ("os.kill(os.getpid(), 9)", -9), ("os.abort()", -6)],
)
def test_the_status_is_the_programs_own(run, end, status):
    container, _ = run(f"import os; {end}")

    assert container.wait(20) == status
    assert not container.killed


def test_waiting_gives_up_after_its_patience(run):
    container, _ = run("import time; time.sleep(60)")

    before = time.monotonic()
    assert container.wait(0.1) is None
    assert time.monotonic() - before < 2
    assert container.running


def test_a_program_that_closes_its_output_still_runs(run):
    container, _ = run("import os, time; os.close(1); os.close(2); time.sleep(0.5)")

    assert container.wait(0.2) is None
    assert container.wait(20) == 0


def test_sigterm_goes_to_the_main_process_which_may_tidy_up(run):
    container, printed = run(
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(print('tidy', flush=True) or 3))\n"
        "print('ready', flush=True)\n"
        "time.sleep(60)"
    )
    eventually(lambda: b"ready" in b"".join(printed), "the program listens")

    assert container.stop(grace=20) == 3
    assert b"tidy" in b"".join(printed)


def test_what_the_main_process_leaves_behind_dies_with_it(run, tmp_path):
    container, _ = run(
        "import os, time\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork() == 0:\n"
        "        open('pid', 'w').write(str(os.getpid()))\n"
        "        time.sleep(60)\n"
        "    os._exit(0)\n"
        "while not os.path.exists('pid') or not open('pid').read(): time.sleep(0.01)\n"
    )
    assert container.wait(20) == 0

    pid = int((tmp_path / "pid").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_program_that_cannot_be_started_says_why(tmp_path):
    printed = []
    container = Container(["/no/such/program"], env={}, directory=tmp_path, output=printed.append)

    assert container.wait(20) == 127
    assert b"cannot start /no/such/program" in b"".join(printed)


def test_output_that_nobody_can_take_does_not_block_the_program(tmp_path):
    def refuse(_):
        raise ValueError("full")

    container = Container(
        [sys.executable, "-S", "-c", "print('x' * 1_000_000)"],
        env={},
        directory=tmp_path,
        output=refuse,
    )

    assert container.wait(20) == 0


def test_the_program_has_its_own_interrupt_and_no_memory_limit_unless_asked(run):
    code = (
        "import resource, signal\n"
        "print(signal.getsignal(signal.SIGINT) is signal.default_int_handler,"
        " signal.getsignal(signal.SIGTERM) == signal.SIG_DFL,"
        " resource.getrlimit(resource.RLIMIT_DATA)[0])"
    )
    free, free_printed = run(code)
    bound, bound_printed = run(code, memory_bytes=2**30)

    assert free.wait(20) == bound.wait(20) == 0
    unlimited = subprocess.run(
        [sys.executable, "-c", "import resource; print(resource.getrlimit(2)[0])"],
        capture_output=True,
        check=True,
        text=True,
    ).stdout.strip()
    assert b"".join(free_printed).decode().split() == ["True", "True", unlimited]
    assert b"".join(bound_printed).decode().split() == ["True", "True", str(2**30)]
