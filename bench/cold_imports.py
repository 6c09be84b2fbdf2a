"""
What a cold start costs in CPU: importing each function's app.py, compared with `import boto3`.

A fresh process sees what Lambda's would: the function's folder, the built layers, boto3 and nothing
else (`python -I -S`), with the environment that the deployed function has. Bytecode is warm: the
first round is not counted. The time is the process's CPU time around the import.
"""

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from cloud import ROOT, STACK, BenchError, Cloud, Workspace
from figures import Figure, Result, median

SAMPLES, QUICK_SAMPLES = 10, 2
GROUP = 4  # functions after two imports of boto3 that they are compared with
#: By the number of clients that the module makes (design: one client, up to four).
GOALS = {0: 0.35, 1: 1.5, 2: 1.9, 3: 1.9, 4: 1.9}

#: `tidemill --help` starts on every Tab; as a multiple of `import boto3`, which it does not do.
HELP_GOAL = 0.5
HELP = """
import time
began = time.process_time()
from tidemill_cli.main import main
try:
    main(["--help"])
except SystemExit:
    print(time.process_time() - began)
"""
PROBE = """
import json, sys, time
setup = json.loads(sys.argv[1])
sys.path[:0], sys.path[len(sys.path):] = setup["code"], setup["runtime"]
if setup["count"]:
    import boto3
    real, made = boto3.client, []
    boto3.client = lambda *names, **options: made.append(names) or real(*names, **options)
    __import__(setup["module"])
    print(len(made))
else:
    began = time.process_time()
    __import__(setup["module"])
    print(time.process_time() - began)
"""


@dataclass(frozen=True, slots=True)
class Place:
    """What a function's process may import, and its environment."""

    name: str
    code: list[str]
    runtime: str
    environment: dict[str, str]

    def run(self, module: str, *, count: bool = False) -> float:
        """Import *module* in a fresh process; return CPU seconds, or how many clients it made."""
        setup = {"code": self.code, "runtime": [self.runtime], "module": module, "count": count}
        bytecode = Path(self.runtime).with_name("bench-bytecode")
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-X", "utf8", "-X", f"pycache_prefix={bytecode}",
             "-c", PROBE, json.dumps(setup)],
            env=self.environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise BenchError(f"{self.name}: importing {module} failed: {done.stderr}")
        return float(done.stdout)


def measure(workspace: Workspace) -> Result:
    """Import boto3 and each function by turns, round after round."""
    count = QUICK_SAMPLES if workspace.quick else SAMPLES
    with workspace.cloud("cold-imports") as cloud:
        cloud.deploy()
        places = _places(cloud, workspace.built)
    clients = {place.name: int(place.run("app", count=True)) for place in places}
    ratios: dict[str, list[float]] = {place.name: [] for place in places}
    helps: list[float] = []
    floors: list[float] = []
    for number in range(count + 1):
        for start in range(0, len(places), GROUP):
            group = places[start : start + GROUP]
            floor = median([group[0].run("boto3"), group[-1].run("boto3")])
            own = {place.name: place.run("app") for place in group}
            if number:
                floors.append(floor)
                helps.append(_help() / floor)
                for name, spent in own.items():
                    ratios[name].append(spent / floor)
    figures = [
        Figure("import boto3", 1000 * median(floors), "ms", note="CPU; the unit of what follows"),
        *(
            Figure(name, median(ratios[name]), "x", GOALS.get(made), _clients(made))
            for name, made in sorted(clients.items(), key=lambda item: (item[1], item[0]))
        ),
        Figure("tidemill --help", median(helps), "x", HELP_GOAL, "the command, not a function"),
    ]
    title = f"Functions' cold import, as a multiple of `import boto3` (median of {count})"
    return Result(title, tuple(figures), ratios)


def _help() -> float:
    """Return the CPU seconds that the command takes to start and print its help."""
    done = subprocess.run([sys.executable, "-c", HELP], capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def _clients(made: int) -> str:
    return f"{made} client{'' if made == 1 else 's'}"


def _places(cloud: Cloud, built: Path) -> list[Place]:
    """Return the deployed functions; ours are named after their folders."""
    pages = cloud.client("cloudformation").get_paginator("list_stack_resources")
    functions = {
        resource["LogicalResourceId"]: resource["PhysicalResourceId"]
        for page in pages.paginate(StackName=STACK)
        for resource in page["StackResourceSummaries"]
        if resource["ResourceType"] == "AWS::Lambda::Function"
    }
    layers = [
        str(found)
        for layer in sorted(built.glob("*Layer"))
        for found in (layer / "python", (layer / "local-packages").read_text().strip())
    ]  # docs/local-cloud.md#layers
    places = []
    for logical, physical in sorted(functions.items()):
        folder = re.sub(r"(?<!^)(?=[A-Z])", "_", logical.removesuffix("Function")).lower()
        found = cloud.client("lambda").get_function_configuration(FunctionName=physical)
        places.append(
            Place(
                name=folder,
                code=[str(ROOT / "functions" / folder), *layers],
                runtime=str(cloud.state / "functions/runtime"),
                environment={
                    "PATH": "/usr/bin:/bin",
                    "AWS_REGION": "us-east-1",
                    "AWS_DEFAULT_REGION": "us-east-1",
                    "AWS_LAMBDA_FUNCTION_NAME": physical,
                    **found["Environment"]["Variables"],
                },
            )
        )
    if len(places) != len(list((ROOT / "functions").glob("*/app.py"))):
        raise BenchError(f"functions/ and the deployed stack differ: {sorted(functions)}")
    return places
