"""Trial components: one for each job, made by SageMaker, and those that people make."""

from typing import Any

from tidemill_local.sagemaker.context import Context
from tidemill_local.sagemaker.errors import ResourceNotFoundError, ValidationError
from tidemill_local.sagemaker.lineage import associations, tracking
from tidemill_local.sagemaker.lineage.experiments import TRIALS, is_part, trials_of
from tidemill_local.sagemaker.lineage.tracking import COMPONENT, EXPERIMENT, TRIAL
from tidemill_local.sagemaker.operations import operation
from tidemill_local.sagemaker.store import without_tags

_MAPS = ("Parameters", "InputArtifacts", "OutputArtifacts")
_SIMPLE = ("DisplayName", "Status", "StartTime", "EndTime")


@operation("CreateTrialComponent")
def create_trial_component(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Track a step that is no SageMaker job."""
    name = request["TrialComponentName"]
    body = {"DisplayName": name} | without_tags(request)
    body = tracking.insert(context, COMPONENT, name, body, request.get("Tags", []))
    return {"TrialComponentArn": body["TrialComponentArn"]}


@operation("DescribeTrialComponent")
def describe_trial_component(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return the record."""
    return tracking.found(context, COMPONENT, request["TrialComponentName"])


@operation("UpdateTrialComponent")
def update_trial_component(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Change what is given; parameters and artifacts are merged, and removed by key."""

    def change(body: dict[str, Any]) -> None:
        body.update({field: request[field] for field in _SIMPLE if field in request})
        for field in _MAPS:
            removed = request.get(f"{field}ToRemove", [])
            tracking.merge(body, field, request.get(field), removed)

    body = tracking.edit(context, COMPONENT, request["TrialComponentName"], change)
    return {"TrialComponentArn": body["TrialComponentArn"]}


@operation("ListTrialComponents")
def list_trial_components(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return a page of summaries: of an experiment, a trial, or a job."""
    rows = context.store.rows("TrialComponent")
    if "SourceArn" in request:
        source = request["SourceArn"].lower()
        rows = [row for row in rows if row.get("Source", {}).get("SourceArn", "").lower() == source]
    if "ExperimentName" in request:
        tracking.found(context, EXPERIMENT, request["ExperimentName"])
        trials = trials_of(context, request["ExperimentName"])
        rows = [row for row in rows if any(is_part(row, trial) for trial in trials)]
    if "TrialName" in request:
        trial = tracking.found(context, TRIAL, request["TrialName"])
        rows = [row for row in rows if is_part(row, trial)]
    rows = [row | {"TrialComponentSource": row.get("Source")} for row in rows]
    return tracking.page(request, COMPONENT, rows)


@operation("DeleteTrialComponent")
def delete_trial_component(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Forget a component that is part of no trial."""
    body = tracking.found(context, COMPONENT, request["TrialComponentName"])
    if body.get(TRIALS):
        raise ValidationError(
            f"Trial component {body['TrialComponentName']} is part of the trials "
            f"{', '.join(body[TRIALS])}; disassociate it from them first."
        )
    with context.store.transaction():
        associations.forget(context, body["TrialComponentArn"])
        tracking.delete(context, COMPONENT, body["TrialComponentName"])
    return {"TrialComponentArn": body["TrialComponentArn"]}


@operation("AssociateTrialComponent")
def associate_trial_component(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Make a component part of a trial; of one it is part of it stays so."""
    trial = tracking.found(context, TRIAL, request["TrialName"])
    body = join(context, request["TrialComponentName"], trial)
    return {"TrialComponentArn": body["TrialComponentArn"], "TrialArn": trial["TrialArn"]}


@operation("DisassociateTrialComponent")
def disassociate_trial_component(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Take a component out of a trial."""
    trial = tracking.found(context, TRIAL, request["TrialName"])

    def change(body: dict[str, Any]) -> None:
        if not is_part(body, trial):
            raise ResourceNotFoundError(
                f"Trial component {body['TrialComponentName']} is not part of the trial "
                f"{trial['TrialName']}."
            )
        body[TRIALS] = [name for name in body[TRIALS] if name != trial["TrialName"].lower()]

    body = tracking.edit(context, COMPONENT, request["TrialComponentName"], change)
    return {"TrialComponentArn": body["TrialComponentArn"], "TrialArn": trial["TrialArn"]}


def join(context: Context, component: str, trial: dict[str, Any]) -> dict[str, Any]:
    """Make a component part of a trial; return the component's body."""
    name = trial["TrialName"].lower()

    def change(body: dict[str, Any]) -> None:
        body[TRIALS] = sorted({*body.get(TRIALS, []), name})

    return tracking.edit(context, COMPONENT, component, change)
