"""What a training container finds: its files under /opt/ml/input/config and its SM_* variables."""

import json
from typing import Any

from tidemill_local.containers.scripts.environment import Documents, variables
from tidemill_local.sagemaker.context import Context
from tidemill_local.sagemaker.workspace import Workspace

# SageMaker says algo-1; the training toolkit resolves every host name and would wait 15 minutes.
_HOST = "localhost"
_GROUP = "homogeneousCluster"


def write_configuration(workspace: Workspace, body: dict[str, Any]) -> None:
    """Write hyperparameters, inputdataconfig, resourceconfig and, if set, checkpointconfig."""
    directory = workspace.base / "input" / "config"
    directory.mkdir(parents=True)
    documents = {
        "hyperparameters": body["HyperParameters"],
        "inputdataconfig": input_data_config(body),
        "resourceconfig": resource_config(body),
    }
    if "CheckpointConfig" in body:
        documents["checkpointconfig"] = body["CheckpointConfig"]
    for name, document in documents.items():
        (directory / f"{name}.json").write_text(json.dumps(document))


def input_data_config(body: dict[str, Any]) -> dict[str, dict[str, str]]:
    """Return inputdataconfig.json: how each channel is delivered."""
    config = {}
    for channel in body["InputDataConfig"]:
        source = channel["DataSource"]["S3DataSource"]
        entry = {
            "TrainingInputMode": "File",
            "S3DistributionType": source.get("S3DataDistributionType", "FullyReplicated"),
            "RecordWrapperType": channel.get("RecordWrapperType", "None"),
        }
        if "ContentType" in channel:
            entry["ContentType"] = channel["ContentType"]
        config[channel["ChannelName"]] = entry
    return config


def resource_config(body: dict[str, Any]) -> dict[str, Any]:
    """Return resourceconfig.json: one host."""
    instance = body["ResourceConfig"]["InstanceType"]
    group = {"instance_group_name": _GROUP, "instance_type": instance, "hosts": [_HOST]}
    return {
        "current_host": _HOST,
        "current_instance_type": instance,
        "current_group_name": _GROUP,
        "hosts": [_HOST],
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
    documents = Documents(body["HyperParameters"], input_data_config(body), resource_config(body))
    return variables(workspace.base, documents, shared) | shared
