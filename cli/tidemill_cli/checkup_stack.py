"""Checks of the stack: complete, of this version, fed by uploads, able to run its jobs."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from tidemill.spec import instances
from tidemill_cli.checkup import Check, Finding, Patient, UnseenError, quoted
from tidemill_cli.checkup_here import installed
from tidemill_cli.dead_letters import DeadLetters
from tidemill_cli.failures import UnreachableError, explained

DEPLOY = "make deploy"
#: What jobs do as the execution role, and on what: enough to tell a broken role from a whole one.
_AS_JOBS = (
    ("s3:GetObjectVersion", "lake", "raw/p/m/x"),
    ("s3:PutObject", "lake", "prepared/p/m/x"),
    ("s3:PutObject", "artifacts", "models/p/m/x"),
)
_OWN_IMAGE = "tidemill-jobs"


def deployed(patient: Patient) -> Iterable[Finding]:
    """Look whether the stack is there, whole, and of this command's version."""
    try:
        stack = patient.found()
    except UnreachableError as error:
        yield Finding("stack", "wrong", explained(error)[0], DEPLOY)
        return
    described = patient.clients.cloudformation.describe_stacks(StackName=stack.name)["Stacks"][0]
    status = described["StackStatus"]
    if not status.endswith("_COMPLETE") or status.startswith(("ROLLBACK", "DELETE")):
        yield Finding("stack", "wrong", f"{stack.name} is {status}", DEPLOY)
    broken = [item for item in stack.resources if not item.status.endswith("_COMPLETE")]
    for item in broken:
        yield Finding("stack", "wrong", f"its {item.logical} is {item.status}", DEPLOY)
    theirs = stack.outputs.get("TidemillVersion")
    if theirs != installed():
        said = f"it is of version {theirs or 'before 0.1.0'}, this command of {installed()}"
        yield Finding("stack", "wrong", said, f"{DEPLOY}, or install tidemill {theirs or ''}")
    elif not broken:
        yield Finding("stack", "ok", f"{stack.name} is {status}, version {theirs}")


def bucket_events(patient: Patient) -> Iterable[Finding]:
    """Look whether the lake tells EventBridge of its objects."""
    lake = patient.stack.lake_bucket
    held = patient.clients.s3.get_bucket_notification_configuration(Bucket=lake)
    if "EventBridgeConfiguration" in held:
        yield Finding("bucket events", "ok", f"{lake} tells EventBridge of every object")
        return
    fix = (
        f"aws s3api put-bucket-notification-configuration --bucket {quoted(lake)} "
        "--notification-configuration '{\"EventBridgeConfiguration\": {}}'"
    )
    said = f"{lake} does not tell EventBridge of its objects: only the sweep finds uploads"
    yield Finding("bucket events", "wrong", said, fix)


def upload_rule(patient: Patient) -> Iterable[Finding]:
    """Look whether the rule for uploads is on and sends them to the intake queue."""
    stack = patient.stack
    rule = _required(patient, "UploadRule").rpartition("|")[2]
    events = patient.clients.of("events")
    held = events.describe_rule(Name=rule)
    if held.get("State") != "ENABLED":
        fix = f"aws events enable-rule --name {quoted(rule)}"
        yield Finding("upload rule", "wrong", f"{rule} is {held.get('State')}", fix)
    queue = patient.clients.sqs.get_queue_attributes(
        QueueUrl=_required(patient, "IntakeQueue"), AttributeNames=["QueueArn", "Policy"]
    )["Attributes"]
    targets = [item["Arn"] for item in events.list_targets_by_rule(Rule=rule)["Targets"]]
    if queue["QueueArn"] not in targets:
        said = f"{rule} does not send to {queue['QueueArn']}"
        yield Finding("upload rule", "wrong", said, DEPLOY)
    elif not _lets_events_in(json.loads(queue.get("Policy") or "{}")):
        said = "the intake queue's policy does not let EventBridge send to it"
        yield Finding("upload rule", "wrong", said, DEPLOY)
    elif held.get("State") == "ENABLED":
        yield Finding("upload rule", "ok", f"{rule} sends uploads of {stack.lake_bucket} to intake")


def consumers(patient: Patient) -> Iterable[Finding]:
    """Look whether somebody takes the messages of each queue."""
    letters = [queue for queue in DeadLetters(patient.stack).queues() if queue.source_url]
    lambdas = patient.clients.of("lambda")
    pages = lambdas.get_paginator("list_event_source_mappings").paginate()
    of_queue = {
        item["EventSourceArn"]: item for page in pages for item in page["EventSourceMappings"]
    }
    off = 0
    for queue in letters:
        arn = f"{queue.arn.rpartition(':')[0]}:{str(queue.source_url).rpartition('/')[2]}"
        held = of_queue.get(arn)
        if held is None:
            off += 1
            yield Finding("consumers", "wrong", f"nobody takes messages of {queue.source}", DEPLOY)
        elif held.get("State") not in ("Enabled", "Enabling", "Updating"):
            off += 1
            fix = f"aws lambda update-event-source-mapping --uuid {held['UUID']} --enabled"
            said = f"{queue.source} is not read: its mapping is {held.get('State')}"
            yield Finding("consumers", "wrong", said, fix)
    if not off:
        names = ", ".join(str(queue.source) for queue in letters)
        yield Finding("consumers", "ok", f"functions take the messages of {names}")


def dead_letters(patient: Patient) -> Iterable[Finding]:
    """Look whether something could not be delivered."""
    queues = DeadLetters(patient.stack).queues()
    for queue in queues:
        if queue.waiting:
            wait = "messages wait" if queue.waiting != 1 else "message waits"
            said = f"{queue.waiting} {wait} in {queue.name}"
            yield Finding("dead letters", "wrong", said, f"tidemill dlq show {queue.name}")
    if not any(queue.waiting for queue in queues):
        yield Finding("dead letters", "ok", f"{len(queues)} queues, all empty")


def roles(patient: Patient) -> Iterable[Finding]:
    """Look whether jobs may do what they do, by simulation where IAM offers it."""
    stack, iam = patient.stack, patient.clients.of("iam")
    name = _required(patient, "ExecutionRole")
    role = iam.get_role(RoleName=name)["Role"]
    trust = json.dumps(role["AssumeRolePolicyDocument"])
    if "sagemaker.amazonaws.com" not in trust:
        said = f"SageMaker may not assume {name}"
        yield Finding("roles", "wrong", said, DEPLOY)
        return
    buckets = {"lake": stack.lake_bucket, "artifacts": stack.artifact_bucket}
    denied = []
    try:
        for action, bucket, key in _AS_JOBS:
            answer = iam.simulate_principal_policy(
                PolicySourceArn=role["Arn"],
                ActionNames=[action],
                ResourceArns=[f"arn:aws:s3:::{buckets[bucket]}/{key}"],
            )
            results = answer["EvaluationResults"]
            if any(result["EvalDecision"] != "allowed" for result in results):
                denied.append(f"{action} on {buckets[bucket]}/{key.partition('/')[0]}/")
    except ClientError as error:
        policies = ", ".join(iam.list_role_policies(RoleName=name)["PolicyNames"]) or "none"
        said = f"{name} is SageMaker's, with the policies {policies}; not simulated: {_code(error)}"
        yield Finding("roles", "unseen", said)
        return
    for what in denied:
        yield Finding("roles", "wrong", f"{name} may not {what}", DEPLOY)
    if not denied:
        yield Finding("roles", "ok", f"{name} may read uploads and write what it makes")


def image(patient: Patient) -> Iterable[Finding]:
    """Look whether the image that jobs run in exists."""
    uri = _parameters(patient).get("JobsImageUri")
    if not uri:
        raise UnseenError("the stack has no parameter JobsImageUri")
    registry, _, rest = uri.partition("/")
    repository = rest.partition("@")[0].partition(":")[0]
    if patient.local:
        if repository == _OWN_IMAGE:
            yield Finding("image", "ok", f"{uri}: the local cloud runs tidemill_jobs itself for it")
        else:
            said = (
                f"{uri} is not ours; the local cloud needs a command for it: `tidemill images add`"
            )
            yield Finding("image", "unseen", said, "docs/local-cloud.md says how")
        return
    account, region = registry.split(".")[0], registry.split(".")[3]
    wanted = {"imageDigest": rest.partition("@")[2]} if "@" in rest else {"imageTag": _tag(rest)}
    fix = f"build jobs/Dockerfile and push it as {uri}, or deploy with another JobsImageUri"
    try:
        patient.session.client("ecr", region_name=region).describe_images(
            registryId=account, repositoryName=repository, imageIds=[wanted]
        )
    except ClientError as error:
        if _code(error) not in ("RepositoryNotFoundException", "ImageNotFoundException"):
            raise
        yield Finding("image", "wrong", f"there is no image {uri}", fix)
        return
    yield Finding("image", "ok", uri)


def instance_types(patient: Patient) -> Iterable[Finding]:
    """Look whether SageMaker offers the machines that the specs name."""
    offered = {
        "training job": instances.TRAINING,
        "processing job": instances.PROCESSING,
        "endpoint": instances.HOSTING,
    }
    uses = _machines(patient)
    bad = [use for use in uses if use.machine not in offered[use.work]]
    for use in bad:
        said = f"SageMaker offers no {use.machine} for a {use.work} ({', '.join(use.refs)})"
        yield Finding("instance types", "wrong", said, "tidemill apply model.yaml, with another")
    if not uses:
        yield Finding("instance types", "ok", "no model is applied yet")
    elif not bad:
        names = ", ".join(sorted({use.machine for use in uses}))
        yield Finding("instance types", "ok", f"{names}: offered by SageMaker")


def quotas(patient: Patient) -> Iterable[Finding]:
    """Look whether the account may have as many of them as the specs need."""
    uses = _machines(patient)
    if patient.local or not uses:
        return
    pages = (
        patient.clients.of("service-quotas")
        .get_paginator("list_service_quotas")
        .paginate(ServiceCode="sagemaker")
    )
    held = {item["QuotaName"]: item for page in pages for item in page["Quotas"]}
    known = [
        (use, quota) for use in uses if (quota := held.get(f"{use.machine} for {use.work} usage"))
    ]
    short = [(use, quota) for use, quota in known if quota["Value"] < use.count]
    for use, quota in short:
        said = (
            f"the quota of {use.machine} for {use.work}s is {quota['Value']:g}; "
            f"{', '.join(use.refs)} needs {use.count}"
        )
        fix = (
            "aws service-quotas request-service-quota-increase --service-code sagemaker "
            f"--quota-code {quota['QuotaCode']} --desired-value {use.count}"
        )
        yield Finding("quotas", "wrong", said, fix)
    if not short:
        said = f"enough of them: {len(known)} of {len(uses)} uses have a quota that can be read"
        yield Finding("quotas", "ok", said)


@dataclass(frozen=True, slots=True)
class _Use:
    """What a machine is used for, how many at once at most, and by which models."""

    work: str
    machine: str
    count: int
    refs: tuple[str, ...]


def _machines(patient: Patient) -> list[_Use]:
    specs = patient.stack.stores.specs
    found: dict[tuple[str, str], _Use] = {}
    for spec in filter(None, map(specs.find, specs.refs())):
        compute = spec.train.compute.instance
        jobs = [("training job", compute, 1), ("processing job", compute, 1)]
        for work, machine, count in [*jobs, ("endpoint", spec.deploy.instance, spec.deploy.count)]:
            held = found.get((work, machine), _Use(work, machine, 0, ()))
            found[work, machine] = _Use(
                work, machine, max(held.count, count), (*held.refs, spec.ref)
            )
    return list(found.values())


def _required(patient: Patient, logical: str) -> str:
    found = patient.stack.resource(logical)
    if found is None:
        raise UnseenError(f"the stack has no {logical}; it is of another version")
    return found


def _parameters(patient: Patient) -> dict[str, Any]:
    stack = patient.stack
    described = patient.clients.cloudformation.describe_stacks(StackName=stack.name)["Stacks"][0]
    return {
        item["ParameterKey"]: item.get("ParameterValue") for item in described.get("Parameters", [])
    }


def _lets_events_in(policy: Mapping[str, Any]) -> bool:
    return any(
        statement.get("Effect") == "Allow" and "events.amazonaws.com" in json.dumps(statement)
        for statement in policy.get("Statement", [])
    )


def _tag(rest: str) -> str:
    return rest.partition(":")[2] or "latest"


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


CHECKS: tuple[tuple[str, Check], ...] = (
    ("stack", deployed),
    ("bucket events", bucket_events),
    ("upload rule", upload_rule),
    ("consumers", consumers),
    ("dead letters", dead_letters),
    ("roles", roles),
    ("image", image),
    ("instance types", instance_types),
    ("quotas", quotas),
)
