"""What AWS would say of a call: the IAM action and resource it needs, words it may not use."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from moto import dynamodb

from ..stack import ACCOUNT, ARNS, BUS, LEDGER, REFS, REGION, STATE, machine, sagemaker

_TABLES = {STATE: ARNS["StateTable"], LEDGER: ARNS["LedgerTable"]}
_TRANSACTION = {
    "Put": "PutItem",
    "Update": "UpdateItem",
    "Delete": "DeleteItem",
    "ConditionCheck": "ConditionCheckItem",
}
_S3 = {
    "HeadObject": "GetObject",
    "GetObject": "GetObject",
    "PutObject": "PutObject",
    "GetObjectTagging": "GetObjectTagging",
    "PutObjectTagging": "PutObjectTagging",
}
_OF_VERSION = {
    "GetObject": "GetObjectVersion",
    "GetObjectTagging": "GetObjectVersionTagging",
    "PutObjectTagging": "PutObjectVersionTagging",
}
_SAGEMAKER = {
    "EndpointName": "endpoint",
    "EndpointConfigName": "endpoint-config",
    "PipelineName": "pipeline",
    "ModelPackageGroupName": "model-package-group",
    "ModelName": "model",
    "ProcessingJobName": "processing-job",
    "MonitoringScheduleName": "monitoring-schedule",
}
_SAGEMAKER_ARNS = ("PipelineExecutionArn", "ModelPackageName", "ModelPackageArn")


def needed(  # noqa: C901  # a table
    service: str, operation: str, request: dict[str, Any]
) -> Iterator[tuple[str, str]]:
    """Yield (action, resource ARN) of one call; the resource is `*` where AWS knows none."""
    match service, operation:
        case "dynamodb", _:
            yield from _dynamodb(operation, request)
        case "s3", _:
            yield _s3(operation, request)
        case "sqs", _:
            (name,) = (name for name, url in REFS.items() if url == request["QueueUrl"])
            yield f"sqs:{operation.removesuffix('Batch')}", ARNS[name]
        case "events", _:
            assert {entry["EventBusName"] for entry in request["Entries"]} == {BUS}
            yield f"events:{operation}", ARNS["Bus"]
        case "logs", _:
            group = f"log-group:{request.get('logGroupName', '')}:log-stream:"
            yield f"logs:{operation}", f"arn:aws:logs:{REGION}:{ACCOUNT}:{group}"
        case "scheduler", _:
            name = f"schedule/{request['GroupName']}/{request['Name']}"
            yield f"scheduler:{operation}", f"arn:aws:scheduler:{REGION}:{ACCOUNT}:{name}"
            if "Target" in request:
                yield "iam:PassRole", request["Target"]["RoleArn"]
        case "cloudwatch", _:
            yield f"cloudwatch:{operation}", "*"
        case "stepfunctions", ("SendTaskSuccess" | "SendTaskFailure"):
            for name in ("retrain", "rollout"):  # a token does not say which
                yield f"states:{operation}", machine(name)
        case "stepfunctions", _:
            arn = request.get("executionArn") or request["stateMachineArn"]
            yield f"states:{operation}", arn
        case _:
            yield from _sagemaker(operation, request)


def _dynamodb(operation: str, request: dict[str, Any]) -> Iterator[tuple[str, str]]:
    match operation:
        case "TransactWriteItems":
            for item in request["TransactItems"]:
                ((kind, write),) = item.items()
                yield f"dynamodb:{_TRANSACTION[kind]}", _TABLES[write["TableName"]]
        case "BatchGetItem" | "BatchWriteItem":
            for table in request["RequestItems"]:
                yield f"dynamodb:{operation}", _TABLES[table]
        case _:
            table = _TABLES[request["TableName"]]
            index = f"/index/{request['IndexName']}" if "IndexName" in request else ""
            yield f"dynamodb:{operation}", table + index


def _s3(operation: str, request: dict[str, Any]) -> tuple[str, str]:
    bucket = f"arn:aws:s3:::{request['Bucket']}"
    if operation == "ListObjectVersions":
        return "s3:ListBucketVersions", bucket
    if operation == "ListObjectsV2":
        return "s3:ListBucket", bucket
    action = _S3[operation]
    if "VersionId" in request:
        action = _OF_VERSION[action]
    return f"s3:{action}", f"{bucket}/{request['Key']}"


def _sagemaker(operation: str, request: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name in _SAGEMAKER_ARNS:
        if name in request:
            yield f"sagemaker:{operation}", request[name]
            return
    for name, kind in _SAGEMAKER.items():
        if name in request:
            yield f"sagemaker:{operation}", sagemaker(kind, request[name])
            return
    assert operation.startswith("List"), f"{operation}: on which resource?"
    yield f"sagemaker:{operation}", "*"


_RESERVED = frozenset(
    (Path(dynamodb.__file__).parent / "parsing" / "reserved_keywords.txt").read_text().split()
)
_SYNTAX = frozenset(("AND", "OR", "NOT", "IN", "BETWEEN", "SET", "ADD", "REMOVE", "DELETE"))
_NAME = re.compile(r"(?<![#:\w])[A-Za-z]\w*")


def reserved_words(request: Any) -> set[str]:
    """Return the attribute names in a DynamoDB request that it refuses; moto lets some pass."""
    found: set[str] = set()
    for key, value in request.items() if isinstance(request, dict) else ():
        if key.endswith("Expression"):
            found |= {name for name in _NAME.findall(value) if name.upper() in _RESERVED - _SYNTAX}
        for item in value if isinstance(value, list) else [value]:
            found |= reserved_words(item)
    return found
