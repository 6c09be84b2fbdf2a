"""Python functions run in isolated processes, a few at once; errors keep their class names."""

import functools
import os
import re
import uuid
from typing import Any

from ministack.core import lambda_runtime
from ministack.services import lambda_svc

from tidemill_local.engine.durable_code import layer_bytes
from tidemill_local.engine.function_files import FunctionFiles, local_packages
from tidemill_local.engine.hooks import expect, expect_value
from tidemill_local.engine.lambda_pool import WorkerPool
from tidemill_local.engine.lambda_process import Function, Invocation, LambdaProcess, Outcome
from tidemill_local.engine.surroundings import Application, Surroundings
from tidemill_local.environment import WARM

_RUNNING = 4
_WARM, _IDLE_SECONDS = 8, 30.0
_WARM_LONG_SECONDS = 600.0  # what somebody has the memory for need not go soon
_PENDING_SECONDS = 0.05  # a new function is ready at once; ministack plays AWS's half second
_OUTERMOST = 1  # the depth of a call that no function made
_DEPTH = re.compile(rb"Lineage=tidemill:(\d+)")


def check() -> None:
    """Require ministack's own executor, which we replace, and what it knows of a function."""
    expect(lambda_svc, "_execute_function_warm", "(func, event, request_id)")
    expect(
        lambda_svc, "_find_layer_version",
        "(layer_name, version, account_id=None, region=None, *, include_deleted=False)",
    )  # fmt: skip
    expect(lambda_svc, "_b64_sha_to_hex", "(b64_sha)")
    expect(lambda_runtime, "execution_credentials", "(config)")
    expect(lambda_svc, "_inbound_invoke_depth", "(headers)")
    expect_value(lambda_runtime, "INVOKE_DEPTH_HEADER", str)
    expect_value(lambda_svc, "_LAMBDA_STATE_TRANSITION_DELAY", float)


def apply(surroundings: Surroundings) -> None:
    """Run Python functions in our own pool; other runtimes stay with ministack."""
    surroundings.files.install_runtime()
    asked = os.environ.get(WARM, "")
    pool = WorkerPool(
        running=_RUNNING,
        warm=int(asked) if asked.isdecimal() else _WARM,
        idle_seconds=_WARM_LONG_SECONDS if asked.isdecimal() else _IDLE_SECONDS,
        start=lambda function: LambdaProcess(function, f"local/[{function.version}]{uuid.uuid4()}"),
    )
    execute = lambda_svc._execute_function_warm

    def execute_isolated(record: dict[str, Any], event: Any, request_id: str) -> dict[str, Any]:
        config = record.get("config") or record
        if not record.get("code_zip") or not config.get("Runtime", "").startswith("python"):
            other: dict[str, Any] = execute(record, event, request_id)
            return other
        depth = max(lambda_svc._invoke_depth.get(), _OUTERMOST)
        invocation = Invocation(
            event, request_id, config["FunctionArn"], {"_X_AMZN_TRACE_ID": _trace(depth)}
        )
        try:
            function = describe(record, config, surroundings)
        except (LayerMissingError, PackagesMissingError) as error:
            failure = {"errorMessage": str(error), "errorType": "Runtime.LayerMissing"}
            return answer(Outcome(None, failure, str(error)))
        return answer(pool.invoke(function, invocation, nested=depth > _OUTERMOST))

    lambda_svc._execute_function_warm = execute_isolated
    lambda_svc._LAMBDA_STATE_TRANSITION_DELAY = _PENDING_SECONDS
    surroundings.application = _depth_from_trace(surroundings.application)
    surroundings.every_second.append(pool.reap)
    surroundings.on_stop.append(pool.close)


class LayerMissingError(Exception):
    """A function names a layer version whose content the local cloud does not have."""

    def __init__(self, arn: str) -> None:
        super().__init__(
            f"The local cloud does not have the content of layer {arn}. Deploy the stack again, "
            "or publish the layer here."
        )


class PackagesMissingError(Exception):
    """A layer names a folder of packages that is not on this machine."""

    def __init__(self, arn: str, folder: Any) -> None:
        super().__init__(
            f"Layer {arn} was built to find its packages in {folder}, which is not there. "
            "Run `make install`, then `make deploy`."
        )


def answer(outcome: Outcome) -> dict[str, Any]:
    """Return an outcome the way ministack's callers expect an executor's result."""
    if outcome.error is None:
        return {"body": outcome.result, "log": outcome.log}
    return {
        "body": outcome.error,
        "error": True,
        "function_error": "Unhandled",
        "log": outcome.log,
    }


def describe(
    record: dict[str, Any], config: dict[str, Any], surroundings: Surroundings
) -> Function:
    """
    Return the environment that a function's record asks for.

    Raises:
        LayerMissingError: The content of one of its layers is not here.
        PackagesMissingError: Nor is the folder that one of them names.
    """
    files = surroundings.files
    digest = lambda_svc._b64_sha_to_hex(config["CodeSha256"])
    directory = files.unpacked(digest, lambda: bytes(record["code_zip"]))
    return Function(
        name=config["FunctionName"],
        version=config.get("Version", "$LATEST"),
        handler=config["Handler"],
        directory=directory,
        layers=tuple(_layer(files, each) for each in config.get("Layers") or ()),
        runtime=(files.runtime,),
        environment=tuple(sorted(_environment(config, directory, surroundings).items())),
        timeout=float(config.get("Timeout", 3)),
        memory=int(config.get("MemorySize", 128)),
        bytecode=files.bytecode,
    )


def _layer(files: FunctionFiles, attachment: Any) -> Any:
    arn = attachment if isinstance(attachment, str) else attachment["Arn"]
    _, _, _, region, account, _, name, version = arn.split(":")
    found, _ = lambda_svc._find_layer_version(
        name, int(version), account, region, include_deleted=True
    )
    digest = found and lambda_svc._b64_sha_to_hex(found["Content"].get("CodeSha256", ""))
    if not digest:
        raise LayerMissingError(arn)
    folder = files.unpacked(digest, functools.partial(_content, found, arn))
    packages = local_packages(folder)
    if packages is not None and not packages.is_dir():
        raise PackagesMissingError(arn, packages)
    return folder


def _content(version: dict[str, Any], arn: str) -> bytes:
    content = layer_bytes(version.get("_zip_data"))
    if content is None:
        raise LayerMissingError(arn)
    return content


def _environment(
    config: dict[str, Any], directory: Any, surroundings: Surroundings
) -> dict[str, str]:
    """What AWS's runtime sets, as far as it means something here, and the function's own."""
    _, _, _, region, *_ = config["FunctionArn"].split(":")
    name = config["FunctionName"]
    temporary = str(surroundings.state.temporary)
    logging = config.get("LoggingConfig") or {}
    credentials = lambda_runtime.execution_credentials(config)
    return {
        "AWS_ENDPOINT_URL": surroundings.endpoint,
        "AWS_CONFIG_FILE": "/dev/null",  # the laptop's own profiles are none of its business
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_EC2_METADATA_DISABLED": "true",
        "HOME": temporary,
        **(config.get("Environment") or {}).get("Variables", {}),
        **{variable: value for variable, value in credentials.items() if value},
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{config['Runtime']}",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(config.get("MemorySize", 128)),
        "AWS_LAMBDA_FUNCTION_NAME": name,
        "AWS_LAMBDA_FUNCTION_VERSION": config.get("Version", "$LATEST"),
        "AWS_LAMBDA_LOG_GROUP_NAME": logging.get("LogGroup") or f"/aws/lambda/{name}",
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "LAMBDA_TASK_ROOT": str(directory),
        "LANG": "en_US.UTF-8",
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "TMPDIR": temporary,
        "TZ": ":UTC",
        "_HANDLER": config["Handler"],
    }


def _trace(depth: int) -> str:
    """Say how deep a call is nested where AWS does: botocore passes the trace header on."""
    root = uuid.uuid4().hex
    return f"Root=1-{root[:8]}-{root[8:]};Sampled=0;Lineage=tidemill:{depth}"


def _depth_from_trace(application: Application) -> Application:
    header = lambda_runtime.INVOKE_DEPTH_HEADER.lower().encode()

    async def translating(scope: dict[str, Any], receive: Any, send: Any) -> None:
        for name, value in scope.get("headers", ()):
            if name.lower() == b"x-amzn-trace-id" and (depth := _DEPTH.search(value)):
                scope = {**scope, "headers": [*scope["headers"], (header, depth.group(1))]}
                break
        await application(scope, receive, send)

    return translating
