"""
The SM_* variables and arguments of a training script.

Names, forms and order are those of the `sagemaker-training` toolkit 5.1.4, which sets them inside
SageMaker's containers; `make test-oracles` holds them against it.
"""

import functools
import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

PROGRAM = "sagemaker_program"
SUBMIT_DIRECTORY = "sagemaker_submit_directory"
_PREFIX = "sagemaker_"
_TOOLKITS_OWN = frozenset(
    {
        PROGRAM,
        SUBMIT_DIRECTORY,
        "sagemaker_enable_cloudwatch_metrics",
        "sagemaker_region",
        "sagemaker_container_log_level",
        "sagemaker_job_name",
        "default_user_module_name",
        "_tuning_objective_metric",
        "sagemaker_s3_output",
    }
)
_INFO = 20
# By these a script is spread over its instance group, which the toolkit then names.
DISTRIBUTED = (
    "sagemaker_mpi_enabled",
    "sagemaker_parameter_server_enabled",
    "sagemaker_distributed_dataparallel_enabled",
    "sagemaker_pytorch_ddp_enabled",
    "sagemaker_pytorch_xla_multi_worker_enabled",
    "sagemaker_multi_worker_mirrored_strategy_enabled",
    "sagemaker_torch_distributed_enabled",
)

_ONLY_IN_SUMMARY = frozenset(
    {
        "additional_framework_parameters",
        "channel_input_dirs",
        "distribution_hosts",
        "hyperparameters",
        "is_master",
        "is_modelparallel_enabled",
        "is_smddpmprun_installed",
        "is_smddprun_installed",
        "job_name",
        "master_hostname",
        "topology",
    }
)


@dataclass(frozen=True, slots=True)
class Documents:
    """What /opt/ml/input/config holds, as it lies there."""

    hyperparameters: Mapping[str, str]
    inputs: Mapping[str, Any]
    resources: Mapping[str, Any]


def decoded(hyperparameters: Mapping[str, str]) -> dict[str, Any]:
    """Return hyperparameters out of their JSON; what is no JSON is taken as it is."""
    return {name: _decoded(value) for name, value in hyperparameters.items()}


def of_script(hyperparameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return those that are the script's, not the toolkit's."""
    return {name: value for name, value in hyperparameters.items() if not _is_toolkits(name)}


def arguments(hyperparameters: Mapping[str, Any]) -> list[str]:
    """Return decoded hyperparameters as `--name value`, one letter as `-n value`, by name."""
    words = []
    for name in sorted(hyperparameters):
        words += [f"--{name}" if len(name) > 1 else f"-{name}", _argument(hyperparameters[name])]
    return words


def variables(base: PurePath, documents: Documents, given: Mapping[str, str]) -> dict[str, str]:
    """
    Return the SM_* variables of a training job, with what goes with them.

    Args:
        base: Where /opt/ml is.
        documents: The job's configuration.
        given: The container's environment; it may name the program and the job.
    """
    every = decoded(documents.hyperparameters)
    own = of_script(every)
    resources, inputs = documents.resources, documents.inputs
    groups = {one["instance_group_name"]: one for one in resources.get("instance_groups", [])}
    group = resources.get("current_group_name", "homogeneousCluster")
    program = given.get("SAGEMAKER_PROGRAM") or every.get(PROGRAM)
    params = {name: every[name] for name in every if _is_toolkits(name)}
    params = {name: value for name, value in params.items() if name not in _TOOLKITS_OWN}
    summary: dict[str, Any] = {
        "additional_framework_parameters": params,
        "channel_input_dirs": {name: f"{base}/input/data/{name}" for name in inputs},
        "current_host": resources["current_host"],
        "current_instance_group": group,
        "current_instance_group_hosts": groups.get(group, {}).get("hosts", []),
        "current_instance_type": resources.get("current_instance_type", "local"),
        "distribution_instance_groups": _distributed(params, group),
        "framework_module": given.get("SAGEMAKER_TRAINING_MODULE"),
        "hosts": resources["hosts"],
        "hyperparameters": own,
        "input_config_dir": f"{base}/input/config",
        "input_data_config": inputs,
        "input_dir": f"{base}/input",
        "instance_groups": list(groups),
        "instance_groups_dict": groups,
        "is_hetero": len(groups) > 1,
        "is_modelparallel_enabled": None,
        "is_smddpmprun_installed": False,
        "is_smddprun_installed": False,
        "job_name": given.get("TRAINING_JOB_NAME"),
        "log_level": every.get("sagemaker_container_log_level", _INFO),
        "model_dir": f"{base}/model",
        "module_dir": str(every.get(SUBMIT_DIRECTORY, f"{base}/code")),
        "module_name": (program or "None").removesuffix(".py"),
        "network_interface_name": resources.get("network_interface_name", "eth0"),
        "num_cpus": os.cpu_count() or 1,
        "num_gpus": _gpus(),
        "num_neurons": 0,
        "output_data_dir": f"{base}/output/data",
        "output_dir": f"{base}/output",
        "output_intermediate_dir": f"{base}/output/intermediate",
        "resource_config": resources,
        "topology": resources.get("topology", []),
        "user_entry_point": program,
    }
    summary["distribution_hosts"] = [
        host for name in summary["distribution_instance_groups"] for host in groups[name]["hosts"]
    ]
    summary["master_hostname"] = (summary["distribution_hosts"] or resources["hosts"])[0]
    summary["is_master"] = resources["current_host"] == summary["master_hostname"]
    told = {name: value for name, value in summary.items() if name not in _ONLY_IN_SUMMARY}
    told |= {
        "hps": own,
        "framework_params": params,
        "channels": sorted(inputs),
        "training_env": summary,
        "user_args": arguments(own),
    }
    told |= {f"channel_{name}": path for name, path in summary["channel_input_dirs"].items()}
    told |= {f"hp_{name}": value for name, value in own.items()}
    if summary["topology"]:
        told["topology"] = summary["topology"]
    return {f"SM_{name.upper()}": _text(value) for name, value in told.items()} | {
        "CURRENT_HOST": resources["current_host"],
        "SAGEMAKER_JOB_NAME": _text(every.get("sagemaker_job_name", "")),
        "SAGEMAKER_REGION": _text(
            every.get("sagemaker_region", given.get("AWS_DEFAULT_REGION", ""))
        ),
    }


def _is_toolkits(name: str) -> bool:
    return name in _TOOLKITS_OWN or name.startswith(_PREFIX)


def _distributed(params: Mapping[str, Any], group: str) -> list[str]:
    named = params.get("sagemaker_distribution_instance_groups")
    if named is not None:
        return list(named)
    return [group] if any(params.get(name, False) for name in DISTRIBUTED) else []


def _decoded(value: str) -> Any:
    try:
        return json.loads(value)
    except (ValueError, TypeError):
        return value


def _argument(value: Any) -> str:
    if isinstance(value, dict):
        return ",".join(f"{name}={item}" for name, item in sorted(value.items()))
    return "" if value is None else str(value)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


@functools.cache
def _gpus() -> int:
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return 0
    try:
        listed = subprocess.run([tool, "--list-gpus"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return 0
    return sum(line.startswith("GPU ") for line in listed.stdout.splitlines())
