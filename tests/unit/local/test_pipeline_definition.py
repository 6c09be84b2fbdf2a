"""A definition is read whole, and every error names the step or parameter."""

import copy
import json

import pytest

from tidemill_local.sagemaker.pipelines.checks import check_definition
from tidemill_local.sagemaker.pipelines.definition import (
    Branch,
    DefinitionError,
    Parameter,
    read_definition,
)
from tidemill_local.sagemaker.pipelines.property_types import AssignmentError

ROLE = "arn:aws:iam::000000000000:role/execution"
RESOURCES = {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5}
TRAIN = {
    "Name": "Train",
    "Type": "Training",
    "Arguments": {
        "AlgorithmSpecification": {"TrainingImage": "image", "TrainingInputMode": "File"},
        "RoleArn": ROLE,
        "OutputDataConfig": {"S3OutputPath": "s3://b/models"},
        "ResourceConfig": RESOURCES,
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
        "HyperParameters": {"run": {"Get": "Parameters.RunId"}},
    },
}
EVALUATE = {
    "Name": "Evaluate",
    "Type": "Processing",
    "Arguments": {
        "ProcessingResources": {"ClusterConfig": RESOURCES},
        "AppSpecification": {"ImageUri": "image"},
        "RoleArn": ROLE,
        "ProcessingInputs": [
            {
                "InputName": "model",
                "S3Input": {
                    "S3Uri": {"Get": "Steps.Train.ModelArtifacts.S3ModelArtifacts"},
                    "LocalPath": "/opt/ml/processing/input/model",
                    "S3DataType": "S3Prefix",
                    "S3InputMode": "File",
                },
            }
        ],
        "ProcessingOutputConfig": {
            "Outputs": [
                {
                    "OutputName": "evaluation",
                    "S3Output": {
                        "S3Uri": "s3://b/evaluation",
                        "LocalPath": "/opt/ml/processing/output/evaluation",
                        "S3UploadMode": "EndOfJob",
                    },
                }
            ]
        },
    },
    "PropertyFiles": [
        {
            "PropertyFileName": "Evaluation",
            "OutputName": "evaluation",
            "FilePath": "evaluation.json",
        }
    ],
}
GATE = {
    "Name": "Gate",
    "Type": "Condition",
    "Arguments": {
        "Conditions": [
            {
                "Type": "GreaterThanOrEqualTo",
                "LeftValue": {
                    "Std:JsonGet": {
                        "PropertyFile": {"Get": "Steps.Evaluate.PropertyFiles.Evaluation"},
                        "Path": "metric.value",
                    }
                },
                "RightValue": {"Get": "Parameters.MinimumMetric"},
            }
        ],
        "IfSteps": [
            {
                "Name": "Register",
                "Type": "RegisterModel",
                "Arguments": {"ModelPackageGroupName": "group"},
                "RetryPolicies": [{"ExceptionType": ["Step.THROTTLING"], "MaxAttempts": 3}],
            }
        ],
        "ElseSteps": [{"Name": "Refuse", "Type": "Fail", "Arguments": {"ErrorMessage": "too low"}}],
    },
}
DEFINITION = {
    "Version": "2020-12-01",
    "Metadata": {},
    "Parameters": [
        {"Name": "RunId", "Type": "String"},
        {"Name": "MinimumMetric", "Type": "Float", "DefaultValue": 1},
        {"Name": "Stage", "Type": "String", "DefaultValue": "dev", "EnumValues": ["dev", "prod"]},
    ],
    "Steps": [TRAIN, EVALUATE, GATE],
}


def read(change=lambda document: None):
    document = copy.deepcopy(DEFINITION)
    change(document)
    definition = read_definition(json.dumps(document))
    check_definition(definition)
    return definition


def test_graph_comes_from_references_dependencies_and_branches():
    steps = {step.name: step for step in read().steps}

    assert list(steps) == ["Train", "Evaluate", "Gate", "Register", "Refuse"]
    assert steps["Train"].needs == frozenset()
    assert steps["Evaluate"].needs == {"Train"}
    assert steps["Gate"].needs == {"Evaluate"}
    assert steps["Register"].needs == {"Gate"}
    assert steps["Register"].branch == Branch("Gate", outcome=True)
    assert steps["Refuse"].branch == Branch("Gate", outcome=False)
    assert steps["Register"].retries[0].attempts == 3


def test_depends_on_adds_to_references():
    def change(document):
        document["Steps"][1]["DependsOn"] = ["Train"]
        document["Steps"].append(
            {**copy.deepcopy(TRAIN), "Name": "Later", "DependsOn": ["Evaluate"]}
        )

    steps = {step.name: step for step in read(change).steps}

    assert steps["Later"].needs == {"Evaluate"}


def test_parameters_take_types_defaults_and_choices():
    values = read().values({"RunId": "r1", "MinimumMetric": "0.5"})

    assert values == {"RunId": "r1", "MinimumMetric": 0.5, "Stage": "dev"}
    assert isinstance(read().values({"RunId": "r1"})["MinimumMetric"], float)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "RunId.*no default"),
        ({"RunId": "r", "Other": "x"}, "Unknown pipeline parameters: Other"),
        ({"RunId": "r", "MinimumMetric": "high"}, "MinimumMetric.*not of type Float"),
        ({"RunId": "r", "Stage": "test"}, "dev, prod"),
    ],
)
def test_parameter_values_that_are_refused(given, says):
    with pytest.raises(DefinitionError, match=says):
        read().values(given)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("Integer", "7", 7),
        ("Boolean", "True", True),
        ("Boolean", "false", False),
        ("Float", "1", 1.0),
    ],
)
def test_parameter_text_is_typed(kind, text, value):
    read = Parameter("P", kind).read(text)

    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(("kind", "text"), [("Integer", "1.5"), ("Boolean", "yes"), ("Float", "x")])
def test_parameter_text_of_the_wrong_type(kind, text):
    with pytest.raises(DefinitionError, match=kind):
        Parameter("P", kind).read(text)


def put(*path, value):
    def change(document):
        target = document
        for key in path[:-1]:
            target = target[key]
        target[path[-1]] = value

    return change


def drop(*path):
    def change(document):
        target = document
        for key in path[:-1]:
            target = target[key]
        del target[path[-1]]

    return change


SOURCE = ("Steps", 1, "Arguments", "ProcessingInputs", 0, "S3Input", "S3Uri")
CONDITION = ("Steps", 2, "Arguments", "Conditions", 0)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (put("Version", value="1"), "Version"),
        (put("Steps", value=[]), "no steps"),
        (put("Steps", value={}), "Steps must be a list"),
        (put("Parameters", 0, "Type", value="Date"), r"\[RunId\].*'Date'"),
        (put("Parameters", 0, "DefaultValue", value=3), r"\[RunId\].*not of type String"),
        (put("Parameters", 1, "DefaultValue", value=True), "not of type Float"),
        (put("Parameters", 2, "DefaultValue", value="test"), "not in EnumValues"),
        (put("Parameters", 1, "EnumValues", value=["a"]), "EnumValues are strings"),
        (put("Parameters", 1, "Name", value="RunId"), "twice: RunId"),
        (put("Parameters", 1, "Name", value="a b"), "must match"),
        (put("Steps", 0, "Name", value="a b"), "must match"),
        (put("Steps", 0, "Name", value="Evaluate"), "twice: Evaluate"),
        (put("Steps", 0, "Type", value="EMR"), r"\[Train\].*'EMR'.*Training, Processing"),
        (put("Steps", 0, "Surprise", value=1), r"\[Train\].*Surprise"),
        (put("Steps", 0, "Arguments", value=[]), r"\[Train\].*object"),
        (
            put("Steps", 0, "Arguments", "Surprise", value=1),
            r"member 'Surprise'.*\[Train\]",
        ),
        (drop("Steps", 0, "Arguments", "RoleArn"), r"\[Train\].*needs RoleArn"),
        (put("Steps", 0, "DependsOn", value=["Nobody"]), r"\[Nobody\], not defined"),
        (put("Steps", 0, "DependsOn", value="Gate"), "must be a list"),
        (put("Steps", 0, "DependsOn", value=["Gate"]), "wait for each other"),
        (
            put("Steps", 0, "DependsOn", value=[{"Step": "Gate", "Trigger": "Failed"}]),
            "Trigger is not run",
        ),
        (put(*SOURCE, value={"Get": "Parameters.Nope"}), "Parameters.Nope is not defined"),
        (put(*SOURCE, value={"Get": "Execution.Nope"}), "no execution variable"),
        (put(*SOURCE, value={"Get": "Steps.Train.Nope"}), "answers no 'Nope'"),
        (put(*SOURCE, value={"Get": "Train"}), r"Step \[Evaluate\].*Get takes"),
        (put(*SOURCE, value={"Get": "Steps.Refuse.X"}), "Fail step.*no property"),
        (
            put(
                *SOURCE,
                value={"Get": "Steps.Evaluate.ProcessingOutputConfig.Outputs['x'].S3Output.S3Uri"},
            ),
            "no 'x' there",
        ),
        (put(*CONDITION, "Type", value="Near"), "'Near' is not one of"),
        (drop(*CONDITION, "LeftValue"), "lacks a part"),
        (put("Steps", 2, "Arguments", "Conditions", value=[]), r"\[Gate\].*Conditions"),
        (
            put(*CONDITION, "LeftValue", value={"Get": "Steps.Evaluate.PropertyFiles.Other"}),
            "no property file 'Other'",
        ),
        (put("Steps", 1, "PropertyFiles", 0, "OutputName", value="x"), "no output 'x'"),
        (put("Steps", 0, "PropertyFiles", value=[{}]), r"\[Train\].*Processing steps"),
        (put("Steps", 0, "RetryPolicies", value=[{"ExceptionType": "Odd"}]), "not 'Odd'"),
        (
            put(
                "Steps",
                0,
                "RetryPolicies",
                value=[{"ExceptionType": "Step.THROTTLING", "MaxAttempts": 1, "ExpireAfterMin": 2}],
            ),
            "either MaxAttempts or ExpireAfterMin",
        ),
        (
            put(
                "Steps",
                0,
                "RetryPolicies",
                value=[
                    {"ExceptionType": "Step.THROTTLING", "MaxAttempts": 1, "IntervalSeconds": 0}
                ],
            ),
            "IntervalSeconds",
        ),
        (
            put("Steps", 2, "Arguments", "ElseSteps", 0, "Arguments", value={}),
            r"\[Refuse\].*ErrorMessage",
        ),
    ],
)
def test_definition_that_is_refused(change, says):
    with pytest.raises(DefinitionError, match=says):
        read(change)


def test_definition_that_is_not_json():
    with pytest.raises(DefinitionError, match="not JSON"):
        read_definition("{")


def test_outputs_hidden_by_an_expression_are_left_to_run_time():
    def change(document):
        outputs = document["Steps"][1]["Arguments"]["ProcessingOutputConfig"]["Outputs"]
        outputs[0]["OutputName"] = {"Get": "Parameters.RunId"}

    assert read(change).steps


LAMBDA = {
    "Name": "Call",
    "Type": "Lambda",
    "FunctionArn": "arn:aws:lambda:us-east-1:000000000000:function:f",
    "Arguments": {"run": {"Get": "Parameters.RunId"}},
    "OutputParameters": [{"OutputName": "n", "OutputType": "Integer"}],
}
CALLBACK = {
    "Name": "Ask",
    "Type": "Callback",
    "SqsQueueUrl": {"Get": "Parameters.RunId"},
    "Arguments": {"n": {"Get": "Steps.Call.OutputParameters['n']"}},
}
MODEL = {
    "Name": "Model",
    "Type": "Model",
    "Arguments": {
        "ExecutionRoleArn": ROLE,
        "PrimaryContainer": {
            "Image": "image",
            "ModelDataUrl": {"Get": "Steps.Train.ModelArtifacts.S3ModelArtifacts"},
        },
    },
}
TRANSFORM = {
    "Name": "Score",
    "Type": "Transform",
    "Arguments": {
        "ModelName": {"Get": "Steps.Model.ModelName"},
        "TransformInput": {
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://b/in"}}
        },
        "TransformOutput": {"S3OutputPath": "s3://b/out"},
        "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
    },
}


OTHER = {"Get": "Steps.Call.OutputParameters['m']"}


def with_step(step, **changes):
    def change(document):
        document["Steps"].append(copy.deepcopy(step) | changes)

    return change


def with_steps(*steps):
    return lambda document: document["Steps"].extend(copy.deepcopy(list(steps)))


def test_steps_of_every_type_are_read():
    steps = {step.name: step for step in read(with_steps(LAMBDA, CALLBACK, MODEL, TRANSFORM)).steps}

    assert steps["Call"].outputs[0].type == "Integer"
    assert steps["Ask"].needs == {"Call"}
    assert steps["Ask"].target == {"Get": "Parameters.RunId"}
    assert steps["Score"].needs == {"Model"}
    assert steps["Model"].needs == {"Train"}


def hyper(value):
    return put("Steps", 0, "Arguments", "HyperParameters", "run", value=value)


WHOLE = {"Name": "Whole", "Type": "Integer", "DefaultValue": 3}
COUNT = ("Steps", 0, "Arguments", "ResourceConfig", "InstanceCount")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (hyper({"Get": "Parameters.Whole"}), "[Parameters.Whole] to argument of type [String]"),
        (
            hyper({"Get": "Steps.Call.OutputParameters['n']"}),
            "[Steps.Call.OutputParameters['n']] to argument of type [String]",
        ),
        (put(*COUNT, value={"Get": "Parameters.RunId"}), "RunId] to argument of type [Integer]"),
        (
            put(*COUNT, value={"Std:Join": {"On": "", "Values": [1]}}),
            "function [Std:Join] to argument of type [Integer]",
        ),
        (
            put("Steps", 0, "Arguments", "ResourceConfig", value={"Get": "Parameters.RunId"}),
            "to argument of type [Object]",
        ),
        (with_step(LAMBDA, Name="X", FunctionArn={"Get": "Parameters.Whole"}), "of type [String]"),
    ],
)
def test_reference_of_another_type_is_refused_in_the_services_words(change, says):
    def changed(document):
        document["Parameters"].append(WHOLE)
        document["Steps"].append(LAMBDA)
        change(document)

    with pytest.raises(AssignmentError) as refusal:
        read(changed)
    assert str(refusal.value).startswith("Cannot assign ")
    assert says in str(refusal.value)


def test_reference_of_a_fitting_type_is_taken():
    def change(document):
        document["Parameters"].append(WHOLE)
        put(*COUNT, value={"Get": "Parameters.Whole"})(document)
        hyper({"Std:Join": {"On": "", "Values": [{"Get": "Parameters.Whole"}]}})(document)
        put("Steps", 0, "Arguments", "RoleArn", value={"Get": "Parameters.RunId"})(document)

    assert read(change)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            put("Steps", 0, "Arguments", "ResourceConfig", value=[]),
            "Expecting start of Json Object",
        ),
        (put("Steps", 0, "Arguments", "Tags", value={}), "Expecting start of Json Array"),
        (
            put("Steps", 0, "Arguments", "ResourceConfig", "Nodes", value=1),
            "Unknown Argument member 'Nodes'",
        ),
        (with_step(LAMBDA, FunctionArn=None), r"\[Call\].*needs FunctionArn"),
        (with_step(LAMBDA, SqsQueueUrl="q"), "Lambda step takes no SqsQueueUrl"),
        (with_step(LAMBDA, OutputParameters=[{"OutputName": "n"}]), "need an OutputName"),
        (
            with_step(LAMBDA, OutputParameters=LAMBDA["OutputParameters"] * 2),
            "twice: n",
        ),
        (
            with_step(LAMBDA, OutputParameters=LAMBDA["OutputParameters"] * 51),
            "at most 50",
        ),
        (
            with_step(LAMBDA, RetryPolicies=[{"ExceptionType": ["Step.THROTTLING"]}]),
            "takes no RetryPolicies",
        ),
        (with_step(MODEL, CacheConfig={"Enabled": False}), "takes no CacheConfig"),
        (put("Steps", 0, "OutputParameters", value=[]), "takes no OutputParameters"),
        (put("Steps", 0, "CacheConfig", value={"Enabled": True}), r"\[Train\].*needs ExpireAfter"),
        (
            put("Steps", 0, "CacheConfig", value={"Enabled": True, "ExpireAfter": "soon"}),
            "ISO 8601 duration.*'soon'",
        ),
        (with_step(CALLBACK), r"refers to step \[Call\]"),
        (with_steps(LAMBDA, CALLBACK | {"Arguments": {"n": OTHER}}), "it has OutputParameters"),
        (put("Steps", 0, "Type", value=["Training"]), "step type"),
        (put("MlflowConfig", value={"MlflowResourceArn": "a"}), "MlflowConfig is not supported"),
        (put("PipelineExperimentConfig", value={"Name": "x"}), "ExperimentName and a TrialName"),
        (
            put("PipelineExperimentConfig", value={"TrialName": {"Get": "Steps.Train.RoleArn"}}),
            "before any step has run",
        ),
        (
            put("PipelineExperimentConfig", value={"TrialName": {"Get": "Parameters.Nope"}}),
            "PipelineExperimentConfig: Parameters.Nope is not defined",
        ),
    ],
)
def test_part_that_does_not_belong_is_refused(change, says):
    with pytest.raises(DefinitionError, match=says):
        read(change)


def test_large_and_deep_definitions_are_read_or_refused_in_good_time():
    many = [{**copy.deepcopy(TRAIN), "Name": f"Train{n}"} for n in range(2000)]
    chain = [step | {"DependsOn": [f"Train{n - 1}"]} if n else step for n, step in enumerate(many)]
    text = json.dumps(DEFINITION | {"Steps": chain})
    assert 500_000 < len(text) < 1_048_576

    definition = read_definition(text)
    check_definition(definition)

    assert len(definition.steps) == 2000
    with pytest.raises(DefinitionError):
        read_definition('{"Version": "2020-12-01", "Steps": ' + "[" * 400_000)
