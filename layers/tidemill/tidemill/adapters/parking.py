"""
Parked task tokens: a workflow waits for a SageMaker resource without polling.

`park` stores the token and then describes the resource, since its event may have come first;
`resume` describes it on every event. Both end in `settle`, which answers only when the resource
is terminal for what the execution asked.
"""

import hashlib
import json
from typing import TYPE_CHECKING, Any

from tidemill.adapters.endpoints import Endpoints
from tidemill.adapters.items import marshal
from tidemill.adapters.jobs import Jobs
from tidemill.adapters.state import PARKED, State
from tidemill.domain import parking

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient


class Parking:
    """Tokens by the ARN of what they wait for (lower-cased, as SageMaker's events have it)."""

    def __init__(
        self, state: State, workflows: "SFNClient", jobs: Jobs, endpoints: Endpoints
    ) -> None:
        self._state = state
        self._workflows = workflows
        self._jobs = jobs
        self._endpoints = endpoints

    def put(
        self, *, resource: str, kind: parking.Kind, wanted: str, token: str, now: float
    ) -> None:
        """Store a token that waits for *resource*; *wanted* is an endpoint's configuration."""
        document = {
            "resource": resource,
            "kind": kind,
            "wanted": wanted,
            "token": token,
            "parked_at": now,
        }
        self._state.client.put_item(
            TableName=self._state.table,
            Item=self._state.item(PARKED, _fact(resource, token), document),
        )

    def settle(self, resource: str = "") -> int:
        """Answer every token whose *resource* is terminal; all resources when it is empty."""
        prefix = f"{resource.lower()}#" if resource else ""
        return sum(self._settle(item) for item in self._state.under(PARKED, prefix))

    def waits_for(self, resource: str) -> bool:
        """Say whether any execution waits for *resource*."""
        return bool(self._state.under(PARKED, f"{resource.lower()}#"))

    def _settle(self, item: dict[str, Any]) -> bool:
        answer = self._judge(item)
        if answer is None:
            return False
        client = self._workflows
        gone = (
            client.exceptions.TaskTimedOut,
            client.exceptions.TaskDoesNotExist,
            client.exceptions.InvalidToken,
        )
        try:
            if isinstance(answer, parking.Succeeded):
                client.send_task_success(taskToken=item["token"], output=json.dumps(answer.output))
            else:
                client.send_task_failure(
                    taskToken=item["token"], error=answer.error, cause=answer.cause
                )
        except gone:
            pass  # the execution ended otherwise; the token is of no use to anybody
        self._state.client.delete_item(
            TableName=self._state.table,
            Key=marshal({"owner": PARKED, "fact": _fact(item["resource"], item["token"])}),
        )
        return True

    def _judge(self, item: dict[str, Any]) -> parking.Answer | None:
        if item["kind"] == "pipeline":
            return parking.judge_pipeline(self._jobs.pipeline_execution(item["resource"]))
        name = item["resource"].rpartition("/")[2]
        return parking.judge_endpoint(self._endpoints.describe(name), item["wanted"])


def _fact(resource: str, token: str) -> str:
    return f"{resource.lower()}#{hashlib.sha256(token.encode()).hexdigest()[:16]}"
