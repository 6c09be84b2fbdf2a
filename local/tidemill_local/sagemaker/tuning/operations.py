"""Hyperparameter tuning jobs: many training jobs, and the best of them."""

import importlib.util
import math
import secrets
from typing import Any

from tidemill_local.images import built_in
from tidemill_local.sagemaker import paging
from tidemill_local.sagemaker.arns import arn_of
from tidemill_local.sagemaker.context import Context
from tidemill_local.sagemaker.errors import (
    ResourceInUseError,
    ResourceNotFoundError,
    ValidationError,
)
from tidemill_local.sagemaker.events import announce
from tidemill_local.sagemaker.jobs import training_checks
from tidemill_local.sagemaker.jobs.lifecycle import request_stop
from tidemill_local.sagemaker.operations import on_start, operation
from tidemill_local.sagemaker.store import DuplicateRecordError, without_tags
from tidemill_local.sagemaker.tuning import hyperband
from tidemill_local.sagemaker.tuning.search import RangeError, combinations
from tidemill_local.sagemaker.tuning.trials import (
    KIND,
    Definition,
    definitions,
    described,
    launched,
    resources,
)
from tidemill_local.sagemaker.tuning.tuner import SEED, Tuners

_ENDED = frozenset({"Completed", "Failed", "Stopped"})
_OBJECTIVE = "_tuning_objective_metric"
_WORDS = "hyperparameter tuning job"


@operation(
    "CreateHyperParameterTuningJob",
    refused=("Autotune",),
    differs="Bayesian is Optuna's TPE; Hyperband draws values at random, and stops a job with the "
    "first epoch beyond MaxResource; no ConvergenceDetected; "
    "several TrainingJobDefinitions take turns; early stopping needs three jobs to compare with",
)
def create_tuning_job(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Record a tuning job and let it launch its training jobs."""
    name = request["HyperParameterTuningJobName"]
    config = request["HyperParameterTuningJobConfig"]
    _check_strategy(config)
    known = _definitions(request)
    request = _completed(request, known)
    known = definitions(request)
    _check_hyperband(config, known)
    _check_limits(config, known)
    _check_parents(context, request, known)
    arn = arn_of(context, "hyper-parameter-tuning-job", name)
    body = without_tags(request) | {
        "HyperParameterTuningJobArn": arn,
        "HyperParameterTuningJobStatus": "InProgress",
        SEED: config.get("RandomSeed", secrets.randbelow(2**31)),
    }
    try:
        body = context.store.insert(KIND, name, body, request.get("Tags", []))
    except DuplicateRecordError as error:
        raise ResourceInUseError(
            f"A hyperparameter tuning job with the name, {name}, already exists. Choose a "
            "different name."
        ) from error
    announce(context, KIND, described(context, body))
    context.part(Tuners).start(name)
    return {"HyperParameterTuningJobArn": arn}


@operation("DescribeHyperParameterTuningJob")
def describe_tuning_job(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return the record, with what its training jobs make of it."""
    return described(context, _found(context, request))


@operation("ListHyperParameterTuningJobs")
def list_tuning_jobs(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return a page of summaries, by name unless asked otherwise."""
    answer = paging.page(
        {"SortBy": "Name"} | request,
        context.store.rows(KIND),
        answer="HyperParameterTuningJobSummaries",
        name="HyperParameterTuningJobName",
        status="HyperParameterTuningJobStatus",
    )
    shown = [_summary(context, row) for row in answer["HyperParameterTuningJobSummaries"]]
    return answer | {"HyperParameterTuningJobSummaries": shown}


@operation("ListTrainingJobsForHyperParameterTuningJob")
def list_training_jobs(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return a page of a tuning job's training jobs; by objective, only those that have one."""
    body = _found(context, request)
    name = body["HyperParameterTuningJobName"]
    rows = [
        trial.summary(name) | {"FinalObjectiveMetricValue": trial.objective}
        for trial in launched(context, body)
        if trial.job
    ]
    asked = {"SortBy": "Name"} | request
    if asked["SortBy"] == "FinalObjectiveMetricValue":
        rows = [row for row in rows if row["FinalObjectiveMetricValue"] is not None]
    return paging.page(
        asked,
        rows,
        answer="TrainingJobSummaries",
        name="TrainingJobName",
        status="TrainingJobStatus",
    )


@operation("StopHyperParameterTuningJob")
def stop_tuning_job(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Launch no more training jobs, and stop those that run."""
    name = _found(context, request)["HyperParameterTuningJobName"]
    body = request_stop(context, KIND, name, _WORDS)
    announce(context, KIND, described(context, body))
    return {}


@on_start
def recover_tuning_jobs(context: Context) -> None:
    """Go on with what an earlier service left underway."""
    context.part(Tuners).resume(KIND)


def _found(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    name = request["HyperParameterTuningJobName"]
    body = context.store.get(KIND, name)
    if body is None:
        raise ResourceNotFoundError(
            f"Amazon SageMaker can't find a tuning job called {name}. Type another name."
        )
    return body


def _summary(context: Context, body: dict[str, Any]) -> dict[str, Any]:
    config = body["HyperParameterTuningJobConfig"]
    added = {field: config[field] for field in ("Strategy", "ResourceLimits")}
    return described(context, body) | added


def _check_strategy(config: dict[str, Any]) -> None:
    strategy = config["Strategy"]
    if strategy == "Bayesian" and importlib.util.find_spec("optuna") is None:
        raise ValidationError(
            "Bayesian tuning jobs need Optuna here, which is not installed: "
            "pip install 'tidemill[local]'; or use Random or Grid"
        )
    criteria = config.get("TuningJobCompletionCriteria", {})
    if criteria.get("ConvergenceDetected", {}).get("CompleteOnConvergence") == "Enabled":
        raise ValidationError(
            "ConvergenceDetected is not supported by the local SageMaker: how SageMaker detects it "
            "is not documented; use BestObjectiveNotImproving"
        )


def _check_hyperband(config: dict[str, Any], known: list[Definition]) -> None:
    if config["Strategy"] != "Hyperband":
        if "StrategyConfig" in config:
            raise ValidationError("StrategyConfig goes with the Hyperband strategy; leave it out")
        return
    if config.get("TrainingJobEarlyStoppingType") == "Auto":
        raise ValidationError(
            "TrainingJobEarlyStoppingType must be Off to use the Hyperband strategy, which stops "
            "training jobs itself"
        )
    for definition in known:
        try:
            hyperband.resources(config, definition.body)
        except hyperband.ResourceError as error:
            raise ValidationError(f"HyperbandStrategyConfig: {error}") from error


def _definitions(request: dict[str, Any]) -> list[Definition]:
    """Return the training job definitions, each with an objective that it can measure."""
    config, several = request["HyperParameterTuningJobConfig"], "TrainingJobDefinitions" in request
    if several == ("TrainingJobDefinition" in request):
        raise ValidationError("Give either TrainingJobDefinition or TrainingJobDefinitions")
    given = request.get("TrainingJobDefinitions") or [request["TrainingJobDefinition"]]
    names = [definition.get("DefinitionName") for definition in given]
    if several and (None in names or len(set(names)) < len(names)):
        raise ValidationError("Each of TrainingJobDefinitions needs a DefinitionName of its own")
    for definition in given:
        _check_definition(definition, config)
    try:
        known = definitions(request)
    except RangeError as error:
        raise ValidationError(f"ParameterRanges: {error}") from error
    if len({definition.minimize for definition in known}) > 1:
        raise ValidationError(
            "The local SageMaker compares all training jobs of a tuning job: give every "
            "TuningObjective the same Type"
        )
    for definition in known:
        fixed = set(definition.body.get("StaticHyperParameters", {}))
        both = sorted(fixed & {parameter.name for parameter in definition.ranges})
        if both:
            raise ValidationError(
                f"Hyperparameters are static or tuned, not both: {', '.join(both)}"
            )
    return known


def _completed(request: dict[str, Any], known: list[Definition]) -> dict[str, Any]:
    """Return the request with what SageMaker adds to its training job definitions."""
    told = []
    for definition in known:
        body, fixed = definition.body, definition.body.get("StaticHyperParameters", {})
        body = body | {"StaticHyperParameters": fixed | {_OBJECTIVE: definition.metric}}
        if "InstanceType" in body.get("HyperParameterTuningResourceConfig", {}):
            # The SDK gives the one and, when it attaches to a tuning job, reads the other.
            body["ResourceConfig"] = resources(body)
        told.append(body)
    if "TrainingJobDefinitions" in request:
        return request | {"TrainingJobDefinitions": told}
    return request | {"TrainingJobDefinition": told[0]}


def _check_definition(definition: dict[str, Any], config: dict[str, Any]) -> None:
    objective = definition.get("TuningObjective") or config.get("HyperParameterTuningJobObjective")
    algorithm = definition["AlgorithmSpecification"]
    if "TrainingImage" not in algorithm:
        raise ValidationError(
            "AlgorithmSpecification needs a TrainingImage; the local cloud has no algorithms "
            "of its own"
        )
    ours = built_in(algorithm["TrainingImage"])
    metrics = algorithm.get("MetricDefinitions") or (ours.metric_definitions() if ours else [])
    if objective is None or objective["MetricName"] not in {item["Name"] for item in metrics}:
        raise ValidationError(
            "A metric is required for this hyperparameter tuning job objective. Provide a metric "
            "in the metric definitions."
        )
    ranges = definition.get("HyperParameterRanges") or config.get("ParameterRanges", {})
    if ranges.get("AutoParameters"):
        raise ValidationError("AutoParameters are not supported by the local SageMaker")
    training_checks.check_waiting(definition)
    places = ("ResourceConfig", "HyperParameterTuningResourceConfig")
    if sum(place in definition for place in places) != 1:
        raise ValidationError(f"A training job definition needs one of {' and '.join(places)}")


def _check_limits(config: dict[str, Any], known: list[Definition]) -> None:
    limits = config["ResourceLimits"]
    most = limits.get("MaxNumberOfTrainingJobs")
    total = sum(combinations(definition.ranges) for definition in known)
    if config["Strategy"] == "Grid":
        if any(p.kind != "categorical" for definition in known for p in definition.ranges):
            raise ValidationError(
                "The Grid strategy searches categorical hyperparameters only; give "
                "CategoricalParameterRanges"
            )
        if most is not None and most != total:
            raise ValidationError(
                f"MaxNumberOfTrainingJobs is {most}; with the Grid strategy it is left out, or "
                f"equals the number of combinations, {total:g}"
            )
        return
    criteria = config.get("TuningJobCompletionCriteria", {})
    if most is None and "MaxRuntimeInSeconds" not in limits and not criteria:
        raise ValidationError(
            "ResourceLimits needs MaxNumberOfTrainingJobs or MaxRuntimeInSeconds, or the tuning "
            "job would never end"
        )
    if most is not None and not math.isinf(total) and total < most:
        raise ValidationError(
            "You don't have enough combinations of hyperparameter ranges. The total number of "
            f"hyperparameter combinations for the provided ranges [{float(total)}] must be equal "
            f"or greater than the value of MaxNumberOfJobs, [{most}]. Provide additional ranges."
        )


def _check_parents(context: Context, request: dict[str, Any], known: list[Definition]) -> None:
    warm = request.get("WarmStartConfig")
    if warm is None:
        return
    if len(known) > 1:
        raise ValidationError("A warm start goes with one TrainingJobDefinition")
    if request["HyperParameterTuningJobConfig"]["Strategy"] not in {"Bayesian", "Random"}:
        raise ValidationError("A warm start goes with the strategies Bayesian and Random")
    (own,) = known
    for parent in warm["ParentHyperParameterTuningJobs"]:
        if "HyperParameterTuningJobName" not in parent:
            raise ValidationError("Each parent of WarmStartConfig needs its name")
        body = _found(context, parent)
        name, theirs = body["HyperParameterTuningJobName"], definitions(body)[0]
        if body["HyperParameterTuningJobStatus"] not in _ENDED:
            raise ValidationError(
                f"The parent tuning job {name} is {body['HyperParameterTuningJobStatus']}; it must "
                "be Completed, Stopped or Failed"
            )
        if (own.metric, own.minimize) != (theirs.metric, theirs.minimize):
            raise ValidationError(
                f"The objective metric must be the same as the parent tuning job's, {theirs.metric}"
            )
        ours, before = len(own.hyperparameters), len(theirs.hyperparameters)
        if ours != before:
            raise ValidationError(
                "The total number of static plus tunable hyperparameters must remain the same as "
                f"in the parent tuning job {name}: {before}, not {ours}"
            )
        image = own.body["AlgorithmSpecification"]["TrainingImage"]
        identical = warm["WarmStartType"] == "IdenticalDataAndAlgorithm"
        if identical and image != theirs.body["AlgorithmSpecification"]["TrainingImage"]:
            raise ValidationError(
                "With IdenticalDataAndAlgorithm the TrainingImage must be the parent tuning job's; "
                "use TransferLearning"
            )
