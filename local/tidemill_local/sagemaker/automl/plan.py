"""
What an AutoML job of tabular data runs: one job that prepares, one tuning job that trains.

Both are of the jobs image (`tidemill-jobs`): it reads raw rows, finds out what the columns are, and
trains XGBoost on them. So a candidate's model takes raw rows too, and needs one container only.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tidemill_local.sagemaker.arns import arn_of
from tidemill_local.sagemaker.context import Context

_PREPARED = ("train", "validation", "features")
_DEFAULT_CANDIDATES = 10
_AT_ONCE = 2
_VALIDATION = 0.2
_TEST = 0.1
_SEED = 1
_ROUNDS = "200"
_INSTANCE = "ml.m5.large"
_NUMBER = r"([-+]?[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?)"
_RANGES = {
    "IntegerParameterRanges": [
        {"Name": "max_depth", "MinValue": "2", "MaxValue": "8"},
    ],
    "ContinuousParameterRanges": [
        {"Name": name, "MinValue": low, "MaxValue": high, "ScalingType": scale}
        for name, low, high, scale in (
            ("eta", "0.02", "0.5", "Logarithmic"),
            ("min_child_weight", "1", "20", "Logarithmic"),
            ("subsample", "0.5", "1", "Linear"),
            ("colsample_bytree", "0.5", "1", "Linear"),
            ("lambda", "0.1", "10", "Logarithmic"),
        )
    ],
}


@dataclass(frozen=True)
class Measure:
    """
    An AutoMLJobObjective as the trainer measures it.

    Attributes:
        score: The trainer's name for what it reports.
        minimize: Whether the trainer's score is to be small.
        value: Makes the objective's value of the score.
    """

    score: str
    minimize: bool
    value: Callable[[float], float] = float

    @property
    def metric(self) -> str:
        """The metric's name in training jobs."""
        return f"validation:{self.score}"


PROBLEMS = {
    "BinaryClassification": "binary",
    "MulticlassClassification": "multiclass",
    "Regression": "regression",
}
MEASURES: dict[tuple[str, str], Measure] = {
    ("BinaryClassification", "AUC"): Measure("auc", minimize=False),
    ("BinaryClassification", "Accuracy"): Measure("error", True, lambda error: 1 - error),
    ("MulticlassClassification", "Accuracy"): Measure("merror", True, lambda error: 1 - error),
    ("Regression", "RMSE"): Measure("rmse", minimize=True),
    ("Regression", "MSE"): Measure("rmse", True, lambda root: root**2),
    ("Regression", "MAE"): Measure("mae", minimize=True),
}
MINIMIZED = frozenset({"RMSE", "MSE", "MAE"})


def measure(body: dict[str, Any]) -> Measure | None:
    """Return how a request's objective is measured; None when it cannot be."""
    tabular = body["AutoMLProblemTypeConfig"]["TabularJobConfig"]
    objective = body.get("AutoMLJobObjective", {}).get("MetricName", "")
    return MEASURES.get((tabular.get("ProblemType", ""), objective))


def image(context: Context) -> str:
    """Return the URI of the image that prepares, trains and serves."""
    return f"{context.account}.dkr.ecr.{context.region}.amazonaws.com/tidemill-jobs:automl"


def prepared_uri(body: dict[str, Any]) -> str:
    """Return where the prepared rows go."""
    base = body["OutputDataConfig"]["S3OutputPath"].rstrip("/")
    return f"{base}/{body['AutoMLJobName']}/preprocessed-data"


def spec(body: dict[str, Any]) -> dict[str, Any]:
    """Return the spec that the jobs image reads."""
    tabular = body["AutoMLProblemTypeConfig"]["TabularJobConfig"]
    share = body.get("DataSplitConfig", {}).get("ValidationFraction", _VALIDATION)
    return {
        "version": 1,
        "data": {
            "format": "csv",
            "target": tabular["TargetAttributeName"],
            "id": None,
            "timestamp": None,
            "exclude": [],
        },
        "prepare": {"validation": share, "test": min(_TEST, share / 2), "seed": _SEED},
        "train": {"problem": PROBLEMS[tabular["ProblemType"]]},
    }


def dataset(objects: Sequence[tuple[str, str, int, str]]) -> dict[str, Any]:
    """Return dataset.json of (URI, version, size, ETag) of each object."""
    keys = ("uri", "version_id", "size", "etag")
    return {"version": 1, "objects": [dict(zip(keys, item, strict=True)) for item in objects]}


def prepare_request(context: Context, body: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the processing job that prepares the rows."""
    base = prepared_uri(body)
    inputs = [
        {
            "InputName": document,
            "S3Input": {
                "S3Uri": f"{base}/{document}.json",
                "LocalPath": f"/opt/ml/processing/input/{document}",
                "S3DataType": "S3Prefix",
                "S3InputMode": "File",
            },
        }
        for document in ("spec", "dataset")
    ]
    return {
        "ProcessingJobName": name,
        "AppSpecification": {"ImageUri": image(context), "ContainerArguments": ["prepare"]},
        "Environment": {"PREPARED_URI": base},
        "ProcessingInputs": inputs,
        "ProcessingResources": {"ClusterConfig": _cluster()},
        "RoleArn": body["RoleArn"],
    }


def tuning_request(context: Context, body: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the tuning job that trains the candidates."""
    tabular = body["AutoMLProblemTypeConfig"]["TabularJobConfig"]
    criteria = tabular.get("CompletionCriteria", {})
    measured = MEASURES[tabular["ProblemType"], body["AutoMLJobObjective"]["MetricName"]]
    most = criteria.get("MaxCandidates", _DEFAULT_CANDIDATES)
    runtime = criteria.get("MaxRuntimePerTrainingJobInSeconds")
    definition = {
        "StaticHyperParameters": {
            "problem": PROBLEMS[tabular["ProblemType"]],
            "eval_metric": measured.score,
            "num_round": _ROUNDS,
            "seed": str(_SEED),
        },
        "AlgorithmSpecification": {
            "TrainingImage": image(context),
            "TrainingInputMode": "File",
            "MetricDefinitions": [
                {"Name": measured.metric, "Regex": f"validation_{measured.score}={_NUMBER}"}
            ],
        },
        "RoleArn": body["RoleArn"],
        "InputDataConfig": [_channel(body, name) for name in _PREPARED],
        "OutputDataConfig": {
            "S3OutputPath": f"{prepared_uri(body).rpartition('/')[0]}/tuning",
        },
        "ResourceConfig": _cluster(),
        "StoppingCondition": {} if runtime is None else {"MaxRuntimeInSeconds": runtime},
    }
    return {
        "HyperParameterTuningJobName": name,
        "HyperParameterTuningJobConfig": {
            "Strategy": "Bayesian",
            "HyperParameterTuningJobObjective": {
                "Type": "Minimize" if measured.minimize else "Maximize",
                "MetricName": measured.metric,
            },
            "ResourceLimits": {
                "MaxNumberOfTrainingJobs": most,
                "MaxParallelTrainingJobs": min(_AT_ONCE, most),
            },
            "ParameterRanges": _RANGES,
            "RandomSeed": _SEED,
        },
        "TrainingJobDefinition": definition,
    }


def candidate(
    context: Context, body: dict[str, Any], prepare: str, summary: dict[str, Any]
) -> dict[str, Any]:
    """Return a training job of the tuning job as a candidate of the leaderboard."""
    name, job = (
        summary["TrainingJobName"],
        context.store.get("TrainingJob", summary["TrainingJobName"]),
    )
    told = job or {}
    steps = [
        ("AWS::SageMaker::ProcessingJob", arn_of(context, "processing-job", prepare), prepare),
        ("AWS::SageMaker::TrainingJob", arn_of(context, "training-job", name), name),
    ]
    fields = ("CandidateStepType", "CandidateStepArn", "CandidateStepName")
    found = {
        "CandidateName": name,
        "ObjectiveStatus": summary["ObjectiveStatus"],
        "CandidateStatus": summary["TrainingJobStatus"],
        "CandidateSteps": [dict(zip(fields, step, strict=True)) for step in steps],
        "CreationTime": told.get("CreationTime"),
        "EndTime": told.get("TrainingEndTime"),
        "LastModifiedTime": told.get("LastModifiedTime"),
        "FailureReason": told.get("FailureReason"),
    }
    artifacts = told.get("ModelArtifacts", {}).get("S3ModelArtifacts")
    if artifacts is not None:
        found["InferenceContainers"] = [
            {"Image": image(context), "ModelDataUrl": artifacts, "Environment": {}}
        ]
    scored = summary.get("FinalHyperParameterTuningJobObjectiveMetric")
    measured = measure(body)
    if scored is None or measured is None:
        return found
    metric, value = body["AutoMLJobObjective"]["MetricName"], measured.value(scored["Value"])
    direction = "Minimize" if metric in MINIMIZED else "Maximize"
    told_metric = {"MetricName": metric, "Value": value, "StandardMetricName": metric}
    properties = {"CandidateMetrics": [told_metric | {"Set": "Validation"}]}
    return found | {
        "FinalAutoMLJobObjectiveMetric": told_metric | {"Type": direction},
        "FinalObjectiveMetricValue": value,
        "CandidateProperties": properties,
    }


def _channel(body: dict[str, Any], name: str) -> dict[str, Any]:
    uri = f"{prepared_uri(body)}/{name}.manifest"
    source = {"S3DataType": "ManifestFile", "S3Uri": uri}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}}


def _cluster() -> dict[str, Any]:
    return {"InstanceType": _INSTANCE, "InstanceCount": 1, "VolumeSizeInGB": 30}
