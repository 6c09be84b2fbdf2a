import json

import pytest

from tidemill.errors import EndpointFailedError, SmokeTestError

from ...stack import ARTIFACTS
from ..cloud import client
from .scenes import MODEL, NAME

KEY = "pipelines/e3/smoke.json"
ROWS = [{"carrier": "UA"}, {"carrier": "AA"}]


@pytest.fixture
def smoke(cloud):
    def smoke(answers=(0.25, 0.5), *, config="c3", rows=ROWS, predictions=(0.25, 0.5)):
        cloud.sagemaker.add_endpoint(NAME, "c3")
        cloud.sagemaker.answers = list(answers)
        body = json.dumps({"rows": rows, "predictions": list(predictions)}).encode()
        client("s3").put_object(Bucket=ARTIFACTS, Key=KEY, Body=body)
        return ask(config)

    def ask(config="c3"):
        event = {**MODEL, "version": 3, "package": "p", "why": "good", "endpoint": NAME}
        event |= {"config": config, "smoke": f"s3://{ARTIFACTS}/{KEY}"}
        return cloud.invoke("smoke_endpoint", event)

    smoke.ask = ask
    return smoke


def test_an_endpoint_that_answers_as_evaluated_passes(smoke):
    assert smoke() == {"rows": 2}


def test_rounding_is_no_difference(smoke):
    assert smoke(answers=(0.250009, 0.5)) == {"rows": 2}


def test_an_answer_that_differs_is_named(smoke):
    with pytest.raises(SmokeTestError, match="row 2 of 2"):
        smoke(answers=(0.25, 0.6))


def test_a_missing_answer_differs(smoke):
    with pytest.raises(SmokeTestError, match="row 2 of 2"):
        smoke(answers=(0.25,))


def test_an_endpoint_with_another_configuration_is_not_asked(smoke):
    with pytest.raises(EndpointFailedError, match="not in service with c9"):
        smoke(config="c9")


def test_an_endpoint_that_is_gone_is_named(smoke):
    with pytest.raises(EndpointFailedError, match=NAME):
        smoke.ask()


@pytest.mark.parametrize("rows", [[], None])
def test_without_smoke_rows_nothing_is_proved(cloud, smoke, rows):
    if rows is None:
        cloud.sagemaker.add_endpoint(NAME, "c3")
        with pytest.raises(SmokeTestError, match="no smoke rows"):
            smoke.ask()
    else:
        with pytest.raises(SmokeTestError, match="no smoke rows"):
            smoke(rows=rows, predictions=())
