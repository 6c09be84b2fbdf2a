"""
Values that SageMaker fills in when a pipeline runs.

The JSON is that of pipeline definitions, version 2020-12-01: `Get`, `Std:Join`, `Std:JsonGet`.
"""

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Parameter:
    """A pipeline parameter; one without a default must be given at each start."""

    name: str
    kind: Literal["String", "Integer", "Float", "Boolean"] = "String"
    default: str | float | bool | None = None

    def declaration(self) -> dict[str, Any]:
        """Return the entry in the definition's `Parameters`."""
        declared: dict[str, Any] = {"Name": self.name, "Type": self.kind}
        return declared if self.default is None else {**declared, "DefaultValue": self.default}

    def to_json(self) -> dict[str, Any]:
        """Return the parameter's value, as an argument names it."""
        return {"Get": f"Parameters.{self.name}"}


@dataclass(frozen=True, slots=True)
class Property:
    """Something another step answers, such as `ModelArtifacts.S3ModelArtifacts`."""

    step: str
    path: str

    def to_json(self) -> dict[str, Any]:
        """Return the reference; it also makes the referring step wait for the other."""
        return {"Get": f"Steps.{self.step}.{self.path}"}


@dataclass(frozen=True, slots=True)
class Join:
    """Texts and expressions in a row; numbers become text."""

    values: tuple["str | Parameter | Property", ...]
    on: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the `Std:Join`."""
        return {"Std:Join": {"On": self.on, "Values": [to_json(value) for value in self.values]}}


@dataclass(frozen=True, slots=True)
class JsonGet:
    """A value out of a JSON file that a processing step declared as a property file."""

    step: str
    property_file: str
    path: str  # keys joined by dots

    def to_json(self) -> dict[str, Any]:
        """Return the `Std:JsonGet`."""
        file = Property(self.step, f"PropertyFiles.{self.property_file}")
        return {"Std:JsonGet": {"PropertyFile": file.to_json(), "Path": self.path}}


Text = str | Parameter | Property | Join
Number = float | Parameter | JsonGet


def to_json(value: Any) -> Any:
    """Return *value* with every expression in it as JSON."""
    if isinstance(value, Parameter | Property | Join | JsonGet):
        return value.to_json()
    if isinstance(value, dict):
        return {key: to_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(item) for item in value]
    return value
