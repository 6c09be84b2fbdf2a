"""
Hold script mode against the toolkits inside SageMaker's own images.

    make test-toolkits

The same training job is run by `sagemaker-training` and by our script mode, at the same paths; the
same requests are answered by `sagemaker-inference` and by ours. Prints what was compared and each
difference: those that are meant with their reason, others as findings. Exit status: 0, or 1 when
there is a finding.
"""

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serving_cases import CASES, by_ours

ROOT = Path(__file__).parents[2]
THEIRS = ROOT / ".tools" / "toolkits" / "bin" / "python"
#: What is not meant to be alike: variables, and what no job here tries.
MEANT = {
    "setup.py": "the toolkit installs a package with pip, ours puts its directory on the path",
    "requirements.txt": "the toolkit installs it always, ours into the job's directory, if need be",
    "sourcedir.tar.gz": "the toolkit renames or skips entries that lead out, ours fails the job",
    "SIGTERM": "ours passes it on to the script",
    "PYTHONPATH": "the toolkit hands on its whole sys.path; ours names the source directory only",
    "OMP_WAIT_POLICY": "ours lets OpenMP's threads sleep while they wait, as jobs share a laptop",
}
RESOURCES = {
    "current_host": "localhost",  # the toolkit resolves each name, for up to 15 minutes
    "current_instance_type": "ml.m5.xlarge",
    "current_group_name": "homogeneousCluster",
    "hosts": ["localhost"],
    "instance_groups": [
        {
            "instance_group_name": "homogeneousCluster",
            "instance_type": "ml.m5.xlarge",
            "hosts": ["localhost"],
        }
    ],
    "network_interface_name": "eth0",
}
INPUTS = {
    name: {
        "ContentType": "text/csv",
        "TrainingInputMode": "File",
        "S3DistributionType": "FullyReplicated",
        "RecordWrapperType": "None",
    }
    for name in ("train", "validation")
}
VARIED = {
    "eta": "0.1",
    "name": '"a b"',
    "n": "3",
    "layers": "[1, 2]",
    "options": '{"b": 2, "a": 1}',
    "flag": "true",
    "none": "null",
    "plain": "it's $HOME",
    "ünder-score_d": '"ö"',
    "sagemaker_container_log_level": "10",
    "sagemaker_job_name": '"the-job"',
    "sagemaker_region": '"eu-west-1"',
    "sagemaker_instance_type": '"ml.m5.xlarge"',
    "_tuning_objective_metric": '"validation:auc"',
}
TELL = """
import json, os, sys
with open(os.environ["TOLD"], "w") as file:
    json.dump({"argv": sys.argv, "env": dict(os.environ), "cwd": os.getcwd()}, file)
"""
SHELL = f"#!/bin/sh\nexec {sys.executable} -c '{TELL}' \"$@\"\n"
# As the framework images do: the script's last words go into the failure.
FRAMEWORK = """
from sagemaker_training import entry_point, environment
def main():
    env = environment.Environment()
    entry_point.run(env.module_dir, env.user_entry_point, env.to_cmd_args(), env.to_env_vars(),
                    capture_error=True)
"""


@dataclass(frozen=True, slots=True)
class Job:
    """A training job: its program, source directory and hyperparameters."""

    name: str
    program: str
    files: Mapping[str, str]
    hyperparameters: Mapping[str, str]


JOBS = (
    Job("a program", "train.py", {"train.py": TELL}, VARIED),
    Job("no hyperparameters", "train.py", {"train.py": TELL}, {}),
    Job("a shell script", "run.sh", {"run.sh": SHELL}, VARIED),
    Job("a program below", "src/train.py", {"src/train.py": TELL}, {"x": "1"}),
    Job("an empty value", "train.py", {"train.py": TELL}, {"a": '""'}),
    Job(
        "a script that raises", "train.py", {"train.py": "raise ValueError('no rows')"}, {"x": "1"}
    ),
    Job(
        "a script that says a lot",
        "train.py",
        {
            "train.py": "import sys\n"
            "print('reading', file=sys.stderr)\n"
            "for _ in range(3): print('KeyError: again', file=sys.stderr)\n"
            "sys.exit(3)\n"
        },
        {},
    ),
    Job("a script that is silent", "train.py", {"train.py": "raise SystemExit(4)"}, {}),
    Job("no such program", "other.py", {"train.py": TELL}, {}),
    Job("a name that leads out", "../train.py", {"train.py": TELL}, {}),
    Job("a name with a command", "train.py;id", {"train.py": TELL}, {}),
)
#: Whose failures are worded by the toolkit's own exceptions, which ours puts in other words.
OTHER_WORDS = {
    "no such program": "ours says so before Python is started, and what there is",
    "a name that leads out": "ours refuses in one sentence",
    "a name with a command": "ours refuses in one sentence",
}


def main() -> int:
    findings: list[str] = []
    say = sys.stdout.write
    with tempfile.TemporaryDirectory() as folder:
        for job in JOBS:
            theirs, ours = (_trained(job, Path(folder), ours=ours) for ours in (False, True))
            found = list(_differences(job, theirs, ours))
            findings += [f"{job.name}: {one}" for one in found]
            seen = len(theirs["told"].get("env", {}))
            say(f"train  {job.name}: exit {theirs['exit']}, {seen} variables\n")
    told = subprocess.run(
        [THEIRS, Path(__file__).with_name("serving_cases.py")],
        capture_output=True, text=True, check=True, timeout=300,
    )  # fmt: skip
    for case, theirs in zip(CASES, json.loads(told.stdout), strict=True):
        with contextlib.redirect_stderr(io.StringIO()):  # tracebacks, which cases are about
            ours = by_ours(case)
        if ours != theirs:
            findings.append(f"{case.name}: theirs {theirs}, ours {ours}")
        say(f"serve  {case.name}: {theirs[0]} {theirs[1]}\n")
    say("\nmeant to differ:\n")
    for name, why in (MEANT | OTHER_WORDS).items():
        say(f"  {name}: {why}\n")
    for finding in findings:
        say(f"FINDING  {finding}\n")
    return 1 if findings else 0


def _trained(job: Job, folder: Path, *, ours: bool) -> dict[str, Any]:
    """Run a job by the toolkit or by ours; return what it saw and how it ended."""
    base, source, told = folder / "opt" / "ml", folder / "source", folder / "told.json"
    for path in (base, source):
        shutil.rmtree(path, ignore_errors=True)
    told.unlink(missing_ok=True)
    for path in ("input/config", "model", "output/data", "output/intermediate"):
        (base / path).mkdir(parents=True)
    hyperparameters = dict(job.hyperparameters) | {
        "sagemaker_program": json.dumps(job.program),
        "sagemaker_submit_directory": json.dumps(str(source)),
    }
    for name, document in (
        ("hyperparameters", hyperparameters),
        ("inputdataconfig", INPUTS),
        ("resourceconfig", RESOURCES),
    ):
        (base / "input" / "config" / f"{name}.json").write_text(json.dumps(document))
    for name, text in job.files.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(text)
    (folder / "framework").mkdir(exist_ok=True)
    (folder / "framework" / "framework.py").write_text(FRAMEWORK)
    environment = {
        "PATH": os.defpath,
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "SAGEMAKER_BASE_DIR": str(base),
        "SAGEMAKER_TRAINING_MODULE": "framework:main",
        "TRAINING_JOB_NAME": "the-job",
        "TOLD": str(told),
        "AWS_DEFAULT_REGION": "us-east-1",
        "PYTHONPATH": str(folder / "framework"),
    }
    package = "tidemill_local.containers" if ours else "sagemaker_training.cli.train"
    words = ["script", "train"] if ours else []
    python = Path(sys.executable) if ours else THEIRS
    done = subprocess.run(
        [python, "-m", package, *words],
        cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    failure = base / "output" / "failure"
    text = failure.read_text() if failure.exists() else ""
    return {
        "exit": done.returncode,
        "failure": text.replace(str(python), "python"),
        "success": (base / "output" / "success").exists(),
        "told": json.loads(told.read_text()) if told.exists() else {},
        "said": done.stderr[-2000:],
    }


def _differences(job: Job, theirs: dict[str, Any], ours: dict[str, Any]) -> Iterator[str]:
    for name in ("exit", "success"):
        if theirs[name] != ours[name]:
            yield f"{name}: theirs {theirs[name]}, ours {ours[name]}\n{ours['said']}"
    if job.name not in OTHER_WORDS and theirs["failure"] != ours["failure"]:
        yield f"failure: theirs {theirs['failure']!r}, ours {ours['failure']!r}"
    their_view, our_view = theirs["told"], ours["told"]
    for name in ("argv", "cwd"):
        if their_view.get(name) != our_view.get(name):
            yield f"{name}: theirs {their_view.get(name)}, ours {our_view.get(name)}"
    their_env, our_env = their_view.get("env", {}), our_view.get("env", {})
    for name in sorted({*their_env, *our_env} - set(MEANT)):
        if their_env.get(name) != our_env.get(name):
            yield f"${name}: theirs {their_env.get(name)!r}, ours {our_env.get(name)!r}"


if __name__ == "__main__":
    sys.exit(main())
