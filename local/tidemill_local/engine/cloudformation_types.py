"""CloudFormation types that ministack refuses, and properties of tables and buckets it drops."""

import json
from typing import Any

from ministack.services import cloudwatch, dynamodb, eventbridge, s3, stepfunctions
from ministack.services.cloudformation import provisioners

from tidemill_local.engine.hooks import expect, expect_value
from tidemill_local.engine.surroundings import Surroundings

# Recorded only: the stack deploys, and nothing acts on them here.
_RECORDED = (
    "AWS::ApplicationAutoScaling::ScalableTarget",
    "AWS::ApplicationAutoScaling::ScalingPolicy",
    "AWS::Budgets::Budget",
    "AWS::CloudTrail::Trail",
    "AWS::CloudWatch::AnomalyDetector",
    "AWS::Logs::QueryDefinition",
    "AWS::SNS::TopicInlinePolicy",
    "AWS::XRay::Group",
)
_FAILED = 400  # HTTP statuses from here on

Attributes = tuple[str, dict[str, Any]]
"""What CloudFormation keeps of a resource: its physical id (Ref) and its attributes (GetAtt)."""


class ResourceFailedError(Exception):
    """A resource could not be made, changed or deleted; CloudFormation shows the message."""


def check() -> None:
    """Require the table of types, and what ours are made with."""
    expect_value(provisioners, "_RESOURCE_HANDLERS", dict)
    expect(provisioners, "_ddb_create", "(logical_id, props, stack_name)")
    expect(
        provisioners, "_ddb_update",
        "(physical_id, old_props, new_props, stack_name, logical_id=None)",
    )  # fmt: skip
    expect(provisioners, "_s3_create", "(logical_id, props, stack_name)")
    expect(provisioners, "_s3_update", "(physical_id, old_props, new_props, stack_name)")
    expect_value(s3, "_bucket_object_lock", s3.AccountScopedDict)
    expect(
        provisioners, "_physical_name",
        "(stack_name, logical_id, *, lowercase=False, max_len=128, seeded=True)",
    )  # fmt: skip
    for name in (
        "_publish_state_machine_version", "_delete_state_machine_version",
        "_create_state_machine_alias", "_update_state_machine_alias",
        "_delete_state_machine_alias",
    ):  # fmt: skip
        expect(stepfunctions, name, "(data)")
    expect(cloudwatch, "_put_composite_alarm", "(params, cbor_data, is_cbor, is_json=False)")
    expect(cloudwatch, "_delete_alarms", "(params, cbor_data, is_cbor, is_json=False)")
    expect(eventbridge, "_create_archive", "(data)")
    expect(eventbridge, "_delete_archive", "(data)")
    expect(dynamodb, "_sse_description_from_spec", "(spec)")
    expect_value(dynamodb, "_pitr_settings", dynamodb.AccountRegionScopedDict)
    expect_value(dynamodb, "_ttl_settings", dynamodb.AccountRegionScopedDict)


def apply(_: Surroundings) -> None:
    """Add the types."""
    handlers = provisioners._RESOURCE_HANDLERS
    handlers |= {name: {"create": _record, "delete": _forget} for name in _RECORDED}
    handlers |= {
        "AWS::StepFunctions::StateMachineVersion": {
            "create": _create_version,
            "delete": _delete_version,
        },
        "AWS::StepFunctions::StateMachineAlias": {
            "create": _create_alias,
            "update": _update_alias,
            "delete": _delete_alias,
        },
        "AWS::CloudWatch::CompositeAlarm": {
            "create": _create_composite_alarm,
            "update": _update_composite_alarm,
            "delete": _delete_composite_alarm,
        },
        "AWS::Events::Archive": {"create": _create_archive, "delete": _delete_archive},
    }
    handlers["AWS::DynamoDB::Table"] |= {"create": _create_table, "update": _update_table}
    handlers["AWS::S3::Bucket"] |= {"create": _create_bucket, "update": _update_bucket}


def _record(logical_id: str, _: dict[str, Any], stack: str) -> Attributes:
    name = provisioners._physical_name(stack, logical_id)
    return name, {"Arn": name, "Id": name}


def _forget(_: str, __: dict[str, Any]) -> None:
    """There is nothing to delete."""


def _create_bucket(logical_id: str, properties: dict[str, Any], stack: str) -> Attributes:
    name, attributes = provisioners._s3_create(logical_id, properties, stack)
    _lock_objects(name, properties)
    return name, attributes


def _update_bucket(
    physical_id: str, old: dict[str, Any], new: dict[str, Any], stack: str
) -> Attributes:
    name, attributes = provisioners._s3_update(physical_id, old, new, stack)
    _lock_objects(name, new)
    return name, attributes


def _lock_objects(bucket: str, properties: dict[str, Any]) -> None:
    """Have S3 apply the bucket's default retention to each new object version."""
    if not _truth(properties.get("ObjectLockEnabled")):
        return
    rule = (properties.get("ObjectLockConfiguration") or {}).get("Rule") or {}
    retention = dict(rule.get("DefaultRetention") or {})
    for unit in ("Days", "Years"):
        if unit in retention:  # a parameter comes as text
            retention[unit] = int(retention[unit])
    s3._bucket_object_lock[bucket] = {"enabled": True, "default_retention": retention or None}


def _create_table(logical_id: str, properties: dict[str, Any], stack: str) -> Attributes:
    name, attributes = provisioners._ddb_create(logical_id, properties, stack)
    _settle_table(name, properties)
    return name, attributes


def _update_table(
    physical_id: str, old: dict[str, Any], new: dict[str, Any], stack: str,
    logical_id: str | None = None,
) -> Attributes:  # fmt: skip
    name, attributes = provisioners._ddb_update(physical_id, old, new, stack, logical_id)
    _settle_table(name, new)
    return name, attributes


def _settle_table(name: str, properties: dict[str, Any]) -> None:
    recovery = properties.get("PointInTimeRecoverySpecification") or {}
    dynamodb._pitr_settings[name] = _truth(recovery.get("PointInTimeRecoveryEnabled"))
    encryption = dict(properties.get("SSESpecification") or {})
    if "SSEEnabled" in encryption:  # CloudFormation's name for the API's Enabled
        encryption["Enabled"] = _truth(encryption.pop("SSEEnabled"))
        description = dynamodb._sse_description_from_spec(encryption)
        dynamodb._tables[name]["SSEDescription"] = description
    expiry = properties.get("TimeToLiveSpecification")
    if expiry:
        enabled = _truth(expiry.get("Enabled"))
        dynamodb._ttl_settings[name] = {
            "TimeToLiveStatus": "ENABLED" if enabled else "DISABLED",
            "AttributeName": expiry.get("AttributeName", ""),
        }


def _create_version(_: str, properties: dict[str, Any], __: str) -> Attributes:
    answer = _called(stepfunctions._publish_state_machine_version({
        "stateMachineArn": properties["StateMachineArn"],
        "description": properties.get("Description", ""),
    }))  # fmt: skip
    arn = answer["stateMachineVersionArn"]
    return arn, {"Arn": arn}


def _delete_version(arn: str, _: dict[str, Any]) -> None:
    _called(stepfunctions._delete_state_machine_version({"stateMachineVersionArn": arn}))


def _create_alias(logical_id: str, properties: dict[str, Any], stack: str) -> Attributes:
    name = properties.get("Name") or provisioners._physical_name(stack, logical_id, max_len=80)
    answer = _called(stepfunctions._create_state_machine_alias({
        "name": name,
        "description": properties.get("Description", ""),
        "routingConfiguration": _routing(properties),
    }))  # fmt: skip
    arn = answer["stateMachineAliasArn"]
    return arn, {"Arn": arn}


def _update_alias(arn: str, _: dict[str, Any], new: dict[str, Any], __: str) -> Attributes:
    _called(stepfunctions._update_state_machine_alias({
        "stateMachineAliasArn": arn,
        "description": new.get("Description", ""),
        "routingConfiguration": _routing(new),
    }))  # fmt: skip
    return arn, {"Arn": arn}


def _delete_alias(arn: str, _: dict[str, Any]) -> None:
    _called(stepfunctions._delete_state_machine_alias({"stateMachineAliasArn": arn}))


def _routing(properties: dict[str, Any]) -> list[dict[str, Any]]:
    deployment = properties.get("DeploymentPreference") or {}
    if "StateMachineVersionArn" in deployment:  # shifting traffic in steps takes AWS; here at once
        return [{"stateMachineVersionArn": deployment["StateMachineVersionArn"], "weight": 100}]
    return [
        {
            "stateMachineVersionArn": route["StateMachineVersionArn"],
            "weight": int(route.get("Weight", 100)),
        }
        for route in properties.get("RoutingConfiguration") or ()
    ]


def _create_composite_alarm(logical_id: str, properties: dict[str, Any], stack: str) -> Attributes:
    name = properties.get("AlarmName") or provisioners._physical_name(stack, logical_id)
    return _put_composite_alarm(name, properties)


def _update_composite_alarm(
    name: str, _: dict[str, Any], new: dict[str, Any], __: str
) -> Attributes:
    return _put_composite_alarm(name, new)


def _put_composite_alarm(name: str, properties: dict[str, Any]) -> Attributes:
    request = {**properties, "AlarmName": name}
    _called(cloudwatch._put_composite_alarm({}, request, is_cbor=False, is_json=True))
    return name, {"Arn": cloudwatch._composite_alarms[name]["AlarmArn"]}


def _delete_composite_alarm(name: str, _: dict[str, Any]) -> None:
    request = {"AlarmNames": [name]}
    _called(cloudwatch._delete_alarms({}, request, is_cbor=False, is_json=True))


def _create_archive(logical_id: str, properties: dict[str, Any], stack: str) -> Attributes:
    name = properties.get("ArchiveName") or provisioners._physical_name(
        stack, logical_id, max_len=48
    )
    pattern = properties.get("EventPattern", "")
    answer = _called(eventbridge._create_archive({
        "ArchiveName": name,
        "EventSourceArn": properties["SourceArn"],
        "Description": properties.get("Description", ""),
        "EventPattern": pattern if isinstance(pattern, str) else json.dumps(pattern),
        "RetentionDays": int(properties.get("RetentionDays", 0)),
    }))  # fmt: skip
    return name, {"Arn": answer["ArchiveArn"], "ArchiveName": name}


def _delete_archive(name: str, _: dict[str, Any]) -> None:
    _called(eventbridge._delete_archive({"ArchiveName": name}))


def _called(answer: tuple[int, dict[str, str], Any]) -> dict[str, Any]:
    status, _, body = answer
    document: dict[str, Any] = json.loads(body or b"{}")
    if status >= _FAILED:
        raise ResourceFailedError(document.get("message") or str(document))
    return document


def _truth(value: Any) -> bool:
    """CloudFormation hands on booleans as written, quoted ones too."""
    return str(value).lower() == "true"
