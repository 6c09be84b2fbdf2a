"""A local cloud, and the SageMaker SDK, in an environment of its own, that runs programs on it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from local_cloud import ROLE, LocalCloud

ROOT = Path(__file__).parents[2]
SDK = ROOT / ".tools" / "sdk3" / "bin" / "python"
PROGRAMS = Path(__file__).with_name("programs")
BUCKET = "artifacts"
REGISTRY = "000000000000.dkr.ecr.us-east-1.amazonaws.com"
SCRIPTS = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"

# It tells nobody who uses it; only the local cloud is there to be reached.
CONFIG = """
SchemaVersion: "1.0"
SageMaker:
  PythonSDK:
    Modules:
      TelemetryOptOut: true
"""


def pytest_collection_modifyitems(items):
    there = SDK.exists()
    for item in items:
        if "run_program" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.engine)
            if not there:
                item.add_marker(pytest.mark.skip("no SDK here; `make test-sdk` fetches it"))


@pytest.fixture(scope="session")
def cloud(tmp_path_factory):
    cloud = LocalCloud(tmp_path_factory.mktemp("sdk") / "state").start()
    try:
        cloud.client("s3").create_bucket(Bucket=BUCKET)
        yield cloud
    finally:
        cloud.close()


class Programs:
    """Runs programs of `programs/` with the SDK; see programs_server.py."""

    def __init__(self, cloud, home):
        self.cloud = cloud
        self.source = home / "source"
        shutil.copytree(PROGRAMS / "source", self.source)
        (home / "config.yaml").write_text(CONFIG)
        self._errors = (home / "errors.txt").open("w+")
        self._server = subprocess.Popen(
            [SDK, "-W", "ignore", PROGRAMS.with_name("programs_server.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(home),
                **cloud.environment(),
                "SAGEMAKER_USER_CONFIG_OVERRIDE": str(home / "config.yaml"),
                "SAGEMAKER_VALIDATE_ROLE": "false",
                "HTTPS_PROXY": "http://127.0.0.1:9",
            },
        )

    def image(self, name, code):
        """Return the URI of an image whose program is this Python code."""
        folder = self.cloud.state / "sagemaker"
        script = folder / f"{name}.py"
        script.write_text(code)
        path = folder / "images.json"
        images = json.loads(path.read_text()) if path.exists() else {}
        named = {f"{REGISTRY}/{name}": [sys.executable, "-S", str(script)]}
        path.write_text(json.dumps(images | named))
        return f"{REGISTRY}/{name}:1"

    def __call__(self, program, **argument):
        """Run a program with this argument; return the document that it prints last."""
        given = {"bucket": BUCKET, "role": ROLE, "source": str(self.source), "scripts": SCRIPTS}
        asked = {
            "program": str(PROGRAMS / f"{program}.py"),
            "argument": json.dumps(given | argument),
        }
        self._server.stdin.write(json.dumps(asked) + "\n")
        self._server.stdin.flush()
        line = self._server.stdout.readline()
        assert line, self._said()
        done = json.loads(line)
        assert done["status"] == 0, done["errors"][-5_000:]
        return json.loads(done["printed"].splitlines()[-1].rpartition("╯")[2])

    def close(self):
        self._server.stdin.close()
        self._server.wait(60)
        self._server.stdout.close()
        self._errors.close()

    def _said(self):
        self._errors.seek(0)
        return self._errors.read()[-5_000:]


@pytest.fixture(scope="session")
def run_program(cloud, tmp_path_factory):
    programs = Programs(cloud, tmp_path_factory.mktemp("programs"))
    yield programs
    programs.close()
