"""Functions run isolated, a few at once, and fail under their own names."""

import concurrent.futures
import json
import time

import pytest

from deployed import ROOT
from local_cloud import archive, create_function, create_queue, receive, wait_until

LOOK = """
import importlib.util, json, os, sys
def handler(event, context):
    import boto3
    return {
        "found": {name: importlib.util.find_spec(name) is not None for name in event["names"]},
        "environment": dict(os.environ),
        "arn": context.invoked_function_arn,
        "remaining": context.get_remaining_time_in_millis(),
        "boto3": boto3.__version__,
    }
"""
FAIL = """
class DriftError(Exception):
    pass
def handler(event, context):
    if event.get("exit"):
        import sys; sys.exit(3)
    if event.get("sleep"):
        import time; time.sleep(30)
    if event.get("unserializable"):
        return object()
    print("about to fail")
    raise DriftError("psi is 0.4")
"""


def invoke(cloud, name, event=None):
    answer = cloud.client("lambda").invoke(
        FunctionName=name, Payload=json.dumps(event or {}).encode()
    )
    return json.loads(answer["Payload"].read()), answer.get("FunctionError")


def test_a_function_sees_boto3_and_nothing_of_ours(cloud):
    arn = create_function(
        cloud, "look", LOOK, Environment={"Variables": {"MINE": "yes"}}, Timeout=30
    )  # importing boto3 may take a busy machine more than three seconds

    found, error = invoke(cloud, "look", {"names": ["boto3", "ministack", "tidemill", "pytest"]})

    assert error is None, found
    assert found["found"] == {
        "boto3": True, "ministack": False, "tidemill": False, "pytest": False,
    }  # fmt: skip
    environment = found["environment"]
    assert environment["MINE"] == "yes"
    assert environment["AWS_ENDPOINT_URL"] == cloud.endpoint
    assert environment["AWS_LAMBDA_FUNCTION_NAME"] == "look"
    assert environment["AWS_REGION"] == "us-east-1"
    assert not {name for name in environment if name.startswith(("MINISTACK", "STATE_DIR"))}
    assert found["arn"] == arn
    assert 0 < found["remaining"] <= 30_000


def test_layers_are_found_and_shared(cloud):
    layer = cloud.client("lambda").publish_layer_version(
        LayerName="shared", Content={"ZipFile": archive({"python/inside.py": "VALUE = 7"})}
    )["LayerVersionArn"]
    code = "import inside\ndef handler(event, context):\n    return [inside.VALUE, inside.__file__]"
    for name in ("layered-1", "layered-2"):
        create_function(cloud, name, code, Layers=[layer])

    first, second = invoke(cloud, "layered-1")[0], invoke(cloud, "layered-2")[0]

    assert first[0] == 7
    assert first == second


def test_a_layer_may_name_a_folder_instead_of_carrying_it(cloud):
    """Six workers with polars: none has a copy, nor has the state directory."""
    packages = ROOT / ".tools/layers/data/local"
    arn = cloud.client("lambda").publish_layer_version(
        LayerName="named", Content={"ZipFile": archive({"local-packages": f"{packages}\n"})}
    )["LayerVersionArn"]
    code = """
import time
import polars, numpy
def handler(event, context):
    time.sleep(0.5)
    return [polars.DataFrame({"a": [1, 2]})["a"].sum(), polars.__file__, numpy.__file__]
"""
    create_function(cloud, "named", code, Layers=[arn], MemorySize=1769, Timeout=60)
    with concurrent.futures.ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(lambda _: invoke(cloud, "named"), range(6)))

    expected = [3, f"{packages}/polars/__init__.py", f"{packages}/numpy/__init__.py"]
    assert answers == [(expected, None)] * 6
    copies = [path for path in cloud.state.rglob("*polars*.so*") if path.is_file()]
    assert copies == []


def test_a_folder_that_a_layer_names_and_that_is_gone_is_said(cloud):
    arn = cloud.client("lambda").publish_layer_version(
        LayerName="gone", Content={"ZipFile": archive({"local-packages": "/nowhere/to/be/seen"})}
    )["LayerVersionArn"]
    create_function(cloud, "gone", LOOK, Layers=[arn])

    error, _ = invoke(cloud, "gone", {"names": []})

    assert error["errorType"] == "Runtime.LayerMissing"
    assert "/nowhere/to/be/seen, which is not there. Run `make install`" in error["errorMessage"]


def test_an_error_has_its_class_name_and_its_stack(cloud):
    create_function(cloud, "fails", FAIL)

    error, kind = invoke(cloud, "fails")

    assert kind == "Unhandled"
    assert error["errorType"] == "DriftError"
    assert error["errorMessage"] == "psi is 0.4"
    assert any("in handler" in frame for frame in error["stackTrace"])
    assert not any("lambda_bootstrap" in frame for frame in error["stackTrace"])


def test_what_a_function_prints_is_in_its_log(cloud):
    create_function(cloud, "logs", FAIL)
    invoke(cloud, "logs")

    def lines():
        found = cloud.client("logs").filter_log_events(logGroupName="/aws/lambda/logs")
        return [event["message"] for event in found["events"]]

    logged = wait_until(lines)
    assert "about to fail" in logged
    assert "[ERROR] DriftError: psi is 0.4" in logged


@pytest.mark.parametrize(
    ("event", "kind", "message"),
    [
        ({"exit": True}, "Runtime.ExitError", "exit status 3"),
        ({"sleep": True}, "Sandbox.Timedout", "timed out after 1.00 seconds"),
        ({"unserializable": True}, "Runtime.MarshalError", "Unable to marshal"),
    ],
)
def test_a_runtime_error_is_named_as_on_aws(cloud, event, kind, message):
    name = f"runtime-{kind.rpartition('.')[2].lower()}"
    create_function(cloud, name, FAIL, Timeout=1)

    error, _ = invoke(cloud, name, event)
    again, _ = invoke(cloud, name)

    assert error["errorType"] == kind
    assert message in error["errorMessage"]
    assert again["errorType"] == "DriftError"


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("import nothing_like_this", "Runtime.ImportModuleError"),
        ("x = 1", "Runtime.HandlerNotFound"),
        ("def (", "Runtime.UserCodeSyntaxError"),
        ("raise KeyError('at import')", "KeyError"),
    ],
)
def test_a_function_that_cannot_load_says_why(cloud, code, kind):
    name = f"unloadable-{kind.rpartition('.')[2].lower()}"
    create_function(cloud, name, code)

    error, _ = invoke(cloud, name)

    assert error["errorType"] == kind


def test_changed_code_takes_effect_at_once(cloud):
    create_function(cloud, "changes", "def handler(event, context):\n    return 1")
    before, _ = invoke(cloud, "changes")
    changed = archive({"app.py": "def handler(event, context):\n    return 2"})
    cloud.client("lambda").update_function_code(FunctionName="changes", ZipFile=changed)

    after, _ = invoke(cloud, "changes")

    assert (before, after) == (1, 2)


def test_a_burst_waits_for_four_workers_instead_of_being_throttled(cloud):
    code = """
import os, time
def handler(event, context):
    start = time.time(); time.sleep(0.3)
    return [os.getpid(), start, time.time()]
"""
    create_function(cloud, "burst", code, Timeout=20)

    with concurrent.futures.ThreadPoolExecutor(12) as callers:
        answers = list(callers.map(lambda _: invoke(cloud, "burst"), range(12)))

    assert all(error is None for _, error in answers)
    spans = [(start, end) for (_, start, end), _ in answers]
    at_once = max(sum(s <= start < e for s, e in spans) for start, _ in spans)
    assert at_once <= 4


def test_functions_that_call_functions_do_not_wait_for_themselves(cloud):
    code = """
import boto3, json, time
def handler(event, context):
    if event["depth"] == 0:
        return 0
    time.sleep(0.2)
    answer = boto3.client("lambda").invoke(
        FunctionName=context.function_name, Payload=json.dumps({"depth": event["depth"] - 1})
    )
    return 1 + json.loads(answer["Payload"].read())
"""
    create_function(cloud, "nests", code, Timeout=60)

    with concurrent.futures.ThreadPoolExecutor(5) as callers:
        answers = list(callers.map(lambda _: invoke(cloud, "nests", {"depth": 2}), range(5)))

    assert [answer for answer, _ in answers] == [2] * 5


def test_a_failing_asynchronous_invocation_ends_in_its_destination(cloud):
    url, arn = create_queue(cloud, "async-failed")
    create_function(cloud, "async-fails", FAIL)
    cloud.client("lambda").put_function_event_invoke_config(
        FunctionName="async-fails",
        MaximumRetryAttempts=1,
        DestinationConfig={"OnFailure": {"Destination": arn}},
    )

    cloud.client("lambda").invoke(
        FunctionName="async-fails", InvocationType="Event", Payload=b'{"n": 1}'
    )

    letter = json.loads(receive(cloud, url)[0]["Body"])
    assert letter["requestPayload"] == {"n": 1}
    assert letter["responsePayload"]["errorType"] == "DriftError"


def test_a_warm_function_answers_in_milliseconds(cloud):
    create_function(cloud, "warm", "def handler(event, context):\n    return 1")
    invoke(cloud, "warm")

    started = time.monotonic()
    for _ in range(10):
        invoke(cloud, "warm")

    assert (time.monotonic() - started) / 10 < 0.1
