"""The state changes that SageMaker announces on EventBridge, in its documented shapes."""

from typing import Any

from tidemill_local.sagemaker import protocol
from tidemill_local.sagemaker.context import Context

_MILLISECONDS = 1000


def announce(
    context: Context, kind: str, body: dict[str, Any], extra: dict[str, Any] | None = None
) -> None:
    """
    Emit `SageMaker <Kind> State Change` for a record as it is now.

    The detail is what Describe<Kind> answers, with times in epoch milliseconds and the tags as a
    map.

    Args:
        context: Where to.
        kind: The record's kind, such as `TrainingJob`.
        body: The record's body.
        extra: What the event says besides, such as which fields an update changed.
    """
    arn = body[f"{kind}Arn"]
    detail = protocol.timestamps(f"Describe{kind}{_ANSWERS[kind]}", body, _MILLISECONDS)
    detail |= {"Tags": context.store.tag_map(arn)} | (extra or {})
    context.emit(f"SageMaker {_WORDS[kind]} State Change", detail, [arn])


_WORDS = {
    "TrainingJob": "Training Job",
    "ProcessingJob": "Processing Job",
    "TransformJob": "Transform Job",
    "HyperParameterTuningJob": "HyperParameter Tuning Job",
    "ModelPackage": "Model Package",
    "FeatureGroup": "Feature Group",
}
_ANSWERS = {
    "TrainingJob": "Response",
    "ProcessingJob": "Response",
    "TransformJob": "Response",
    "HyperParameterTuningJob": "Response",
    "ModelPackage": "Output",
    "FeatureGroup": "Response",
}
