"""The types of pipeline steps that run here, and what SageMaker knows of each."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class StepKind:
    """
    A step's type: the operations behind it, and what its definition may hold.

    Attributes:
        create: The operation whose request is the step's Arguments; empty for other steps.
        describe: Whose answer the step's properties are.
        stop: The operation that stops its job.
        listing: A List operation whose answer is among the properties, best first.
        name: The argument that names what is made; the service fills it in.
        longest_name: Characters of that name.
        status: The member of the description that says how the job is.
        metadata: The key in a step's Metadata.
        arn: The member of the answer with the ARN.
        target: The step's own field that says where it turns to, such as FunctionArn.
        retries: Whether RetryPolicies are allowed.
        cache_key: The arguments that decide whether an earlier result may be taken, dotted;
            "" means all of them, and none that results are not kept. These are SageMaker's own.
    """

    create: str = ""
    describe: str = ""
    stop: str = ""
    listing: str = ""
    name: str = ""
    longest_name: int = 63
    status: str = ""
    metadata: str = ""
    arn: str = ""
    target: str = ""
    retries: bool = False
    cache_key: tuple[str, ...] = ()


def _job(record: str, cache_key: tuple[str, ...], **more: Any) -> StepKind:
    """Return a step that makes a job, whose operations and members are called after its record."""
    names: dict[str, Any] = {
        "create": f"Create{record}",
        "describe": f"Describe{record}",
        "stop": f"Stop{record}",
        "name": f"{record}Name",
        "status": f"{record}Status",
        "metadata": record,
        "arn": f"{record}Arn",
    }
    return StepKind(**names | more, retries=True, cache_key=cache_key)


KINDS = {
    "Training": _job(
        "TrainingJob",
        cache_key=(
            "AlgorithmSpecification",
            "CheckpointConfig",
            "DebugHookConfig",
            "DebugRuleConfigurations",
            "Environment",
            "HyperParameters",
            "InputDataConfig",
        ),
    ),
    "Processing": _job(
        "ProcessingJob",
        cache_key=("AppSpecification", "Environment", "ProcessingInputs"),
    ),
    "Tuning": _job(
        "HyperParameterTuningJob",
        listing="ListTrainingJobsForHyperParameterTuningJob",
        longest_name=32,
        metadata="TuningJob",
        cache_key=(
            "HyperParameterTuningJobConfig",
            "TrainingJobDefinition.AlgorithmSpecification",
            "TrainingJobDefinition.HyperParameterRanges",
            "TrainingJobDefinition.InputDataConfig",
            "TrainingJobDefinition.StaticHyperParameters",
            "TrainingJobDefinition.TuningObjective",
            "TrainingJobDefinitions",
        ),
    ),
    "Transform": _job(
        "TransformJob",
        cache_key=("DataProcessing", "Environment", "ModelName", "TransformInput"),
    ),
    "Model": StepKind(
        create="CreateModel",
        describe="DescribeModel",
        name="ModelName",
        metadata="Model",
        arn="ModelArn",
        retries=True,
    ),
    "RegisterModel": StepKind(
        create="CreateModelPackage",
        describe="DescribeModelPackage",
        metadata="RegisterModel",
        arn="ModelPackageArn",
        retries=True,
    ),
    "Lambda": StepKind(metadata="Lambda", target="FunctionArn", cache_key=("",)),
    "Callback": StepKind(metadata="Callback", target="SqsQueueUrl", cache_key=("",)),
    "Condition": StepKind(metadata="Condition"),
    "Fail": StepKind(metadata="Fail"),
}
