"""Jobs that nobody should write: they fail, and the service stays up."""

import os
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from tidemill_local.sagemaker.containers import volumes

from .conftest import Limits, eventually, log_lines


@pytest.fixture(scope="module")
def cloud(shared_cloud):
    return shared_cloud


def test_a_daemon_does_not_outlive_its_job(cloud, tmp_path):
    image = cloud.image(f"""
        import os, pathlib, signal, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                pathlib.Path({str(tmp_path / "pid")!r}).write_text(str(os.getpid()))
            time.sleep(600)
        time.sleep(600)
    """)

    job = cloud.processed(cloud.process(image, StoppingCondition={"MaxRuntimeInSeconds": 5}))

    assert job["ProcessingJobStatus"] == "Stopped"
    assert job["FailureReason"].startswith("MaxRuntimeExceeded")
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_bytes_without_an_end_of_line_are_cut_into_lines(cloud, logs):
    image = cloud.image("""
        import os
        for _ in range(20):
            os.write(1, b"\\xff\\x00\\x1b" * 10_000)
        os.write(1, b"the end")
    """)
    name = cloud.process(image)

    assert cloud.processed(name)["ProcessingJobStatus"] == "Completed"

    def words():
        return "".join(log_lines(logs, "/aws/sagemaker/ProcessingJobs", name)[-1:])

    eventually(lambda: words().endswith("the end"), "its last words")


FILLS = """
    import os, pathlib, time
    path = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"], "processing", "filler")
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(os.urandom(3 * 2**20))
    time.sleep(600)
"""


def test_a_job_that_fills_its_volume_fails_for_it(cloud, monkeypatch):
    monkeypatch.setattr(volumes, "_GIBIBYTE", 2**20)
    name = cloud.process(cloud.image(FILLS), ClusterConfig={"VolumeSizeInGB": 2})

    reason = cloud.processed(name)["FailureReason"]

    assert reason.startswith("AlgorithmError: No space left on device: ")
    assert "its VolumeSizeInGB (2)" in reason


def test_a_job_that_fills_the_disk_fails_and_leaves_nothing_on_it(make_cloud, monkeypatch):
    cloud = make_cloud(Limits(free_disk_bytes=2**60, stop_grace_seconds=1.0))
    monkeypatch.setattr(volumes, "_BLAMED_BYTES", 2**20)
    name = cloud.process(cloud.image(FILLS), ClusterConfig={"VolumeSizeInGB": 100})

    assert "the disk of the local cloud is nearly full" in cloud.processed(name)["FailureReason"]
    directory = cloud.root / "jobs" / "processing" / name
    eventually(lambda: not directory.exists(), "its files are gone")


def test_a_file_with_holes_takes_what_it_takes(tmp_path):
    with Path(tmp_path, "sparse").open("wb") as file:
        file.truncate(2**40)

    volumes.Volume(tmp_path, 1, 0).check()


def test_names_may_have_63_characters(cloud, bucket):
    name = "n" * 63
    assert cloud.processed(cloud.process(cloud.image("pass"), ProcessingJobName=name))
    assert cloud.trained(cloud.train(cloud.image("pass"), bucket=bucket, TrainingJobName=name))
    for start in (
        lambda: cloud.process("x", ProcessingJobName=name + "n"),
        lambda: cloud.train("x", bucket=bucket, TrainingJobName=name + "n"),
    ):
        with pytest.raises(ClientError, match="less than or equal to 63"):
            start()
