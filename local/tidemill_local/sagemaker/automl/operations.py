"""AutoML jobs of tabular data: a leaderboard of models that our own trainer makes."""

from typing import Any

from tidemill_local.sagemaker import paging
from tidemill_local.sagemaker.arns import arn_of
from tidemill_local.sagemaker.automl import plan
from tidemill_local.sagemaker.automl.runner import KIND, PREPARE, TUNING, AutoMLRunners
from tidemill_local.sagemaker.containers.channels import TransferError, split_uri
from tidemill_local.sagemaker.context import Context
from tidemill_local.sagemaker.errors import (
    ResourceNotFoundError,
    ValidationError,
)
from tidemill_local.sagemaker.jobs.lifecycle import record, request_stop
from tidemill_local.sagemaker.operations import on_start, operation
from tidemill_local.sagemaker.store import without_tags
from tidemill_local.sagemaker.tuning.trials import best, launched

_WORDS = "AutoML job"
_TAKEN = (
    "AutoML job names must be unique within an AWS account and region, and an AutoML job with "
    "this name already exists"
)


@operation(
    "CreateAutoMLJobV2",
    refused=("ModelDeployConfig", "AutoMLComputeConfig"),
    idle=("SecurityConfig",),
    differs="tabular CSV with a header, in one training channel; XGBoost candidates of Tidemill's "
    "own trainer; ProblemType and AutoMLJobObjective (AUC, Accuracy, RMSE, MSE, MAE) must be given",
)
def create_automl_job(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Record an AutoML job and start it."""
    name = request["AutoMLJobName"]
    _check_problem(request)
    _check_input(request)
    arn = arn_of(context, "automl-job", name)
    body = without_tags(request) | {
        "AutoMLJobArn": arn,
        "AutoMLJobStatus": "InProgress",
        "AutoMLJobSecondaryStatus": "Starting",
        "AutoMLProblemTypeConfigName": "Tabular",
    }
    record(context, KIND, body, request.get("Tags", []), taken=_TAKEN)
    context.part(AutoMLRunners).start(name)
    return {"AutoMLJobArn": arn}


@operation("DescribeAutoMLJobV2")
def describe_automl_job(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return the record, with the best candidate so far."""
    body = _found(context, request)
    tuning = _tuning(context, body)
    winner = None if tuning is None else best(launched(context, tuning))
    if tuning is None or winner is None:
        return body
    summary = winner.summary(tuning["HyperParameterTuningJobName"])
    return body | {"BestCandidate": plan.candidate(context, body, body[PREPARE], summary)}


@operation("ListAutoMLJobs")
def list_automl_jobs(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return a page of summaries, by name from the last unless asked otherwise."""
    return paging.page(
        {"SortBy": "Name"} | request,
        context.store.rows(KIND),
        answer="AutoMLJobSummaries",
        name="AutoMLJobName",
        status="AutoMLJobStatus",
        order="Descending",
    )


@operation("ListCandidatesForAutoMLJob")
def list_candidates(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return a page of the leaderboard, in the order of launch unless asked otherwise."""
    body = _found(context, request)
    tuning = _tuning(context, body)
    trials = [] if tuning is None else launched(context, tuning)
    rows = [
        plan.candidate(context, body, body[PREPARE], trial.summary(body[TUNING]))
        for trial in trials
        if trial.job
    ]
    wanted = request.get("CandidateNameEquals")
    rows = [row for row in rows if wanted in {None, row["CandidateName"]}]
    if request.get("SortBy") == "FinalObjectiveMetricValue":
        rows = [row for row in rows if "FinalObjectiveMetricValue" in row]
    return paging.page(
        request,
        rows,
        answer="Candidates",
        name="CandidateName",
        status="CandidateStatus",
    )


@operation("StopAutoMLJob")
def stop_automl_job(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Stop what the job runs; its candidates stay."""
    name = _found(context, request)["AutoMLJobName"]
    changes = {"AutoMLJobSecondaryStatus": "Stopping"}
    request_stop(context, KIND, name, _WORDS, lambda body: body.update(changes))
    return {}


@on_start
def recover_automl_jobs(context: Context) -> None:
    """Go on with what an earlier service left underway."""
    context.part(AutoMLRunners).resume(KIND)


def _found(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    name = request["AutoMLJobName"]
    body = context.store.get(KIND, name)
    if body is None:
        raise ResourceNotFoundError(f"Could not find an AutoML job with name {name}; check it")
    return body


def _tuning(context: Context, body: dict[str, Any]) -> dict[str, Any] | None:
    return context.store.get("HyperParameterTuningJob", body[TUNING]) if TUNING in body else None


def _check_problem(request: dict[str, Any]) -> None:
    config = request["AutoMLProblemTypeConfig"]
    tabular = config.get("TabularJobConfig")
    if tabular is None:
        raise ValidationError(
            f"The local SageMaker runs AutoML jobs of tabular data only; "
            f"{', '.join(config) or 'an empty AutoMLProblemTypeConfig'} is not supported"
        )
    for member in ("FeatureSpecificationS3Uri", "SampleWeightAttributeName"):
        if member in tabular:
            raise ValidationError(f"{member} is not supported by the local SageMaker.")
    if tabular.get("GenerateCandidateDefinitionsOnly") or tabular.get("Mode") == "ENSEMBLING":
        raise ValidationError(
            "The local SageMaker tunes XGBoost: leave GenerateCandidateDefinitionsOnly out, and "
            "Mode AUTO or HYPERPARAMETER_TUNING"
        )
    for algorithms in tabular.get("CandidateGenerationConfig", {}).get("AlgorithmsConfig", []):
        if "xgboost" not in algorithms["AutoMLAlgorithms"]:
            raise ValidationError("AlgorithmsConfig leaves out xgboost, the only one there is here")
    if plan.measure(request) is None:
        known = ", ".join(f"{problem} by {metric}" for problem, metric in plan.MEASURES)
        raise ValidationError(
            "The local SageMaker needs a ProblemType and an AutoMLJobObjective that its trainer "
            f"measures: {known}"
        )


def _check_input(request: dict[str, Any]) -> None:
    given = request["AutoMLJobInputDataConfig"]
    if len(given) > 1 or given[0].get("ChannelType", "training") != "training":
        raise ValidationError(
            "The local SageMaker takes one training channel and splits it; see DataSplitConfig"
        )
    (channel,) = given
    kind = channel.get("ContentType", "text/csv;header=present").replace(" ", "")
    if kind not in {"text/csv", "text/csv;header=present"}:
        raise ValidationError(f"ContentType {kind} is not supported; use text/csv;header=present")
    source = channel.get("DataSource", {}).get("S3DataSource")
    if source is None or source["S3DataType"] == "AugmentedManifestFile":
        raise ValidationError("An S3DataSource of S3Prefix or ManifestFile is needed")
    for uri in (source["S3Uri"], request["OutputDataConfig"]["S3OutputPath"]):
        try:
            split_uri(uri)
        except TransferError as error:
            raise ValidationError(str(error).removeprefix("ClientError: ")) from error
