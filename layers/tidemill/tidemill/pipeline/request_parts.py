"""The parts that SageMaker's requests share: inputs, outputs, machines, tags."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tidemill.pipeline.expressions import Text, to_json
from tidemill.spec.compiled import Compute

INPUTS = "/opt/ml/processing/input"
OUTPUTS = "/opt/ml/processing/output"

S3Type = Literal["S3Prefix", "ManifestFile"]


@dataclass(frozen=True, slots=True)
class Input:
    """What a processing job finds under /opt/ml/processing/input/<name>."""

    name: str
    uri: Text
    kind: S3Type = "S3Prefix"

    def to_json(self) -> dict[str, Any]:
        """Return the entry of `ProcessingInputs`."""
        return {
            "InputName": self.name,
            "S3Input": {
                "S3Uri": to_json(self.uri),
                "LocalPath": f"{INPUTS}/{self.name}",
                "S3DataType": self.kind,
                "S3InputMode": "File",
                "S3DataDistributionType": "FullyReplicated",
                "S3CompressionType": "None",
            },
        }


@dataclass(frozen=True, slots=True)
class Output:
    """What a processing job leaves under /opt/ml/processing/output/<name>."""

    name: str
    uri: Text

    def to_json(self) -> dict[str, Any]:
        """Return the entry of `ProcessingOutputConfig.Outputs`."""
        return {
            "OutputName": self.name,
            "S3Output": {
                "S3Uri": to_json(self.uri),
                "LocalPath": f"{OUTPUTS}/{self.name}",
                "S3UploadMode": "EndOfJob",
            },
        }


@dataclass(frozen=True, slots=True)
class Channel:
    """What a training job finds under /opt/ml/input/data/<name>: the files of a manifest."""

    name: str
    manifest: Text
    content_type: str

    def to_json(self) -> dict[str, Any]:
        """Return the entry of `InputDataConfig`."""
        return {
            "ChannelName": self.name,
            "DataSource": {
                "S3DataSource": {
                    "S3DataType": "ManifestFile",
                    "S3Uri": to_json(self.manifest),
                    "S3DataDistributionType": "FullyReplicated",
                }
            },
            "ContentType": self.content_type,
            "InputMode": "File",
        }


def cluster(compute: Compute) -> dict[str, Any]:
    """Return one machine, as `ResourceConfig` and `ClusterConfig` both take it."""
    return {
        "InstanceType": compute.instance,
        "InstanceCount": 1,
        "VolumeSizeInGB": compute.volume_gb,
    }


def tags(values: Mapping[str, Text]) -> list[dict[str, Any]]:
    """Return `Tags` with our prefix: cost reports and the janitor go by them."""
    return [{"Key": f"tidemill:{key}", "Value": to_json(value)} for key, value in values.items()]
