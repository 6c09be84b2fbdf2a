import json
from pathlib import Path

import pytest

from tidemill.spec.compiled import Spec

from ..stack import ACCOUNT
from .cloud import Cloud, Hooks

EVENTS = Path(__file__).parents[2] / "events"
SPEC = {
    "version": 1,
    "project": "flights",
    "model": "delay",
    "data": {"format": "csv", "target": "late", "id": None, "timestamp": None, "exclude": []},
    "delivery": {"quiet_seconds": 30, "max_wait_seconds": 3600, "marker": None},
    "prepare": {"validation": 0.15, "test": 0.15, "seed": 7},
    "train": {
        "algorithm": "xgboost",
        "problem": "binary",
        "hyperparameters": {"eta": "0.1"},
        "compute": {"instance": "ml.m5.xlarge", "volume_gb": 30, "max_runtime_seconds": 3600},
    },
    "evaluate": {"metric": "auc", "direction": "maximize", "minimum": 0.6},
    "approve": {"mode": "manual"},
    "deploy": {"instance": "ml.m5.large", "count": 1},
}


@pytest.fixture(scope="session")
def make_spec():
    """Return a maker of compiled specs; `delivery__marker="_SUCCESS"` changes one field."""

    def make(**changes):
        document = json.loads(json.dumps(SPEC))
        for name, value in changes.items():
            *path, last = name.split("__")
            place = document
            for step in path:
                place = place[step]
            place[last] = value
        return Spec.parse(document)

    return make


@pytest.fixture
def spec(make_spec):
    return make_spec()


@pytest.fixture(scope="session")
def _hooks():
    Hooks.install()


@pytest.fixture
def make_cloud(template, load_function, _hooks):
    return lambda **how: Cloud(template, load_function, **how)


@pytest.fixture
def cloud(make_cloud, request):
    """An empty stack; its tables are moto's, or in memory when the test asks for `memory`."""
    with make_cloud(memory=getattr(request, "param", "moto") == "memory") as cloud:
        yield cloud


@pytest.fixture
def stores(cloud):
    return cloud.stores


@pytest.fixture(scope="session")
def sample():
    """Return a reader of events/<name>.json, as moto's account would have got it."""

    def read(name):
        text = (EVENTS / f"{name}.json").read_text()
        return json.loads(text.replace("000000000000", ACCOUNT))

    return read
