"""Script mode in training: what the user's program gets, and how its failures are told."""

import json
import os
import signal
import sys

import pytest

from tidemill_local.containers.contract import Container, UserError
from tidemill_local.containers.scripts import environment, requirements, sources, train

RESOURCES = {
    "current_host": "algo-1",
    "current_instance_type": "ml.m5.large",
    "current_group_name": "homogeneousCluster",
    "hosts": ["algo-1"],
    "instance_groups": [
        {
            "instance_group_name": "homogeneousCluster",
            "instance_type": "ml.m5.large",
            "hosts": ["algo-1"],
        }
    ],
    "network_interface_name": "eth0",
}
TELL = """
import json, os, sys
with open(os.environ["SM_MODEL_DIR"] + "/told.json", "w") as file:
    json.dump({"argv": sys.argv, "env": dict(os.environ), "cwd": os.getcwd()}, file)
"""


@pytest.fixture
def job(tmp_path):
    """Make a training container whose source directory has these files."""
    handler = signal.getsignal(signal.SIGTERM)
    base = tmp_path / "opt" / "ml"
    (base / "model").mkdir(parents=True)
    (base / "input" / "config").mkdir(parents=True)
    (base / "code").mkdir()

    def make(hyperparameters, files, environment=None):
        documents = {
            "hyperparameters": hyperparameters,
            "inputdataconfig": {"train": {"TrainingInputMode": "File"}},
            "resourceconfig": RESOURCES,
        }
        for name, document in documents.items():
            (base / "input" / "config" / f"{name}.json").write_text(json.dumps(document))
        for name, text in files.items():
            path = base / "code" / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        return Container(base, {"PATH": os.environ["PATH"], **(environment or {})})

    yield make
    signal.signal(signal.SIGTERM, handler)


def told(container):
    return json.loads((container.model / "told.json").read_text())


def test_a_program_gets_its_hyperparameters_and_the_toolkits_variables(job):
    given = {
        "sagemaker_program": '"train.py"',
        "sagemaker_submit_directory": '"/opt/ml/code"',
        "sagemaker_job_name": '"my-job"',
        "sagemaker_region": '"eu-west-1"',
        "sagemaker_container_log_level": "10",
        "sagemaker_instance_type": '"x"',
        "eta": "0.1",
        "name": '"a b"',
        "n": "3",
        "layers": "[1, 2]",
        "options": '{"b": 2, "a": 1}',
        "flag": "true",
        "plain": "it's",
    }
    container = job(given, {"train.py": TELL}, {"TRAINING_JOB_NAME": "my-job"})

    train.main(container)

    found = told(container)
    base, env = container.base, found["env"]
    assert found["cwd"] == str(base / "code")
    assert found["argv"] == [
        "train.py", "--eta", "0.1", "--flag", "True", "--layers", "[1, 2]", "-n", "3",
        "--name", "a b", "--options", "a=1,b=2", "--plain", "it's",
    ]  # fmt: skip
    assert json.loads(env["SM_USER_ARGS"]) == found["argv"][1:]
    assert env["SM_HP_NAME"] == "a b"
    assert env["SM_HP_OPTIONS"] == '{"a":1,"b":2}'
    assert env["SM_HP_FLAG"] == "true"
    assert (env["SM_USER_ENTRY_POINT"], env["SM_MODULE_NAME"]) == ("train.py", "train")
    assert env["SM_MODULE_DIR"] == "/opt/ml/code"
    assert env["SM_FRAMEWORK_PARAMS"] == '{"sagemaker_instance_type":"x"}'
    assert (env["SM_LOG_LEVEL"], env["SAGEMAKER_JOB_NAME"]) == ("10", "my-job")
    assert (env["SAGEMAKER_REGION"], env["CURRENT_HOST"]) == ("eu-west-1", "algo-1")
    assert env["SM_CHANNELS"] == '["train"]'
    assert env["SM_CHANNEL_TRAIN"] == f"{base}/input/data/train"
    assert env["SM_FRAMEWORK_MODULE"] == env["SM_FRAMEWORK_MODULE"].strip() == ""
    summary = json.loads(env["SM_TRAINING_ENV"])
    assert summary["job_name"] == "my-job"
    assert summary["is_master"] is True
    assert summary["hyperparameters"]["layers"] == [1, 2]
    assert (container.base / "output" / "success").exists()


def test_a_package_is_run_as_a_module(job):
    container = job(
        {"sagemaker_program": '"trainer.main"', "x": "1"},
        {
            "setup.py": "raise SystemExit('is not run')",
            "trainer/__init__.py": "",
            "trainer/main.py": "import trainer\n" + TELL,
        },
    )
    train.main(container)
    assert told(container)["argv"][1:] == ["-x", "1"]


def test_a_shell_script_gets_its_arguments_whole(job):
    script = '#!/bin/sh\nprintf "%s|" "$@" > "$SM_MODEL_DIR/said"\n'
    container = job({"sagemaker_program": '"run.sh"', "a-b": '"$(id); x"'}, {"run.sh": script})
    train.main(container)
    assert (container.model / "said").read_text() == "--a-b|$(id); x|"


def test_a_failing_script_is_told_as_the_toolkit_tells_it(job, capfd):
    code = "import sys\nprint('working', file=sys.stderr)\nraise ValueError('no rows')\n"
    container = job({"sagemaker_program": "train.py", "x": "1"}, {"train.py": code})

    with pytest.raises(UserError) as failed:
        train.main(container)

    assert str(failed.value) == (
        "ExecuteUserScriptError:\nExitCode 1\n"
        "ErrorMessage \"raise ValueError('no rows')\n ValueError: no rows\"\n"
        f'Command "{sys.executable} -- train.py -x 1"'
    )
    assert "working\nTraceback" in capfd.readouterr().err


def test_a_killed_script_ran_out_of_memory(job):
    code = "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n"
    container = job({"sagemaker_program": "train.py"}, {"train.py": code})
    with pytest.raises(UserError, match='ExtraInfo "OutOfMemory: Process killed by SIGKILL'):
        train.main(container)


def test_a_script_is_told_of_sigterm(job):
    code = (
        "import os, signal, sys\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\n"
        "os.kill(os.getppid(), signal.SIGTERM)\n"
        "signal.pause()\n"
    )
    train.main(job({"sagemaker_program": "train.py"}, {"train.py": code}))


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({}, "The training entry point name is empty"),
        ({"sagemaker_program": "../train.py"}, "cannot be used"),
        ({"sagemaker_program": "a/./train.py"}, "cannot be used"),
        ({"sagemaker_program": "-c"}, "cannot be used"),
        ({"sagemaker_program": "train.py; id"}, "cannot be used"),
        ({"sagemaker_program": "other.py"}, "has no other.py; it holds: train.py"),
        ({"sagemaker_program": "train.py", "sagemaker_mpi_enabled": "true"}, "distributed"),
    ],
)
def test_what_cannot_be_run_is_named(job, given, sentence):
    with pytest.raises(UserError, match=sentence):
        train.main(job(given, {"train.py": "pass"}))


def test_an_entry_point_may_not_lead_out_by_a_link(tmp_path):
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "train.py").symlink_to("/etc/hosts")
    with pytest.raises(UserError, match="leads out of your source directory"):
        sources.checked_entry_point("train.py", tmp_path / "code")


@pytest.mark.parametrize("text", ["# nothing\n\n", "pytest  # a comment\n", "Pytest\npolars\n"])
def test_requirements_that_are_there_are_left_alone(tmp_path, text):
    (tmp_path / "requirements.txt").write_text(text)
    assert requirements.install(tmp_path, tmp_path / "site") is None


@pytest.mark.parametrize("line", ["no-such-distribution", "pytest==0.1", "pytest[x]", "-e ."])
def test_requirements_that_are_missing_are_told_as_the_toolkit_tells_it(
    tmp_path, monkeypatch, line
):
    (tmp_path / "requirements.txt").write_text(f"{line}\n")
    monkeypatch.setattr(requirements.importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(UserError) as failed:
        requirements.install(tmp_path, tmp_path / "site")
    assert str(failed.value).startswith('InstallRequirementsError:\nExitCode 1\nErrorMessage "')
    assert line in str(failed.value)


def test_several_groups_have_a_master(tmp_path):
    groups = [
        {"instance_group_name": "a", "instance_type": "ml.m5.large", "hosts": ["algo-1"]},
        {"instance_group_name": "b", "instance_type": "ml.m5.large", "hosts": ["algo-2"]},
    ]
    resources = RESOURCES | {
        "current_host": "algo-2",
        "current_group_name": "b",
        "hosts": ["algo-1", "algo-2"],
        "instance_groups": groups,
    }
    given = {"sagemaker_parameter_server_enabled": "true"}
    told = environment.variables(tmp_path, environment.Documents(given, {}, resources), {})
    assert told["SM_IS_HETERO"] == "true"
    assert told["SM_DISTRIBUTION_INSTANCE_GROUPS"] == '["b"]'
    summary = json.loads(told["SM_TRAINING_ENV"])
    assert (summary["master_hostname"], summary["is_master"]) == ("algo-2", True)
