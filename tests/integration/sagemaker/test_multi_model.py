"""Multi-model endpoints: models under a prefix, loaded when they are first asked; and streams."""

import json
import threading
from collections import Counter

import pytest

from tidemill_local.sagemaker.hosting import multi_model
from tidemill_local.sagemaker.hosting.router import Router

from .conftest import ROLE, eventually
from .model_servers import Hosting, refused, said


@pytest.fixture(scope="module")
def cloud(shared_cloud):
    return shared_cloud


@pytest.fixture
def hosting(cloud, s3, bucket, processes):
    return Hosting(cloud, s3, bucket)


def many(hosting, names, **container):
    """Put models under a prefix, and an endpoint of them in service."""
    for name in names:
        hosting._s3.put_object(Bucket=hosting.bucket, Key=f"many/{name}", Body=b"archive")
    model = hosting.model(uri=f"s3://{hosting.bucket}/many", Mode="MultiModel", **container)
    return hosting.endpoint(hosting.config(model))


def loaded(hosting, endpoint):
    fleet = hosting.cloud.service.context.part(Router).get(endpoint)
    return fleet.variants["AllTraffic"].instances[0].process.loaded


def test_models_are_loaded_when_they_are_asked(hosting, processes):
    name = many(hosting, ["a.tar.gz", "deep/b.tar.gz"])
    assert processes.alive == []

    assert said(hosting.invoke(name, TargetModel="a.tar.gz"))["model"] == "a.tar.gz"
    assert len(processes.alive) == 1
    answer = said(hosting.invoke(name, TargetModel="deep/b.tar.gz"))
    hosting.invoke(name, TargetModel="a.tar.gz")

    assert answer["model"] == "b.tar.gz"
    assert multi_model.TARGET_MODEL.lower() not in answer["headers"]
    assert len(processes.alive) == 2
    assert loaded(hosting, name) == ["deep/b.tar.gz", "a.tar.gz"]


def test_a_model_that_comes_later_is_found_and_one_that_is_missing_is_not(hosting):
    name = many(hosting, [])
    invoke = hosting.runtime.invoke_endpoint
    given = {"EndpointName": name, "Body": b"", "code": "ValidationError"}

    refused(invoke, "Failed to download model data(bucket: ", TargetModel="c.tar.gz", **given)
    refused(invoke, "say which one with TargetModel", **given)
    hosting._s3.put_object(Bucket=hosting.bucket, Key="many/c.tar.gz", Body=b"archive")

    assert said(hosting.invoke(name, TargetModel="c.tar.gz"))["model"] == "c.tar.gz"


def test_a_model_that_cannot_be_loaded_is_a_model_error(hosting, processes):
    processes.broken.add("bad.tar.gz")
    name = many(hosting, ["bad.tar.gz"])

    refused(
        hosting.runtime.invoke_endpoint,
        "model bad.tar.gz is broken",
        code="ModelError",
        EndpointName=name,
        Body=b"",
        TargetModel="bad.tar.gz",
    )
    assert loaded(hosting, name) == []
    processes.broken.clear()
    assert said(hosting.invoke(name, TargetModel="bad.tar.gz"))["model"] == "bad.tar.gz"


def test_the_models_used_longest_ago_are_stopped(hosting, processes):
    names = [f"{letter}.tar.gz" for letter in "abcdefghijkl"]
    name = many(hosting, names)

    for each in names:
        hosting.invoke(name, TargetModel=each)

    assert loaded(hosting, name) == names[-multi_model.MOST_LOADED :]
    assert len(processes.alive) == multi_model.MOST_LOADED
    assert said(hosting.invoke(name, TargetModel="a.tar.gz"))["model"] == "a.tar.gz"


def test_without_a_cache_a_model_stays_while_it_is_asked(hosting, processes):
    name = many(hosting, ["a.tar.gz"], MultiModelConfig={"ModelCacheSetting": "Disabled"})
    answers = Counter()

    def ask(body):
        answers[said(hosting.invoke(name, body, TargetModel="a.tar.gz"))["model"]] += 1

    slow = threading.Thread(target=ask, args=(b"hold",))
    slow.start()
    eventually(lambda: processes.alive, "the model is loaded")
    ask(b"")
    assert len(processes.alive) == 1
    processes.alive[0].held.set()
    slow.join()

    assert answers == {"a.tar.gz": 2}
    assert processes.alive == []


def test_target_models_belong_to_multi_model_endpoints(hosting):
    name = hosting.endpoint(hosting.config(hosting.model(Environment={"NAME": "a"})))

    refused(
        hosting.runtime.invoke_endpoint,
        "leave TargetModel out",
        code="ValidationError",
        EndpointName=name,
        Body=b"",
        TargetModel="a.tar.gz",
    )
    refused(
        hosting.sagemaker.create_model,
        "needs the S3 prefix of its models",
        ModelName="m",
        ExecutionRoleArn=ROLE,
        PrimaryContainer={"Image": hosting.echo, "Mode": "MultiModel"},
    )


def test_an_answer_can_be_streamed(hosting):
    name = hosting.endpoint(hosting.config(hosting.model(Environment={"NAME": "a"})))

    answer = hosting.runtime.invoke_endpoint_with_response_stream(
        EndpointName=name, Body=b"x" * 10, Accept="application/json", ContentType="text/csv"
    )
    parts = [event["PayloadPart"]["Bytes"] for event in answer["Body"]]

    document = json.loads(b"".join(parts))
    assert document["length"] == 10
    assert document["headers"]["accept"] == "application/json"
    assert answer["ContentType"] == "application/json"
    assert answer["InvokedProductionVariant"] == "AllTraffic"
