"""Experiments and their trials."""

from typing import Any

from tidemill_local.sagemaker.context import Context
from tidemill_local.sagemaker.errors import ValidationError
from tidemill_local.sagemaker.lineage import tracking
from tidemill_local.sagemaker.lineage.tracking import COMPONENT, EXPERIMENT, TRIAL
from tidemill_local.sagemaker.operations import operation
from tidemill_local.sagemaker.store import without_tags

TRIALS = "_Trials"  # of a component: the trials it is part of, in lower case


@operation("CreateExperiment")
def create_experiment(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Begin an experiment without trials."""
    name = request["ExperimentName"]
    body = {"DisplayName": name} | without_tags(request)
    body = tracking.insert(context, EXPERIMENT, name, body, request.get("Tags", []))
    return {"ExperimentArn": body["ExperimentArn"]}


@operation("DescribeExperiment")
def describe_experiment(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return the record."""
    return tracking.found(context, EXPERIMENT, request["ExperimentName"])


@operation("UpdateExperiment")
def update_experiment(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Change what people read: name and description."""
    return _updated(context, EXPERIMENT, request, "DisplayName", "Description")


@operation("ListExperiments")
def list_experiments(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return a page of summaries."""
    return tracking.page(request, EXPERIMENT, context.store.rows("Experiment"))


@operation("DeleteExperiment")
def delete_experiment(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Forget an experiment that has no trials left."""
    body = tracking.found(context, EXPERIMENT, request["ExperimentName"])
    if trials_of(context, request["ExperimentName"]):
        raise ValidationError(
            f"Experiment {request['ExperimentName']} has trials; delete them before it."
        )
    tracking.delete(context, EXPERIMENT, request["ExperimentName"])
    return {"ExperimentArn": body["ExperimentArn"]}


@operation("CreateTrial")
def create_trial(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Begin a trial of an experiment."""
    tracking.found(context, EXPERIMENT, request["ExperimentName"])
    return {"TrialArn": begin_trial(context, request)["TrialArn"]}


@operation("DescribeTrial")
def describe_trial(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return the record."""
    return tracking.found(context, TRIAL, request["TrialName"])


@operation("UpdateTrial")
def update_trial(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Change the name that people read."""
    return _updated(context, TRIAL, request, "DisplayName")


@operation("ListTrials")
def list_trials(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return a page of summaries: of an experiment's trials, or those a component is part of."""
    rows = context.store.rows("Trial")
    if "ExperimentName" in request:
        tracking.found(context, EXPERIMENT, request["ExperimentName"])
        rows = trials_of(context, request["ExperimentName"])
    if "TrialComponentName" in request:
        component = tracking.found(context, COMPONENT, request["TrialComponentName"])
        rows = [row for row in rows if row["TrialName"].lower() in component.get(TRIALS, [])]
    return tracking.page(request, TRIAL, rows)


@operation("DeleteTrial")
def delete_trial(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Forget a trial that has no components left."""
    body = tracking.found(context, TRIAL, request["TrialName"])
    if any(True for row in context.store.rows("TrialComponent") if is_part(row, body)):
        raise ValidationError(
            f"Trial {body['TrialName']} has trial components; disassociate them before it."
        )
    tracking.delete(context, TRIAL, request["TrialName"])
    return {"TrialArn": body["TrialArn"]}


def begin_trial(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Add a trial whose experiment is known to exist; return its body."""
    body = {"DisplayName": request["TrialName"]} | without_tags(request)
    return tracking.insert(context, TRIAL, request["TrialName"], body, request.get("Tags", []))


def is_part(component: dict[str, Any], trial: dict[str, Any]) -> bool:
    """Whether a component is part of a trial."""
    return trial["TrialName"].lower() in component.get(TRIALS, [])


def trials_of(context: Context, experiment: str) -> list[dict[str, Any]]:
    """Return an experiment's trials."""
    rows = context.store.rows("Trial")
    return [row for row in rows if row["ExperimentName"].lower() == experiment.lower()]


def check_config(context: Context, request: dict[str, Any]) -> None:
    """
    Require what a job's ExperimentConfig names.

    Raises:
        ResourceNotFoundError: There is no such experiment or trial.
        ValidationError: The trial is another experiment's.
    """
    config = request.get("ExperimentConfig", {})
    experiment, trial = config.get("ExperimentName"), config.get("TrialName")
    if experiment is not None:
        tracking.found(context, EXPERIMENT, experiment)
    if trial is None:
        return
    owner = tracking.found(context, TRIAL, trial)["ExperimentName"]
    if experiment is not None and owner.lower() != experiment.lower():
        raise ValidationError(f"Trial {trial} is of the experiment {owner}, not of {experiment}.")


def _updated(
    context: Context, entity: tracking.Tracked, request: dict[str, Any], *fields: str
) -> dict[str, Any]:
    changes = {field: request[field] for field in fields if field in request}
    name = request[entity.name_field]
    body = tracking.edit(context, entity, name, lambda body: body.update(changes))
    return {entity.arn_field: body[entity.arn_field]}
