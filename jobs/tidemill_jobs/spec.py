"""
The part of the compiled spec that checks and Prepare read.

The document is written by the control plane; jobs run in an image of their own and read it as
plain JSON, so that neither side imports the other. Unknown keys are left out.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self, get_args

from tidemill_jobs.errors import JobError
from tidemill_jobs.values import Kind

Format = Literal["csv", "tsv", "parquet", "jsonl"]
Problem = Literal["binary", "multiclass", "regression"]
Violation = Literal["refuse", "drop", "warn"]
How = Literal["hash", "drop"]
VERSIONS = (1,)


@dataclass(frozen=True, slots=True)
class ColumnRule:
    """What the spec says of one column, before what the contract inferred; None leaves it to it."""

    type: Kind | None = None
    required: bool | None = None  # the column must be there
    completeness: float | None = None  # the least share of cells that are not missing
    minimum: float | None = None
    maximum: float | None = None
    values: tuple[str, ...] | None = None  # the only ones
    unique: bool | None = None  # within a file

    @classmethod
    def of(cls, document: dict[str, Any]) -> Self:
        """Read an entry of `check.columns`; unknown keys are left out."""
        known = {key: value for key, value in document.items() if key in cls.__slots__}
        if known.get("values") is not None:
            known["values"] = tuple(known["values"])
        return cls(**known)


@dataclass(frozen=True, slots=True)
class Check:
    """What happens to a file that breaks the contract, and what the spec adds to that."""

    on_violation: Violation = "refuse"
    bad_rows: float = 0.0  # with `drop`: the largest share of a file's rows that may be left out
    columns: dict[str, ColumnRule] = field(default_factory=dict)

    @classmethod
    def of(cls, document: dict[str, Any]) -> Self:
        """Read the spec's `check`."""
        violation = document.get("on_violation", "refuse")
        return cls(
            on_violation=_one_of(violation, get_args(Violation), "check.on_violation"),
            bad_rows=float(document.get("bad_rows", 0.0)),
            columns={
                name: ColumnRule.of(rule) for name, rule in document.get("columns", {}).items()
            },
        )


@dataclass(frozen=True, slots=True)
class Spec:
    """How a dataset is read, split and learned from, and how traffic will be compared with it."""

    format: Format
    target: str
    id: str | None
    timestamp: str | None
    exclude: tuple[str, ...]
    validation: float
    test: float
    seed: int
    problem: Problem
    check: Check = Check()
    watch: Mapping[str, Any] = field(default_factory=dict)  # as it stands there

    @property
    def redact(self) -> Mapping[str, How]:
        """The columns that traffic has only as hashes, or not at all."""
        redact: Mapping[str, How] = self.watch.get("capture", {}).get("redact", {})
        return redact

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
                check=Check.of(document.get("check", {})),  # older documents have none
                watch=document.get("watch", {}),  # likewise
            )
        except (KeyError, TypeError, ValueError) as exc:
            raise JobError(
                f"spec.json is not a compiled spec ({exc!r}); apply the model's spec again."
            ) from exc


def _one_of(value: str, known: tuple[str, ...], name: str) -> Any:
    if value not in known:
        raise JobError(f"{name} is '{value}'; this image knows {', '.join(known)}.")
    return value
