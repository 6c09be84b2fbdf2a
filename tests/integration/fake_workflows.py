"""Step Functions as far as the functions ask it: executions by name, and task tokens."""

import json
from datetime import UTC, datetime
from typing import Any

from ..stack import machine
from .fake_sagemaker import RefusedError

PAGE = 100  # as Step Functions has it


class FakeWorkflows:
    """Executions that go on until a test ends them, and tokens that can be answered once."""

    def __init__(self) -> None:
        self.executions: dict[str, dict[str, Any]] = {}
        self.tokens: set[str] = set()
        self.answered: dict[str, dict[str, Any]] = {}

    def answer(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = getattr(self, f"_{operation}")(request)
        return found

    def of(self, workflow: str) -> dict[str, dict[str, Any]]:
        """Return the inputs of a machine's executions by name."""
        return {
            body["name"]: json.loads(body["input"])
            for body in self.executions.values()
            if body["stateMachineArn"] == machine(workflow)
        }

    def begin(self, workflow: str, name: str, document: dict[str, Any]) -> str:
        request = {"stateMachineArn": machine(workflow), "name": name}
        arn = self._StartExecution(request | {"input": json.dumps(document)})["executionArn"]
        return str(arn)

    def end(self, workflow: str, name: str, status: str, **more: Any) -> None:
        arn = f"{machine(workflow).replace(':stateMachine:', ':execution:')}:{name}"
        self.executions[arn] |= {"status": status, **more}

    def _StartExecution(self, request: dict[str, Any]) -> dict[str, Any]:
        machine_arn, name = request["stateMachineArn"], request["name"]
        arn = f"{machine_arn.replace(':stateMachine:', ':execution:')}:{name}"
        held = self.executions.get(arn)
        if held and (held["status"] != "RUNNING" or held["input"] != request["input"]):
            raise RefusedError("ExecutionAlreadyExists", f"Execution Already Exists: '{arn}'")
        self.executions.setdefault(arn, {**request, "executionArn": arn, "status": "RUNNING"})
        return {"executionArn": arn}

    def _DescribeExecution(self, request: dict[str, Any]) -> dict[str, Any]:
        arn = request["executionArn"]
        if arn not in self.executions:
            raise RefusedError("ExecutionDoesNotExist", f"Execution Does Not Exist: '{arn}'")
        return dict(self.executions[arn])

    def _ListExecutions(self, request: dict[str, Any]) -> dict[str, Any]:
        """List them oldest first, where AWS lists the newest first."""
        found = [
            {key: body[key] for key in ("name", "executionArn", "status")}
            | {"startDate": datetime.now(UTC)}
            for body in self.executions.values()
            if body["stateMachineArn"] == request["stateMachineArn"]
            and body["status"] == request["statusFilter"]
        ]
        first = int(request.get("nextToken") or 0)
        more = {"nextToken": str(first + PAGE)} if len(found) > first + PAGE else {}
        return {"executions": found[first : first + PAGE], **more}

    def _SendTaskSuccess(self, request: dict[str, Any]) -> dict[str, Any]:
        return self._answer_once(request, {"output": json.loads(request["output"])})

    def _SendTaskFailure(self, request: dict[str, Any]) -> dict[str, Any]:
        return self._answer_once(request, {"error": request["error"], "cause": request["cause"]})

    def _answer_once(self, request: dict[str, Any], said: dict[str, Any]) -> dict[str, Any]:
        if request["taskToken"] not in self.tokens:
            raise RefusedError(
                "TaskTimedOut", "Task Timed Out: 'Provided task does not exist anymore'"
            )
        self.tokens.remove(request["taskToken"])
        self.answered[request["taskToken"]] = said
        return {}
