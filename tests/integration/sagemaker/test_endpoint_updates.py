"""An update changes what answers and fails no request; one that cannot work changes nothing."""

import json
import threading
import time
from collections import Counter

import pytest

from tidemill_local.sagemaker.hosting import configurations as hosting_module

from .conftest import eventually
from .model_servers import BROKEN, SICK, Hosting, gone, refused, said, statuses


@pytest.fixture
def hosting(cloud, s3, bucket):
    return Hosting(cloud, s3, bucket)


def test_update_switches_to_the_new_model(hosting):
    name = hosting.endpoint(hosting.config(hosting.model("a")))
    old = said(hosting.invoke(name))["pid"]
    config = hosting.config(hosting.model("b"))
    policy = {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": {
                "Type": "ALL_AT_ONCE",
                "WaitIntervalInSeconds": 0,
            }
        }
    }

    hosting.sagemaker.update_endpoint(
        EndpointName=name, EndpointConfigName=config, DeploymentConfig=policy
    )
    described = hosting.settled(name)

    assert described["EndpointStatus"] == "InService"
    assert described["EndpointConfigName"] == config
    assert described["LastDeploymentConfig"] == policy
    assert "FailureReason" not in described
    assert said(hosting.invoke(name))["model"] == "b"
    assert statuses(hosting.cloud, name) == ["CREATING", "IN_SERVICE", "UPDATING", "IN_SERVICE"]
    assert gone(old)


def test_update_shows_what_is_pending_and_refuses_others(hosting, monkeypatch):
    monkeypatch.setattr(hosting_module, "STARTUP_SECONDS", 1.5)
    first = hosting.config()
    name = hosting.endpoint(first)
    slow = hosting.config(hosting.model(image=hosting.cloud.image(SICK)))
    hosting.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=slow)

    described = hosting.sagemaker.describe_endpoint(EndpointName=name)
    assert described["EndpointStatus"] == "Updating"
    assert described["EndpointConfigName"] == first
    pending = described["PendingDeploymentSummary"]
    assert pending["EndpointConfigName"] == slow
    assert pending["ProductionVariants"][0]["VariantStatus"][0]["Status"] == "Creating"
    says = f'Cannot update in-progress endpoint "{described["EndpointArn"]}"'
    other = hosting.config()
    update, delete = hosting.sagemaker.update_endpoint, hosting.sagemaker.delete_endpoint
    refused(update, says, EndpointName=name, EndpointConfigName=other)
    refused(delete, says, EndpointName=name)
    assert said(hosting.invoke(name))["model"] == "a"
    hosting.settled(name)


def test_creating_endpoint_accepts_nothing(hosting, monkeypatch):
    monkeypatch.setattr(hosting_module, "STARTUP_SECONDS", 1.5)
    config = hosting.config(hosting.model(image=hosting.cloud.image(SICK)))
    hosting.sagemaker.create_endpoint(EndpointName="e", EndpointConfigName=config)

    says = "Cannot update in-progress endpoint"
    refused(hosting.sagemaker.delete_endpoint, says, EndpointName="e")
    refused(
        hosting.runtime.invoke_endpoint,
        "not found",
        code="ValidationError",
        EndpointName="e",
        Body=b"",
    )
    hosting.settled("e")


def test_update_to_a_sick_model_rolls_back_and_the_old_one_goes_on(hosting):
    first = hosting.config(hosting.model("a"))
    name = hosting.endpoint(first)
    before = said(hosting.invoke(name))
    broken = hosting.config(hosting.model(image=hosting.cloud.image(BROKEN)))

    def told():
        return hosting.cloud.details("Endpoint", name)[-1]

    hosting.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=broken)

    described = hosting.settled(name)

    assert described["EndpointStatus"] == "InService"
    assert described["EndpointConfigName"] == first
    assert "this is no ONNX file" in described["FailureReason"]
    assert "PendingDeploymentSummary" not in described
    after = said(hosting.invoke(name))
    assert (after["model"], after["pid"]) == ("a", before["pid"])
    eventually(lambda: "FailureReason" in told(), "the event of the rollback")
    assert told()["EndpointStatus"] == "IN_SERVICE"
    assert "this is no ONNX file" in told()["FailureReason"]
    # A good update afterwards forgets the failure.
    hosting.sagemaker.update_endpoint(
        EndpointName=name, EndpointConfigName=hosting.config(hosting.model("c"))
    )
    assert "FailureReason" not in hosting.settled(name)
    assert said(hosting.invoke(name))["model"] == "c"


def test_update_to_the_same_configuration_is_refused(hosting):
    config = hosting.config()
    name = hosting.endpoint(config)

    refused(
        hosting.sagemaker.update_endpoint,
        "that it has already",
        EndpointName=name,
        EndpointConfigName=config,
    )


def test_update_under_load_fails_no_request(hosting):
    name = hosting.endpoint(hosting.config(hosting.model("a")))
    models, failures = Counter(), []
    done = threading.Event()

    def ask(body):
        while not done.is_set():
            status, _, answer = hosting.cloud.service.invoke(
                "POST", f"/endpoints/{name}/invocations", {}, body
            )
            if status == 200:
                models[json.loads(answer)["model"]] += 1
            else:
                failures.append((status, answer))

    bodies = [b"x", b"x", b"sleep 0.05", b"sleep 0.3"]
    threads = [threading.Thread(target=ask, args=(body,)) for body in bodies]
    for thread in threads:
        thread.start()
    try:
        for model in "bcd":
            hosting.sagemaker.update_endpoint(
                EndpointName=name, EndpointConfigName=hosting.config(hosting.model(model))
            )
            hosting.settled(name)
            seen = models[model]
            eventually(lambda m=model, n=seen: models[m] > n + 3, f"model {model} answers")
    finally:
        done.set()
        for thread in threads:
            thread.join()

    assert failures == []
    assert set(models) == set("abcd")
    assert said(hosting.invoke(name))["model"] == "d"


def test_slow_request_is_answered_by_the_model_it_began_with(hosting):
    name = hosting.endpoint(hosting.config(hosting.model("a")))
    config = hosting.config(hosting.model("b"))
    answers = []
    thread = threading.Thread(target=lambda: answers.append(hosting.invoke(name, b"sleep 2")))
    thread.start()
    time.sleep(0.3)

    hosting.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=config)
    hosting.settled(name)
    assert said(hosting.invoke(name))["model"] == "b"
    thread.join()

    assert said(answers[0])["model"] == "a"


def test_traffic_follows_the_weights(hosting):
    a, b = hosting.model("a"), hosting.model("b")
    name = hosting.endpoint(
        hosting.config(
            variants=[
                hosting.variant(a, "A", InitialVariantWeight=3.0),
                hosting.variant(b, "B", InitialVariantWeight=1.0),
            ]
        )
    )

    path = f"/endpoints/{name}/invocations"

    def count():
        answers = [hosting.cloud.service.invoke("POST", path, {}, b"") for _ in range(400)]
        return Counter(headers["x-Amzn-Invoked-Production-Variant"] for _, headers, _ in answers)

    counts = count()
    assert 240 < counts["A"] < 360  # 300 of 400 on average, six standard deviations either side
    assert hosting.invoke(name, TargetVariant="B")["InvokedProductionVariant"] == "B"
    refused(
        hosting.runtime.invoke_endpoint,
        "Variant C of endpoint",
        code="ValidationError",
        EndpointName=name,
        Body=b"",
        TargetVariant="C",
    )

    hosting.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=name,
        DesiredWeightsAndCapacities=[
            {"VariantName": "A", "DesiredWeight": 0.0},
            {"VariantName": "B", "DesiredWeight": 1.0, "DesiredInstanceCount": 2},
        ],
    )
    described = hosting.settled(name)

    assert count() == {"B": 400}
    variants = {v["VariantName"]: v for v in described["ProductionVariants"]}
    assert variants["A"]["CurrentWeight"] == 0.0
    assert variants["B"]["CurrentInstanceCount"] == 2
    # An update that retains the variants' properties keeps them.
    config = hosting.config(variants=[hosting.variant(a, "A"), hosting.variant(b, "B")])
    hosting.sagemaker.update_endpoint(
        EndpointName=name,
        EndpointConfigName=config,
        RetainAllVariantProperties=True,
        ExcludeRetainedVariantProperties=[{"VariantPropertyType": "DesiredInstanceCount"}],
    )
    variants = {v["VariantName"]: v for v in hosting.settled(name)["ProductionVariants"]}
    assert variants["A"]["CurrentWeight"] == 0.0
    assert variants["B"]["CurrentInstanceCount"] == 1


def test_weight_of_an_unknown_variant(hosting):
    name = hosting.endpoint()

    refused(
        hosting.sagemaker.update_endpoint_weights_and_capacities,
        "has no variant Z",
        EndpointName=name,
        DesiredWeightsAndCapacities=[{"VariantName": "Z", "DesiredWeight": 1.0}],
    )
