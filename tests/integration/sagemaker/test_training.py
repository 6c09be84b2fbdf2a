"""Training jobs: the container contract, and every way in which a job can end."""

import json
from itertools import pairwise

import pytest
from botocore.exceptions import ClientError

from tidemill_local.sagemaker.context import Limits

from .conftest import ROLE, eventually, log_lines
from .job_requests import archive, channel

WRITE_MODEL = """
    import os, pathlib, sys
    base = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"])
    assert sys.argv[1:] == ["train"], sys.argv
    (base / "model" / "model.txt").write_text("weights")
"""


@pytest.fixture(scope="module")
def cloud(shared_cloud):
    return shared_cloud


def exists(s3, bucket, key):
    return bool(s3.list_objects_v2(Bucket=bucket, Prefix=key).get("Contents"))


def test_a_job_delivers_its_model_where_sagemaker_does(cloud, s3, bucket):
    name = cloud.train(cloud.image(WRITE_MODEL), bucket=bucket)

    job = cloud.trained(name)
    assert job["TrainingJobStatus"] == job["SecondaryStatus"] == "Completed"
    artifact = f"models/{name}/output/model.tar.gz"
    assert job["ModelArtifacts"]["S3ModelArtifacts"] == f"s3://{bucket}/{artifact}"
    assert archive(s3, bucket, artifact) == {"model.txt": "weights"}
    assert job["BillableTimeInSeconds"] == job["TrainingTimeInSeconds"] == 1
    assert job["CreationTime"] <= job["TrainingStartTime"] <= job["TrainingEndTime"]


def test_the_contract_is_what_the_container_finds(cloud, s3, bucket):
    s3.put_object(Bucket=bucket, Key="data/train/part-0", Body=b"rows")
    image = cloud.image("""
        import json, os, pathlib
        base = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"])
        found = {p.name: json.loads(p.read_text()) for p in (base / "input/config").iterdir()}
        found["env"] = dict(os.environ)
        found["data"] = (base / "input/data/train/part-0").read_text()
        (base / "output/data/found.json").write_text(json.dumps(found))
    """)
    name = cloud.train(
        image,
        bucket=bucket,
        HyperParameters={"eta": "0.1", "problem": "binary", "layers": "[1, 2]"},
        InputDataConfig=[channel("train", f"s3://{bucket}/data/train")],
        Environment={"MINE": "yes"},
    )
    job = cloud.trained(name)
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")

    found = json.loads(archive(s3, bucket, f"models/{name}/output/output.tar.gz")["found.json"])
    env = found["env"]
    assert found["data"] == "rows"
    assert found["hyperparameters.json"] == {
        "eta": "0.1",
        "problem": "binary",
        "layers": "[1, 2]",
    }
    assert found["inputdataconfig.json"] == {
        "train": {
            "TrainingInputMode": "File",
            "S3DistributionType": "FullyReplicated",
            "RecordWrapperType": "None",
        }
    }
    assert found["resourceconfig.json"]["hosts"] == [env["SM_CURRENT_HOST"]]
    assert found["resourceconfig.json"]["current_instance_type"] == "ml.m5.large"
    assert env["TRAINING_JOB_NAME"] == name
    assert env["TRAINING_JOB_ARN"] == job["TrainingJobArn"]
    assert env["MINE"] == "yes"
    base = env["SAGEMAKER_BASE_DIR"]
    assert env["SM_MODEL_DIR"] == f"{base}/model"
    assert env["SM_CHANNEL_TRAIN"] == f"{base}/input/data/train"
    assert env["SM_HP_ETA"] == "0.1"
    assert json.loads(env["SM_HPS"]) == {"eta": 0.1, "problem": "binary", "layers": [1, 2]}
    assert json.loads(env["SM_USER_ARGS"])[:2] == ["--eta", "0.1"]
    assert json.loads(env["SM_CHANNELS"]) == ["train"]
    assert json.loads(env["SM_TRAINING_ENV"])["channel_input_dirs"] == {
        "train": f"{base}/input/data/train"
    }


def test_a_job_without_a_model_or_output_uploads_no_archive(cloud, s3, bucket):
    name = cloud.train(cloud.image("pass"), bucket=bucket)

    assert cloud.trained(name)["TrainingJobStatus"] == "Completed"
    assert not exists(s3, bucket, f"models/{name}/")


def test_an_uncompressed_model_is_a_folder(cloud, s3, bucket):
    name = "plain"
    image = cloud.image(WRITE_MODEL)
    cloud.sagemaker.create_training_job(
        TrainingJobName=name,
        RoleArn=ROLE,
        AlgorithmSpecification={"TrainingImage": image, "TrainingInputMode": "FastFile"},
        OutputDataConfig={"S3OutputPath": f"s3://{bucket}/models/", "CompressionType": "NONE"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
    )

    job = cloud.trained(name)
    assert job["ModelArtifacts"]["S3ModelArtifacts"] == f"s3://{bucket}/models/plain/output/model/"
    assert exists(s3, bucket, "models/plain/output/model/model.txt")


def test_the_failure_file_becomes_the_reason(cloud, s3, bucket):
    image = cloud.image("""
        import os, pathlib, sys
        base = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"])
        (base / "model/half").write_text("trained")
        (base / "output/data/debug").write_text("look here")
        (base / "output/failure").write_text("the target has one class only")
        sys.exit(1)
    """)
    name = cloud.train(image, bucket=bucket)

    job = cloud.trained(name)
    assert job["TrainingJobStatus"] == job["SecondaryStatus"] == "Failed"
    assert job["FailureReason"] == "AlgorithmError: the target has one class only, exit code: 1"
    assert not exists(s3, bucket, f"models/{name}/output/model.tar.gz")
    assert archive(s3, bucket, f"models/{name}/output/output.tar.gz") == {"debug": "look here"}


def test_a_long_failure_file_is_cut_and_keeps_the_exit_code(cloud, bucket):
    image = cloud.image("""
        import os, pathlib, sys
        failure = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"], "output/failure")
        failure.write_bytes(b"\\xff" * 5000)
        sys.exit(2)
    """)
    job = cloud.trained(cloud.train(image, bucket=bucket))

    assert len(job["FailureReason"]) <= 1024
    assert job["FailureReason"].endswith(", exit code: 2")


def test_a_failure_without_a_file_points_at_the_log(cloud, bucket, logs):
    name = cloud.train(cloud.image("raise ValueError('boom')"), bucket=bucket)

    assert cloud.trained(name)["FailureReason"] == (
        "AlgorithmError: See job logs for more information, exit code: 1"
    )
    assert log_lines(logs, "/aws/sagemaker/TrainingJobs", name)[-1] == "ValueError: boom"


def test_running_out_of_memory_outweighs_what_the_failure_file_says(cloud, bucket):
    image = cloud.image("""
        import os, pathlib
        pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"], "output/failure").write_text("unknown")
        os.kill(os.getpid(), 9)
    """)
    reason = cloud.trained(cloud.train(image, bucket=bucket))["FailureReason"]

    assert reason.startswith("AlgorithmError: Please use an instance type with more memory")
    assert reason.endswith("exit code: 137")


def test_a_memory_limit_is_named_as_the_cause(make_cloud, bucket):
    cloud = make_cloud(Limits(job_memory_bytes=300 * 2**20))

    job = cloud.trained(cloud.train(cloud.image("x = bytearray(600 * 2**20)"), bucket=bucket))

    assert "hit its memory limit" in job["FailureReason"]


def test_a_job_that_runs_too_long_keeps_its_model(cloud, s3, bucket):
    image = cloud.image("""
        import os, pathlib, signal, sys, time
        def save(*_):
            pathlib.Path(os.environ["SM_MODEL_DIR"], "model.txt").write_text("so far")
            sys.exit(0)
        signal.signal(signal.SIGTERM, save)
        time.sleep(60)
    """)
    name = cloud.train(image, bucket=bucket, StoppingCondition={"MaxRuntimeInSeconds": 1})

    job = cloud.trained(name)
    assert job["TrainingJobStatus"] == "Stopped"
    assert job["SecondaryStatus"] == "MaxRuntimeExceeded"
    assert archive(s3, bucket, f"models/{name}/output/model.tar.gz") == {"model.txt": "so far"}


def test_a_stopped_job_goes_through_stopping(cloud, bucket):
    image = cloud.image("""
        import os, pathlib, signal, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        pathlib.Path("ready").touch()
        time.sleep(60)
    """)
    name = cloud.train(image, bucket=bucket)
    ready = cloud.root / "jobs" / "training" / name / "algo-1" / "ready"
    eventually(ready.exists, "the job ignores SIGTERM")

    cloud.sagemaker.stop_training_job(TrainingJobName=name)
    cloud.sagemaker.stop_training_job(TrainingJobName=name)  # asking twice does no harm
    stopping = cloud.sagemaker.describe_training_job(TrainingJobName=name)

    assert stopping["TrainingJobStatus"] == stopping["SecondaryStatus"] == "Stopping"
    job = cloud.trained(name)
    assert job["TrainingJobStatus"] == job["SecondaryStatus"] == "Stopped"
    steps = [step["Status"] for step in job["SecondaryStatusTransitions"]]
    assert steps == ["Starting", "Downloading", "Training", "Stopping", "Stopped"]
    with pytest.raises(ClientError, match="training job is in status Stopped"):
        cloud.sagemaker.stop_training_job(TrainingJobName=name)


def test_the_transitions_follow_each_other_without_a_gap(cloud, bucket):
    job = cloud.trained(cloud.train(cloud.image(WRITE_MODEL), bucket=bucket))

    steps = job["SecondaryStatusTransitions"]
    assert [step["Status"] for step in steps] == [
        "Starting",
        "Downloading",
        "Training",
        "Uploading",
        "Completed",
    ]
    for earlier, later in pairwise(steps):
        assert earlier["EndTime"] == later["StartTime"]
    assert all(step["StatusMessage"] for step in steps)


def test_events_tell_each_step_as_describe_would(cloud, bucket):
    name = cloud.train(cloud.image(WRITE_MODEL), bucket=bucket, Tags=[{"Key": "a", "Value": "b"}])
    job = cloud.trained(name)

    details = cloud.details("Training Job", name, until="Completed")
    assert [detail["SecondaryStatus"] for detail in details] == [
        "Starting",
        "Downloading",
        "Training",
        "Uploading",
        "Completed",
    ]
    last = details[-1]
    assert last["ModelArtifacts"] == job["ModelArtifacts"]
    assert last["Tags"] == {"a": "b"}
    assert last["TrainingEndTime"] == pytest.approx(
        job["TrainingEndTime"].timestamp() * 1000, abs=1
    )
    assert last["SecondaryStatusTransitions"][0]["StartTime"] == last["CreationTime"]
    arns = [resources for _, detail, resources in cloud.events if detail in details]
    assert arns == [[job["TrainingJobArn"]]] * len(details)


def test_metrics_are_read_from_the_log(cloud, bucket):
    image = cloud.image("""
        for step in range(3):
            print(f"[{step}] auc:0.{step + 7} loss=nan")
        print("auc:not-a-number", end="")
    """)
    definitions = [
        {"Name": "validation:auc", "Regex": r"auc:(\S+)"},
        {"Name": "absent", "Regex": r"f1=(\S+)"},
    ]
    name = cloud.train(
        image, bucket=bucket, AlgorithmSpecification={"MetricDefinitions": definitions}
    )

    (metric,) = cloud.trained(name)["FinalMetricDataList"]
    assert metric["MetricName"] == "validation:auc"
    assert metric["Value"] == pytest.approx(0.9)


def test_checkpoints_come_back_to_the_next_job(cloud, s3, bucket):
    image = cloud.image("""
        import os, pathlib
        directory = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"], "checkpoints")
        step = len(list(directory.iterdir()))
        (directory / f"step-{step}").write_text("x")
    """)
    config = {"S3Uri": f"s3://{bucket}/checkpoints"}
    for _ in range(2):
        job = cloud.trained(cloud.train(image, bucket=bucket, CheckpointConfig=config))
        assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")

    found = s3.list_objects_v2(Bucket=bucket, Prefix="checkpoints/")["Contents"]
    assert [item["Key"] for item in found] == ["checkpoints/step-0", "checkpoints/step-1"]


def test_a_manifest_channel_gets_what_it_names(cloud, s3, bucket):
    s3.put_object(Bucket=bucket, Key="p/train/part-00000", Body=b"1")
    s3.put_object(Bucket=bucket, Key="p/train/part-00001", Body=b"2")
    manifest = json.dumps([{"prefix": f"s3://{bucket}/p/"}, "train/part-00001"])
    s3.put_object(Bucket=bucket, Key="p/train.manifest", Body=manifest.encode())
    image = cloud.image("""
        import os, pathlib
        base = pathlib.Path(os.environ["SM_CHANNEL_TRAIN"])
        names = [str(p.relative_to(base)) for p in base.rglob("*") if p.is_file()]
        pathlib.Path(os.environ["SM_OUTPUT_DATA_DIR"], "names").write_text(",".join(names))
    """)
    name = cloud.train(
        image,
        bucket=bucket,
        InputDataConfig=[channel("train", f"s3://{bucket}/p/train.manifest", "ManifestFile")],
    )

    assert cloud.trained(name)["TrainingJobStatus"] == "Completed"
    output = archive(s3, bucket, f"models/{name}/output/output.tar.gz")
    assert output == {"names": "train/part-00001"}


def test_a_missing_manifest_fails_the_job(cloud, bucket):
    name = cloud.train(
        cloud.image("pass"),
        bucket=bucket,
        InputDataConfig=[channel("train", f"s3://{bucket}/no.manifest", "ManifestFile")],
    )

    job = cloud.trained(name)
    assert job["TrainingJobStatus"] == "Failed"
    assert f"The manifest s3://{bucket}/no.manifest cannot be read" in job["FailureReason"]
    assert "TrainingTimeInSeconds" not in job
