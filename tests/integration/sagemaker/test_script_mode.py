"""A script from S3, run as SageMaker's framework images run it."""

import io
import json
import sys
import tarfile

import pytest

from tidemill_local import container_tools
from tidemill_local.sagemaker.containers import workspace

from .conftest import log_lines
from .job_requests import archive, channel
from .model_servers import Hosting

IMAGE = "763104351884.dkr.ecr.eu-west-1.amazonaws.com/pytorch-training:2.8-cpu-py312"
SCRIPT = """
import argparse, json, os, sys
parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int)
parser.add_argument("--model-dir", default=os.environ["SM_MODEL_DIR"])
parser.add_argument("--train", default=os.environ["SM_CHANNEL_TRAIN"])
given = parser.parse_args()
print("epochs", given.epochs, flush=True)
if given.epochs == 0:
    raise RuntimeError("nothing to learn from 0 epochs")
rows = open(given.train + "/rows").read()
with open(given.model_dir + "/model.json", "w") as file:
    json.dump([given.epochs, rows, sys.executable], file)
"""


@pytest.fixture(scope="module")
def cloud(shared_cloud):
    return shared_cloud


def packed(entries):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as tar:
        for name, text in entries.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))
    return data.getvalue()


@pytest.fixture
def start(cloud, s3, bucket):
    s3.put_object(Bucket=bucket, Key="train/rows", Body=b"1,2")

    def start(image=IMAGE, epochs=3, source=None, **request):
        body = packed({"train.py": SCRIPT}) if source is None else source
        s3.put_object(Bucket=bucket, Key="code/sourcedir.tar.gz", Body=body)
        given = {
            "sagemaker_program": "train.py",
            "sagemaker_submit_directory": f"s3://{bucket}/code/sourcedir.tar.gz",
            "epochs": epochs,
        }
        return cloud.train(
            image,
            bucket=bucket,
            InputDataConfig=[channel("train", f"s3://{bucket}/train")],
            HyperParameters={name: json.dumps(value) for name, value in given.items()},
            **request,
        )

    return start


def test_a_framework_image_runs_the_script(cloud, s3, logs, bucket, start):
    name = start()
    job = cloud.trained(name)
    assert job["TrainingJobStatus"] == "Completed", job["FailureReason"]
    model = archive(s3, bucket, f"models/{name}/output/model.tar.gz")
    assert json.loads(model["model.json"]) == [3, "1,2", sys.executable]
    assert "epochs 3" in log_lines(logs, "/aws/sagemaker/TrainingJobs", name)


@pytest.mark.parametrize("image", ["sagemaker-xgboost:1.7-1", "company.example/anything:1"])
def test_a_failing_script_is_told_in_the_toolkits_words(cloud, start, image):
    job = cloud.trained(start(image, epochs=0))
    assert job["FailureReason"].startswith(
        'AlgorithmError: ExecuteUserScriptError:\nExitCode 1\nErrorMessage "raise RuntimeError('
    )
    assert "RuntimeError: nothing to learn from 0 epochs" in job["FailureReason"]
    assert job["FailureReason"].endswith(' -- train.py --epochs 0", exit code: 1')


def test_an_image_may_stand_for_a_python_of_yours(cloud, s3, bucket, start, tmp_path):
    mine = tmp_path / "mine" / "python3"
    mine.parent.mkdir()
    mine.write_text(f'#!/bin/sh\nMINE=yes exec {sys.executable} "$@"\n')
    mine.chmod(0o755)
    (cloud.root / "images.json").write_text(json.dumps({"company/torch": [str(mine)]}))
    tell = "import os; open(os.environ['SM_MODEL_DIR'] + '/said', 'w').write(os.environ['MINE'])"

    name = start("company/torch:2", source=packed({"train.py": tell}))

    assert cloud.trained(name)["TrainingJobStatus"] == "Completed"
    assert archive(s3, bucket, f"models/{name}/output/model.tar.gz") == {"said": "yes"}


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (packed({"train.py": "", "../evil": "x"}), "'../evil' leads out of the directory"),
        (b"no archive", "was not unpacked: it cannot be read"),
    ],
)
def test_a_source_archive_that_is_not_safe_fails_the_job(cloud, start, source, reason):
    assert reason in cloud.trained(start(source=source))["FailureReason"]


def test_a_serving_script_answers_behind_the_endpoint(cloud, s3, bucket):
    script = """
import json, os
def model_fn(model_dir):
    return open(os.path.join(model_dir, "factor")).read()
def predict_fn(data, model):
    return data * float(model)
"""
    body = packed({"factor": "3", "code/inference.py": script})
    s3.put_object(Bucket=bucket, Key="model.tar.gz", Body=body)
    cloud.sagemaker.create_model(
        ModelName="scripted",
        ExecutionRoleArn="arn:aws:iam::000000000000:role/jobs",
        PrimaryContainer={
            "Image": "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.4-2",
            "ModelDataUrl": f"s3://{bucket}/model.tar.gz",
            "Environment": {"SAGEMAKER_PROGRAM": "inference.py"},
        },
    )
    hosting = Hosting(cloud, s3, bucket)
    endpoint = hosting.endpoint(hosting.config("scripted"))
    answer = hosting.invoke(endpoint, b"[1, 2]", ContentType="application/json")
    assert (answer["Body"], answer["ContentType"]) == (b"[3.0, 6.0]", "application/json")
    with pytest.raises(cloud.runtime.exceptions.ModelError, match="not supported"):
        hosting.invoke(endpoint, b"x", ContentType="image/png")


DRIVER = """#!/bin/bash
set -e
SM_PYTHON_CMD=$(command -v python3)
SM_PIP_CMD=$(command -v pip3)
$SM_PYTHON_CMD /opt/ml/input/data/sm_drivers/scripts/environment.py
source /opt/ml/input/sm_training.env
cd /opt/ml/input/data/code
$SM_PYTHON_CMD train.py --epochs 2
"""
ENVIRONMENT = """
import json
config = json.load(open("/opt/ml/input/config/resourceconfig.json"))
with open("/opt/ml/input/sm_training.env", "w") as file:
    file.write("export SM_MODEL_DIR='/opt/ml/model'\\n")
    file.write("export SM_CHANNEL_TRAIN='/opt/ml/input/data/train'\\n")
"""
START = "/opt/ml/input/data/sm_drivers/sm_train.sh"


@pytest.mark.parametrize("private", [True, False])
def test_a_model_trainers_script_is_driven_from_a_channel(
    make_cloud, s3, bucket, monkeypatch, private
):
    """As the SDK v3 sends it: an entrypoint of its own, code and drivers in channels."""
    if not private:
        monkeypatch.setattr(workspace, "private_paths", lambda: False)
    elif not workspace.private_paths():
        pytest.skip("this kernel gives no private /opt/ml")
    cloud = make_cloud()
    for key, text in {
        "train/rows": "1,2",
        "code/train.py": SCRIPT,
        "sm_drivers/sm_train.sh": DRIVER,
        "sm_drivers/scripts/environment.py": ENVIRONMENT,
    }.items():
        s3.put_object(Bucket=bucket, Key=key, Body=text.encode())
    name = cloud.train(
        IMAGE,
        bucket=bucket,
        AlgorithmSpecification={
            "ContainerEntrypoint": ["/bin/bash"],
            "ContainerArguments": ["-c", f"chmod +x {START} && {START}"],
        },
        InputDataConfig=[
            channel(each, f"s3://{bucket}/{each}/") for each in ("train", "code", "sm_drivers")
        ],
    )
    job = cloud.trained(name)
    assert job["TrainingJobStatus"] == "Completed", job["FailureReason"]
    model = archive(s3, bucket, f"models/{name}/output/model.tar.gz")
    assert json.loads(model["model.json"])[:2] == [2, "1,2"]


FAKE_DOCKER = """#!/bin/sh
[ "$1" = run ] || exit 0
for word; do case "$word" in *:/opt/ml) base=${word%:/opt/ml};; esac; last=$word; done
echo "as $last" > "$base/model/said"
"""


def test_an_image_that_nobody_knows_is_run_by_docker(cloud, s3, bucket, tmp_path, monkeypatch):
    """The directory that docker mounts is the machine's, whatever the job sees at /opt/ml."""
    fake = tmp_path / "bin" / "docker"
    fake.parent.mkdir()
    fake.write_text(FAKE_DOCKER)
    fake.chmod(0o755)
    docker = container_tools.Tool(str(fake), {"PATH": "/usr/bin:/bin"})
    monkeypatch.setattr(container_tools, "find", lambda: docker)

    name = cloud.train("company/image:1", bucket=bucket)

    job = cloud.trained(name)
    assert job["TrainingJobStatus"] == "Completed", job["FailureReason"]
    assert archive(s3, bucket, f"models/{name}/output/model.tar.gz") == {"said": "as train\n"}
