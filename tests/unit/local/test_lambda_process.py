import time
from pathlib import Path

import pytest

from tidemill_local.engine.lambda_process import Function, Invocation, LambdaProcess


@pytest.fixture
def start(tmp_path):
    started = []

    def run(code, *, layers=(), timeout=5.0, **environment):
        directory = tmp_path / f"code-{len(started)}"
        directory.mkdir()
        (directory / "app.py").write_text(code)
        function = Function(
            name="f", version="$LATEST", handler="app.handler", directory=directory,
            layers=tuple(layers), runtime=(), environment=tuple(environment.items()),
            timeout=timeout, memory=128, bytecode=tmp_path / "bytecode",
        )  # fmt: skip
        process = LambdaProcess(function, "stream")
        started.append(process)
        return process

    yield run
    for process in started:
        process.stop()


def call(process, event=None, **environment):
    return process.invoke(Invocation(event, "request-1", "arn:of:f", environment))


def test_the_event_and_the_context_arrive(start):
    process = start(
        "def handler(event, context):\n"
        "    return [event, context.aws_request_id, context.invoked_function_arn,\n"
        "            context.function_name, context.get_remaining_time_in_millis() > 4000]"
    )

    outcome = call(process, {"text": "line\nbreak é"})

    assert outcome.error is None
    assert outcome.result == [{"text": "line\nbreak é"}, "request-1", "arn:of:f", "f", True]


def test_state_stays_between_invocations_and_after_an_error(start):
    process = start(
        "n = 0\n"
        "def handler(event, context):\n"
        "    global n; n += 1\n"
        "    if n == 2: raise KeyError('second')\n"
        "    return n"
    )

    outcomes = [call(process) for _ in range(3)]

    assert [outcome.result for outcome in outcomes] == [1, None, 3]
    assert outcomes[1].error["errorType"] == "KeyError"


def test_each_invocation_has_its_own_log(start):
    process = start(
        "import os, sys\n"
        "def handler(event, context):\n"
        "    print('out', event); sys.stderr.write('err\\n'); os.system('echo child')"
    )

    logs = [call(process, n).log for n in (1, 2)]

    assert [sorted(log.split("\n")) for log in logs] == [
        ["child", "err", "out 1"],
        ["child", "err", "out 2"],
    ]


def test_a_large_answer_and_a_large_log_do_not_block(start):
    process = start(
        "def handler(event, context):\n    print('x' * 500_000)\n    return 'y' * 500_000"
    )

    outcome = call(process)

    assert len(outcome.result) == 500_000
    assert len(outcome.log) == 500_000


def test_only_the_given_environment_is_there(start, monkeypatch):
    monkeypatch.setenv("SECRET_OF_THE_LAPTOP", "1")
    code = "import os\ndef handler(event, context):\n    return dict(os.environ)"
    process = start(code, MINE="yes")

    found = call(process, None, _X_AMZN_TRACE_ID="Root=1").result

    assert found["MINE"] == "yes"
    assert found["_X_AMZN_TRACE_ID"] == "Root=1"
    assert "SECRET_OF_THE_LAPTOP" not in found


def test_layers_come_after_the_code_and_before_nothing_else(start, tmp_path):
    layer = tmp_path / "layer"
    (layer / "python/lib/python3.13/site-packages").mkdir(parents=True)
    (layer / "python/lib/python3.13/site-packages/deep.py").write_text("WHERE = 'deep'")
    (layer / "python/flat.py").write_text("WHERE = 'flat'")
    (layer / "python/app.py").write_text("def handler(event, context):\n    return 'layer'")
    process = start(
        "import deep, flat\n"
        "def handler(event, context):\n"
        "    try:\n"
        "        import pytest\n"
        "    except ImportError:\n"
        "        return [deep.WHERE, flat.WHERE]",
        layers=[layer],
    )

    assert call(process).result == ["deep", "flat"]


def test_a_timeout_ends_the_process(start):
    process = start("import time\ndef handler(event, context):\n    time.sleep(60)", timeout=0.3)
    started = time.monotonic()

    outcome = call(process)

    assert outcome.error["errorType"] == "Sandbox.Timedout"
    assert "Task timed out after 0.30 seconds" in outcome.error["errorMessage"]
    assert time.monotonic() - started < 3
    assert not process.alive


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="only Linux tells")
def test_what_takes_more_memory_than_the_function_has_is_killed(start):
    process = start(
        "import time\n"
        "def handler(event, context):\n"
        "    held = bytearray(event)\n"
        "    time.sleep(1)\n"
        "    return len(held)"
    )

    assert call(process, 1 << 20).result == 1 << 20
    outcome = call(process, 256 << 20)

    assert outcome.error == {
        "errorType": "Runtime.OutOfMemory",
        "errorMessage": "RequestId: request-1 Error: Runtime exited with error: signal: killed",
    }
    assert not process.alive


@pytest.mark.parametrize("where", ["import", "call"])
def test_a_process_that_ends_itself_says_how(start, where):
    exits = "raise SystemExit(7)"
    code = {
        "import": exits,
        "call": f"print('last words')\ndef handler(event, context):\n    {exits}",
    }[where]
    process = start(code)

    outcome = call(process)

    assert outcome.error["errorType"] == "Runtime.ExitError"
    assert "exit status 7" in outcome.error["errorMessage"]
    assert ("last words" in outcome.log) == (where == "call")


def test_a_process_that_was_killed_says_so(start):
    code = "import os, signal\ndef handler(event, context):\n    os.kill(os.getpid(), 9)"

    outcome = call(start(code))

    assert "signal 9" in outcome.error["errorMessage"]


def test_compiled_modules_are_kept_beside_not_inside(start, tmp_path):
    process = start("def handler(event, context):\n    return 1")

    assert call(process).result == 1
    assert not list(process.function.directory.rglob("__pycache__"))
    assert list((tmp_path / "bytecode").rglob("app.*.pyc"))


def test_packages_of_this_machine_are_not_compiled_for_each_state(start, tmp_path):
    layer, packages = tmp_path / "layer", tmp_path / "packages"
    (layer / "python").mkdir(parents=True)
    (layer / "python/ours.py").write_text("")
    (layer / "local-packages").write_text(str(packages))
    (packages / "theirs").mkdir(parents=True)
    (packages / "theirs/__init__.py").write_text("")
    process = start(
        "import ours, theirs\ndef handler(event, context):\n    return 1", layers=[layer]
    )

    assert call(process).result == 1
    assert [file.parent for file in packages.rglob("*.pyc")] == [packages / "theirs/__pycache__"]
    kept = {file.name.partition(".")[0] for file in (tmp_path / "bytecode").rglob("*.pyc")}
    assert kept == {"app", "ours"}
    assert not list(layer.rglob("__pycache__"))
