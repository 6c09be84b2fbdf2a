"""/opt/ml as containers see it: their own where the kernel allows, else by name."""

import json
import os
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tidemill_local.sagemaker.containers import container, workspace

from .job_requests import archive, channel, keys, put, s3_input, s3_output

private = pytest.mark.skipif(
    not workspace.private_paths(), reason="this kernel lets us have no mount namespace"
)


def names_in_opt():
    return {path.name for path in Path("/opt").iterdir()}


@pytest.fixture(scope="module")
def cloud(shared_cloud):
    return shared_cloud


@private
def test_a_script_with_sagemakers_paths_in_its_code_runs_unchanged(cloud, s3, bucket):
    put(s3, bucket, raw__a=b"A")
    image = cloud.image("""
        import json, os, pathlib
        text = pathlib.Path("/opt/ml/processing/input/raw/a").read_text()
        seen = {"text": text, "opt": os.listdir("/opt"), "base": os.environ["SAGEMAKER_BASE_DIR"]}
        pathlib.Path("/opt/ml/processing/output/seen").write_text(json.dumps(seen))
        pathlib.Path("/opt/ml/output/message").write_text("seen")
    """)
    before = names_in_opt()

    name = cloud.process(
        image,
        ProcessingInputs=[s3_input("raw", f"s3://{bucket}/raw")],
        ProcessingOutputConfig=s3_output(f"s3://{bucket}/out"),
    )

    job = cloud.processed(name)
    assert job["ProcessingJobStatus"] == "Completed", job.get("FailureReason")
    assert job["ExitMessage"] == "seen"
    seen = json.loads(s3.get_object(Bucket=bucket, Key="out/seen")["Body"].read())
    assert (seen["text"], seen["base"]) == ("A", "/opt/ml")
    assert set(seen["opt"]) == before | {"ml"}
    assert names_in_opt() == before


@private
def test_a_training_script_with_sagemakers_paths_in_its_code_runs_unchanged(cloud, s3, bucket):
    put(s3, bucket, train__a=b"rows")
    image = cloud.image("""
        import json, os, pathlib, socket
        rows = pathlib.Path("/opt/ml/input/data/train/a").read_text()
        eta = json.loads(pathlib.Path("/opt/ml/input/config/hyperparameters.json").read_text())
        pathlib.Path("/opt/ml/model/model.txt").write_text(f"{rows} {eta['eta']}")
        told = {name: os.environ[name] for name in ("SM_MODEL_DIR", "SM_CHANNEL_TRAIN", "SM_HOSTS")}
        told["address"] = socket.gethostbyname("algo-1")
        pathlib.Path("/opt/ml/output/data/told").write_text(json.dumps(told))
    """)
    name = cloud.train(
        image,
        bucket=bucket,
        HyperParameters={"eta": "0.1"},
        InputDataConfig=[channel("train", f"s3://{bucket}/train")],
    )

    job = cloud.trained(name)
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    model = archive(s3, bucket, f"models/{name}/output/model.tar.gz")
    assert model == {"model.txt": "rows 0.1"}
    output = archive(s3, bucket, f"models/{name}/output/output.tar.gz")
    assert json.loads(output["told"]) == {
        "SM_MODEL_DIR": "/opt/ml/model",
        "SM_CHANNEL_TRAIN": "/opt/ml/input/data/train",
        "SM_HOSTS": '["algo-1"]',
        "address": "127.0.0.1",
    }
    with pytest.raises(socket.gaierror):
        socket.gethostbyname("algo-1")


def test_elsewhere_arguments_and_environment_lead_to_the_files(cloud, s3, bucket, monkeypatch):
    monkeypatch.setattr(workspace, "private_paths", lambda: False)
    put(s3, bucket, raw__a=b"A")
    image = cloud.image("""
        import os, pathlib, shutil, sys
        output = pathlib.Path(sys.argv[1].removeprefix("--to="))
        shutil.copytree(pathlib.Path(os.environ["FROM"]), output, dirs_exist_ok=True)
        assert output.is_relative_to(os.environ["SAGEMAKER_BASE_DIR"]), output
        assert not output.is_relative_to("/opt/ml"), output
    """)

    name = cloud.process(
        image,
        AppSpecification={"ContainerArguments": ["--to=/opt/ml/processing/output"]},
        Environment={"FROM": "/opt/ml/processing/input/raw"},
        ProcessingInputs=[s3_input("raw", f"s3://{bucket}/raw")],
        ProcessingOutputConfig=s3_output(f"s3://{bucket}/out"),
    )

    job = cloud.processed(name)
    assert job["ProcessingJobStatus"] == "Completed", job.get("FailureReason")
    assert keys(s3, bucket, "out/") == ["a"]


def test_elsewhere_a_single_host_is_called_as_everyone_can_resolve_it(
    cloud, s3, bucket, monkeypatch
):
    monkeypatch.setattr(workspace, "private_paths", lambda: False)
    image = cloud.image("""
        import os, pathlib
        pathlib.Path(os.environ["SM_OUTPUT_DATA_DIR"], "host").write_text(os.environ["SM_HOSTS"])
    """)

    name = cloud.train(image, bucket=bucket)

    assert cloud.trained(name)["TrainingJobStatus"] == "Completed"
    output = archive(s3, bucket, f"models/{name}/output/output.tar.gz")
    assert output == {"host": '["localhost"]'}


@private
def test_a_container_that_starts_again_sees_the_rest_of_opt_as_before(tmp_path):
    (tmp_path / "opt" / "ml").mkdir(parents=True)
    code = """if True:
        import os
        folders = sorted(entry.path for entry in os.scandir("/opt") if entry.is_dir())
        print([(folder, sorted(os.listdir(folder))) for folder in folders])
    """
    told = []
    for _ in range(2):
        printed = []
        process = container.Container(
            [sys.executable, "-S", "-c", code],
            env={},
            directory=tmp_path,
            output=printed.append,
            overlay=tmp_path,
        )
        assert process.wait(20) == 0, printed
        told.append(b"".join(printed))

    assert told[0] == told[1]


# Gives up CAP_SYS_ADMIN, which lets root mount without a user namespace, and goes on as argv.
UNPRIVILEGED = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(24, 21, 0, 0, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


@private
def test_who_may_not_mount_gets_a_user_namespace_and_keeps_the_own_name(tmp_path):
    (tmp_path / "opt" / "ml").mkdir(parents=True)
    (tmp_path / "opt" / "ml" / "file").write_text("here")
    code = textwrap.dedent("""
        import os
        print(open("/opt/ml/file").read(), os.getuid(), os.getgid(), sorted(os.listdir("/opt")))
    """)
    supervisor = Path(container.__file__).with_name("supervisor.py")
    command = [sys.executable, "-I", "-S", str(supervisor), "0", str(tmp_path)]
    listening, held_open = os.pipe()  # its closing would end the supervisor
    process = subprocess.run(
        [sys.executable, "-c", UNPRIVILEGED, *command, sys.executable, "-c", code],
        stdin=listening,
        capture_output=True,
        text=True,
        check=False,
    )
    os.close(held_open)
    os.close(listening)
    if "unshare" in process.stderr:
        pytest.skip("this kernel lets users have no namespace of their own")

    everything = sorted(names_in_opt() | {"ml"})
    expected = f"here {os.getuid()} {os.getgid()} {everything}\n"
    assert (process.stdout, process.returncode) == (expected, 0), process.stderr
