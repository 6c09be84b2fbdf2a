"""The hooks, in the order they are applied, and the proof at each start that ministack fits."""

import ast
import importlib
import importlib.metadata
import inspect
import textwrap
from dataclasses import asdict, dataclass
from types import ModuleType
from typing import Any, Protocol, cast

from tidemill_local.engine.surroundings import Surroundings
from tidemill_local.state_directory import LocalCloudError

MINISTACK = "1.5.33"

_HOOKS = (
    "schedule_ticks",
    "schedule_zones",
    "durable_tables",
    "durable_streams",
    "durable_queues",
    "durable_executions",
    "durable_code",
    "snapshots",
    "lambda_workers",
    "lambda_async",
    "step_functions",
    "task_callbacks",
    "parallel_states",
    "interrupted_executions",
    "ranged_versions",
    "event_targets",
    "schedule_inputs",
    "event_faults",  # before the sources, so that it sees their events as they leave
    "event_sources",
    "metric_alarms",
    "service_metrics",
    "sagemaker_service",
    "sagemaker_tasks",
    "cloudformation_types",
    "bounded_memory",
    "gateway",  # last, so that it stands in front of all others
)


class MinistackChangedError(Exception):
    """Something of ministack that a hook builds on is gone or different."""


class HooksDoNotFitError(LocalCloudError):
    """At least one hook's check failed, so the local cloud would not behave as AWS does."""

    def __init__(self, failed: "list[CheckResult]") -> None:
        reasons = "; ".join(f"{result.hook}: {result.detail}" for result in failed)
        super().__init__(
            f"The local cloud cannot start, because ministack is not what it builds on: {reasons}. "
            f"Tidemill needs exactly ministack {MINISTACK}: "
            f"install it with `pip install 'ministack[full]=={MINISTACK}'`."
        )
        self.failed = failed


@dataclass(frozen=True)
class CheckResult:
    """What one hook's check found; shown by `tidemill status`."""

    hook: str
    ok: bool
    detail: str

    def to_json(self) -> dict[str, Any]:
        """Return the result as a JSON object."""
        return asdict(self)


class Hook(Protocol):
    """A module that changes one thing about ministack, from outside."""

    __name__: str

    def check(self) -> None:
        """Raise MinistackChangedError unless what `apply` builds on is there."""

    def apply(self, surroundings: Surroundings) -> None:
        """Change ministack; called once, after all checks."""


def load() -> list[Hook]:
    """Import the hooks (and with them ministack, which reads its environment then)."""
    return [
        cast("Hook", importlib.import_module(f"tidemill_local.engine.{name}")) for name in _HOOKS
    ]


def install(
    hooks: list[Hook], surroundings: Surroundings, version: str | None = None
) -> list[CheckResult]:
    """
    Check all hooks, then apply them.

    Args:
        hooks: What `load` returned.
        surroundings: What they work with.
        version: The installed ministack's; read from its metadata when None.

    Returns:
        What each check found; all are well.

    Raises:
        HooksDoNotFitError: A check failed; nothing was applied.
    """
    results = [_check_version(version or importlib.metadata.version("ministack"))]
    results += [_check(hook) for hook in hooks]
    failed = [result for result in results if not result.ok]
    if failed:
        raise HooksDoNotFitError(failed)
    for hook in hooks:
        hook.apply(surroundings)
    return results


def expect(module: ModuleType, name: str, signature: str) -> None:
    """
    Require a function of ministack with exactly this signature, annotations aside.

    Raises:
        MinistackChangedError: It is not there, or takes something else.
    """
    found = getattr(module, name, None)
    where = f"{module.__name__}.{name}"
    if not callable(found):
        raise MinistackChangedError(f"{where} is not there")
    parameters = [
        parameter.replace(annotation=inspect.Parameter.empty)
        for parameter in inspect.signature(found).parameters.values()
    ]
    actual = str(inspect.Signature(parameters))
    if actual != signature:
        raise MinistackChangedError(f"{where} takes {actual}, not {signature}")


def expect_value(module: ModuleType, name: str, kind: type | tuple[type, ...]) -> None:
    """
    Require a value of ministack's of a certain type.

    Raises:
        MinistackChangedError: It is not there, or something else.
    """
    found = getattr(module, name, None)
    if not isinstance(found, kind):
        raise MinistackChangedError(f"{module.__name__}.{name} is {type(found).__name__}")


def expect_saved(module: ModuleType, names: set[str]) -> None:
    """
    Require that a service's `get_state` saves exactly these things.

    It is read, not called: a call may tidy files up by a state that is not loaded yet.

    Raises:
        MinistackChangedError: It is not there, or saves something else.
    """
    expect(module, "get_state", "()")
    function = ast.parse(textwrap.dedent(inspect.getsource(module.get_state))).body[0]
    saved = {
        key.value
        for node in ast.walk(function)
        if isinstance(node, ast.Return) and isinstance(node.value, ast.Dict)
        for key in node.value.keys
        if isinstance(key, ast.Constant) and isinstance(key.value, str)
    }
    if saved != names:
        raise MinistackChangedError(f"{module.__name__}.get_state saves {sorted(saved ^ names)}")


def _check_version(found: str) -> CheckResult:
    detail = f"ministack {found}" + ("" if found == MINISTACK else f" is not {MINISTACK}")
    return CheckResult("version", found == MINISTACK, detail)


def _check(hook: Hook) -> CheckResult:
    name = hook.__name__.rpartition(".")[2]
    try:
        hook.check()
    except MinistackChangedError as error:
        return CheckResult(name, ok=False, detail=str(error))
    return CheckResult(name, ok=True, detail=(hook.__doc__ or "").strip().split("\n", 1)[0])
