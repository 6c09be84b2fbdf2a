"""Jobs on several hosts."""

import json

import pytest

from .conftest import eventually
from .job_requests import archive, channel, keys, put, s3_input, s3_output


@pytest.fixture(scope="module")
def cloud(shared_cloud):
    return shared_cloud


def streams(logs, group, job):
    found = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{job}/")
    return [stream["logStreamName"] for stream in found["logStreams"]]


def document(s3, bucket, key):
    return json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())


def test_each_host_of_a_processing_job_gets_its_share_and_all_outputs_arrive(
    cloud, s3, bucket, logs
):
    put(s3, bucket, raw__a=b"A", raw__b=b"B", raw__c=b"C", ref__r=b"R")
    image = cloud.image("""
        import json, os, pathlib
        base = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"])
        resources = json.loads((base / "config/resourceconfig.json").read_text())
        found = {
            folder: sorted(os.listdir(base / "processing/input" / folder))
            for folder in ("raw", "ref")
        }
        output = base / "processing/output" / resources["current_host"]
        output.write_text(json.dumps(found | resources))
        (base / "processing/more" / resources["current_host"]).touch()
        print("I am", resources["current_host"])
    """)
    sharded = s3_input("raw", f"s3://{bucket}/raw")
    sharded["S3Input"]["S3DataDistributionType"] = "ShardedByS3Key"
    outputs = s3_output(f"s3://{bucket}/out")["Outputs"]
    more = s3_output(f"s3://{bucket}/more", path="/opt/ml/processing/more")["Outputs"][0]

    name = cloud.process(
        image,
        ClusterConfig={"InstanceCount": 2},
        ProcessingInputs=[sharded, s3_input("ref", f"s3://{bucket}/ref")],
        ProcessingOutputConfig={"Outputs": [*outputs, more | {"OutputName": "more"}]},
    )

    job = cloud.processed(name)
    assert job["ProcessingJobStatus"] == "Completed", job.get("FailureReason")
    assert keys(s3, bucket, "more/") == ["algo-1", "algo-2"]
    first, second = (document(s3, bucket, f"out/algo-{number}") for number in (1, 2))
    hosts = ["algo-1", "algo-2"]
    assert first == {"raw": ["a", "c"], "ref": ["r"], "current_host": "algo-1", "hosts": hosts}
    assert second == {"raw": ["b"], "ref": ["r"], "current_host": "algo-2", "hosts": hosts}
    names = streams(logs, "/aws/sagemaker/ProcessingJobs", name)
    assert [stream.rpartition("-")[0] for stream in names] == [f"{name}/{host}" for host in hosts]


def test_the_hosts_of_a_training_job_know_each_other_and_leave_one_model(cloud, s3, bucket):
    put(s3, bucket, train__a=b"A", train__b=b"B")
    image = cloud.image("""
        import json, os, pathlib
        host = os.environ["SM_CURRENT_HOST"]
        base = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"])
        resources = json.loads((base / "input/config/resourceconfig.json").read_text())
        told = {
            "config": resources["current_host"],
            "hosts": resources["hosts"],
            "group": resources["instance_groups"][0]["hosts"],
            "master": json.loads(os.environ["SM_TRAINING_ENV"])["is_master"],
            "train": os.listdir(os.environ["SM_CHANNEL_TRAIN"]),
        }
        pathlib.Path(os.environ["SM_MODEL_DIR"], f"{host}.json").write_text(json.dumps(told))
        pathlib.Path(os.environ["SM_MODEL_DIR"], "shared").write_text(host)
    """)
    sharded = channel("train", f"s3://{bucket}/train")
    sharded["DataSource"]["S3DataSource"]["S3DataDistributionType"] = "ShardedByS3Key"

    name = cloud.train(
        image, bucket=bucket, ResourceConfig={"InstanceCount": 2}, InputDataConfig=[sharded]
    )

    job = cloud.trained(name)
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    model = archive(s3, bucket, f"models/{name}/output/model.tar.gz")
    hosts = ["algo-1", "algo-2"]
    assert sorted(model) == ["algo-1.json", "algo-2.json", "shared"]
    assert model["shared"] == "algo-2"
    common = {"hosts": hosts, "group": hosts}
    assert json.loads(model["algo-1.json"]) == common | {
        "config": "algo-1",
        "master": True,
        "train": ["a"],
    }
    assert json.loads(model["algo-2.json"]) == common | {
        "config": "algo-2",
        "master": False,
        "train": ["b"],
    }


SECOND_FAILS = """
    import json, os, pathlib, sys, time
    base = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"])
    if os.environ["SM_CURRENT_HOST"] == "algo-2":
        (base / "output/failure").write_text("the second host lost its way")
        sys.exit(3)
    time.sleep(600)
"""


def test_the_first_host_to_fail_fails_the_job_and_ends_the_others(cloud, bucket):
    image = cloud.image(SECOND_FAILS)

    job = cloud.trained(cloud.train(image, bucket=bucket, ResourceConfig={"InstanceCount": 3}))

    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"] == ("AlgorithmError: the second host lost its way, exit code: 3")


def test_a_request_to_stop_reaches_every_host(cloud, s3, bucket):
    image = cloud.image("""
        import json, os, pathlib, signal, sys, time
        base = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"])
        host = json.loads((base / "config/resourceconfig.json").read_text())["current_host"]
        def leave(*_):
            (base / "processing/output" / host).write_text("in time")
            sys.exit(0)
        signal.signal(signal.SIGTERM, leave)
        pathlib.Path("ready").touch()
        time.sleep(600)
    """)
    name = cloud.process(
        image,
        ClusterConfig={"InstanceCount": 2},
        ProcessingOutputConfig=s3_output(f"s3://{bucket}/out"),
    )
    home = cloud.root / "jobs" / "processing" / name
    eventually(lambda: len(list(home.glob("*/ready"))) == 2, "both hosts run")

    cloud.sagemaker.stop_processing_job(ProcessingJobName=name)

    assert cloud.processed(name)["ProcessingJobStatus"] == "Stopped"
    assert keys(s3, bucket, "out/") == ["algo-1", "algo-2"]


def test_more_hosts_than_there_are_is_a_limit_exceeded(cloud, bucket):
    for kind, start in (
        ("processing", lambda: cloud.process("x", ClusterConfig={"InstanceCount": 21})),
        (
            "training",
            lambda: cloud.train("x", bucket=bucket, ResourceConfig={"InstanceCount": 21}),
        ),
    ):
        with pytest.raises(
            cloud.sagemaker.exceptions.ResourceLimitExceeded,
            match=rf"'ml.m5.large for {kind} job usage' is 20 Instances",
        ):
            start()
