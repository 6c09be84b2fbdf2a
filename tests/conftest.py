"""Fake credentials before anything imports boto3; functions loaded as Lambda loads them."""

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

os.environ |= {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "POWERTOOLS_LOG_LEVEL": "CRITICAL",
}
for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
    os.environ.pop(name, None)

import pytest  # noqa: E402  # after the credentials, as plugins import boto3 too
from hypothesis import HealthCheck, settings  # noqa: E402  # likewise

# The same examples every time, and nothing that depends on how fast the machine is.
settings.register_profile(
    "tidemill", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("tidemill")

ROOT = Path(__file__).parents[1]


#: What starts local clouds goes by groups, the longest first, so that no worker is left alone with
#: one at the end. A group shares what its session deployed, which takes half a minute.
_TOGETHER = {
    "tests/workflows/test_retrain.py": "workflows-1",
    "tests/workflows/test_triggers.py": "workflows-1",
    "tests/workflows/test_ledger.py": "workflows-1",
    "tests/workflows": "workflows-2",
    "tests/e2e/test_kill.py": "e2e-1",
    "tests/e2e": "e2e-2",
}
_BY_FILE = ("tests/integration/sagemaker", "tests/integration/engine")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """
    Sort tests by what they take: groups that deploy, files with servers, all others.

    Then by their files' names, since workers read those in different orders.
    """
    order = [*dict.fromkeys(_TOGETHER.values())]

    def place(item: pytest.Item) -> tuple[int, bool, Path]:
        group = _group(item.nodeid)
        rank = order.index(group) if group in order else len(order)
        return rank, group is None, item.path

    items.sort(key=place)


@pytest.hookimpl(wrapper=True, optionalhook=True)  # without xdist nobody asks
def pytest_xdist_auto_num_workers(config: pytest.Config) -> Iterator[None]:
    """Let one more work than there are processors: who starts local clouds often waits."""
    processors = yield
    return processors + 1


class _FromElsewhere(pytest.Dir):
    """
    A folder that each worker begins to read at another place.

    pytest compiles the tests when it first reads them, which takes longest; so each worker finds
    what the others have compiled.
    """

    def collect(self) -> Iterator[pytest.Item | pytest.Collector]:
        entries = list(super().collect())
        given = self.config.workerinput  # type: ignore[attr-defined]  # xdist's
        start = len(entries) * int(given["workerid"][2:]) // given["workercount"]
        return iter(entries[start:] + entries[:start])


def pytest_collect_directory(path: Path, parent: pytest.Collector) -> pytest.Dir | None:
    """Have a worker's folders read from elsewhere."""
    if not hasattr(parent.config, "workerinput"):
        return None
    return _FromElsewhere.from_parent(parent, path=path)


@pytest.hookimpl(optionalhook=True)  # without xdist nobody asks
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Send the tests of a group to one worker, and all others one by one."""
    from xdist.scheduler import LoadScopeScheduling  # noqa: PLC0415  # only where xdist runs

    class ByGroup(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return _group(nodeid) or nodeid

    return ByGroup(config, log)


def _group(nodeid: str) -> str | None:
    """Return the group of the test that *nodeid* names; None: it goes anywhere."""
    file = nodeid.partition("::")[0]
    folder = file.rpartition("/")[0]
    for place in (file, folder):
        if place in _TOGETHER:
            return _TOGETHER[place]
    return file if folder in _BY_FILE else None


def pytest_make_parametrize_id(val: object) -> str | None:
    """Name bytes by their length: gzip writes the time, and xdist wants one name everywhere."""
    return f"{len(val)}-bytes" if isinstance(val, bytes) else None


@pytest.fixture(scope="session")
def template():
    """template.yaml, intrinsics as plain dicts. Not to be changed by a test."""
    from .infrastructure.template_model import load_template  # noqa: PLC0415  # seconds to import

    return load_template()


@pytest.fixture(scope="session")
def load_function(template):
    """
    Return a loader of `functions/<name>/app.py`: a lone module, with the template's environment.

    A function is wired when it is imported, so it is loaded once, as Lambda does.
    """
    from . import stack  # noqa: PLC0415  # imports the template's model

    loaded: dict[str, ModuleType] = {}

    def load(name: str) -> ModuleType:
        if name not in loaded:
            path = ROOT / "functions" / name / "app.py"
            spec = importlib.util.spec_from_file_location(f"function_{name}", path)
            assert spec is not None
            assert spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            with pytest.MonkeyPatch.context() as patch:
                for variable, value in stack.environment(name, template).items():
                    patch.setenv(variable, value)
                spec.loader.exec_module(module)
            loaded[name] = module
        return loaded[name]

    return load
