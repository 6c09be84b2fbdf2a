"""The container images that the local cloud brings along, by repository, under any registry."""

import sys
from dataclasses import dataclass
from pathlib import Path

from tidemill_local.containers.xgboost.parameters import MAXIMIZED, MINIMIZED

_JOBS = (sys.executable, "-m", "tidemill_jobs")
_PROGRAMS = (sys.executable, "-I", "-m", "tidemill_local.containers")
# Those that SageMaker's documentation names as objectives; a request may define 40 metrics.
_REPORTED = (
    "accuracy", "auc", "aucpr", "balanced_accuracy", "error", "f1", "f1_binary", "f1_macro",
    "logloss", "mae", "map", "merror", "mlogloss", "mse", "ndcg", "precision", "r2", "recall",
    "rmse", "rmsle",
)  # fmt: skip
_NUMBER = r"([-+]?[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?)"


# AWS's framework images: what they have in common is the toolkits, which is what we bring along.
_FRAMEWORKS = (
    "sagemaker-scikit-learn", "pytorch-training", "pytorch-inference", "tensorflow-training",
    "mxnet-training", "mxnet-inference", "huggingface-pytorch-training",
    "huggingface-pytorch-inference", "sagemaker-base-python", "sagemaker-distribution",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class BuiltInImage:
    """
    An image that needs no word from anybody.

    Attributes:
        repository: The last part of its URI, without a tag.
        command: What it stands for; `train`, `serve` or a job's arguments follow.
        runs: What that is, for people.
        reports: Metrics that a training job measures without being told.
    """

    repository: str
    command: tuple[str, ...]
    runs: str
    reports: tuple[str, ...] = ()

    def metric_definitions(self) -> list[dict[str, str]]:
        """Return the MetricDefinitions that SageMaker adds to a training job of this image."""
        return [
            {
                "Name": f"{channel}:{metric}",
                "Regex": rf".*\[[0-9]+\].*#011{channel}-{metric}:{_NUMBER}.*",
            }
            for metric in self.reports
            for channel in ("train", "validation")
        ]


def script_command(python: str) -> tuple[str, ...]:
    """Return the command of script mode in a Python, which may be another than this one."""
    if python == sys.executable:
        return (*_PROGRAMS, "script")
    launch = Path(__file__).with_name("containers") / "launch.py"
    return (python, str(launch), "script")


BUILT_IN = {
    image.repository: image
    for image in (
        BuiltInImage("tidemill-jobs", _JOBS, "this checkout's jobs"),
        BuiltInImage(
            "sagemaker-xgboost",
            (*_PROGRAMS, "xgboost"),
            "the built-in XGBoost algorithm, with this Python's xgboost whatever the tag",
            tuple(name for name in _REPORTED if name in (*MAXIMIZED, *MINIMIZED)),
        ),
        *(
            BuiltInImage(
                name,
                script_command(sys.executable),
                "a training or serving script of yours, in this Python",
            )
            for name in _FRAMEWORKS
        ),
    )
}
