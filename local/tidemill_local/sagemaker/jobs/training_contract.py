"""What a training container finds: its files under /opt/ml/input/config and its SM_* variables."""

import json
from pathlib import Path
from typing import Any

from tidemill_local.containers.scripts.environment import PROGRAM, Documents, variables
from tidemill_local.sagemaker.containers.workspace import Workspace
from tidemill_local.sagemaker.context import Context

_GROUP = "homogeneousCluster"
#: The channel in which the SDK's ModelTrainer (v3) sends the programs that start a user's script.
DRIVERS = "sm_drivers"
_PROGRAMS = {".sh", ".py", ".json"}


def write_configuration(workspace: Workspace, body: dict[str, Any]) -> None:
    """Write hyperparameters, inputdataconfig, resourceconfig and, if set, checkpointconfig."""
    directory = workspace.base / "input" / "config"
    directory.mkdir(parents=True)
    documents = {
        "hyperparameters": body["HyperParameters"],
        "inputdataconfig": input_data_config(body),
        "resourceconfig": resource_config(workspace, body),
    }
    if "CheckpointConfig" in body:
        documents["checkpointconfig"] = body["CheckpointConfig"]
    for name, document in documents.items():
        (directory / f"{name}.json").write_text(json.dumps(document))


def brings_script(body: dict[str, Any]) -> bool:
    """Whether a job brings the program to run, as the SDK's estimators and ModelTrainer do."""
    channels = {channel["ChannelName"] for channel in body["InputDataConfig"]}
    return PROGRAM in body["HyperParameters"] or DRIVERS in channels


def is_piped(body: dict[str, Any], channel: dict[str, Any]) -> bool:
    """Whether a channel is streamed: its InputMode, else the job's, is Pipe."""
    given: str = channel.get("InputMode", body["AlgorithmSpecification"]["TrainingInputMode"])
    return given == "Pipe"


def relocate(workspace: Workspace, drivers: Path) -> None:
    """
    Let the SDK's driver programs, which spell out /opt/ml, find it where it is.

    Only where the container's processes do not see it there (macOS, a kernel that forbids it).
    """
    if workspace.private:
        return
    for path in drivers.rglob("*"):
        if path.suffix in _PROGRAMS and path.is_file():
            path.write_text(workspace.translate(path.read_text(encoding="utf-8")))


def input_data_config(body: dict[str, Any]) -> dict[str, dict[str, str]]:
    """Return inputdataconfig.json: how each channel is delivered."""
    config = {}
    for channel in body["InputDataConfig"]:
        source = channel["DataSource"]["S3DataSource"]
        entry = {
            "TrainingInputMode": "Pipe" if is_piped(body, channel) else "File",
            "S3DistributionType": source.get("S3DataDistributionType", "FullyReplicated"),
            "RecordWrapperType": channel.get("RecordWrapperType", "None"),
        }
        if "ContentType" in channel:
            entry["ContentType"] = channel["ContentType"]
        config[channel["ChannelName"]] = entry
    return config


def resource_config(workspace: Workspace, body: dict[str, Any]) -> dict[str, Any]:
    """Return resourceconfig.json: which host this is, and which others there are."""
    instance = body["ResourceConfig"]["InstanceType"]
    current, hosts = workspace.host, list(workspace.hosts)
    if not workspace.private and len(hosts) == 1:
        # The training toolkit resolves every host's name, for up to 15 minutes; only where
        # /etc/hosts is the container's own can it find algo-1.
        current, hosts = "localhost", ["localhost"]
    group = {"instance_group_name": _GROUP, "instance_type": instance, "hosts": hosts}
    return {
        "current_host": current,
        "current_instance_type": instance,
        "current_group_name": _GROUP,
        "hosts": hosts,
        "instance_groups": [group],
        "network_interface_name": "lo",
    }


def environment(context: Context, workspace: Workspace, body: dict[str, Any]) -> dict[str, str]:
    """
    Return a training job's variables, with those of the training toolkit.

    In SageMaker the SM_* variables are set inside the container, by the sagemaker-training toolkit;
    here every training container has them.
    """
    job = {
        "TRAINING_JOB_NAME": body["TrainingJobName"],
        "TRAINING_JOB_ARN": body["TrainingJobArn"],
        "SAGEMAKER_JOB_NAME": body["TrainingJobName"],
        "SAGEMAKER_REGION": context.region,
    }
    shared = workspace.environment(context, body["Environment"]) | job
    documents = Documents(
        body["HyperParameters"], input_data_config(body), resource_config(workspace, body)
    )
    return variables(Path(workspace.seen), documents, shared) | shared
