"""Serverless endpoints: memory and a limit of requests at a time instead of instances."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import ClientError

from tidemill_local.sagemaker.hosting.router import Router

from .conftest import eventually
from .model_servers import Hosting, refused, said
from .test_capture import capture_config

SERVERLESS = {"MemorySizeInMB": 2048, "MaxConcurrency": 2}


@pytest.fixture
def hosting(cloud, s3, bucket):
    return Hosting(cloud, s3, bucket)


def variant(model, **config):
    return {
        "VariantName": "AllTraffic",
        "ModelName": model,
        "ServerlessConfig": SERVERLESS | config,
    }


def test_it_serves_and_is_described(hosting):
    model = hosting.model("a")
    config = hosting.config(variants=[variant(model)])
    described = hosting.sagemaker.describe_endpoint_config(EndpointConfigName=config)
    assert described["ProductionVariants"] == [
        {**variant(model), "InitialVariantWeight": 1.0},
    ]

    name = hosting.endpoint(config)

    assert said(hosting.invoke(name))["model"] == "a"
    (live,) = hosting.sagemaker.describe_endpoint(EndpointName=name)["ProductionVariants"]
    assert live["CurrentServerlessConfig"] == SERVERLESS
    assert live["CurrentInstanceCount"] == 0


def test_requests_beyond_the_limit_are_refused_and_the_others_answered(hosting):
    name = hosting.endpoint(hosting.config(variants=[variant(hosting.model())]))
    (live,) = hosting.cloud.service.context.part(Router).get(name).variants.values()

    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(hosting.invoke, name, b"sleep 2") for _ in range(2)]
        eventually(lambda: live._asked == 2, "two requests are under way")
        with pytest.raises(ClientError) as raised:
            hosting.invoke(name)
        answers = [future.result()["ResponseMetadata"]["HTTPStatusCode"] for future in asked]
    assert raised.value.response["Error"]["Code"] == "ThrottlingException"
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 429
    assert answers == [200, 200]
    assert hosting.invoke(name)["ResponseMetadata"]["HTTPStatusCode"] == 200


def test_an_update_goes_from_serverless_to_serverless_and_to_instances_but_not_back(hosting):
    first = hosting.config(variants=[variant(hosting.model("a"))])
    name = hosting.endpoint(first)
    update = hosting.sagemaker.update_endpoint
    wider = hosting.config(variants=[variant(hosting.model("b"), MaxConcurrency=5)])
    update(EndpointName=name, EndpointConfigName=wider)
    described = hosting.settled(name)
    assert described["ProductionVariants"][0]["CurrentServerlessConfig"]["MaxConcurrency"] == 5

    update(
        EndpointName=name,
        EndpointConfigName=hosting.config(hosting.model("c")),
        RetainAllVariantProperties=True,
    )
    assert hosting.settled(name)["ProductionVariants"][0]["CurrentInstanceCount"] == 1
    assert said(hosting.invoke(name))["model"] == "c"

    refused(update, "it has instances", EndpointName=name, EndpointConfigName=first)
    assert said(hosting.invoke(name))["model"] == "c"


def test_what_sagemaker_does_not_combine_is_refused(hosting, bucket):
    model = hosting.model()
    good = variant(model)
    cases = [
        ([good], {"DataCaptureConfig": capture_config(bucket)}, "DataCaptureConfig is not"),
        ([good, {**good, "VariantName": "B"}], {}, "exactly one production variant"),
        ([{**good, "InstanceType": "ml.m5.large"}], {}, "either an InstanceType or a Serverless"),
        ([{**good, "InitialInstanceCount": 1}], {}, "has no InitialInstanceCount"),
        ([variant(model, MemorySizeInMB=1500)], {}, "must be 1024, 2048"),
        ([variant(model, MaxConcurrency=201)], {}, "less than or equal to 200"),
    ]
    for variants, request, says in cases:
        refused(
            hosting.sagemaker.create_endpoint_config,
            says,
            EndpointConfigName="c",
            ProductionVariants=variants,
            **request,
        )


def test_it_serves_again_after_a_restart_with_its_limit(make_cloud, s3, bucket):
    cloud = make_cloud()
    hosting = Hosting(cloud, s3, bucket)
    name = hosting.endpoint(hosting.config(variants=[variant(hosting.model("a"))]))
    cloud.stop()

    again = make_cloud()
    hosting = Hosting(again, s3, bucket)

    def answers():
        try:
            return said(hosting.invoke(name))["model"] == "a"
        except ClientError:
            return False

    eventually(answers, "it serves again")
