"""boto3's paginators over every list, and its waiters: of the client's own model, not of ours."""

import json
import uuid
from datetime import UTC, datetime

import botocore.session
import pytest
from botocore.exceptions import WaiterError

from tidemill_local.sagemaker import operations
from tidemill_local.sagemaker.service import load_operations

from .conftest import ROLE
from .job_requests import s3_output
from .model_requests import operation
from .model_servers import Hosting
from .pipeline_calls import RESOURCES

load_operations()
PAGINATORS = botocore.session.get_session().get_paginator_model("sagemaker")
SOON = {"Delay": 1, "MaxAttempts": 40}
SLEEP = "import time; time.sleep(60)"


def paginator(name):
    try:
        return PAGINATORS.get_paginator(name)
    except ValueError:
        return None


#: Lists that boto3 has a paginator for, and what each is told. Not ListTags: a page of it holds 50
#: tags at the least, and nothing has more.
PAGED = [name for name in operations.supported() if paginator(name)]
FURNISHED = {
    "ListDataQualityJobDefinitions": {},
    "ListEndpointConfigs": {},
    "ListEndpoints": {},
    "ListModelPackageGroups": {},
    "ListModelPackages": {"ModelPackageGroupName": "group-0"},
    "ListModels": {},
    "ListMonitoringSchedules": {},
    "ListPipelineExecutionSteps": {"PipelineExecutionArn": "execution"},
    "ListPipelineExecutions": {"PipelineName": "pipeline-0"},
    "ListPipelineParametersForExecution": {"PipelineExecutionArn": "execution"},
    "ListPipelines": {},
    "ListProcessingJobs": {},
    "ListTrainingJobs": {},
    "ListTransformJobs": {},
}


def snake(name):
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")


class Furnished:
    """A cloud that has three of each thing, and what they are called."""

    def __init__(self, cloud, s3, bucket):
        self.cloud = cloud
        self.sagemaker = cloud.sagemaker
        self.bucket = bucket
        self.hosting = Hosting(cloud, s3, bucket)
        self.known = {}
        s3.put_object(Bucket=bucket, Key="rows/a.csv", Body=b"1,2\n")
        for number in range(3):
            self._furnish(number)

    def _furnish(self, number):
        capture = {
            "EnableCapture": True,
            "InitialSamplingPercentage": 100,
            "DestinationS3Uri": f"s3://{self.bucket}/capture",
            "CaptureOptions": [{"CaptureMode": "Input"}],
        }
        config = self.hosting.config(model := self.hosting.model(), DataCaptureConfig=capture)
        self.sagemaker.create_endpoint(EndpointName=f"e-{number}", EndpointConfigName=config)
        done = self.cloud.image("pass")
        self.cloud.process(done, ProcessingJobName=f"job-{number}")
        self.cloud.train(done, TrainingJobName=f"job-{number}", bucket=self.bucket)
        self.transform(model, f"job-{number}")
        self.sagemaker.create_model_package_group(ModelPackageGroupName=f"group-{number}")
        self.sagemaker.create_model_package(
            ModelPackageGroupName="group-0",
            InferenceSpecification={
                "Containers": [{"Image": "i:1", "ModelDataUrl": self.hosting.put_model()}],
                "SupportedContentTypes": ["text/csv"],
                "SupportedResponseMIMETypes": ["text/csv"],
            },
        )
        self._pipeline(number)
        self._schedule(number)

    def _pipeline(self, number):
        names = [f"P{each}" for each in range(3)]
        steps = [
            {"Name": f"Is{name}", "Type": "Condition", "Arguments": {
                "Conditions": [{"Type": "Equals", "LeftValue": {"Get": f"Parameters.{name}"},
                                "RightValue": "v"}], "IfSteps": [], "ElseSteps": []}}
            for name in names
        ]  # fmt: skip
        definition = {
            "Version": "2020-12-01",
            "Parameters": [{"Name": name, "Type": "String"} for name in names],
            "Steps": steps,
        }
        self.sagemaker.create_pipeline(
            PipelineName=f"pipeline-{number}",
            PipelineDefinition=json.dumps(definition),
            RoleArn=ROLE,
        )
        started = self.sagemaker.start_pipeline_execution(
            PipelineName="pipeline-0",
            PipelineParameters=[{"Name": name, "Value": "v"} for name in names],
        )
        self.known["execution"] = started["PipelineExecutionArn"]

    def _schedule(self, number):
        target = {"EndpointName": "e-0", "LocalPath": "/opt/ml/processing/input/endpoint"}
        output = s3_output(f"s3://{self.bucket}/reports")["Outputs"][0]["S3Output"]
        name = f"watch-{number}"
        self.sagemaker.create_data_quality_job_definition(
            JobDefinitionName=name,
            DataQualityAppSpecification={"ImageUri": self.cloud.image("pass")},
            DataQualityJobInput={"EndpointInput": target},
            DataQualityJobOutputConfig={"MonitoringOutputs": [{"S3Output": output}]},
            JobResources={"ClusterConfig": RESOURCES},
            RoleArn=ROLE,
        )
        self.sagemaker.create_monitoring_schedule(
            MonitoringScheduleName=name,
            MonitoringScheduleConfig={
                "ScheduleConfig": {"ScheduleExpression": "cron(0 * ? * * *)"},
                "MonitoringJobDefinitionName": name,
                "MonitoringType": "DataQuality",
            },
        )

    def transform(self, model, name, image=None):
        source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{self.bucket}/rows/"}
        self.sagemaker.create_transform_job(
            TransformJobName=name,
            ModelName=model if image is None else self.hosting.model(image=image),
            TransformInput={"DataSource": {"S3DataSource": source}, "ContentType": "text/csv"},
            TransformOutput={"S3OutputPath": f"s3://{self.bucket}/scored"},
            TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": 1},
        )

    def settle(self):
        """Wait until nothing changes any more: a list that does has no order to look at."""
        for number in range(3):
            self.hosting.settled(f"e-{number}")
            self.cloud.processed(f"job-{number}")
            self.cloud.trained(f"job-{number}")
            waiter = self.sagemaker.get_waiter("transform_job_completed_or_stopped")
            waiter.wait(TransformJobName=f"job-{number}", WaiterConfig=SOON)

    def asked(self, name):
        """Return what a list is asked with."""
        return {member: self.known.get(value, value) for member, value in FURNISHED[name].items()}


@pytest.fixture(scope="module")
def furnished(shared_cloud, s3):
    bucket = f"clients-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=bucket)
    everything = Furnished(shared_cloud, s3, bucket)
    everything.settle()
    return everything


def names_of(rows):
    """Return what tells the rows of a list apart: names and ARNs, but no times and statuses."""
    return [
        tuple(value for key, value in sorted(row.items()) if key.endswith(("Name", "Arn")))
        for row in rows
    ]


@pytest.mark.parametrize("name", [name for name in PAGED if name in FURNISHED])
def test_a_list_comes_whole_and_in_order_a_page_at_a_time(furnished, name):
    model, asked = PAGINATORS.get_paginator(name), furnished.asked(name)
    client = furnished.sagemaker
    whole = getattr(client, snake(name))(**asked, MaxResults=50)
    expected = names_of(whole[model["result_key"]])
    assert len(expected) >= 3
    assert len(set(expected)) == len(expected)

    pages = client.get_paginator(snake(name))
    alone = pages.paginate(**asked, PaginationConfig={"PageSize": 1})
    assert names_of(alone.search(f"{model['result_key']}[]")) == expected

    first = pages.paginate(**asked, PaginationConfig={"MaxItems": 2, "PageSize": 2})
    first = first.build_full_result()
    rest = pages.paginate(**asked, PaginationConfig={"StartingToken": first["NextToken"]})
    rest = rest.build_full_result()[model["result_key"]]
    assert names_of(first[model["result_key"]] + rest) == expected


@pytest.mark.parametrize("name", [name for name in PAGED if name in FURNISHED])
def test_a_list_is_ordered_and_filtered_as_asked(furnished, name):
    model, asked = PAGINATORS.get_paginator(name), furnished.asked(name)
    members = operation(name).input_shape.members

    def listed(**more):
        page = getattr(furnished.sagemaker, snake(name))(**asked, MaxResults=50, **more)
        return names_of(page[model["result_key"]])

    if "SortOrder" in members:
        assert listed(SortOrder="Ascending") == listed(SortOrder="Descending")[::-1]
    for member in members:
        if member.endswith(("TimeAfter", "StartTimeAfter")):
            assert listed(**{member: datetime(2100, 1, 1, tzinfo=UTC)}) == []
        if member.endswith("TimeBefore"):
            assert listed(**{member: datetime(2001, 1, 1, tzinfo=UTC)}) == []
        if member in {"NameContains", "PipelineNamePrefix"}:
            assert listed(**{member: "nothingsonamed"}) == []


def test_boto3_waits_for_processing_jobs(furnished):
    waiter = furnished.sagemaker.get_waiter("processing_job_completed_or_stopped")
    waiter.wait(ProcessingJobName="job-0", WaiterConfig=SOON)

    furnished.cloud.process(furnished.cloud.image(SLEEP), ProcessingJobName="slow")
    furnished.sagemaker.stop_processing_job(ProcessingJobName="slow")
    waiter.wait(ProcessingJobName="slow", WaiterConfig=SOON)
    furnished.cloud.process(furnished.cloud.image("1 / 0"), ProcessingJobName="failing")
    with pytest.raises(WaiterError, match="terminal failure state"):
        waiter.wait(ProcessingJobName="failing", WaiterConfig=SOON)
    with pytest.raises(WaiterError, match="service error code: ValidationException"):
        waiter.wait(ProcessingJobName="none", WaiterConfig=SOON)


def test_boto3_waits_for_training_jobs(furnished):
    waiter = furnished.sagemaker.get_waiter("training_job_completed_or_stopped")
    waiter.wait(TrainingJobName="job-0", WaiterConfig=SOON)

    image = furnished.cloud.image("1 / 0")
    furnished.cloud.train(image, TrainingJobName="failing", bucket=furnished.bucket)
    with pytest.raises(WaiterError, match="terminal failure state"):
        waiter.wait(TrainingJobName="failing", WaiterConfig=SOON)
    with pytest.raises(WaiterError, match="service error code: ValidationException"):
        waiter.wait(TrainingJobName="none", WaiterConfig=SOON)


def test_boto3_waits_for_transform_jobs(furnished):
    waiter = furnished.sagemaker.get_waiter("transform_job_completed_or_stopped")
    waiter.wait(TransformJobName="job-0", WaiterConfig=SOON)

    furnished.transform(None, "failing", furnished.cloud.image("1 / 0"))
    with pytest.raises(WaiterError, match="terminal failure state"):
        waiter.wait(TransformJobName="failing", WaiterConfig=SOON)
    with pytest.raises(WaiterError, match="service error code: ValidationException"):
        waiter.wait(TransformJobName="none", WaiterConfig=SOON)


def test_boto3_waits_for_endpoints(furnished):
    serving = furnished.sagemaker.get_waiter("endpoint_in_service")
    gone = furnished.sagemaker.get_waiter("endpoint_deleted")
    serving.wait(EndpointName="e-1", WaiterConfig=SOON)

    broken = furnished.hosting.model(image=furnished.cloud.image("1 / 0"))
    config = furnished.hosting.config(broken)
    furnished.sagemaker.create_endpoint(EndpointName="broken", EndpointConfigName=config)
    with pytest.raises(WaiterError, match="terminal failure state"):
        serving.wait(EndpointName="broken", WaiterConfig=SOON)
    furnished.sagemaker.delete_endpoint(EndpointName="broken")
    gone.wait(EndpointName="broken", WaiterConfig=SOON)
    with pytest.raises(WaiterError, match="service error code: ValidationException"):
        serving.wait(EndpointName="broken", WaiterConfig=SOON)
