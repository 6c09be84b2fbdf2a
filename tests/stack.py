"""What template.yaml deploys, under the names that tests in one process give it."""

import fnmatch
from typing import Any

from .infrastructure.template_model import as_list, resolve

REGION = "us-east-1"
ACCOUNT = "123456789012"  # moto's
STACK = "tidemill"
LAKE, ARTIFACTS, ANCHORS = "tidemill-lake", "tidemill-artifacts", "tidemill-anchors"
STATE, LEDGER = "tidemill-state", "tidemill-ledger"
BUS = "tidemill"
QUEUES = ("IntakeQueue", "TruthQueue", "DeliveryQueue", "TriggerQueue")
ROLE = f"arn:aws:iam::{ACCOUNT}:role/tidemill-ExecutionRole-1"
IMAGE = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/tidemill-jobs:1"


def machine(name: str) -> str:
    return f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:{STACK}-{name}"


def sagemaker(kind: str, name: str) -> str:
    return f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:{kind}/{name}"


def queue_url(name: str) -> str:
    return f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{name}"


def queue_arn(name: str) -> str:
    return f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"


REFS = {
    "AWS::StackName": STACK,
    "StateTable": STATE,
    "LedgerTable": LEDGER,
    "LakeBucket": LAKE,
    "ArtifactBucket": ARTIFACTS,
    "AnchorBucket": ANCHORS,
    "Bus": BUS,
    "Check": machine("check"),
    "Retrain": machine("retrain"),
    "Rollout": machine("rollout"),
    "Watch": machine("watch"),
    "JobsImageUri": IMAGE,
    "LedgerRetentionDays": "0",
    "LogRetentionDays": "30",
    "ScheduleGroup": STACK,
    **{name: queue_url(name) for name in QUEUES},
}
ARNS = {
    "StateTable": f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{STATE}",
    "LedgerTable": f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{LEDGER}",
    "LakeBucket": f"arn:aws:s3:::{LAKE}",
    "ArtifactBucket": f"arn:aws:s3:::{ARTIFACTS}",
    "AnchorBucket": f"arn:aws:s3:::{ANCHORS}",
    "Bus": f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/{BUS}",
    "ExecutionRole": ROLE,
    "SchedulerRole": f"arn:aws:iam::{ACCOUNT}:role/tidemill-SchedulerRole-1",
    "RaiseTriggerFunction": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:RaiseTrigger",
    "StartWatchFunction": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:StartWatch",
    "EventDeadLetters": queue_arn("EventDeadLetters"),
    **{name: queue_arn(name) for name in QUEUES},
}


def value(node: Any, template: dict[str, Any]) -> str:
    """Return what *node*, an intrinsic or a text, is in this deployment."""
    match node:
        case {"Ref": name} if name in REFS:
            return REFS[name]
        case {"Fn::GetAtt": [name, "Arn"]} | {"Fn::GetAtt": str(name)}:
            return ARNS[name.removesuffix(".Arn")]
        case {"Fn::Sub": str(text)}:
            for name, arn in ARNS.items():
                text = text.replace(f"${{{name}.Arn}}", arn)
            text = text.replace("${ScheduleGroup}", STACK)
            resolved = resolve({"Fn::Sub": text.replace("${AWS::AccountId}", ACCOUNT)}, template)
            return str(resolved)
        case str():
            return node
    raise ValueError(f"not known before a deployment: {node}")


def logical_id(function: str) -> str:
    """Return `AdmitUploadFunction` for `admit_upload`."""
    return "".join(word.capitalize() for word in function.split("_")) + "Function"


def environment(function: str, template: dict[str, Any]) -> dict[str, str]:
    """Return the variables that the template gives to `functions/<function>`."""
    body = template["Resources"][logical_id(function)]["Properties"]
    given = {
        **template["Globals"]["Function"].get("Environment", {}).get("Variables", {}),
        **body.get("Environment", {}).get("Variables", {}),
    }
    return {name: value(node, template) for name, node in given.items()}


def table(name: str, template: dict[str, Any]) -> dict[str, Any]:
    """Return the CreateTable request of a table of the template."""
    properties = template["Resources"][name]["Properties"]
    kept = ("AttributeDefinitions", "KeySchema", "BillingMode", "GlobalSecondaryIndexes")
    return {"TableName": REFS[name]} | {key: properties[key] for key in kept if key in properties}


def allows(function: str, action: str, resource: str, template: dict[str, Any]) -> bool:
    """Whether the policies of `functions/<function>` grant *action* on *resource* (an ARN)."""
    body = template["Resources"][logical_id(function)]["Properties"]
    return any(
        action in as_list(statement["Action"])
        and any(
            fnmatch.fnmatchcase(resource, value(node, template))
            for node in as_list(statement["Resource"])
        )
        for policy in body.get("Policies", [])
        for statement in policy["Statement"]
    )
