import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tidemill_local.engine.lambda_pool import WorkerPool
from tidemill_local.engine.lambda_process import Function, Invocation, Outcome


@dataclass(eq=False)
class FakeProcess:
    function: Function
    seconds: float = 0.0
    alive: bool = True
    last_used: float = field(default_factory=time.monotonic)
    stopped: bool = False
    during: object = None

    def invoke(self, invocation):
        if self.during:
            self.during()
        time.sleep(self.seconds)
        self.last_used = time.monotonic()
        return Outcome(invocation.event, None, "")

    def stop(self):
        self.stopped, self.alive = True, False

    kill = stop


def function(name):
    nowhere = Path("/nonexistent")
    return Function(name, "1", "app.handler", nowhere, (), (), (), 3.0, 128, nowhere)


CALL = Invocation("event", "request", "arn")


class Pools:
    def __init__(self):
        self.processes = []

    def make(self, *, running=2, warm=2, idle_seconds=60.0, **options):
        def start(wanted):
            process = FakeProcess(wanted, **options)
            self.processes.append(process)
            return process

        return WorkerPool(running=running, warm=warm, idle_seconds=idle_seconds, start=start)


@pytest.fixture
def pools():
    return Pools()


def test_a_warm_process_is_used_again(pools):
    pool = pools.make()

    for _ in range(3):
        assert pool.invoke(function("a"), CALL, nested=False).result == "event"

    assert len(pools.processes) == 1


def test_another_function_gets_another_process(pools):
    pool = pools.make()

    pool.invoke(function("a"), CALL, nested=False)
    pool.invoke(function("b"), CALL, nested=False)

    assert [process.function.name for process in pools.processes] == ["a", "b"]


def test_callers_over_the_cap_wait(pools):
    running, most, lock = [0], [0], threading.Lock()

    def count():
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        time.sleep(0.05)
        with lock:
            running[0] -= 1

    pool = pools.make(running=2, during=count)
    callers = [
        threading.Thread(
            target=pool.invoke, args=(function(f"f{n}"), CALL), kwargs={"nested": False}
        )
        for n in range(6)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(5)

    assert most[0] == 2


def test_a_nested_call_does_not_wait_for_its_caller(pools):
    answers = []

    def call_another():
        if not answers:
            answers.append("asked")
            answers.append(pool.invoke(function("inner"), CALL, nested=True).result)

    pool = pools.make(running=1, during=call_another)
    outer = threading.Thread(
        target=pool.invoke, args=(function("outer"), CALL), kwargs={"nested": False}, daemon=True
    )
    outer.start()
    outer.join(5)

    assert not outer.is_alive()
    assert answers == ["asked", "event"]


def test_the_least_recently_used_give_way(pools):
    pool = pools.make(warm=2)

    for name in ("a", "b", "c"):
        pool.invoke(function(name), CALL, nested=False)

    assert [process.stopped for process in pools.processes] == [True, False, False]


def test_idle_processes_are_reaped(pools):
    pool = pools.make(idle_seconds=0.05)
    pool.invoke(function("a"), CALL, nested=False)

    pool.reap()
    kept = pools.processes[0].stopped
    time.sleep(0.1)
    pool.reap()

    assert (kept, pools.processes[0].stopped) == (False, True)


def test_a_dead_process_is_not_used_again(pools):
    pool = pools.make()
    pool.invoke(function("a"), CALL, nested=False)
    pools.processes[0].alive = False

    pool.invoke(function("a"), CALL, nested=False)

    assert len(pools.processes) == 2


def test_closing_stops_the_busy_and_the_idle(pools):
    pool = pools.make(seconds=0.2)
    pool.invoke(function("idle"), CALL, nested=False)
    busy = threading.Thread(
        target=pool.invoke, args=(function("busy"), CALL), kwargs={"nested": False}
    )
    busy.start()
    time.sleep(0.05)

    pool.close()
    busy.join(5)

    assert [process.stopped for process in pools.processes] == [True, True]
