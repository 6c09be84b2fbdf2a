"""The deployed stack: found by name, known by its outputs, written to through its functions."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from tidemill.adapters.endpoints import Endpoints
from tidemill.adapters.jobs import Jobs
from tidemill.adapters.lake import Lake
from tidemill.adapters.registry import Registry
from tidemill.adapters.stores import Stores
from tidemill.adapters.workflows import Workflows
from tidemill.names import aws_name
from tidemill_cli.failures import (
    INPUT_ERRORS,
    MalformedError,
    RefusedError,
    UnreachableError,
    local_cloud_hint,
)

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_sagemaker_runtime import SageMakerRuntimeClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_stepfunctions import SFNClient

_CONFIG = Config(connect_timeout=5, read_timeout=70, retries={"mode": "standard"})
#: DeleteModelFunction may take 120 s (template.yaml). A call that was not answered is not
#: repeated: it may have been carried out.
_ONCE = _CONFIG.merge(
    Config(read_timeout=130, retries={"mode": "standard", "total_max_attempts": 1})
)


class Clients:
    """One client per service, made at first use."""

    def __init__(self, session: boto3.Session) -> None:
        self._session = session
        self._others: dict[str, Any] = {}

    def of(self, service: str) -> Any:
        """Return the client of a service that few commands ask."""
        if service not in self._others:
            # botocore's stubs know services by their literal names only.
            make: Any = self._session.client
            self._others[service] = make(service, config=_CONFIG)
        return self._others[service]

    @cached_property
    def cloudformation(self) -> "CloudFormationClient":
        """CloudFormation."""
        return self._session.client("cloudformation", config=_CONFIG)

    @cached_property
    def dynamodb(self) -> "DynamoDBClient":
        """DynamoDB."""
        return self._session.client("dynamodb", config=_CONFIG)

    @cached_property
    def functions(self) -> "LambdaClient":
        """Lambda."""
        return self._session.client("lambda", config=_ONCE)

    @cached_property
    def logs(self) -> "CloudWatchLogsClient":
        """CloudWatch Logs."""
        return self._session.client("logs", config=_CONFIG)

    @cached_property
    def s3(self) -> "S3Client":
        """S3."""
        return self._session.client("s3", config=_CONFIG)

    @cached_property
    def sagemaker(self) -> "SageMakerClient":
        """SageMaker's control plane."""
        return self._session.client("sagemaker", config=_CONFIG)

    @cached_property
    def sagemaker_runtime(self) -> "SageMakerRuntimeClient":
        """SageMaker's endpoints."""
        return self._session.client("sagemaker-runtime", config=_CONFIG)

    @cached_property
    def sqs(self) -> "SQSClient":
        """SQS."""
        return self._session.client("sqs", config=_CONFIG)

    @cached_property
    def stepfunctions(self) -> "SFNClient":
        """Step Functions."""
        return self._session.client("stepfunctions", config=_CONFIG)


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource of the stack, by the template's name for it."""

    logical: str
    physical: str  # what Ref gives: a name, an ARN, a queue's URL
    type: str
    status: str


class Stack:
    """Everything the commands read is reached from the stack's outputs."""

    def __init__(self, name: str, outputs: Mapping[str, str], clients: Clients) -> None:
        self.name = name
        self.clients = clients
        self.outputs = outputs

    @classmethod
    def find(cls, name: str, clients: Clients | None = None) -> Self:
        """
        Find the stack *name* where the environment points.

        Raises:
            UnreachableError: There is no such stack; the message says how to come by one.
        """
        clients = clients or Clients(boto3.Session())
        try:
            described = clients.cloudformation.describe_stacks(StackName=name)["Stacks"][0]
        except ClientError as error:
            if error.response["Error"]["Code"] != "ValidationError":
                raise
            region = clients.cloudformation.meta.region_name
            raise UnreachableError(
                f"there is no stack {name} in {region}; deploy it (in a checkout: `make deploy`) "
                f"or name another with --stack{local_cloud_hint()}"
            ) from error
        outputs = {
            output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", [])
        }
        if not outputs:
            raise UnreachableError(
                f"the stack {name} is {described['StackStatus']} and has no outputs; "
                "wait until it is deployed, or deploy it again"
            )
        return cls(name, outputs, clients)

    def output(self, key: str) -> str:
        """
        Return one of the stack's outputs.

        Raises:
            UnreachableError: The stack is of another version, or is no Tidemill.
        """
        try:
            return self.outputs[key]
        except KeyError:
            raise UnreachableError(
                f"the stack {self.name} has no output {key}: it is no Tidemill, or one of another "
                "version; deploy this version (in a checkout: `make deploy`)"
            ) from None

    @property
    def lake_bucket(self) -> str:
        """The bucket that uploads go to."""
        return self.output("LakeBucket")

    @property
    def artifact_bucket(self) -> str:
        """The bucket that only automation writes."""
        return self.output("ArtifactBucket")

    @cached_property
    def resources(self) -> tuple[Resource, ...]:
        """All that the stack is made of, in the order of CloudFormation."""
        pages = self.clients.cloudformation.get_paginator("list_stack_resources").paginate(
            StackName=self.name
        )
        return tuple(
            Resource(
                item["LogicalResourceId"],
                item.get("PhysicalResourceId", ""),
                item["ResourceType"],
                item["ResourceStatus"],
            )
            for page in pages
            for item in page["StackResourceSummaries"]
        )

    def resource(self, logical: str) -> str | None:
        """Return the physical id of a resource, or None when the stack has none of that name."""
        found = (item for item in self.resources if item.logical == logical)
        return next((item.physical for item in found if item.physical), None)

    @cached_property
    def stores(self) -> Stores:
        """The two tables, to be read."""
        return Stores(
            self.clients.dynamodb,
            state_table=self.output("StateTable"),
            ledger_table=self.output("LedgerTable"),
        )

    @cached_property
    def registry(self) -> Registry:
        """Versions."""
        return Registry(self.clients.sagemaker)

    @cached_property
    def endpoints(self) -> Endpoints:
        """What is in service."""
        return Endpoints(self.clients.sagemaker, self.clients.sagemaker_runtime)

    @cached_property
    def jobs(self) -> Jobs:
        """Pipelines and their executions."""
        return Jobs(self.clients.sagemaker)

    @cached_property
    def lake(self) -> Lake:
        """Documents in S3."""
        return Lake(self.clients.s3)

    @cached_property
    def retrain(self) -> Workflows:
        """Executions of the retrain machine."""
        return Workflows(self.clients.stepfunctions, self.output("RetrainArn"))

    def aws_name(self, ref: str) -> str:
        """Return what the model's package group, pipeline and endpoint are called."""
        project, _, model = ref.partition("/")
        return aws_name(self.name, project, model)

    def invoke(self, output: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        """
        Call the function that the stack's output *output* names, and return its answer.

        Raises:
            MalformedError: The function refused the input.
            RefusedError: The function failed otherwise.
            UnreachableError: There is no such function.
        """
        client = self.clients.functions
        try:
            answer = client.invoke(
                FunctionName=self.output(output), Payload=json.dumps(payload).encode()
            )
        except client.exceptions.ResourceNotFoundException as error:
            raise UnreachableError(
                f"the stack's function {self.output(output)} is gone; deploy the stack again"
            ) from error
        document = json.loads(answer["Payload"].read() or b"null")
        if answer.get("FunctionError"):
            raise _refusal(output, document or {})
        return dict(document or {})


def _refusal(output: str, document: Mapping[str, Any]) -> Exception:
    """Return the error that a function's answer means; its class name is the error's name."""
    name = str(document.get("errorType", ""))
    said = str(document.get("errorMessage", "it gave no reason"))
    if name in INPUT_ERRORS:
        return MalformedError(said)
    if name.endswith("Error") and name in _our_errors():
        return RefusedError(said)
    function = output.removesuffix("FunctionName")
    return RefusedError(f"the stack's function {function} failed: {name or 'unknown'}: {said}")


def _our_errors() -> frozenset[str]:
    from tidemill import errors  # noqa: PLC0415  # needed only here

    return frozenset(vars(errors))
