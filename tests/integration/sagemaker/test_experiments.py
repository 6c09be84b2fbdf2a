"""Experiments: trials and their components, by hand and of jobs; the graph that jobs leave."""

import json
import time
import uuid

import pytest

from tidemill_local.sagemaker.lineage import recorder
from tidemill_local.sagemaker.lineage.metrics import kept_beside

from .conftest import ROLE, client_of, eventually
from .job_requests import channel, put, s3_input, s3_output
from .model_servers import Hosting
from .pipeline_calls import Pipelines

TRAIN = """
    import os, pathlib
    print("auc=0.75;")
    print("auc=0.875;")
    pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"], "model", "model.txt").write_text("m")
"""


@pytest.fixture(scope="module")
def cloud(shared_cloud):
    return shared_cloud


@pytest.fixture
def client(cloud):
    return cloud.sagemaker


@pytest.fixture
def tag():
    return f"t{uuid.uuid4().hex[:8]}"


def experiment(client, tag, trials=1):
    client.create_experiment(ExperimentName=tag, Description="what is better")
    for number in range(trials):
        client.create_trial(TrialName=f"{tag}-{number}", ExperimentName=tag)
    return tag


def names(answer):
    (summaries,) = (value for key, value in answer.items() if key.endswith("Summaries"))
    return [
        next(
            value
            for key, value in sorted(each.items())
            if key.endswith("Name") and "Display" not in key
        )
        for each in summaries
    ]


def code_of(call, **request):
    with pytest.raises(call.__self__.exceptions.ClientError) as raised:
        call(**request)
    return raised.value.response["Error"]["Code"]


def test_an_experiment_has_trials_and_they_have_components(client, tag):
    experiment(client, tag, trials=2)
    made = client.create_trial_component(
        TrialComponentName=f"{tag}-Step",
        Status={"PrimaryStatus": "InProgress"},
        Parameters={"depth": {"NumberValue": 3.0}, "kind": {"StringValue": "tree"}},
        InputArtifacts={"data": {"Value": "s3://b/d", "MediaType": "text/csv"}},
    )
    for number in (0, 0, 1):
        client.associate_trial_component(
            TrialComponentName=f"{tag}-Step", TrialName=f"{tag}-{number}"
        )

    assert made["TrialComponentArn"].endswith(f":experiment-trial-component/{tag}-step")
    client.update_trial_component(
        TrialComponentName=f"{tag}-step",
        Parameters={"depth": {"NumberValue": 4.0}},
        ParametersToRemove=["kind"],
        OutputArtifacts={"model": {"Value": "s3://b/m"}},
        Status={"PrimaryStatus": "Completed"},
    )
    described = client.describe_trial_component(TrialComponentName=made["TrialComponentArn"])
    assert described["TrialComponentName"] == f"{tag}-Step"
    assert described["Parameters"] == {"depth": {"NumberValue": 4.0}}
    assert set(described["InputArtifacts"] | described["OutputArtifacts"]) == {"data", "model"}
    assert names(client.list_trials(ExperimentName=tag, SortBy="Name", SortOrder="Ascending")) == [
        f"{tag}-0",
        f"{tag}-1",
    ]
    assert len(names(client.list_trials(TrialComponentName=f"{tag}-Step"))) == 2
    assert names(client.list_trial_components(ExperimentName=tag)) == [f"{tag}-Step"]
    assert names(client.list_trial_components(TrialName=f"{tag}-1")) == [f"{tag}-Step"]
    assert tag in names(client.list_experiments(MaxResults=100))
    client.update_experiment(ExperimentName=tag, DisplayName="Trees", Description="")
    assert client.describe_experiment(ExperimentName=tag)["DisplayName"] == "Trees"
    client.update_trial(TrialName=f"{tag}-0", DisplayName="First")
    assert client.describe_trial(TrialName=f"{tag}-0")["DisplayName"] == "First"


def test_what_has_parts_is_not_deleted(client, tag):
    experiment(client, tag)
    client.create_trial_component(TrialComponentName=tag)
    part = {"TrialComponentName": tag, "TrialName": f"{tag}-0"}
    client.associate_trial_component(**part)

    assert code_of(client.delete_experiment, ExperimentName=tag) == "ValidationException"
    assert code_of(client.delete_trial, TrialName=f"{tag}-0") == "ValidationException"
    assert code_of(client.delete_trial_component, TrialComponentName=tag) == "ValidationException"
    client.disassociate_trial_component(**part)
    assert code_of(client.disassociate_trial_component, **part) == "ResourceNotFound"
    client.delete_trial_component(TrialComponentName=tag)
    client.delete_trial(TrialName=f"{tag}-0")
    client.delete_experiment(ExperimentName=tag)
    assert code_of(client.describe_experiment, ExperimentName=tag) == "ResourceNotFound"
    assert code_of(client.create_trial, TrialName=tag, ExperimentName=tag) == "ResourceNotFound"


def test_names_are_taken_in_any_letter_case(client, tag):
    experiment(client, tag)
    taken = {"ExperimentName": tag.upper()}
    assert code_of(client.create_experiment, **taken) == "ValidationException"
    with pytest.raises(client.exceptions.ClientError, match="already exists"):
        client.create_trial(TrialName=f"{tag}-0", ExperimentName=tag)


@pytest.fixture
def trained(cloud, s3, bucket, tag):
    """A training job of a trial that has completed."""
    experiment(cloud.sagemaker, tag)
    put(s3, bucket, data__train__a_csv=b"1,2\n")
    algorithm = {"MetricDefinitions": [{"Name": "auc", "Regex": "auc=(.*?);"}]}
    name = cloud.train(
        cloud.image(TRAIN),
        bucket=bucket,
        TrainingJobName=f"{tag}-Train",
        AlgorithmSpecification=algorithm,
        HyperParameters={"depth": "3", "kind": "tree"},
        InputDataConfig=[
            channel("train", f"s3://{bucket}/data/train/") | {"ContentType": "text/csv"}
        ],
        ExperimentConfig={
            "ExperimentName": tag,
            "TrialName": f"{tag}-0",
            "TrialComponentDisplayName": "Training",
        },
    )
    described = cloud.trained(name)
    assert described["TrainingJobStatus"] == "Completed", described
    return described


def component(client, arn):
    """Return the component of a job once it has ended."""
    (found,) = client.list_trial_components(SourceArn=arn)["TrialComponentSummaries"]
    name = found["TrialComponentName"]
    eventually(
        lambda: "EndTime" in client.describe_trial_component(TrialComponentName=name), "its end"
    )
    return client.describe_trial_component(TrialComponentName=name)


def test_a_training_job_is_a_component_of_its_trial(client, trained, tag):
    found = component(client, trained["TrainingJobArn"])

    assert found["TrialComponentName"] == f"{tag}-Train-aws-training-job"
    assert found["DisplayName"] == "Training"
    assert found["Source"]["SourceType"] == "SageMakerTrainingJob"
    assert found["Status"] == {"PrimaryStatus": "Completed"}
    assert found["StartTime"] == trained["TrainingStartTime"]
    assert found["Parameters"]["depth"] == {"NumberValue": 3.0}
    assert found["Parameters"]["kind"] == {"StringValue": "tree"}
    assert found["Parameters"]["SageMaker.InstanceType"] == {"StringValue": "ml.m5.large"}
    assert found["InputArtifacts"]["train"]["MediaType"] == "text/csv"
    model = trained["ModelArtifacts"]["S3ModelArtifacts"]
    assert found["OutputArtifacts"]["SageMaker.ModelArtifact"]["Value"] == model
    (metric,) = found["Metrics"]
    assert (metric["MetricName"], metric["Last"]) == ("auc", 0.875)
    assert names(client.list_trial_components(TrialName=f"{tag}-0")) == [
        found["TrialComponentName"]
    ]


def artifact(client, uri):
    (found,) = client.list_artifacts(SourceUri=uri)["ArtifactSummaries"]
    return found


def test_from_the_data_to_the_endpoint(cloud, trained, s3, bucket):
    """Training → model → package → model → endpoint: one walk, both ways."""
    client, tag = cloud.sagemaker, trained["TrainingJobName"]
    data = trained["InputDataConfig"][0]["DataSource"]["S3DataSource"]["S3Uri"]
    model = trained["ModelArtifacts"]["S3ModelArtifacts"]
    component(client, trained["TrainingJobArn"])
    hosting = Hosting(cloud, s3, bucket)
    client.create_model_package_group(ModelPackageGroupName=tag)
    package = client.create_model_package(
        ModelPackageGroupName=tag,
        InferenceSpecification={"Containers": [{"Image": hosting.echo, "ModelDataUrl": model}]},
    )["ModelPackageArn"]
    client.update_model_package(ModelPackageArn=package, ModelApprovalStatus="Approved")
    name = hosting.model("a")
    served = client.describe_model(ModelName=name)["PrimaryContainer"]["ModelDataUrl"]
    endpoint = client.describe_endpoint(EndpointName=hosting.endpoint(hosting.config(name)))
    eventually(
        lambda: client.list_contexts(SourceUri=endpoint["EndpointArn"])["ContextSummaries"],
        "tracked",
    )

    (group,) = client.list_contexts(ContextType="ModelGroup")["ContextSummaries"]
    reached = client.query_lineage(
        StartArns=[artifact(client, data)["ArtifactArn"]], Direction="Descendants"
    )["Vertices"]
    kinds = {vertex["Type"] for vertex in reached}
    assert kinds == {"TrainingJob", "Model", "ModelPackage", "ModelGroup"}
    assert group["ContextArn"] in {vertex["Arn"] for vertex in reached}
    back = client.query_lineage(
        StartArns=[group["ContextArn"]], Direction="Ascendants", Filters={"Types": ["DataSet"]}
    )["Vertices"]
    assert [vertex["Arn"] for vertex in back] == [artifact(client, data)["ArtifactArn"]]
    package_artifact = artifact(client, package)["ArtifactArn"]
    told = client.list_associations(DestinationArn=package_artifact)["AssociationSummaries"]
    assert [each["SourceType"] for each in told].count("Approval") == 2, "pending, then approved"
    (deployed,) = client.list_contexts(SourceUri=endpoint["EndpointArn"])["ContextSummaries"]
    made_of = client.query_lineage(StartArns=[deployed["ContextArn"]], Direction="Ascendants")
    assert {vertex["Type"] for vertex in made_of["Vertices"]} == {
        "ModelDeployment",
        "Model",
        "Image",
    }
    assert artifact(client, served)["ArtifactArn"] in {each["Arn"] for each in made_of["Vertices"]}


def test_a_processing_job_is_tracked_with_what_it_wrote_or_why_not(cloud, client, s3, bucket):
    put(s3, bucket, in__a=b"1")
    good = cloud.process(
        cloud.image("pass"),
        ProcessingInputs=[s3_input("raw", f"s3://{bucket}/in/")],
        ProcessingOutputConfig=s3_output(f"s3://{bucket}/out/"),
    )
    bad = cloud.process(cloud.image("raise SystemExit(3)"))
    arns = [cloud.processed(name)["ProcessingJobArn"] for name in (good, bad)]

    completed, failed = (component(client, arn) for arn in arns)

    assert completed["TrialComponentName"] == f"{good}-aws-processing-job"
    assert completed["OutputArtifacts"]["out"]["Value"] == f"s3://{bucket}/out/"
    (edge,) = client.list_associations(
        SourceArn=completed["TrialComponentArn"], AssociationType="Produced"
    )["AssociationSummaries"]
    assert (edge["SourceType"], edge["DestinationType"]) == ("ProcessingJob", "DataSet")
    assert failed["Status"]["PrimaryStatus"] == "Failed"
    assert "exit code: 3" in failed["Status"]["Message"]
    assert "OutputArtifacts" not in failed or not failed["OutputArtifacts"]


def test_a_job_of_an_experiment_gets_a_trial_and_unknown_ones_are_refused(cloud, client, tag):
    experiment(client, tag, trials=0)
    name = cloud.process(cloud.image("pass"), ExperimentConfig={"ExperimentName": tag})
    found = component(client, cloud.processed(name)["ProcessingJobArn"])

    assert names(client.list_trials(ExperimentName=tag)) == [f"{name}-aws-trial"]
    assert names(client.list_trial_components(ExperimentName=tag)) == [found["TrialComponentName"]]
    for config in ({"ExperimentName": "nobody-s"}, {"TrialName": "nobody-s"}):
        with pytest.raises(client.exceptions.ResourceNotFound, match="nobody-s does not exist"):
            cloud.process(cloud.image("pass"), ExperimentConfig=config)
    other = experiment(client, f"{tag}x")
    mixed = {"ExperimentName": other, "TrialName": f"{name}-aws-trial"}
    with pytest.raises(client.exceptions.ClientError, match="is of the experiment"):
        cloud.process(cloud.image("pass"), ExperimentConfig=mixed)


def test_an_execution_is_a_trial_and_tags_its_jobs(cloud, client, bucket, tag):
    pipelines = Pipelines(cloud, bucket)
    definition = json.loads(pipelines.definition(pipelines.training(name="Learn")))
    definition["PipelineExperimentConfig"] = {
        "ExperimentName": {"Get": "Execution.PipelineName"},
        "TrialName": {"Get": "Execution.PipelineExecutionId"},
    }
    client.create_pipeline(
        PipelineName=tag, PipelineDefinition=json.dumps(definition), RoleArn=ROLE
    )
    arn = pipelines.start(tag)
    assert pipelines.ended(arn)["PipelineExecutionStatus"] == "Succeeded"

    job = pipelines.steps(arn)["Learn"]["Metadata"]["TrainingJob"]["Arn"]
    found = component(client, job)
    (trial,) = names(client.list_trials(ExperimentName=tag))
    assert trial == arn.rpartition("/")[2]
    assert names(client.list_trial_components(TrialName=trial)) == [found["TrialComponentName"]]
    tags = {each["Key"]: each["Value"] for each in client.list_tags(ResourceArn=job)["Tags"]}
    assert tags["sagemaker:pipeline-execution-arn"] == arn
    assert tags["sagemaker:pipeline-step-name"] == "Learn"


def test_tracking_that_fails_fails_no_job(cloud, monkeypatch):
    def broken(*_):
        raise RuntimeError("a defect")

    monkeypatch.setattr(recorder, "record", broken)
    assert cloud.processed(cloud.process(cloud.image("pass")))["ProcessingJobStatus"] == "Completed"


def test_the_component_of_an_interrupted_job_ends_with_it(make_cloud, tmp_path):
    cloud = make_cloud(root=tmp_path)
    name = cloud.process(cloud.image("import time; time.sleep(60)"))
    part = {"TrialComponentName": f"{name}-aws-processing-job"}
    assert cloud.sagemaker.describe_trial_component(**part)["Status"] == {
        "PrimaryStatus": "InProgress"
    }
    cloud.stop()

    found = make_cloud(root=tmp_path).sagemaker.describe_trial_component(**part)

    assert found["Status"]["PrimaryStatus"] == "Failed"
    assert "the local cloud stopped" in found["Status"]["Message"]


@pytest.fixture
def measured(cloud):
    client = client_of("sagemaker-metrics", cloud.url)
    yield client
    client.close()


def test_metrics_are_put_into_a_trial_component(client, measured, tag):
    client.create_trial_component(TrialComponentName=tag)
    for values in ([1.0, 4.0], [2.0, 5.0]):
        data = [
            {"MetricName": "loss", "Timestamp": 1000 + value, "Step": step, "Value": value}
            for step, value in enumerate(values)
        ]
        other = [{"MetricName": "auc", "Timestamp": 1000, "Value": 0.5}]
        answer = measured.batch_put_metrics(TrialComponentName=tag, MetricData=data + other)
        assert "Errors" not in answer

    loss, auc = client.describe_trial_component(TrialComponentName=tag)["Metrics"]
    assert (loss["Count"], loss["Min"], loss["Max"], loss["Avg"]) == (4, 1.0, 5.0, 3.0)
    assert loss["StdDev"] == pytest.approx(2.5**0.5)
    assert (loss["Last"], loss["TimeStamp"].timestamp()) == (5.0, 1005)
    assert (auc["MetricName"], auc["Count"], auc["StdDev"]) == ("auc", 2, 0.0)


def test_a_job_s_component_takes_metrics_too(client, measured, trained):
    name = component(client, trained["TrainingJobArn"])["TrialComponentName"]
    before = client.describe_trial_component(TrialComponentName=name)["Metrics"]
    point = {"MetricName": "auc", "Timestamp": time.time(), "Value": 0.5}
    measured.batch_put_metrics(TrialComponentName=name.lower(), MetricData=[point])

    (metric,) = client.describe_trial_component(TrialComponentName=name)["Metrics"]
    assert [each["MetricName"] for each in before] == ["auc"]
    assert (metric["Last"], metric["Count"], metric["Avg"]) == (0.5, 1, 0.5)


def test_metrics_that_cannot_be_put_are_refused(measured, tag):
    point = {"MetricName": "auc", "Timestamp": 1000, "Value": 0.5}
    put_metrics = measured.batch_put_metrics

    missing = code_of(put_metrics, TrialComponentName=tag, MetricData=[point])
    many = code_of(put_metrics, TrialComponentName=tag, MetricData=[point] * 11)
    nameless = code_of(
        put_metrics, TrialComponentName=tag, MetricData=[point | {"MetricName": "n" * 256}]
    )
    query = {
        "MetricName": "auc", "ResourceArn": "arn:aws:sagemaker:::a/b", "MetricStat": "Last",
        "Period": "OneHour", "XAxisType": "Timestamp",
    }  # fmt: skip
    got = code_of(measured.batch_get_metrics, MetricQueries=[query])
    assert (missing, many, nameless, got) == ("ResourceNotFound", *["ValidationException"] * 3)


def test_what_a_program_measured_is_kept_beside_its_job_s_metrics():
    put, reported = [
        [{"MetricName": name, "Last": number} for name in metrics]
        for number, metrics in ((1, ("auc", "loss")), (2, ("auc",)))
    ]

    assert kept_beside(put, reported) == [
        {"MetricName": "auc", "Last": 2}, {"MetricName": "loss", "Last": 1},
    ]  # fmt: skip
