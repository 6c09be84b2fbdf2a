"""`plan`: what an apply, or an upload, would do. Nothing is written."""

# ruff: noqa: PLC0415  # imports inside commands keep `tidemill --help` fast
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tidemill_cli.failures import NO, YES, MalformedError
from tidemill_cli.output import coloured, put_json, say, span, table
from tidemill_cli.session import MODEL, Session, hint, shared_options

if TYPE_CHECKING:
    from tidemill.spec.compiled import Spec
    from tidemill_cli.stack import Stack

#: The jobs of a run, in order; a test keeps them in step with the pipeline.
JOBS = ("Prepare", "Train", "Evaluate")
S3 = "s3://"


@click.command()
@click.argument("target", metavar="FILE|S3_URI")
@click.option("--model", type=MODEL, help="FILE is data for this model, not a spec.")
@shared_options
@click.pass_obj
def plan(session: Session, target: str, model: str | None) -> int:
    """
    Say what applying a spec, or uploading a file, would do.

    FILE is a model.yaml; with --model it is data. S3_URI is an object in the lake.

    Exit status: 0 it would be done, 1 it would be refused.
    """
    if target.startswith(S3) or model is not None:
        return _plan_upload(session, target, model)
    return _plan_apply(session, Path(target))


def _plan_upload(session: Session, target: str, model: str | None) -> int:
    from tidemill_cli.plan_upload import local_source, remote_source, way

    if target.startswith(S3) and model is not None:
        raise MalformedError("an object's key says its model; leave out --model")
    stack = session.stack
    if model is None:
        source = remote_source(stack, target)
    else:
        stack.stores.specs.get(model)  # says so when there is no such model
        source = local_source(stack, model, Path(target))
    steps = []
    for step in way(stack, source, time.time()):
        steps.append(step)
        if not session.as_json:
            click.echo(f"{step.step:<10} {coloured(step.verdict)}: {step.said}")
            if step.next_step:
                click.echo(f"{'':<10} → {step.next_step}")
    good = not steps[-1].ends
    if session.as_json:
        put_json({"upload": source.version.uri, "ok": good, "steps": [asdict(s) for s in steps]})
    elif model is not None and good:
        hint(session, f"nothing was sent; `tidemill upload {model} {target}` sends it")
    return YES if good else NO


def _plan_apply(session: Session, file: Path) -> int:
    from tidemill.spec.compile import compile_spec
    from tidemill.spec.diff import diff, render

    try:
        text = file.read_bytes()
    except IsADirectoryError:
        raise MalformedError(f"{file} is a directory; name the model.yaml in it") from None
    spec = compile_spec(text, source=str(file))
    stack = session.stack
    before = stack.stores.specs.find(spec.ref)
    changes = diff(before, spec)
    resources = _resources(stack, spec, before)
    refused = _refused(stack, spec, [change for change in changes if change.breaking])
    watch = _watch(stack, spec)
    document = {
        "model": spec.ref,
        "digest": spec.digest,
        "ok": refused is None,
        "changes": [asdict(change) for change in changes],
        "resources": resources,
        "run": _run(spec),
        "watch": watch,
        "refused": refused,
    }
    if session.as_json:
        put_json(document)
        return YES if refused is None else NO
    new = [f"+ {change.path}: {change.after}" for change in changes]
    for line in new if before is None else render(changes):
        click.echo(line)
    if not changes:
        click.echo(f"{spec.ref} would stay as it is")
    click.echo()
    for line in table(resources, {"action": "action", "kind": "what", "name": "name"}):
        click.echo(line)
    for line in (*_said(spec), _watched(watch)):
        click.echo(line)
    if refused:
        say(f"tidemill: it would be refused: {refused}")
        return NO
    hint(session, f"nothing was touched; `tidemill apply {file}` does it")
    return YES


def _resources(stack: "Stack", spec: "Spec", before: "Spec | None") -> list[dict[str, Any]]:
    """Return what an apply creates, changes and leaves, by what the account has now."""
    name = stack.aws_name(spec.ref)
    sagemaker = stack.clients.sagemaker
    groups = sagemaker.get_paginator("list_model_package_groups").paginate(NameContains=name)
    pipelines = sagemaker.get_paginator("list_pipelines").paginate(PipelineNamePrefix=name)
    has_group = any(
        item["ModelPackageGroupName"] == name
        for page in groups
        for item in page["ModelPackageGroupSummaryList"]
    )
    has_pipeline = any(
        item["PipelineName"] == name for page in pipelines for item in page["PipelineSummaries"]
    )
    changed = before != spec
    rows = [
        ("keep" if has_group else "create", "model package group", name),
        (
            "create" if not has_pipeline else "update" if changed else "keep",
            "pipeline",
            name,
        ),
        ("create" if before is None else "update" if changed else "keep", "spec", spec.ref),
    ]
    held = before.triggers if before else None
    for kind, now, then in (
        ("schedule", spec.triggers.schedule, held.schedule if held else ()),
        ("alarm that counts as drift", spec.triggers.alarms, held.alarms if held else ()),
    ):
        rows += [("keep" if item in then else "create", kind, item) for item in now]
        rows += [("delete", kind, item) for item in then if item not in now]
    return [{"action": action, "kind": kind, "name": what} for action, kind, what in rows]


def _run(spec: "Spec") -> dict[str, Any]:
    """Return what one run, and what follows it, may use at most."""
    compute = spec.train.compute
    return {
        "jobs": list(JOBS),
        "instance": compute.instance,
        "volume_gb": compute.volume_gb,
        "max_seconds_each": compute.max_runtime_seconds,
        "approval": spec.approve.mode,
        "endpoint": {"instance": spec.deploy.instance, "count": spec.deploy.count},
    }


def _said(spec: "Spec") -> list[str]:
    compute = spec.train.compute
    most = span(float(compute.max_runtime_seconds))
    asks = "goes into service by itself" if spec.approve.mode == "auto" else "waits for a person"
    run = (
        f"a run is {', '.join(JOBS)}: each a job on one {compute.instance} with "
        f"{compute.volume_gb} GB, {most} at most; small data is prepared without a job"
    )
    endpoint = (
        f"a version that passes {asks}; its endpoint is {spec.deploy.count} of "
        f"{spec.deploy.instance}, paid by the hour until `tidemill delete {spec.ref}`"
    )
    return ["", run, endpoint]


def _watch(stack: "Stack", spec: "Spec") -> dict[str, Any]:
    """Return how the endpoint is looked at, and what its metrics cost a month; None: per column."""
    from tidemill.domain.watch_cost import metrics_cost
    from tidemill.prices import METRIC

    cost = metrics_cost(spec.watch, _features(stack, spec))
    return {
        "every_seconds": spec.watch.every_seconds if cost.metrics else 0,
        "metrics": cost.metrics,
        "dollars_a_month": round(cost.months * METRIC.dollars, 2) if not cost.each else None,
        "dollars_each": METRIC.dollars,
        "metrics_of_each_column": cost.each,
        "backend": spec.watch.backend,
    }


def _features(stack: "Stack", spec: "Spec") -> int | None:
    """Return how many features a watch compares, by the contract; None when there is none yet."""
    from tidemill_cli.contracts import contract_of

    held = contract_of(stack, spec.ref)
    if held is None:
        return None
    unused = {spec.data.target, spec.data.id, *spec.data.exclude}
    return len(held.document.get("columns", {}).keys() - unused) + 1  # and the answers


def _watched(watch: dict[str, Any]) -> str:
    from tidemill.prices import AS_OF, METRIC, REGION
    from tidemill.spec.durations import format_duration

    if not watch["every_seconds"]:
        return "its traffic is not looked at by the clock (watch.every, watch.capture.percent)"
    listed = (
        f"the list price of {AS_OF} in {REGION} is ${METRIC.dollars:.2f} a {METRIC.unit}, for the "
        "hours in which it is sent"
    )
    looked = f"its traffic is looked at every {format_duration(watch['every_seconds'])}"
    if watch["backend"] == "sagemaker":
        looked += " by a SageMaker MonitoringSchedule, each time a job on the run's instance"
    if watch["dollars_a_month"] is None:
        return (
            f"{looked}; {watch['metrics']} CloudWatch metrics and {watch['metrics_of_each_column']}"
            f" more for each column; {listed}"
        )
    dollars = f"about ${watch['dollars_a_month']:,.2f} a month"
    return f"{looked}; {watch['metrics']} CloudWatch metrics at the most, {dollars}: {listed}"


def _refused(stack: "Stack", spec: "Spec", breaking: list[Any]) -> str | None:
    """Return the sentence with which the stack would refuse, or None."""
    versions = len(stack.registry.versions(stack.aws_name(spec.ref))) if breaking else 0
    if not versions:
        return None
    said = "; ".join(f"{change}: {change.effect}" for change in breaking)
    return f"{spec.ref} has {versions} versions. {said}"
