"""
SageMaker as far as the functions ask it, answering as botocore would hand the answers on.

moto lacks pipeline steps, approvals with descriptions and pagination by name; the local cloud's
SageMaker has its own tests. Here every record is a plain dict that a test may set or read.
"""

import io
import json
from datetime import UTC, datetime
from typing import Any

from ..stack import IMAGE, sagemaker

CREATED = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)


class RefusedError(Exception):
    """The service answers with this error."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class FakeSageMaker:
    """Records by kind and name; `answer` dispatches on the operation."""

    def __init__(self) -> None:
        self.endpoints: dict[str, dict[str, Any]] = {}
        self.configs: dict[str, dict[str, Any]] = {}
        self.models: dict[str, dict[str, Any]] = {}
        self.pipelines: dict[str, dict[str, Any]] = {}
        self.executions: dict[str, dict[str, Any]] = {}
        self.steps: dict[str, list[dict[str, Any]]] = {}
        self.jobs: dict[str, dict[str, Any]] = {}
        self.groups: dict[str, dict[str, Any]] = {}
        self.packages: dict[str, dict[str, Any]] = {}
        self.monitors: dict[str, dict[str, Any]] = {}
        self.answers: list[Any] = []  # what the endpoint predicts

    def answer(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = getattr(self, f"_{operation}")(request)
        return found

    # ── what tests set up ────────────────────────────────────────────────────

    def add_endpoint(self, name: str, config: str, status: str = "InService", **more: Any) -> str:
        arn = sagemaker("endpoint", name.lower())
        self.endpoints[name] = {
            "EndpointName": name,
            "EndpointArn": arn,
            "EndpointConfigName": config,
            "EndpointStatus": status,
            **more,
        }
        return arn

    def add_version(
        self, group: str, number: int, approval: str = "PendingManualApproval", **more: Any
    ) -> str:
        self.groups.setdefault(group, {"ModelPackageGroupName": group})
        arn = sagemaker("model-package", f"{group}/{number}")
        self.packages[arn] = {
            "ModelPackageArn": arn,
            "ModelPackageGroupName": group,
            "ModelPackageVersion": number,
            "ModelApprovalStatus": approval,
            "CreationTime": CREATED,
            "LastModifiedTime": CREATED,
            "InferenceSpecification": {
                "Containers": [{"Image": IMAGE, "ModelDataUrl": f"s3://models/{number}.tar.gz"}]
            },
            "ModelMetrics": {
                "ModelQuality": {
                    "Statistics": {
                        "S3Uri": f"s3://tidemill-artifacts/pipelines/e{number}/evaluation.json"
                    }
                }
            },
            **more,
        }
        return arn

    def add_execution(self, pipeline: str, status: str = "Executing", **more: Any) -> str:
        arn = sagemaker("pipeline", f"{pipeline}/execution/p4jn9xou8a8s")
        self.executions[arn] = {"PipelineExecutionArn": arn, "PipelineExecutionStatus": status}
        self.executions[arn] |= more
        return arn

    # ── endpoints ────────────────────────────────────────────────────────────

    def _DescribeEndpoint(self, request: dict[str, Any]) -> dict[str, Any]:
        return _one(self.endpoints, request["EndpointName"], "Could not find endpoint")

    def _DeleteEndpoint(self, request: dict[str, Any]) -> dict[str, Any]:
        _one(self.endpoints, request["EndpointName"], "Could not find endpoint")
        del self.endpoints[request["EndpointName"]]
        return {}

    def _DescribeEndpointConfig(self, request: dict[str, Any]) -> dict[str, Any]:
        return _one(self.configs, request["EndpointConfigName"], "Could not find configuration")

    def _DeleteEndpointConfig(self, request: dict[str, Any]) -> dict[str, Any]:
        del self.configs[request["EndpointConfigName"]]
        return {}

    def _DeleteModel(self, request: dict[str, Any]) -> dict[str, Any]:
        _one(self.models, request["ModelName"], "Could not find model")
        del self.models[request["ModelName"]]
        return {}

    def _InvokeEndpoint(self, request: dict[str, Any]) -> dict[str, Any]:
        _one(self.endpoints, request["EndpointName"], "Could not find endpoint")
        return {"Body": io.BytesIO(json.dumps({"predictions": self.answers}).encode())}

    # ── pipelines ────────────────────────────────────────────────────────────

    def _ListPipelines(self, request: dict[str, Any]) -> dict[str, Any]:
        prefix = request["PipelineNamePrefix"]
        found = [body for name, body in self.pipelines.items() if name.startswith(prefix)]
        return {"PipelineSummaries": found}

    def _CreatePipeline(self, request: dict[str, Any]) -> dict[str, Any]:
        name = request["PipelineName"]
        if name in self.pipelines:
            raise RefusedError("ConflictException", f"Pipeline names must be unique: {name}")
        self.pipelines[name] = dict(request)
        return {"PipelineArn": sagemaker("pipeline", name)}

    def _UpdatePipeline(self, request: dict[str, Any]) -> dict[str, Any]:
        self.pipelines[request["PipelineName"]] |= request
        return {"PipelineArn": sagemaker("pipeline", request["PipelineName"])}

    def _DeletePipeline(self, request: dict[str, Any]) -> dict[str, Any]:
        _one(self.pipelines, request["PipelineName"], "does not exist", "ResourceNotFound")
        del self.pipelines[request["PipelineName"]]
        return {}

    def _DescribePipelineExecution(self, request: dict[str, Any]) -> dict[str, Any]:
        arn = request["PipelineExecutionArn"]
        return _one(self.executions, arn, "Pipeline execution does not exist", "ResourceNotFound")

    def _StopPipelineExecution(self, request: dict[str, Any]) -> dict[str, Any]:
        self.executions[request["PipelineExecutionArn"]]["PipelineExecutionStatus"] = "Stopping"
        return {"PipelineExecutionArn": request["PipelineExecutionArn"]}

    def _ListPipelineExecutionSteps(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"PipelineExecutionSteps": self.steps.get(request["PipelineExecutionArn"], [])}

    def _DescribeProcessingJob(self, request: dict[str, Any]) -> dict[str, Any]:
        return _one(self.jobs, request["ProcessingJobName"], "Could not find requested job")

    # ── registry ─────────────────────────────────────────────────────────────

    def _ListModelPackageGroups(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"ModelPackageGroupSummaryList": _containing(self.groups, request["NameContains"])}

    def _CreateModelPackageGroup(self, request: dict[str, Any]) -> dict[str, Any]:
        self.groups[request["ModelPackageGroupName"]] = dict(request)
        return {"ModelPackageGroupArn": "arn"}

    def _ListModelPackages(self, request: dict[str, Any]) -> dict[str, Any]:
        group = request["ModelPackageGroupName"]
        found = [p for p in self.packages.values() if p["ModelPackageGroupName"] == group]
        return {"ModelPackageSummaryList": found}

    def _DescribeModelPackage(self, request: dict[str, Any]) -> dict[str, Any]:
        return _one(self.packages, request["ModelPackageName"], "ModelPackage does not exist.")

    def _UpdateModelPackage(self, request: dict[str, Any]) -> dict[str, Any]:
        self.packages[request["ModelPackageArn"]] |= request
        return {"ModelPackageArn": request["ModelPackageArn"]}

    # ── monitoring schedules ─────────────────────────────────────────────────

    def _DescribeMonitoringSchedule(self, request: dict[str, Any]) -> dict[str, Any]:
        name = request["MonitoringScheduleName"]
        return _one(self.monitors, name, "Monitoring Schedule not found", "ResourceNotFound")

    def _CreateMonitoringSchedule(self, request: dict[str, Any]) -> dict[str, Any]:
        name = request["MonitoringScheduleName"]
        if name in self.monitors:
            raise RefusedError("ResourceInUse", f"Monitoring Schedule {name} exists")
        self.monitors[name] = dict(request)
        return {"MonitoringScheduleArn": sagemaker("monitoring-schedule", name)}

    def _UpdateMonitoringSchedule(self, request: dict[str, Any]) -> dict[str, Any]:
        name = request["MonitoringScheduleName"]
        _one(self.monitors, name, "Monitoring Schedule not found", "ResourceNotFound")
        self.monitors[name] |= request
        return {"MonitoringScheduleArn": sagemaker("monitoring-schedule", name)}

    def _DeleteMonitoringSchedule(self, request: dict[str, Any]) -> dict[str, Any]:
        name = request["MonitoringScheduleName"]
        _one(self.monitors, name, "Monitoring Schedule not found", "ResourceNotFound")
        del self.monitors[name]
        return {}


def _one(
    records: dict[str, dict[str, Any]], name: str, missing: str, code: str = "ValidationException"
) -> dict[str, Any]:
    if name not in records:
        raise RefusedError(code, f'{missing} "{name}"')
    return dict(records[name])


def _containing(records: dict[str, dict[str, Any]], part: str) -> list[dict[str, Any]]:
    return [dict(body) for name, body in records.items() if part in name]
