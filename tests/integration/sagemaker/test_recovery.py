"""A service that stops: nothing keeps running, nothing stays InProgress (test_kill_9 kills it)."""

import os
from pathlib import Path

from tidemill_local.sagemaker.context import Limits

from .conftest import eventually

# A job that would outlive its parent if it could: it leaves its session and forks twice.
STUBBORN = """
    import os, pathlib, signal, time
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    home = pathlib.Path.cwd()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            (home / "grandchild.tmp").write_text(str(os.getpid()))
            (home / "grandchild.tmp").rename(home / "grandchild.pid")
            time.sleep(600)
        os._exit(0)
    (home / "main.tmp").write_text(str(os.getpid()))
    (home / "main.tmp").rename(home / "main.pid")
    time.sleep(600)
"""


def running(pid):
    try:
        os.kill(pid, 0)
        # a zombie that nobody has reaped yet answers too, but runs no more
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


def test_an_orderly_stop_kills_the_jobs_and_the_next_start_says_so(make_cloud, tmp_path):
    first = make_cloud(root=tmp_path / "state")
    running_job = first.process(first.image(STUBBORN))
    home = tmp_path / "state" / "jobs" / "processing" / running_job / "algo-1"
    pid_file = home / "grandchild.pid"
    eventually(pid_file.exists, "the job runs")
    pid = int(pid_file.read_text())
    first.service.stop()
    eventually(lambda: not running(pid), "the job's grandchild is gone")

    second = make_cloud(root=tmp_path / "state")

    job = second.sagemaker.describe_processing_job(ProcessingJobName=running_job)
    assert job["ProcessingJobStatus"] == "Failed"


def test_a_job_that_was_being_stopped_is_stopped_after_recovery(make_cloud, tmp_path):
    first = make_cloud(root=tmp_path / "state")
    name = first.process(first.image(STUBBORN))
    pid_file = tmp_path / "state" / "jobs" / "processing" / name / "algo-1" / "grandchild.pid"
    eventually(pid_file.exists, "the job runs")
    first.sagemaker.stop_processing_job(ProcessingJobName=name)
    first.service.stop()

    second = make_cloud(root=tmp_path / "state")

    job = second.sagemaker.describe_processing_job(ProcessingJobName=name)
    assert job["ProcessingJobStatus"] == "Stopped"


def test_what_had_ended_stays_as_it_was_and_is_not_announced_again(make_cloud, tmp_path):
    first = make_cloud(root=tmp_path / "state")
    name = first.process(first.image("pass"))
    before = first.processed(name)
    first.service.stop()

    second = make_cloud(root=tmp_path / "state")

    after = second.sagemaker.describe_processing_job(ProcessingJobName=name)
    assert after["ProcessingJobStatus"] == "Completed"
    assert after["ProcessingEndTime"] == before["ProcessingEndTime"]
    assert second.events == []


def test_directories_that_a_crash_left_behind_go_but_failures_stay(make_cloud, tmp_path):
    first = make_cloud(root=tmp_path / "state")
    failed = first.process(first.image("raise SystemExit(1)"))
    done = first.process(first.image("pass"))
    first.processed(failed)
    first.processed(done)
    first.service.stop()
    jobs = tmp_path / "state" / "jobs" / "processing"
    (jobs / done).mkdir(exist_ok=True)  # as if the crash came before it was removed
    (jobs / "of-no-record").mkdir()

    make_cloud(root=tmp_path / "state")

    assert [path.name for path in jobs.iterdir()] == [failed]


def test_jobs_that_waited_their_turn_wait_for_it_again(make_cloud, bucket, tmp_path):
    first = make_cloud(Limits(jobs=1), tmp_path / "state")
    running_job = first.process(first.image(STUBBORN))
    home = tmp_path / "state" / "jobs" / "processing" / running_job / "algo-1"
    eventually((home / "main.pid").exists, "the first job runs")
    waiting = first.process(first.image("pass"))
    other = first.train(first.image("pass"), bucket=bucket)
    stopped = first.process(first.image("pass"))
    first.sagemaker.stop_processing_job(ProcessingJobName=stopped)
    first.service.stop()

    second = make_cloud(root=tmp_path / "state")

    assert second.processed(running_job)["ProcessingJobStatus"] == "Failed"
    assert second.processed(waiting)["ProcessingJobStatus"] == "Completed"
    assert second.trained(other)["TrainingJobStatus"] == "Completed"
    assert second.processed(stopped)["ProcessingJobStatus"] == "Stopped"
