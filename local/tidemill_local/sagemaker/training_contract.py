"""What a training container finds: its files under /opt/ml/input/config and its SM_* variables."""

import json
import os
from typing import Any

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

    In SageMaker the SM_* variables are set inside the container by the sagemaker-training toolkit;
    names and forms are those of its release 5.1.4.
    """
    job = {
        "TRAINING_JOB_NAME": body["TrainingJobName"],
        "TRAINING_JOB_ARN": body["TrainingJobArn"],
        "SAGEMAKER_JOB_NAME": body["TrainingJobName"],
        "SAGEMAKER_REGION": context.region,
    }
    shared = workspace.environment(context, body["Environment"])
    return shared | job | _toolkit_variables(workspace, body)


def _toolkit_variables(workspace: Workspace, body: dict[str, Any]) -> dict[str, str]:
    base = workspace.base
    resources, inputs = resource_config(body), input_data_config(body)
    hyperparameters = {key: _decoded(value) for key, value in body["HyperParameters"].items()}
    groups = {group["instance_group_name"]: group for group in resources["instance_groups"]}
    variables: dict[str, Any] = {
        "SM_HOSTS": resources["hosts"],
        "SM_CURRENT_HOST": _HOST,
        "SM_CURRENT_INSTANCE_TYPE": resources["current_instance_type"],
        "SM_CURRENT_INSTANCE_GROUP": _GROUP,
        "SM_CURRENT_INSTANCE_GROUP_HOSTS": resources["hosts"],
        "SM_INSTANCE_GROUPS": list(groups),
        "SM_INSTANCE_GROUPS_DICT": groups,
        "SM_DISTRIBUTION_INSTANCE_GROUPS": [],
        "SM_IS_HETERO": False,
        "SM_NETWORK_INTERFACE_NAME": resources["network_interface_name"],
        "SM_RESOURCE_CONFIG": resources,
        "SM_INPUT_DATA_CONFIG": inputs,
        "SM_HPS": hyperparameters,
        "SM_USER_ARGS": _arguments(hyperparameters),
        "SM_CHANNELS": sorted(inputs),
        "SM_LOG_LEVEL": 20,
        "SM_NUM_CPUS": os.cpu_count() or 1,
        "SM_NUM_GPUS": 0,
        "SM_NUM_NEURONS": 0,
        "SM_MODEL_DIR": base / "model",
        "SM_INPUT_DIR": base / "input",
        "SM_INPUT_CONFIG_DIR": base / "input" / "config",
        "SM_OUTPUT_DIR": base / "output",
        "SM_OUTPUT_DATA_DIR": base / "output" / "data",
        "SM_OUTPUT_INTERMEDIATE_DIR": base / "output" / "intermediate",
    }
    for name in inputs:
        variables[f"SM_CHANNEL_{name.upper()}"] = base / "input" / "data" / name
    for key, value in hyperparameters.items():
        variables[f"SM_HP_{key.upper()}"] = value
    variables["SM_TRAINING_ENV"] = _training_env(body, variables)
    return {name: _text(value) for name, value in variables.items()}


def _training_env(body: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
    """Return the toolkit's summary of the above, under its own names."""
    channels = {
        name: str(variables[f"SM_CHANNEL_{name.upper()}"]) for name in variables["SM_CHANNELS"]
    }
    summary = {
        "channel_input_dirs": channels,
        "hyperparameters": variables["SM_HPS"],
        "input_data_config": variables["SM_INPUT_DATA_CONFIG"],
        "resource_config": variables["SM_RESOURCE_CONFIG"],
        "job_name": body["TrainingJobName"],
        "is_master": True,
    }
    for name in ("hosts", "current_host", "model_dir", "output_dir", "output_data_dir", "num_cpus"):
        value = variables[f"SM_{name.upper()}"]
        summary[name] = value if isinstance(value, list | int) else str(value)
    return summary


def _decoded(value: str) -> Any:
    """Script mode's hyperparameters are JSON inside a string; others are taken as they are."""
    try:
        return json.loads(value)
    except ValueError:
        return value


def _arguments(hyperparameters: dict[str, Any]) -> list[str]:
    words = []
    for key in sorted(hyperparameters):
        words += [f"--{key}" if len(key) > 1 else f"-{key}", _text(hyperparameters[key])]
    return words


def _text(value: Any) -> str:
    if isinstance(value, dict | list):
        return json.dumps(value, sort_keys=True, default=str)
    return str(value)
