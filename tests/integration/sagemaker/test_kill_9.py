"""kill -9 of a service with everything under way at once: what becomes of each thing."""

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from .component_servers import NEEDS, Components
from .conftest import ACCOUNT, REGION, ROLE, client_of, eventually
from .job_requests import archive, keys
from .model_servers import Hosting, serves, statuses
from .pipeline_calls import RESOURCES, Pipelines
from .test_deployment_plan import blue_green
from .test_recovery import STUBBORN
from .test_spot_training import RESUMING, WAITING, steps

# A service of its own process, asked line by line. It never gets over the event of a registered
# model: the version is there, and the pipeline's step does not know of it.
SERVICE = """
import json, pathlib, sys, time
from tidemill_local.sagemaker.context import Limits
from tidemill_local.sagemaker.service import Service
root, url, account, region = sys.argv[1:]
def emit(kind, detail, resources):
    if kind == "SageMaker Model Package State Change":
        pathlib.Path(root, "registered").touch()
        time.sleep(600)
service = Service(root=pathlib.Path(root), endpoint_url=url, account=account, region=region,
                  emit=emit, limits=Limits(jobs=5))
service.start()
for line in sys.stdin:
    operation, request = json.loads(line)
    status, _, answer = service.handle(operation, json.dumps(request).encode())
    print(json.dumps([status, json.loads(answer)]), flush=True)
"""
# The first one that runs never ends; the next one does.
TUNED = """
    import pathlib, time
    seen = pathlib.Path({!r})
    if not seen.exists():
        seen.touch()
        time.sleep(600)
    print("score=1;")
"""

BARE = {"VariantName": "A", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}


class Doomed:
    """The service that will be killed."""

    def __init__(self, root, aws):
        self.root = root
        self._process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(SERVICE), str(root), aws, ACCOUNT, REGION],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, operation, **request):
        print(json.dumps([operation, request]), file=self._process.stdin, flush=True)
        status, answer = json.loads(self._process.stdout.readline())
        assert status == 200, answer
        return answer

    def processes(self):
        """Return the pids of what runs in the state directory: containers, and their children."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if (process / "cwd").readlink().is_relative_to(self.root):
                    found.append(int(process.name))
            except OSError:  # it is gone, or another user's
                continue
        return found

    def kill(self):
        if self._process.poll() is None:
            os.kill(self._process.pid, signal.SIGKILL)
        self._process.communicate()


@pytest.fixture
def queue(aws):
    sqs = client_of("sqs", aws)
    yield sqs.create_queue(QueueName="kill-9")["QueueUrl"]
    sqs.close()


def training(image, bucket, **fields):
    return {
        "RoleArn": ROLE,
        "AlgorithmSpecification": {"TrainingImage": image, "TrainingInputMode": "File"},
        "OutputDataConfig": {"S3OutputPath": f"s3://{bucket}/models"},
        "ResourceConfig": RESOURCES,
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
    } | fields


def tuning(image, bucket):
    objective = {"Type": "Maximize", "MetricName": "score"}
    definition = training(image, bucket)
    definition["AlgorithmSpecification"]["MetricDefinitions"] = [
        {"Name": "score", "Regex": "score=([0-9]+);"}
    ]
    return {
        "HyperParameterTuningJobConfig": {
            "Strategy": "Random",
            "HyperParameterTuningJobObjective": objective,
            "ResourceLimits": {"MaxNumberOfTrainingJobs": 1, "MaxParallelTrainingJobs": 1},
            "ParameterRanges": {
                "IntegerParameterRanges": [{"Name": "x", "MinValue": "1", "MaxValue": "9"}]
            },
        },
        "TrainingJobDefinition": definition,
    }


def transform(model, bucket):
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{bucket}/records"}
    return {
        "ModelName": model,
        "TransformInput": {"DataSource": {"S3DataSource": source}},
        "TransformOutput": {"S3OutputPath": f"s3://{bucket}/out"},
        "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
    }


@pytest.fixture
def scene(make_cloud, s3, bucket, queue, tmp_path):
    """What everything needs that the doomed service will run; by name."""
    cloud = make_cloud(root=tmp_path / "state")
    hosting, pipelines = Hosting(cloud, s3, bucket), Pipelines(cloud, bucket)
    model = hosting.model("a")
    ask = pipelines.callback("Ask", queue, {"n": "Integer"})
    pipelines.create(ask, pipelines.registration(), name="pipeline")
    s3.put_object(Bucket=bucket, Key="records", Body=b"sleep 600")
    made = {
        "root": cloud.root,
        "bucket": bucket,
        "model": model,
        "first": hosting.config(model),
        "second": hosting.config(hosting.model("b")),
        "bare": hosting.config(variants=[BARE], ExecutionRoleArn=ROLE),
        "stubborn": cloud.image(STUBBORN),
        "resuming": cloud.image(RESUMING),
        "tuned": cloud.image(TUNED.format(str(cloud.root / "tuned"))),
    }
    cloud.stop()
    return made


def begin_jobs(doomed, scene):
    """Begin a job of each kind."""
    bucket = scene["bucket"]
    doomed.ask(
        "CreateProcessingJob",
        ProcessingJobName="processing",
        RoleArn=ROLE,
        AppSpecification={"ImageUri": scene["stubborn"]},
        ProcessingResources={"ClusterConfig": RESOURCES},
    )
    plain = training(scene["stubborn"], bucket)
    spot = training(
        scene["resuming"],
        bucket,
        EnableManagedSpotTraining=True,
        CheckpointConfig={"S3Uri": f"s3://{bucket}/checkpoints"},
        StoppingCondition=WAITING,
    )
    doomed.ask("CreateTrainingJob", TrainingJobName="plain", **plain)
    doomed.ask("CreateTrainingJob", TrainingJobName="spot", **spot)
    search = tuning(scene["tuned"], bucket)
    doomed.ask("CreateHyperParameterTuningJob", HyperParameterTuningJobName="tuning", **search)
    scoring = transform(scene["model"], bucket)
    doomed.ask("CreateTransformJob", TransformJobName="transform", **scoring)


def await_jobs(doomed, scene):
    """Wait until all of them run."""
    for place in ("processing/processing", "training/plain"):
        eventually(
            (scene["root"] / "jobs" / place / "algo-1/grandchild.pid").exists, f"{place} runs"
        )
    eventually((scene["root"] / "tuned").exists, "the tuning job's training job runs")

    def transforms():
        described = doomed.ask("DescribeTransformJob", TransformJobName="transform")
        return "TransformStartTime" in described

    eventually(transforms, "the transform job runs")


def begin_update(doomed, scene):
    """Bring an endpoint into service, and on its way to another configuration."""

    def endpoint():
        return doomed.ask("DescribeEndpoint", EndpointName="endpoint")

    def bakes():
        pending = endpoint().get("PendingDeploymentSummary", {}).get("ProductionVariants", [{}])
        return pending[0].get("VariantStatus", [{}])[0].get("Status") == "Baking"

    doomed.ask("CreateEndpoint", EndpointName="endpoint", EndpointConfigName=scene["first"])
    eventually(lambda: endpoint()["EndpointStatus"] == "InService", "the endpoint serves")
    doomed.ask(
        "UpdateEndpoint",
        EndpointName="endpoint",
        EndpointConfigName=scene["second"],
        DeploymentConfig=blue_green(final=3600),
    )
    eventually(bakes, "the update bakes")


def begin_component(doomed, scene):
    """Bring an inference component into service."""

    def status(of):
        name = {f"{of}Name": "component"}
        return doomed.ask(f"Describe{of}", **name)[f"{of}Status"]

    doomed.ask("CreateEndpoint", EndpointName="component", EndpointConfigName=scene["bare"])
    eventually(lambda: status("Endpoint") == "InService", "the endpoint hosts")
    doomed.ask(
        "CreateInferenceComponent",
        InferenceComponentName="component",
        EndpointName="component",
        VariantName="A",
        Specification={"ModelName": scene["model"], "ComputeResourceRequirements": NEEDS},
    )
    eventually(lambda: status("InferenceComponent") == "InService", "the component serves")


def begin_pipeline(doomed, scene):
    """Begin an execution; return its ARN and its callback's token once its model is registered."""
    request = {"PipelineName": "pipeline", "ClientRequestToken": "t" * 32}
    arn = doomed.ask("StartPipelineExecution", **request)["PipelineExecutionArn"]

    def token():
        steps = doomed.ask("ListPipelineExecutionSteps", PipelineExecutionArn=arn)
        told = [step.get("Metadata", {}) for step in steps["PipelineExecutionSteps"]]
        return next((each["Callback"]["CallbackToken"] for each in told if "Callback" in each), "")

    eventually(token, "the callback's token")
    eventually((scene["root"] / "registered").exists, "a version is registered")
    return arn, token()


@pytest.fixture
def killed(make_cloud, aws, scene, s3):
    """Everything under way, then the kill: the next service, and the pipeline's ARN and token."""
    doomed = Doomed(scene["root"], aws)
    try:
        begin_jobs(doomed, scene)
        begin_update(doomed, scene)
        begin_component(doomed, scene)
        execution = begin_pipeline(doomed, scene)
        await_jobs(doomed, scene)
        bucket = scene["bucket"]
        eventually(lambda: keys(s3, bucket, "checkpoints/") == ["step-0"], "a checkpoint")
        assert len(doomed.processes()) >= 8
    finally:
        doomed.kill()
    eventually(lambda: not doomed.processes(), "nothing that the service had started is left")
    return make_cloud(root=scene["root"]), execution


def test_after_kill_9_everything_goes_on_or_has_an_end_with_a_cause(killed, scene, s3, bucket):
    cloud, (arn, token) = killed
    sagemaker = cloud.sagemaker

    # Jobs that cannot go on have failed.
    processing = sagemaker.describe_processing_job(ProcessingJobName="processing")
    plain = sagemaker.describe_training_job(TrainingJobName="plain")
    transform = sagemaker.describe_transform_job(TransformJobName="transform")
    assert processing["ProcessingJobStatus"] == "Failed"
    assert transform["TransformJobStatus"] == "Failed"
    assert (plain["TrainingJobStatus"], plain["SecondaryStatus"]) == ("Failed", "Failed")
    assert steps(plain) == ["Starting", "Downloading", "Training", "Failed"]
    for kind, job in (("Processing", processing), ("Training", plain), ("Transform", transform)):
        assert "the local cloud stopped while this job ran" in job["FailureReason"]
        name = job[f"{kind}JobName"]
        assert cloud.details(f"{kind} Job", f"/{name}")[-1][f"{kind}JobStatus"] == "Failed"
        assert not (cloud.root / "jobs" / kind.lower() / name).exists()

    # The endpoint serves what it served, and says what became of its update.
    described = sagemaker.describe_endpoint(EndpointName="endpoint")
    assert (described["EndpointStatus"], described["EndpointConfigName"]) == (
        "InService",
        scene["first"],
    )
    assert "was stopped while the endpoint was being updated" in described["FailureReason"]
    assert "PendingDeploymentSummary" not in described
    assert statuses(cloud, "/endpoint") == ["IN_SERVICE"]
    hosting = Components(cloud, s3, bucket)
    eventually(lambda: serves(hosting, "endpoint", "a"), "the endpoint serves again")
    assert hosting.come_to_rest("component")["InferenceComponentStatus"] == "InService"
    eventually(lambda: hosting.serves("component", "component", "a"), "the component, too")

    # The pipeline waits for its callback; its model is registered once.
    sagemaker.send_pipeline_execution_step_success(
        CallbackToken=token, OutputParameters=[{"Name": "n", "Value": "3"}]
    )
    pipelines = Pipelines(cloud, bucket)
    assert pipelines.ended(arn)["PipelineExecutionStatus"] == "Succeeded"
    (version,) = sagemaker.list_model_packages(ModelPackageGroupName="pipeline")[
        "ModelPackageSummaryList"
    ]
    registered = pipelines.steps(arn)["Register"]["Metadata"]["RegisterModel"]
    assert registered == {"Arn": version["ModelPackageArn"]}

    # Spot training goes on from its checkpoint, tuning with another job of the same values.
    spot = cloud.trained("spot")
    assert spot["TrainingJobStatus"] == "Completed", spot.get("FailureReason")
    assert "Interrupted" in steps(spot)
    assert archive(s3, bucket, "models/spot/output/model.tar.gz") == {"began": "step-0"}
    end = "HyperParameterTuningEndTime"
    cloud._await("HyperParameterTuningJob", "tuning", lambda body: end in body)
    tuned = sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName="tuning")
    assert tuned["HyperParameterTuningJobStatus"] == "Completed"
    counters = tuned["TrainingJobStatusCounters"]
    assert (counters["Completed"], counters["RetryableError"]) == (1, 1)
