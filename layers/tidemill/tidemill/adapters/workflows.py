"""Executions of one state machine: started under a name of ours, described, listed."""

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient
    from mypy_boto3_stepfunctions.literals import ExecutionStatusType
    from mypy_boto3_stepfunctions.type_defs import ExecutionListItemTypeDef


class Workflows:
    """The name of an execution is its identity: starting it twice starts it once."""

    def __init__(self, client: "SFNClient", machine_arn: str) -> None:
        self._client = client
        self._machine = machine_arn

    def start(self, name: str, document: dict[str, Any]) -> str:
        """Start the execution *name* unless it was started before; return its ARN."""
        try:
            return self._client.start_execution(
                stateMachineArn=self._machine, name=name, input=json.dumps(document)
            )["executionArn"]
        except self._client.exceptions.ExecutionAlreadyExists:
            return self.arn(name)

    def arn(self, name: str) -> str:
        """Return the ARN that the execution *name* has or would have."""
        return f"{self._machine.replace(':stateMachine:', ':execution:')}:{name}"

    def find(self, name: str) -> dict[str, Any] | None:
        """Return DescribeExecution's answer, or None when it was never started."""
        try:
            return dict(self._client.describe_execution(executionArn=self.arn(name)))
        except self._client.exceptions.ExecutionDoesNotExist:
            return None

    def executions(self, status: "ExecutionStatusType") -> "list[ExecutionListItemTypeDef]":
        """Return the machine's executions that have *status*, as ListExecutions tells them."""
        pages = self._client.get_paginator("list_executions").paginate(
            stateMachineArn=self._machine, statusFilter=status
        )
        return [execution for page in pages for execution in page["executions"]]
