"""Every way in which a processing job can end, and what is left of it."""

import os
from itertools import pairwise

import pytest
from botocore.exceptions import ClientError

from tidemill_local.sagemaker.context import Limits

from .conftest import eventually
from .job_requests import keys, s3_output


@pytest.fixture(scope="module")
def cloud(shared_cloud):
    return shared_cloud


def test_a_failing_job_says_its_exit_code_and_uploads_nothing(cloud, s3, bucket):
    image = cloud.image("""
        import os, pathlib, sys
        base = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"])
        (base / "processing/output/half").write_text("done")
        (base / "output/message").write_text("Refused: the target has one class; add the other.")
        sys.exit(3)
    """)
    name = cloud.process(image, ProcessingOutputConfig=s3_output(f"s3://{bucket}/out"))

    job = cloud.processed(name)
    assert job["ProcessingJobStatus"] == "Failed"
    assert job["FailureReason"] == (
        "AlgorithmError: See job logs for more information, exit code: 3"
    )
    assert job["ExitMessage"] == "Refused: the target has one class; add the other."
    assert keys(s3, bucket, "out/") == []


WRITE_MESSAGE = """
    import os, pathlib
    path = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"], "output/message")
    path.write_bytes({data!r})
"""


def test_the_exit_message_is_the_first_kilobyte(cloud):
    # 1023 letters and then two-byte characters: the cut falls inside one
    data = b"x" * 1023 + "é".encode() * 10
    job = cloud.processed(cloud.process(cloud.image(WRITE_MESSAGE.format(data=data))))

    assert job["ProcessingJobStatus"] == "Completed"
    assert job["ExitMessage"] == "x" * 1023


def test_a_message_that_is_not_text_fails_the_job(cloud):
    job = cloud.processed(cloud.process(cloud.image(WRITE_MESSAGE.format(data=b"\xff\xfe"))))

    assert job["ProcessingJobStatus"] == "Failed"
    assert "is not UTF-8" in job["FailureReason"]


def test_a_job_that_runs_too_long_is_stopped(cloud):
    name = cloud.process(
        cloud.image("import time; time.sleep(60)"), StoppingCondition={"MaxRuntimeInSeconds": 1}
    )

    job = cloud.processed(name)
    assert job["ProcessingJobStatus"] == "Stopped"
    assert job["FailureReason"].startswith("MaxRuntimeExceeded")
    assert "(1 s)" in job["FailureReason"]


IGNORE_SIGTERM = """
    import os, pathlib, signal, time
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    pathlib.Path("ready").touch()
    time.sleep(60)
"""


def test_a_job_that_ignores_the_request_to_stop_is_killed(cloud):
    name = cloud.process(cloud.image(IGNORE_SIGTERM))
    ready = cloud.root / "jobs" / "processing" / name / "algo-1" / "ready"
    eventually(ready.exists, "the job ignores SIGTERM")

    cloud.sagemaker.stop_processing_job(ProcessingJobName=name)

    described = cloud.sagemaker.describe_processing_job(ProcessingJobName=name)
    assert described["ProcessingJobStatus"] == "Stopping"
    assert cloud.processed(name)["ProcessingJobStatus"] == "Stopped"


def test_a_stopped_job_uploads_what_it_had(cloud, s3, bucket):
    image = cloud.image("""
        import os, pathlib, signal, sys, time
        base = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"])
        def leave(*_):
            (base / "processing/output/saved").write_text("in time")
            sys.exit(0)
        signal.signal(signal.SIGTERM, leave)
        pathlib.Path("ready").touch()
        time.sleep(60)
    """)
    name = cloud.process(image, ProcessingOutputConfig=s3_output(f"s3://{bucket}/out"))
    ready = cloud.root / "jobs" / "processing" / name / "algo-1" / "ready"
    eventually(ready.exists, "the job listens")

    cloud.sagemaker.stop_processing_job(ProcessingJobName=name)

    assert cloud.processed(name)["ProcessingJobStatus"] == "Stopped"
    assert keys(s3, bucket, "out/") == ["saved"]


def test_a_job_that_waits_its_turn_stops_at_once(make_cloud):
    cloud = make_cloud(Limits(jobs=1, stop_grace_seconds=1))
    image = cloud.image("import time; time.sleep(60)")
    first, second = cloud.process(image), cloud.process(image)

    cloud.sagemaker.stop_processing_job(ProcessingJobName=second)

    assert cloud.processed(second)["ProcessingJobStatus"] == "Stopped"
    running = cloud.sagemaker.describe_processing_job(ProcessingJobName=first)
    assert running["ProcessingJobStatus"] == "InProgress"


def test_jobs_above_the_limit_run_in_order_of_arrival(make_cloud):
    cloud = make_cloud(Limits(jobs=1))
    image = cloud.image("pass")
    names = [cloud.process(image, ProcessingJobName=f"job-{number}") for number in range(3)]

    jobs = [cloud.processed(name) for name in names]

    starts = [job["ProcessingStartTime"] for job in jobs]
    assert starts == sorted(starts)
    assert all(
        earlier["ProcessingEndTime"] <= later["ProcessingStartTime"]
        for earlier, later in pairwise(jobs)
    )


def test_a_finished_job_cannot_be_stopped(cloud):
    name = cloud.process(cloud.image("pass"))
    cloud.processed(name)

    with pytest.raises(ClientError, match="processing job is in status Completed"):
        cloud.sagemaker.stop_processing_job(ProcessingJobName=name)


@pytest.mark.parametrize(
    ("death", "code"),
    [("os.kill(os.getpid(), 9)", 137), ("os._exit(137)", 137)],
)
def test_a_process_killed_without_our_asking_ran_out_of_memory(cloud, death, code):
    job = cloud.processed(cloud.process(cloud.image(f"import os; {death}")))

    assert job["ProcessingJobStatus"] == "Failed"
    assert "out of memory" in job["FailureReason"]
    assert job["FailureReason"].endswith(f"exit code: {code}")


def test_a_memory_limit_is_named_as_the_cause(make_cloud):
    cloud = make_cloud(Limits(job_memory_bytes=300 * 2**20))
    name = cloud.process(cloud.image("x = bytearray(600 * 2**20)"))

    job = cloud.processed(name)
    assert "hit its memory limit" in job["FailureReason"]
    assert job["FailureReason"].endswith("exit code: 1")


def test_a_crash_says_its_signal_as_a_shell_would(cloud):
    job = cloud.processed(cloud.process(cloud.image("import os; os.kill(os.getpid(), 6)")))

    assert job["FailureReason"].endswith("exit code: 134")


def test_an_unknown_image_names_the_remedy(cloud):
    job = cloud.processed(cloud.process("registry.example/team/unheard-of:3"))

    assert job["ProcessingJobStatus"] == "Failed"
    assert "registry.example/team/unheard-of:3" in job["FailureReason"]
    assert "tidemill images add" in job["FailureReason"]


def test_a_program_that_does_not_exist_fails_the_job(cloud):
    image = cloud.image("pass")
    name = cloud.process(image, AppSpecification={"ContainerEntrypoint": ["/no/such/program"]})

    assert cloud.processed(name)["FailureReason"].endswith("exit code: 127")


def test_directories_go_with_the_job_but_the_last_failures_stay(make_cloud):
    cloud = make_cloud(Limits(failed_job_directories=2))
    good, bad = cloud.image("pass"), cloud.image("raise SystemExit(1)")
    directory = cloud.root / "jobs" / "processing"
    for number in range(3):
        cloud.processed(cloud.process(good, ProcessingJobName=f"good-{number}"))
        cloud.processed(cloud.process(bad, ProcessingJobName=f"bad-{number}"))

    eventually(
        lambda: sorted(path.name for path in directory.iterdir()) == ["bad-1", "bad-2"],
        "only the last two failures",
    )


def test_directories_can_be_kept(make_cloud):
    cloud = make_cloud(Limits(keep_job_directories=True))
    name = cloud.process(cloud.image("open('here', 'w').close()"))

    cloud.processed(name)

    assert (cloud.root / "jobs" / "processing" / name / "algo-1" / "here").exists()


def test_a_job_whose_data_cannot_go_out_does_not_run_on(cloud):
    image = cloud.image("""
        import os, pathlib, time
        base = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"])
        (base / "processing/output/early").write_text(str(os.getpid()))
        time.sleep(600)
    """)
    config = s3_output("s3://there-is-no-such-bucket/out", mode="Continuous")
    name = cloud.process(image, ProcessingOutputConfig=config)

    assert "Failed to upload data" in cloud.processed(name)["FailureReason"]
    kept = cloud.root / "jobs" / "processing" / name / "algo-1/opt/ml/processing/output/early"
    with pytest.raises(ProcessLookupError):
        os.kill(int(kept.read_text()), 0)
