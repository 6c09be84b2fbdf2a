"""Containers that die, services that stop (test_kill_9 kills one): endpoints come back."""

import pytest
from botocore.exceptions import ClientError

from tidemill_local.sagemaker.hosting import configurations as hosting_module

from .conftest import eventually
from .model_servers import SICK, Hosting, ask_once, gone, refused, said, serves, statuses


@pytest.fixture
def hosting(cloud, s3, bucket):
    return Hosting(cloud, s3, bucket)


def test_container_that_dies_is_started_again(hosting):
    name = hosting.endpoint()
    before = said(hosting.invoke(name))["pid"]

    with pytest.raises(ClientError) as raised:
        hosting.invoke(name, b"die")
    assert raised.value.response["Error"]["Code"] == "ServiceUnavailable"

    def answers():
        again = ask_once(hosting, name)
        return again is not None and again["pid"] != before

    eventually(answers, "a new process answers")
    status = hosting.sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"]
    assert status == "InService"


def test_delete_stops_the_container_and_forgets_the_endpoint(hosting):
    name = hosting.endpoint()
    pid = said(hosting.invoke(name))["pid"]
    arn = hosting.sagemaker.describe_endpoint(EndpointName=name)["EndpointArn"]

    hosting.sagemaker.delete_endpoint(EndpointName=name)

    assert hosting.settled(name) is None
    assert gone(pid)
    assert statuses(hosting.cloud, name)[-1] == "DELETING"
    assert not (hosting.cloud.root / "endpoints" / name).exists()
    refused(hosting.sagemaker.describe_endpoint, arn, EndpointName=name)
    refused(
        hosting.runtime.invoke_endpoint,
        "not found",
        code="ValidationError",
        EndpointName=name,
        Body=b"",
    )


def test_deleted_config_and_model_do_not_matter_to_what_serves(make_cloud, s3, bucket):
    cloud = make_cloud()
    hosting = Hosting(cloud, s3, bucket)
    model = hosting.model("a")
    config = hosting.config(model)
    name = hosting.endpoint(config)
    hosting.sagemaker.delete_endpoint_config(EndpointConfigName=config)
    hosting.sagemaker.delete_model(ModelName=model)
    assert said(hosting.invoke(name))["model"] == "a"
    cloud.stop()

    later = Hosting(make_cloud(), s3, bucket)

    eventually(lambda: serves(later, name, "a"), "the endpoint serves again")


def test_endpoints_serve_again_after_a_restart(make_cloud, s3, bucket):
    cloud = make_cloud()
    hosting = Hosting(cloud, s3, bucket)
    uri = hosting.put_model(name="a")
    name = hosting.endpoint(hosting.config(hosting.model(uri=uri)))
    pid = said(hosting.invoke(name))["pid"]
    cloud.stop()
    assert gone(pid)
    # What was unpacked is used again: the archive may be gone.
    s3.delete_object(Bucket=bucket, Key=uri.split("/", 3)[3])

    later = Hosting(make_cloud(), s3, bucket)

    eventually(lambda: serves(later, name, "a"), "the endpoint serves again")
    described = later.sagemaker.describe_endpoint(EndpointName=name)
    assert described["EndpointStatus"] == "InService"
    # And it can be updated as before.
    later.sagemaker.update_endpoint(
        EndpointName=name, EndpointConfigName=later.config(later.model("b"))
    )
    assert later.settled(name)["EndpointStatus"] == "InService"
    assert said(later.invoke(name))["model"] == "b"


def test_what_a_restart_interrupted_is_settled(make_cloud, s3, bucket, monkeypatch):
    monkeypatch.setattr(hosting_module, "STARTUP_SECONDS", 60)
    cloud = make_cloud()
    hosting = Hosting(cloud, s3, bucket)
    sick = hosting.config(hosting.model(image=cloud.image(SICK)))
    first = hosting.config()
    updated = hosting.endpoint(first)
    hosting.sagemaker.create_endpoint(EndpointName="created", EndpointConfigName=sick)
    hosting.sagemaker.update_endpoint(EndpointName=updated, EndpointConfigName=sick)
    deleted = hosting.endpoint(first)
    cloud.service.context.store.update("Endpoint", deleted, EndpointStatus="Deleting")
    cloud.stop()

    later = Hosting(make_cloud(), s3, bucket)

    created = later.sagemaker.describe_endpoint(EndpointName="created")
    assert created["EndpointStatus"] == "Failed"
    assert "was stopped while the endpoint was being created" in created["FailureReason"]
    body = later.sagemaker.describe_endpoint(EndpointName=updated)
    assert (body["EndpointStatus"], body["EndpointConfigName"]) == ("InService", first)
    assert "was stopped while the endpoint was being updated" in body["FailureReason"]
    assert later.settled(deleted) is None
    eventually(lambda: serves(later, updated, "a"), "the old model serves again")
    assert statuses(later.cloud, "/created") == ["FAILED"]
