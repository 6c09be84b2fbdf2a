import json

import pytest
from botocore.exceptions import ClientError

from tidemill.adapters.endpoints import SMOKE, Endpoints

from .cloud import client

NAME = "tidemill--flights--delay"


@pytest.fixture
def endpoints(cloud):
    return Endpoints(client("sagemaker"), client("sagemaker-runtime"))


def test_what_is_not_there_is_none(endpoints):
    assert endpoints.describe(NAME) is None
    assert endpoints.config("c1") is None


def test_what_is_there_is_described(cloud, endpoints):
    cloud.sagemaker.add_endpoint(NAME, "c1")
    cloud.sagemaker.configs["c1"] = {"EndpointConfigName": "c1"}
    assert endpoints.describe(NAME)["EndpointConfigName"] == "c1"
    assert endpoints.config("c1")["EndpointConfigName"] == "c1"


@pytest.mark.parametrize(
    ("operation", "ask"),
    [("DescribeEndpoint", "describe"), ("DescribeEndpointConfig", "config")],
)
@pytest.mark.parametrize("code", ["ThrottlingException", "ValidationException"])
def test_a_refusal_is_not_absence(cloud, endpoints, operation, ask, code):
    cloud.refuse("sagemaker", operation, code, message="1 validation error detected")
    with pytest.raises(ClientError, match=code):
        getattr(endpoints, ask)(NAME)


def test_rows_go_out_and_predictions_come_back(cloud, endpoints):
    cloud.sagemaker.add_endpoint(NAME, "c1")
    cloud.sagemaker.answers = [0.25]
    assert endpoints.predict(NAME, [{"carrier": "UA"}]) == [0.25]
    assert json.loads(cloud.calls[-1][2]["Body"]) == {"instances": [{"carrier": "UA"}]}


def test_only_our_own_questions_are_left_out_of_the_traffic(cloud, endpoints):
    """`tidemill predict` asks for somebody; what a rollout asks is nobody's."""
    cloud.sagemaker.add_endpoint(NAME, "c1")
    cloud.sagemaker.answers = [0.25]
    endpoints.predict(NAME, [{"carrier": "UA"}])
    assert "InferenceId" not in cloud.calls[-1][2]
    assert endpoints.smoke(NAME, [{"carrier": "UA"}]) == [0.25]
    assert cloud.calls[-1][2]["InferenceId"] == SMOKE


def test_without_a_runtime_client_nobody_is_asked(cloud):
    with pytest.raises(ValueError, match="no runtime client"):
        Endpoints(client("sagemaker")).predict(NAME, [])


def test_deletion_is_complete_and_takes_nothing_else(cloud, endpoints):
    cloud.sagemaker.add_endpoint(NAME, "c1")
    for name in (f"{NAME}--1", f"{NAME}--2", f"{NAME}-weekly--1"):
        cloud.sagemaker.configs[name] = {"EndpointConfigName": name}
        cloud.sagemaker.models[name] = {"ModelName": name}
    gone = endpoints.delete(NAME, [f"{NAME}--1", f"{NAME}--2"])
    assert len(gone) == 5
    assert cloud.sagemaker.endpoints == {}
    assert list(cloud.sagemaker.configs) == list(cloud.sagemaker.models) == [f"{NAME}-weekly--1"]
    assert endpoints.delete(NAME, [f"{NAME}--1"]) == []
