"""
What SageMaker tracks by itself: a trial component for each job, and the graph around it.

Called with each state change that is announced, before anybody hears of it. It may be called
again for the same state, after a crash for instance: what is tracked already stays.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any

from tidemill_local.sagemaker.context import Context
from tidemill_local.sagemaker.lineage import associations, tracking
from tidemill_local.sagemaker.lineage.entities import artifact_key
from tidemill_local.sagemaker.lineage.experiments import begin_trial
from tidemill_local.sagemaker.lineage.job_tracking import JOBS, Asset, JobTracking
from tidemill_local.sagemaker.lineage.metrics import kept_beside
from tidemill_local.sagemaker.lineage.tracking import ACTION, ARTIFACT, COMPONENT, CONTEXT, TRIAL
from tidemill_local.sagemaker.lineage.trial_components import join

_ENDED = frozenset({"Completed", "Failed", "Stopped"})
_LONGEST_NAME = 120
_CONFIG = "_Config"  # of an endpoint's context: the configuration that was tracked last


def record(context: Context, arn: str) -> None:
    """Track what the resource with this ARN has become; others than the known kinds are left."""
    place = context.store.find_arn(arn)
    kind = place[0] if place else ""
    recorder = _RECORDERS.get(kind)
    body = context.store.get(*place) if place and recorder else None
    if recorder is not None and body is not None:
        recorder(context, kind, body)


def component_name(kind: str, job: str) -> str:
    """Return what a job's trial component is called."""
    return f"{job}-{JOBS[kind].suffix}"


def _record_job(context: Context, kind: str, body: dict[str, Any]) -> None:
    job = JOBS[kind]
    name = component_name(kind, body[f"{kind}Name"])
    before = tracking.find(context, COMPONENT, name)
    status = body[f"{kind}Status"]
    told = before is not None and before["Status"]["PrimaryStatus"] == status
    if before is not None and told and ("StartTime" in before or job.started not in body):
        return  # nothing of it has changed
    with context.store.transaction():
        if before is None:
            _begin_component(context, kind, body, name)
        _continue_component(context, job, body, name, status)


def _begin_component(context: Context, kind: str, body: dict[str, Any], name: str) -> None:
    job, config = JOBS[kind], body.get("ExperimentConfig", {})
    component = {
        "TrialComponentName": name,
        "DisplayName": config.get("TrialComponentDisplayName", name),
        "RunName": config.get("RunName"),
        "Source": {"SourceArn": body[f"{kind}Arn"], "SourceType": f"SageMaker{kind}"},
        "Status": {"PrimaryStatus": "InProgress"},
        "CreationTime": body["CreationTime"],
        "Parameters": job.parameters(body),
        "InputArtifacts": _values(job.inputs(body)),
        "OutputArtifacts": {},
    }
    present = {field: value for field, value in component.items() if value is not None}
    arn = tracking.insert(context, COMPONENT, name, present)["TrialComponentArn"]
    for asset in job.inputs(body):
        associations.add(context, _artifact(context, asset), arn, "ContributedTo")
    trial = _trial(context, body[f"{kind}Name"], config)
    if trial is not None:
        join(context, name, trial)


def _continue_component(
    context: Context, job: JobTracking, body: dict[str, Any], name: str, status: str
) -> None:
    outputs = list(job.outputs(body)) if status == "Completed" else []

    def change(component: dict[str, Any]) -> None:
        component["Status"] = _status(status, body)
        if job.started in body:
            component["StartTime"] = body[job.started]
        if status in _ENDED:
            component["EndTime"] = body.get(job.ended, component["LastModifiedTime"])
            measured = component.get("Metrics", [])
            component["Metrics"] = kept_beside(measured, job.metrics(body))
        component["OutputArtifacts"] |= _values(outputs)

    arn = tracking.edit(context, COMPONENT, name, change)["TrialComponentArn"]
    for asset in outputs:
        associations.add(context, arn, _artifact(context, asset), "Produced")


def _status(status: str, body: dict[str, Any]) -> dict[str, str]:
    message = body.get("FailureReason")
    return {"PrimaryStatus": status} | ({"Message": message[:1024]} if message else {})


def _trial(context: Context, job: str, config: dict[str, Any]) -> dict[str, Any] | None:
    """Return the job's trial; an experiment without one gets a trial of its own for the job."""
    name = config.get("TrialName") or (f"{job}-aws-trial" if "ExperimentName" in config else None)
    if name is None:
        return None
    trial = tracking.find(context, TRIAL, name)
    if trial is None and "TrialName" not in config:
        request = {"TrialName": name, "ExperimentName": config["ExperimentName"]}
        trial = begin_trial(context, request)
    return trial


def _record_package(context: Context, _: str, body: dict[str, Any]) -> None:
    arn = body["ModelPackageArn"]
    with context.store.transaction():
        package = _artifact(context, Asset("", arn, "ModelPackage"))
        for asset in _container_assets(
            body.get("InferenceSpecification", {}).get("Containers", [])
        ):
            associations.add(context, _artifact(context, asset), package, "ContributedTo")
        if "ModelPackageGroupName" not in body:
            return
        group = _group(context, body)
        associations.add(context, package, group, "AssociatedWith")
        approval = body.get("ModelApprovalStatus", "")
        name = f"{body['ModelPackageGroupName']}-{body['ModelPackageVersion']}-{approval}"
        suffix = f"{int(body['LastModifiedTime'])}-aws-model-package"
        if _approval(context, arn) == approval:
            return  # the package changed in something else
        action = _entity(
            context,
            ACTION,
            _joined(name, suffix),
            arn,
            {
                "ActionType": "Approval",
                "Status": "Completed",
                "Properties": {"ModelApprovalStatus": approval},
            },
        )
        associations.add(context, action, package, "ContributedTo")


def _approval(context: Context, package: str) -> str | None:
    """Return the approval status that was tracked last for a package."""
    found = [
        row["Properties"]["ModelApprovalStatus"]
        for row in context.store.rows("Action")
        if row["ActionType"] == "Approval" and row["Source"]["SourceUri"] == package
    ]
    return found[-1] if found else None


def _group(context: Context, body: dict[str, Any]) -> str:
    name = body["ModelPackageGroupName"]
    group = context.store.get("ModelPackageGroup", name) or body
    suffix = f"{int(group['CreationTime'])}-aws-model-group"
    arn = group.get("ModelPackageGroupArn", name)
    return _entity(context, CONTEXT, _joined(name, suffix), arn, {"ContextType": "ModelGroup"})


def _record_endpoint(context: Context, _: str, body: dict[str, Any]) -> None:
    if body["EndpointStatus"] != "InService":
        return
    name, made, used = body["EndpointName"], int(body["CreationTime"]), body["EndpointConfigName"]
    known = tracking.find(context, CONTEXT, _joined(name, f"{made}-aws-endpoint")) or {}
    if known.get(_CONFIG) == used:
        return  # it came back, or its weights changed
    with context.store.transaction():
        endpoint = _entity(
            context,
            CONTEXT,
            _joined(name, f"{made}-aws-endpoint"),
            body["EndpointArn"],
            {"ContextType": "Endpoint"},
        )
        config = context.store.get("EndpointConfig", used) or {}
        deployment = _entity(
            context,
            ACTION,
            _joined(name, f"{int(time.time() * 1000)}-aws-model-deployment"),
            body["EndpointArn"],
            {"ActionType": "ModelDeployment", "Status": "Completed"},
        )
        associations.add(context, deployment, endpoint, "AssociatedWith")
        for asset in _deployed(context, config):
            associations.add(context, _artifact(context, asset), deployment, "ContributedTo")
        tracking.edit(context, CONTEXT, endpoint, lambda entity: entity.update({_CONFIG: used}))


def _deployed(context: Context, config: dict[str, Any]) -> Iterator[Asset]:
    """Yield what an endpoint's models are made of."""
    for variant in config.get("ProductionVariants", []):
        model = context.store.get("Model", variant.get("ModelName", "")) or {}
        containers = [*model.get("Containers", []), model.get("PrimaryContainer", {})]
        yield from _container_assets(containers)
        for container in containers:
            if "ModelPackageName" in container:
                package = container["ModelPackageName"]
                yield Asset("", package, "ModelPackage")
                body = context.store.get("ModelPackage", package.partition("/")[2]) or {}
                specified = body.get("InferenceSpecification", {}).get("Containers", [])
                yield from _container_assets(specified)


def _container_assets(containers: list[dict[str, Any]]) -> Iterator[Asset]:
    for container in containers:
        if "Image" in container:
            yield Asset("", container["Image"], "Image")
        if "ModelDataUrl" in container:
            yield Asset("", container["ModelDataUrl"], "Model")


def _artifact(context: Context, asset: Asset) -> str:
    """Return the ARN of a source's artifact, which is made when it is new."""
    source = {"SourceUri": asset.uri}
    key = artifact_key(source)
    known = tracking.find(context, ARTIFACT, key)
    if known is None:
        body = {"Source": source, "ArtifactType": asset.kind}
        known = tracking.insert(context, ARTIFACT, key, body)
    return str(known["ArtifactArn"])


def _entity(
    context: Context, entity: tracking.Tracked, name: str, source: str, body: dict[str, Any]
) -> str:
    known = tracking.find(context, entity, name)
    if known is None:
        source_body = {"SourceUri": source, "SourceType": "ARN"}
        whole = {entity.name_field: name, "Source": source_body} | body
        known = tracking.insert(context, entity, name, whole)
    return str(known[entity.arn_field])


def _joined(name: str, suffix: str) -> str:
    """Return a name within the limit; its end tells it from others."""
    return f"{name[: _LONGEST_NAME - len(suffix) - 1]}-{suffix}"


def _values(assets: Any) -> dict[str, Any]:
    return {
        asset.name: {"Value": asset.uri} | ({"MediaType": asset.media} if asset.media else {})
        for asset in assets
    }


_RECORDERS: dict[str, Callable[[Context, str, dict[str, Any]], None]] = {
    **dict.fromkeys(JOBS, _record_job),
    "ModelPackage": _record_package,
    "Endpoint": _record_endpoint,
}
