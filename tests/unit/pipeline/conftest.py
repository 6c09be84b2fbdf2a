import json
import re

import pytest
from botocore.session import Session
from botocore.validate import ParamValidator

from tidemill.pipeline.definition import emit
from tidemill.spec.compiled import Spec

SPEC = {
    "version": 1,
    "project": "flights",
    "model": "delay",
    "data": {
        "format": "csv",
        "target": "late",
        "id": "flight_id",
        "timestamp": "departed",
        "exclude": ["tailnum"],
    },
    "delivery": {"quiet_seconds": 30, "max_wait_seconds": 3600, "marker": None},
    "prepare": {"validation": 0.15, "test": 0.15, "seed": 7},
    "train": {
        "algorithm": "xgboost",
        "problem": "binary",
        "hyperparameters": {"eta": "0.1", "max_depth": "6"},
        "compute": {"instance": "ml.m5.xlarge", "volume_gb": 30, "max_runtime_seconds": 3600},
    },
    "evaluate": {"metric": "auc", "direction": "maximize", "minimum": 0.6},
    "approve": {"mode": "manual"},
    "deploy": {"instance": "ml.m5.large", "count": 1},
}
PLACE = {
    "stack": "tidemill",
    "partition": "aws",
    "region": "us-east-1",
    "account": "000000000000",
    "artifact_bucket": "tidemill-artifacts",
    "lake_bucket": "tidemill-lake",
    "image_uri": "000000000000.dkr.ecr.us-east-1.amazonaws.com/tidemill-jobs:local",
    "role_arn": "arn:aws:iam::000000000000:role/tidemill-jobs",
}


@pytest.fixture
def spec():
    return Spec.parse(SPEC)


@pytest.fixture
def place():
    return dict(PLACE)


@pytest.fixture
def definition(spec, place):
    return json.loads(emit(spec, **place))


class Requests:
    """Checks requests against botocore's shapes, enums, lengths and patterns included."""

    def __init__(self):
        self._service = Session().get_service_model("sagemaker")

    def check(self, operation, request):
        shape = self._service.operation_model(operation).input_shape
        report = ParamValidator().validate(request, shape)
        assert not report.has_errors(), report.generate_report()
        self._check(shape, request, operation)

    def _check(self, shape, value, where):
        match shape.type_name:
            case "structure":
                for key, item in value.items():
                    self._check(shape.members[key], item, f"{where}.{key}")
            case "list":
                self._length(shape, len(value), where)
                for item in value:
                    self._check(shape.member, item, f"{where}[]")
            case "map":
                self._length(shape, len(value), where)
                for key, item in value.items():
                    self._check(shape.key, key, f"{where} key")
                    self._check(shape.value, item, f"{where}.{key}")
            case "string":
                self._string(shape, value, where)

    def _string(self, shape, value, where):
        self._length(shape, len(value), where)
        enum = getattr(shape, "enum", [])
        assert not enum or value in enum, f"{where}: {value}"
        pattern = shape.metadata.get("pattern", "")
        if pattern and "\\p{" not in pattern:  # Java's classes, which re does not know
            assert re.fullmatch(pattern, value), f"{where}: {value} is not {pattern}"

    def _length(self, shape, length, where):
        low, high = shape.metadata.get("min", 0), shape.metadata.get("max", length)
        assert low <= length <= high, f"{where}: {length} is not in {low}..{high}"


@pytest.fixture(scope="session")
def requests():
    return Requests()
