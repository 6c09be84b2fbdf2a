"""Endpoints with the rest of the local cloud: alarms stop a rollout, topics tell of answers."""

import json
import sys
import time

import pytest
from botocore.exceptions import ClientError

from local_cloud import create_queue, receive, wait_until
from tidemill_local import images

# Serves what it is; fails when it is told to by its environment.
MODEL = """
import http.server, os

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.answer(200, b"")

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.answer(int(os.environ.get("STATUS", 200)), os.environ["NAME"].encode())

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

port = int(os.environ["SAGEMAKER_BIND_TO_PORT"])
http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""
IMAGE = "000000000000.dkr.ecr.us-east-1.amazonaws.com/guarded"
SECONDS = 90.0
ROLE = "arn:aws:iam::000000000000:role/jobs"


@pytest.fixture(scope="module")
def sagemaker(cloud, tmp_path_factory):
    script = tmp_path_factory.mktemp("image") / "serve.py"
    script.write_text(MODEL)
    images.name(cloud.state / "sagemaker", IMAGE, [sys.executable, "-S", str(script)])
    return cloud.client("sagemaker")


def configure(sagemaker, name, count=1, status="200", **request):
    """Create a model and a configuration of this name, whose answers are the name."""
    container = {"Image": IMAGE, "Environment": {"NAME": name, "STATUS": status}}
    sagemaker.create_model(ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer=container)
    variant = {
        "VariantName": "A",
        "ModelName": name,
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": count,
    }
    sagemaker.create_endpoint_config(
        EndpointConfigName=name, ProductionVariants=[variant], **request
    )


def settled(sagemaker, endpoint):
    described = sagemaker.describe_endpoint(EndpointName=endpoint)
    return described if described["EndpointStatus"] not in ("Creating", "Updating") else None


def test_an_alarm_on_the_new_configuration_takes_a_canary_back(cloud, sagemaker):
    runtime, cloudwatch = cloud.client("sagemaker-runtime"), cloud.client("cloudwatch")
    configure(sagemaker, "guarded-old", count=2)
    configure(sagemaker, "guarded-new", count=2, status="500")
    sagemaker.create_endpoint(EndpointName="guarded", EndpointConfigName="guarded-old")
    assert wait_until(lambda: settled(sagemaker, "guarded"))["EndpointStatus"] == "InService"
    cloudwatch.put_metric_alarm(
        AlarmName="guarded-errors",
        Namespace="AWS/SageMaker",
        MetricName="Invocation5XXErrors",
        Dimensions=[
            {"Name": "EndpointName", "Value": "guarded"},
            {"Name": "VariantName", "Value": "A"},
            {"Name": "EndpointConfigName", "Value": "guarded-new"},
        ],
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=0,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="notBreaching",
    )
    routing = {
        "Type": "CANARY",
        "WaitIntervalInSeconds": 600,
        "CanarySize": {"Type": "INSTANCE_COUNT", "Value": 1},
    }
    sagemaker.update_endpoint(
        EndpointName="guarded",
        EndpointConfigName="guarded-new",
        DeploymentConfig={
            "BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing},
            "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "guarded-errors"}]},
        },
    )
    failures = 0

    def rolled_back():
        nonlocal failures
        try:
            runtime.invoke_endpoint(EndpointName="guarded", Body=b"x")
        except ClientError as error:
            failures += error.response["Error"]["Code"] == "ModelError"
        time.sleep(0.05)
        return settled(sagemaker, "guarded")

    described = wait_until(rolled_back, seconds=SECONDS)

    assert failures
    assert described["EndpointStatus"] == "InService"
    assert described["EndpointConfigName"] == "guarded-old"
    assert "guarded-errors" in described["FailureReason"]
    answers = {
        runtime.invoke_endpoint(EndpointName="guarded", Body=b"x")["Body"].read() for _ in range(9)
    }
    assert answers == {b"guarded-old"}
    sagemaker.delete_endpoint(EndpointName="guarded")


def test_a_topic_tells_of_an_asynchronous_answer(cloud, sagemaker):
    s3, sns = cloud.client("s3"), cloud.client("sns")
    s3.create_bucket(Bucket="async-answers")
    s3.put_object(Bucket="async-answers", Key="in", Body=b"1,2")
    inbox, arn = create_queue(cloud, "async-inbox")
    topic = sns.create_topic(Name="async-done")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    output = {
        "S3OutputPath": "s3://async-answers/out",
        "NotificationConfig": {"SuccessTopic": topic},
    }
    configure(sagemaker, "waiting", AsyncInferenceConfig={"OutputConfig": output})
    sagemaker.create_endpoint(EndpointName="waiting", EndpointConfigName="waiting")
    assert wait_until(lambda: settled(sagemaker, "waiting"))["EndpointStatus"] == "InService"

    asked = cloud.client("sagemaker-runtime").invoke_endpoint_async(
        EndpointName="waiting", InputLocation="s3://async-answers/in"
    )

    (letter,) = receive(cloud, inbox)
    told = json.loads(json.loads(letter["Body"])["Message"])
    assert told["invocationStatus"] == "Completed"
    assert told["responseParameters"]["outputLocation"] == asked["OutputLocation"]
    key = asked["OutputLocation"].removeprefix("s3://async-answers/")
    assert s3.get_object(Bucket="async-answers", Key=key)["Body"].read() == b"waiting"
    sagemaker.delete_endpoint(EndpointName="waiting")
