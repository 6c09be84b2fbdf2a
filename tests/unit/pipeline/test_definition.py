import dataclasses
import json
import operator
from pathlib import Path

import pytest

from tidemill.adapters.baselines import baseline_of
from tidemill.pipeline.definition import emit

GOLDEN = Path(__file__).with_name("flights-delay.json")
COMPARISONS = {
    "GreaterThan": operator.gt,
    "GreaterThanOrEqualTo": operator.ge,
    "LessThan": operator.lt,
    "LessThanOrEqualTo": operator.le,
}
RUN = {
    "RunId": "run-20261120t101112-0a1b2c3d",
    "PreparedUri": "s3://tidemill-lake/prepared/flights/delay/0123456789abcdef/run-1",
    "DatasetHash": "0123456789abcdef",
}
ARTIFACT = "s3://tidemill-artifacts/models/flights/delay/run-1/job/output/model.tar.gz"


def resolve(value, parameters):
    """Fill in a definition's expressions as SageMaker would, the model's artifact made up."""
    match value:
        case {"Get": "Steps.Train.ModelArtifacts.S3ModelArtifacts"}:
            return ARTIFACT
        case {"Get": name}:
            return parameters[name.removeprefix("Parameters.")]
        case {"Std:Join": {"On": on, "Values": values}}:
            return on.join(str(resolve(item, parameters)) for item in values)
        case dict():
            return {key: resolve(item, parameters) for key, item in value.items()}
        case list():
            return [resolve(item, parameters) for item in value]
    return value


def step(definition, name):
    found = {item["Name"]: item for item in steps(definition["Steps"])}
    return found[name]


def steps(listed):
    for item in listed:
        yield item
        yield from steps(item["Arguments"].get("IfSteps", []))
        yield from steps(item["Arguments"].get("ElseSteps", []))


def request(definition, name):
    defaults = {
        p["Name"]: p["DefaultValue"] for p in definition["Parameters"] if "DefaultValue" in p
    }
    return resolve(step(definition, name)["Arguments"], {**defaults, **RUN})


def with_metric(spec, metric, direction, minimum):
    changed = dataclasses.replace(
        spec.evaluate, metric=metric, direction=direction, minimum=minimum
    )
    return dataclasses.replace(spec, evaluate=changed)


def passes(definition, value, trivial, minimum):
    """Judge an evaluation as the Gate step would."""
    gate = step(definition, "Gate")["Arguments"]["Conditions"]
    numbers = {"metric.value": value, "metric.trivial": trivial}

    def number(side):
        return numbers[side["Std:JsonGet"]["Path"]] if "Std:JsonGet" in side else minimum

    return all(
        COMPARISONS[item["Type"]](number(item["LeftValue"]), number(item["RightValue"]))
        for item in gate
    )


def test_the_definition_is_the_golden_file(spec, place):
    """On purpose another? Write the emitted text into the file and read its diff."""
    assert emit(spec, **place) + "\n" == GOLDEN.read_text()


def test_an_equal_spec_gives_the_same_text(spec, place):
    other_order = dataclasses.replace(
        spec,
        train=dataclasses.replace(spec.train, hyperparameters={"max_depth": "6", "eta": "0.1"}),
    )

    assert emit(other_order, **place) == emit(spec, **place)


def test_a_changed_hyperparameter_changes_one_line(spec, place):
    deeper = dataclasses.replace(
        spec,
        train=dataclasses.replace(spec.train, hyperparameters={"eta": "0.1", "max_depth": "8"}),
    )
    before, after = emit(spec, **place).splitlines(), emit(deeper, **place).splitlines()

    assert [pair for pair in zip(before, after, strict=True) if pair[0] != pair[1]] == [
        ('          "max_depth": "6",', '          "max_depth": "8",')
    ]


def test_the_definition_fits_into_a_create_pipeline_call(spec, place, requests):
    definition = emit(spec, **place)

    requests.check(
        "CreatePipeline",
        {
            "PipelineName": "tidemill--flights--delay",
            "PipelineDefinition": definition,
            "RoleArn": place["role_arn"],
            "ClientRequestToken": "0" * 32,
        },
    )
    assert len(definition) < 100_000  # what CreatePipeline takes without a detour over S3


@pytest.mark.parametrize(
    ("name", "operation", "named"),
    [
        ("Train", "CreateTrainingJob", {"TrainingJobName": "job"}),
        ("Evaluate", "CreateProcessingJob", {"ProcessingJobName": "job"}),
        ("Register", "CreateModelPackage", {}),
    ],
)
def test_every_request_has_sagemakers_shape(definition, requests, name, operation, named):
    requests.check(operation, {**request(definition, name), **named})


def test_the_shape_check_itself_finds_faults(definition, requests):
    """Otherwise the test above could not fail."""
    good = {**request(definition, "Train"), "TrainingJobName": "job"}
    for fault in (
        {"TrainingJobName": "not a name"},
        {"OutputDataConfig": {}},
        {"ResourceConfig": {"InstanceType": "ml.x", "InstanceCount": 1, "VolumeSizeInGB": 1}},
        {"HyperParameters": {"eta": 0.1}},
        {"Unknown": 1},
    ):
        with pytest.raises(AssertionError):
            requests.check("CreateTrainingJob", {**good, **fault})


def test_training_reads_manifests_and_gets_the_spec_as_text(definition):
    train = request(definition, "Train")

    assert train["HyperParameters"] == {
        "eta": "0.1",
        "max_depth": "6",
        "metric": "auc",
        "problem": "binary",
        "seed": "7",
    }
    sources = {
        channel["ChannelName"]: (
            channel["DataSource"]["S3DataSource"]["S3DataType"],
            channel["DataSource"]["S3DataSource"]["S3Uri"],
        )
        for channel in train["InputDataConfig"]
    }
    assert sources == {
        name: ("ManifestFile", f"{RUN['PreparedUri']}/{name}.manifest")
        for name in ("train", "validation", "features")
    }
    assert train["OutputDataConfig"]["S3OutputPath"] == (
        f"s3://tidemill-artifacts/models/flights/delay/{RUN['RunId']}"
    )
    assert train["EnableManagedSpotTraining"] is False
    assert train["StoppingCondition"] == {"MaxRuntimeInSeconds": 3600}


def test_jobs_carry_the_run_as_a_tag(definition):
    for name in ("Train", "Evaluate"):
        assert {tag["Key"]: tag["Value"] for tag in request(definition, name)["Tags"]} == {
            "tidemill:stack": "tidemill",
            "tidemill:project": "flights",
            "tidemill:model": "delay",
            "tidemill:run": RUN["RunId"],
        }


def test_evaluation_gets_the_gate_as_arguments(definition):
    specification = request(definition, "Evaluate")["AppSpecification"]

    assert specification["ContainerEntrypoint"] == ["python", "-m", "tidemill_jobs", "evaluate"]
    assert specification["ContainerArguments"] == [
        "--metric", "auc", "--direction", "maximize", "--minimum=0.6",
    ]  # fmt: skip


def test_a_minimum_given_at_the_start_reaches_the_job(definition):
    arguments = step(definition, "Evaluate")["Arguments"]["AppSpecification"]["ContainerArguments"]

    assert resolve(arguments[-1], {"MinimumMetric": -1e30}) == "--minimum=-1e+30"


def test_evaluation_reads_the_model_and_three_manifests(definition):
    inputs = {
        item["InputName"]: item["S3Input"]
        for item in request(definition, "Evaluate")["ProcessingInputs"]
    }

    assert {name: (item["S3DataType"], item["S3Uri"]) for name, item in inputs.items()} == {
        "model": ("S3Prefix", ARTIFACT),
        "test": ("ManifestFile", f"{RUN['PreparedUri']}/test.manifest"),
        "smoke": ("ManifestFile", f"{RUN['PreparedUri']}/smoke.manifest"),
        "baseline": ("ManifestFile", f"{RUN['PreparedUri']}/baseline.manifest"),
    }
    assert all(
        item["LocalPath"] == f"/opt/ml/processing/input/{name}" for name, item in inputs.items()
    )


def test_the_condition_reads_what_the_evaluation_writes(definition):
    evaluate = step(definition, "Evaluate")
    output, _ = request(definition, "Evaluate")["ProcessingOutputConfig"]["Outputs"]

    assert evaluate["PropertyFiles"] == [
        {
            "PropertyFileName": "Evaluation",
            "OutputName": "evaluation",
            "FilePath": "evaluation.json",
        }
    ]
    assert output["OutputName"] == "evaluation"
    assert output["S3Output"]["S3Uri"] == (
        f"s3://tidemill-artifacts/pipelines/flights/delay/{RUN['RunId']}/evaluation"
    )


@pytest.mark.parametrize(
    ("value", "trivial", "passed"),
    [(0.6, 0.5, True), (0.5999, 0.5, False), (0.7, 0.7, False), (0.7001, 0.7, True)],
)
def test_a_share_must_reach_the_minimum_and_beat_the_trivial(definition, value, trivial, passed):
    assert passes(definition, value, trivial, minimum=0.6) is passed


@pytest.mark.parametrize(
    ("value", "trivial", "passed"),
    [(2.0, 3.0, True), (2.001, 3.0, False), (1.5, 1.5, False), (1.499, 1.5, True)],
)
def test_an_error_must_stay_below_the_minimum_and_the_trivial(spec, place, value, trivial, passed):
    definition = json.loads(emit(with_metric(spec, "rmse", "minimize", 2.0), **place))

    assert passes(definition, value, trivial, minimum=2.0) is passed


def test_the_gate_compares_with_the_parameter_not_with_a_copy(definition):
    first, second = step(definition, "Gate")["Arguments"]["Conditions"]

    assert first["RightValue"] == {"Get": "Parameters.MinimumMetric"}
    assert second["RightValue"]["Std:JsonGet"]["Path"] == "metric.trivial"


def test_a_version_waits_for_approval_and_names_where_it_comes_from(definition):
    register = request(definition, "Register")

    assert register["ModelApprovalStatus"] == "PendingManualApproval"
    assert register["ModelPackageGroupName"] == "tidemill--flights--delay"
    assert register["CustomerMetadataProperties"] == {
        "project": "flights",
        "model": "delay",
        "run": RUN["RunId"],
        "dataset": RUN["DatasetHash"],
    }
    assert register["ModelMetrics"]["ModelQuality"]["Statistics"]["S3Uri"] == (
        f"s3://tidemill-artifacts/pipelines/flights/delay/{RUN['RunId']}/evaluation/evaluation.json"
    )
    (container,) = register["InferenceSpecification"]["Containers"]
    assert container["ModelDataUrl"] == ARTIFACT


def test_a_version_names_the_baseline_that_evaluation_leaves(definition):
    _, output = request(definition, "Evaluate")["ProcessingOutputConfig"]["Outputs"]
    register = request(definition, "Register")

    assert output["OutputName"] == "baseline"
    where = output["S3Output"]["S3Uri"]
    assert where == f"s3://tidemill-artifacts/pipelines/flights/delay/{RUN['RunId']}/baseline"
    baseline = register["DriftCheckBaselines"]["ModelDataQuality"]
    assert register["ModelMetrics"]["ModelDataQuality"] == baseline
    assert baseline == {
        "Statistics": {"ContentType": "application/json", "S3Uri": f"{where}/statistics.json"},
        "Constraints": {"ContentType": "application/json", "S3Uri": f"{where}/constraints.json"},
    }
    assert baseline_of(register).prefix == where


@pytest.mark.parametrize(
    ("metric", "direction", "bound"),
    [("auc", "maximize", "at least 0.6"), ("rmse", "minimize", "at most 0.6")],
)
def test_a_refusal_names_metric_minimum_and_where_to_read(spec, place, metric, direction, bound):
    definition = json.loads(emit(with_metric(spec, metric, direction, 0.6), **place))

    message = request(definition, "Refuse")["ErrorMessage"]

    assert message.startswith(f"Refused: {metric} on the test rows must be {bound} and better")
    assert (
        f"s3://tidemill-artifacts/pipelines/flights/delay/{RUN['RunId']}/evaluation/evaluation.json"
        in message
    )


def test_faults_of_the_service_are_retried_and_failures_of_the_job_are_not(definition):
    for name in ("Train", "Evaluate"):
        retried = {
            kind
            for policy in step(definition, name)["RetryPolicies"]
            for kind in policy["ExceptionType"]
        }
        assert retried == {
            "Step.SERVICE_FAULT",
            "Step.THROTTLING",
            "SageMaker.JOB_INTERNAL_ERROR",
            "SageMaker.CAPACITY_ERROR",
            "SageMaker.RESOURCE_LIMIT",
        }


def test_every_parameter_that_is_read_is_declared(definition, spec, place):
    declared = {item["Name"] for item in definition["Parameters"]}
    read = {part.split('"')[0] for part in emit(spec, **place).split('"Get": "Parameters.')[1:]}

    assert read == declared == {"RunId", "PreparedUri", "DatasetHash", "MinimumMetric"}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"role_arn": "arn:aws:iam::111111111111:role/jobs"}, "is not one of this account"),
        ({"partition": "aws-cn"}, "is not one of this account"),
        ({"region": "eu-west-1"}, "is not in a registry of eu-west-1"),
        ({"lake_bucket": "tidemill-artifacts"}, "lake and artifact bucket at once"),
    ],
)
def test_what_cannot_belong_to_the_stack_is_refused_at_apply(spec, place, wrong, said):
    with pytest.raises(ValueError, match=said):
        emit(spec, **{**place, **wrong})
