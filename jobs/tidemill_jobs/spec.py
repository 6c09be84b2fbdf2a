"""
The part of the compiled spec that Prepare reads.

The document is written by the control plane; jobs run in an image of their own and read it as
plain JSON, so that neither side imports the other. Unknown keys are left out.
"""

import json
from dataclasses import dataclass
from typing import Any, Literal, Self, get_args

from tidemill_jobs.errors import JobError

Format = Literal["csv", "tsv", "parquet", "jsonl"]
Problem = Literal["binary", "multiclass", "regression"]
VERSIONS = (1,)


@dataclass(frozen=True, slots=True)
class Spec:
    """How a dataset is read, split and learned from."""

    format: Format
    target: str
    id: str | None
    timestamp: str | None
    exclude: tuple[str, ...]
    validation: float
    test: float
    seed: int
    problem: Problem

    @classmethod
    def parse(cls, text: str) -> Self:
        """
        Read spec.json.

        Raises:
            JobError: It is no JSON, of a version this image does not know, or lacks a key.
        """
        try:
            return cls.of(json.loads(text))
        except ValueError as exc:
            raise JobError(
                f"spec.json is not a compiled spec ({exc!r}); apply the model's spec again."
            ) from exc

    @classmethod
    def of(cls, document: Any) -> Self:
        """
        Read the compiled spec, already parsed from JSON.

        Raises:
            JobError: It is no object, of a version this image does not know, or lacks a key.
        """
        try:
            version = document["version"]
            if version not in VERSIONS:
                raise JobError(
                    f"spec.json has version {version}; this image reads {VERSIONS}: "
                    "build the jobs image anew, then run again."
                )
            data, prepare, train = document["data"], document["prepare"], document["train"]
            return cls(
                format=_one_of(data["format"], get_args(Format), "data.format"),
                target=data["target"],
                id=data["id"],
                timestamp=data["timestamp"],
                exclude=tuple(data["exclude"]),
                validation=float(prepare["validation"]),
                test=float(prepare["test"]),
                seed=int(prepare["seed"]),
                problem=_one_of(train["problem"], get_args(Problem), "train.problem"),
            )
        except (KeyError, TypeError, ValueError) as exc:
            raise JobError(
                f"spec.json is not a compiled spec ({exc!r}); apply the model's spec again."
            ) from exc


def _one_of(value: str, known: tuple[str, ...], name: str) -> Any:
    if value not in known:
        raise JobError(f"{name} is '{value}'; this image knows {', '.join(known)}.")
    return value
