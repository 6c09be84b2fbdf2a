"""
SageMaker pipeline steps, as far as our pipelines have them.

Each is a frozen dataclass whose `definition()` is the step's JSON; keys are in the order in
which people read them, and always the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tidemill.pipeline.expressions import Number, Text, to_json
from tidemill.pipeline.request_parts import Channel, Input, Output, cluster, tags
from tidemill.spec.compiled import Compute

Json = dict[str, Any]
Comparison = Literal[
    "GreaterThan", "GreaterThanOrEqualTo", "LessThan", "LessThanOrEqualTo", "Equals"
]


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Faults of the service, never of the job's own code, which would only fail again."""

    exceptions: tuple[str, ...]
    interval_seconds: int
    max_attempts: int
    backoff_rate: float = 2.0

    def to_json(self) -> Json:
        """Return the entry of `RetryPolicies`."""
        return {
            "ExceptionType": list(self.exceptions),
            "IntervalSeconds": self.interval_seconds,
            "BackoffRate": self.backoff_rate,
            "MaxAttempts": self.max_attempts,
        }


#: 10 s, 20 s, … 160 s: a throttled or faulty API.
CALLS = RetryPolicy(("Step.SERVICE_FAULT", "Step.THROTTLING"), interval_seconds=10, max_attempts=5)
#: 1, 2, 4, 8, 16 minutes: no machine to be had, or one that broke.
MACHINES = RetryPolicy(
    ("SageMaker.JOB_INTERNAL_ERROR", "SageMaker.CAPACITY_ERROR", "SageMaker.RESOURCE_LIMIT"),
    interval_seconds=60,
    max_attempts=5,
)


@dataclass(frozen=True, slots=True)
class TrainingStep:
    """A training job on one machine."""

    name: str
    image: str
    role: str
    hyperparameters: Mapping[str, str]
    channels: tuple[Channel, ...]
    output: Text  # the job adds <job name>/output/model.tar.gz
    compute: Compute
    tags: Mapping[str, Text]

    def definition(self) -> Json:
        """Return the step."""
        return {
            "Name": self.name,
            "Type": "Training",
            "Arguments": {
                "AlgorithmSpecification": {
                    "TrainingImage": self.image,
                    "TrainingInputMode": "File",
                },
                "HyperParameters": dict(sorted(self.hyperparameters.items())),
                "InputDataConfig": [channel.to_json() for channel in self.channels],
                "OutputDataConfig": {
                    "S3OutputPath": to_json(self.output),
                    "CompressionType": "GZIP",
                },
                "ResourceConfig": cluster(self.compute),
                "StoppingCondition": {"MaxRuntimeInSeconds": self.compute.max_runtime_seconds},
                "EnableManagedSpotTraining": False,
                "RoleArn": self.role,
                "Tags": tags(self.tags),
            },
            "RetryPolicies": [CALLS.to_json(), MACHINES.to_json()],
        }


@dataclass(frozen=True, slots=True)
class PropertyFile:
    """A JSON file in a processing job's output that conditions may read."""

    name: str
    output: str
    file: str


@dataclass(frozen=True, slots=True)
class ProcessingStep:
    """A processing job on one machine."""

    name: str
    image: str
    role: str
    entrypoint: tuple[str, ...]
    arguments: tuple[Text, ...]
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    property_files: tuple[PropertyFile, ...]
    compute: Compute
    tags: Mapping[str, Text]

    def definition(self) -> Json:
        """Return the step."""
        return {
            "Name": self.name,
            "Type": "Processing",
            "Arguments": {
                "AppSpecification": {
                    "ImageUri": self.image,
                    "ContainerEntrypoint": list(self.entrypoint),
                    "ContainerArguments": to_json(self.arguments),
                },
                "ProcessingInputs": [item.to_json() for item in self.inputs],
                "ProcessingOutputConfig": {"Outputs": [item.to_json() for item in self.outputs]},
                "ProcessingResources": {"ClusterConfig": cluster(self.compute)},
                "StoppingCondition": {"MaxRuntimeInSeconds": self.compute.max_runtime_seconds},
                "RoleArn": self.role,
                "Tags": tags(self.tags),
            },
            "RetryPolicies": [CALLS.to_json(), MACHINES.to_json()],
            "PropertyFiles": [
                {
                    "PropertyFileName": item.name,
                    "OutputName": item.output,
                    "FilePath": item.file,
                }
                for item in self.property_files
            ],
        }


@dataclass(frozen=True, slots=True)
class RegisterModelStep:
    """A version of a model package group; it always waits for an approval."""

    name: str
    group: str
    image: str
    model_data: Text
    content_types: tuple[str, ...]
    response_types: tuple[str, ...]
    instances: tuple[str, ...]
    quality: Text  # the URI of the evaluation's JSON
    data_statistics: Text  # the URIs of the baseline's two files that Model Monitor knows
    data_constraints: Text
    metadata: Mapping[str, Text]

    def definition(self) -> Json:
        """Return the step."""
        baseline = {
            "Statistics": _json_file(self.data_statistics),
            "Constraints": _json_file(self.data_constraints),
        }
        return {
            "Name": self.name,
            "Type": "RegisterModel",
            "Arguments": {
                "ModelPackageGroupName": self.group,
                # Approved here would put the version in service before its run is recorded.
                "ModelApprovalStatus": "PendingManualApproval",
                "InferenceSpecification": {
                    "Containers": [{"Image": self.image, "ModelDataUrl": to_json(self.model_data)}],
                    "SupportedContentTypes": list(self.content_types),
                    "SupportedResponseMIMETypes": list(self.response_types),
                    "SupportedRealtimeInferenceInstanceTypes": list(self.instances),
                },
                "ModelMetrics": {
                    "ModelQuality": {"Statistics": _json_file(self.quality)},
                    "ModelDataQuality": baseline,
                },
                # What later traffic is compared with: this version's own rows, too.
                "DriftCheckBaselines": {"ModelDataQuality": baseline},
                # Versions take no tags.
                "CustomerMetadataProperties": to_json(dict(self.metadata)),
            },
            "RetryPolicies": [CALLS.to_json()],
        }


def _json_file(uri: Text) -> Json:
    return {"ContentType": "application/json", "S3Uri": to_json(uri)}


@dataclass(frozen=True, slots=True)
class FailStep:
    """The pipeline's end as Failed, with a message for a person."""

    name: str
    message: Text

    def definition(self) -> Json:
        """Return the step."""
        return {
            "Name": self.name,
            "Type": "Fail",
            "Arguments": {"ErrorMessage": to_json(self.message)},
        }


@dataclass(frozen=True, slots=True)
class Condition:
    """A comparison of two numbers."""

    comparison: Comparison
    left: Number
    right: Number

    def to_json(self) -> Json:
        """Return the entry of `Conditions`."""
        return {
            "Type": self.comparison,
            "LeftValue": to_json(self.left),
            "RightValue": to_json(self.right),
        }


@dataclass(frozen=True, slots=True)
class ConditionStep:
    """A fork; every condition must hold for the first branch."""

    name: str
    conditions: tuple[Condition, ...]
    then: tuple["Step", ...]
    otherwise: tuple["Step", ...]

    def definition(self) -> Json:
        """Return the step."""
        return {
            "Name": self.name,
            "Type": "Condition",
            "Arguments": {
                "Conditions": [condition.to_json() for condition in self.conditions],
                "IfSteps": [step.definition() for step in self.then],
                "ElseSteps": [step.definition() for step in self.otherwise],
            },
        }


Step = TrainingStep | ProcessingStep | RegisterModelStep | ConditionStep | FailStep
