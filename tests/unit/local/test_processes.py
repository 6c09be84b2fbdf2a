import os
import subprocess
import sys
import time

import pytest

from tidemill_local import processes
from tidemill_local.processes import ProcessIdentity, descendants, end

SLEEP = "print(1, flush=True); time.sleep(60)"
STUBBORN = f"import signal, time; signal.signal(15, signal.SIG_IGN); {SLEEP}"
PARENT = f"import subprocess, time; subprocess.Popen(['sleep', '60']); {SLEEP}"


def spawn(code):
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    process.stdout.readline()
    return process


def close(process):
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_process_is_known_by_its_start_too():
    me = ProcessIdentity.of(os.getpid())

    assert me.is_alive()
    assert not ProcessIdentity(me.pid, "another start").is_alive()


def test_an_ended_process_is_not_alive_even_as_a_zombie():
    process = subprocess.Popen(["sleep", "60"])
    identity = ProcessIdentity.of(process.pid)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)

    assert not identity.is_alive()
    process.wait()
    with pytest.raises(ProcessLookupError):
        ProcessIdentity.of(process.pid)


def test_descendants_are_found_to_any_depth():
    process = spawn(PARENT)

    found = [each.pid for each in descendants(os.getpid())]

    children = [each.pid for each in descendants(process.pid)]
    assert len(children) == 1
    assert found.index(process.pid) < found.index(children[0])
    end(descendants(process.pid))
    close(process)


def test_who_ignores_the_request_is_killed():
    process = spawn(STUBBORN)
    started = time.monotonic()

    asked = end([ProcessIdentity.of(process.pid)], grace=0.2)

    assert [each.pid for each in asked] == [process.pid]
    assert process.wait(5) == -9
    assert time.monotonic() - started < 3
    close(process)


def test_the_portable_table_agrees_with_linux():
    identity = processes._portable_table(os.getpid())

    assert identity[os.getpid()][0] == os.getppid()
