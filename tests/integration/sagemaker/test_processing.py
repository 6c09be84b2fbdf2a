"""Processing jobs: the container contract, and what is refused."""

import json
import re

import pytest
from botocore.exceptions import ClientError

from .conftest import ROLE, eventually, log_lines
from .job_requests import keys, put, s3_input, s3_output

COPY = """
    import os, pathlib, shutil
    data = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"], "processing")
    shutil.copytree(data / "input", data / "output", dirs_exist_ok=True)
    print("copied")
"""


@pytest.fixture(scope="module")
def cloud(shared_cloud):
    return shared_cloud


def test_a_job_reads_its_inputs_and_its_outputs_arrive(cloud, s3, bucket):
    put(s3, bucket, raw__a=b"A", raw__deep__b=b"B")

    name = cloud.process(
        cloud.image(COPY),
        ProcessingInputs=[s3_input("raw", f"s3://{bucket}/raw")],
        ProcessingOutputConfig=s3_output(f"s3://{bucket}/out"),
    )

    job = cloud.processed(name)
    assert job["ProcessingJobStatus"] == "Completed", job.get("FailureReason")
    assert keys(s3, bucket, "out/") == ["raw/a", "raw/deep/b"]
    assert job["CreationTime"] <= job["ProcessingStartTime"] <= job["ProcessingEndTime"]
    assert "FailureReason" not in job


def test_the_configuration_files_say_what_was_asked(cloud, s3, bucket):
    image = cloud.image("""
        import os, pathlib, shutil
        base = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"])
        shutil.copytree(base / "config", base / "processing" / "output", dirs_exist_ok=True)
    """)
    name = cloud.process(
        image,
        AppSpecification={"ContainerArguments": ["--x", "1"]},
        Environment={"K": "V"},
        ProcessingOutputConfig=s3_output(f"s3://{bucket}/out"),
    )
    assert cloud.processed(name)["ProcessingJobStatus"] == "Completed"

    def document(key):
        return json.loads(s3.get_object(Bucket=bucket, Key=f"out/{key}")["Body"].read())

    config = document("processingjobconfig.json")
    assert config["ProcessingJobName"] == name
    assert config["ProcessingJobArn"].endswith(f":processing-job/{name}")
    assert config["AppSpecification"] == {
        "ImageUri": image,
        "ContainerEntrypoint": None,
        "ContainerArguments": ["--x", "1"],
    }
    assert config["Environment"] == {"K": "V"}
    assert config["ProcessingOutputConfig"]["Outputs"][0]["S3Output"]["S3UploadMode"] == "EndOfJob"
    assert config["StoppingCondition"] == {"MaxRuntimeInSeconds": 60}
    assert document("resourceconfig.json") == {"current_host": "algo-1", "hosts": ["algo-1"]}


def test_the_environment_is_the_jobs_own_and_points_at_the_local_cloud(
    cloud, s3, bucket, aws, monkeypatch
):
    monkeypatch.setenv("SECRET_OF_THE_SERVICE", "1")
    image = cloud.image("""
        import json, os, pathlib
        output = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"], "processing", "output")
        (output / "env.json").write_text(json.dumps(dict(os.environ) | {"cwd": os.getcwd()}))
    """)
    name = cloud.process(
        image,
        Environment={
            "PLACE": "/opt/ml/processing/x",
            "LANG": "C",
            "AWS_REGION": "mars-1",
            "AWS_ENDPOINT_URL": "https://s3.amazonaws.com",
        },
        ProcessingOutputConfig=s3_output(f"s3://{bucket}/out"),
    )
    assert cloud.processed(name)["ProcessingJobStatus"] == "Completed"

    env = json.loads(s3.get_object(Bucket=bucket, Key="out/env.json")["Body"].read())
    assert env["AWS_ENDPOINT_URL"] == aws
    assert env["AWS_REGION"] == env["AWS_DEFAULT_REGION"] == "us-east-1"
    assert env["PLACE"] == f"{env['SAGEMAKER_BASE_DIR']}/processing/x"
    assert env["LANG"] == "C"
    assert env["HOME"].startswith(env["cwd"])
    assert env["TMPDIR"].startswith(env["cwd"])
    assert "SECRET_OF_THE_SERVICE" not in env


def test_container_paths_in_arguments_are_translated(cloud, s3, bucket):
    put(s3, bucket, code__hello_py=b"import sys, shutil; shutil.copy(sys.argv[1][5:], sys.argv[2])")
    code = s3_input("code", f"s3://{bucket}/code/hello_py")

    name = cloud.process(
        "any.registry/anything:1",
        AppSpecification={
            "ContainerEntrypoint": ["python3", "/opt/ml/processing/input/code/hello_py"],
            "ContainerArguments": [
                "--in=/opt/ml/processing/input/code/hello_py",
                "/opt/ml/processing/output/copy",
            ],
        },
        ProcessingInputs=[code],
        ProcessingOutputConfig=s3_output(f"s3://{bucket}/out"),
    )

    assert cloud.processed(name).get("FailureReason") is None
    assert keys(s3, bucket, "out/") == ["copy"]


def test_a_manifest_names_exactly_what_the_job_gets(cloud, s3, bucket):
    put(s3, bucket, run1__train__a=b"1", run1__train__b=b"2", run1__stray=b"no")
    manifest = [{"prefix": f"s3://{bucket}/run1/"}, "train/a", "train/b"]
    put(s3, bucket, manifests__m=json.dumps(manifest).encode())

    name = cloud.process(
        cloud.image(COPY),
        ProcessingInputs=[s3_input("in", f"s3://{bucket}/manifests/m", "ManifestFile")],
        ProcessingOutputConfig=s3_output(f"s3://{bucket}/out"),
    )

    assert cloud.processed(name)["ProcessingJobStatus"] == "Completed"
    assert keys(s3, bucket, "out/in/") == ["train/a", "train/b"]


@pytest.mark.parametrize(
    ("manifest", "why"),
    [
        (b"not json", "is malformed: it is not JSON"),
        (b'{"prefix": "s3://b/"}', "must be a list"),
        (b'[{"prefix": "s3://b/"}]', "at least one name"),
        (b'[{"prefix": "s3://BUCKET/"}, "gone"]', "GetObject failed for s3://BUCKET/gone"),
        (b'[{"prefix": "s3://BUCKET/"}, "x/../../../../etc/passwd"]', "rename the object"),
        (b'[{"prefix": "s3://BUCKET/"}, 7]', "must be a name"),
    ],
)
def test_a_bad_manifest_fails_the_job_and_is_named(cloud, s3, bucket, manifest, why):
    put(s3, bucket, m=manifest.replace(b"BUCKET", bucket.encode()))

    name = cloud.process(
        cloud.image(COPY), ProcessingInputs=[s3_input("in", f"s3://{bucket}/m", "ManifestFile")]
    )

    job = cloud.processed(name)
    assert job["ProcessingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("ClientError: Failed to download data.")
    assert why.replace("BUCKET", bucket) in job["FailureReason"]


def test_an_empty_prefix_fails_the_job(cloud, bucket):
    name = cloud.process(
        cloud.image(COPY), ProcessingInputs=[s3_input("in", f"s3://{bucket}/nothing/")]
    )

    job = cloud.processed(name)
    assert job["ProcessingJobStatus"] == "Failed"
    assert f'No S3 objects found under S3 URL "s3://{bucket}/nothing/"' in job["FailureReason"]
    assert ROLE in job["FailureReason"]


def test_two_keys_that_cannot_share_a_file_system_fail_the_job(cloud, s3, bucket):
    put(s3, bucket, in__a=b"file", in__a__b=b"and folder")

    name = cloud.process(cloud.image(COPY), ProcessingInputs=[s3_input("in", f"s3://{bucket}/in")])

    assert "cannot lie at" in cloud.processed(name)["FailureReason"]


def test_a_missing_output_bucket_fails_the_job(cloud):
    image = cloud.image("""
        import os, pathlib
        pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"], "processing/output/x").write_text("x")
    """)
    name = cloud.process(
        image, ProcessingOutputConfig=s3_output("s3://there-is-no-such-bucket/out")
    )

    reason = cloud.processed(name)["FailureReason"]
    assert reason.startswith("ClientError: Failed to upload data to s3://there-is-no-such-bucket")


def test_a_continuous_output_arrives_while_the_job_runs_and_even_if_it_fails(cloud, s3, bucket):
    image = cloud.image("""
        import os, pathlib, sys, time
        base = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"])
        output = base / "processing/output"
        (output / "early").write_text("1")
        while not pathlib.Path("go").exists(): time.sleep(0.02)
        (output / "late").write_text("2")
        sys.exit(1)
    """)
    config = s3_output(f"s3://{bucket}/out", mode="Continuous")
    name = cloud.process(image, ProcessingOutputConfig=config)

    eventually(lambda: keys(s3, bucket, "out/") == ["early"], "the early file")
    (cloud.root / "jobs" / "processing" / name / "algo-1" / "go").touch()

    assert cloud.processed(name)["ProcessingJobStatus"] == "Failed"
    assert keys(s3, bucket, "out/") == ["early", "late"]


def test_symbolic_links_are_not_uploaded(cloud, s3, bucket):
    image = cloud.image("""
        import os, pathlib
        output = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"], "processing/output")
        (output / "real").write_text("x")
        (output / "link").symlink_to(output / "real")
        (output / "passwd").symlink_to("/etc")
    """)
    name = cloud.process(image, ProcessingOutputConfig=s3_output(f"s3://{bucket}/out"))

    assert cloud.processed(name)["ProcessingJobStatus"] == "Completed"
    assert keys(s3, bucket, "out/") == ["real"]


def test_an_unknown_instance_type_is_refused_in_sagemakers_words(cloud):
    with pytest.raises(ClientError) as caught:
        cloud.process(cloud.image("pass"), ClusterConfig={"InstanceType": "ml.m5.gigantic"})

    error = caught.value.response["Error"]
    assert error["Code"] == "ValidationException"
    assert re.match(
        r"1 validation error detected: Value 'ml\.m5\.gigantic' at "
        r"'processingResources\.clusterConfig\.instanceType' failed to satisfy constraint: "
        r"Member must satisfy enum value set: \[.*ml\.m5\.xlarge.*\]",
        error["Message"],
    )


def test_a_name_can_be_used_once(cloud):
    image = cloud.image("pass")
    cloud.process(image, ProcessingJobName="twice")

    with pytest.raises(cloud.sagemaker.exceptions.ResourceInUse, match="already exists"):
        cloud.process(image, ProcessingJobName="twice")


@pytest.mark.parametrize("operation", ["describe_processing_job", "stop_processing_job"])
def test_a_job_that_does_not_exist_is_not_found(cloud, operation):
    with pytest.raises(ClientError) as caught:
        getattr(cloud.sagemaker, operation)(ProcessingJobName="nobody")

    error = caught.value.response["Error"]
    assert error["Code"] == "ValidationException"
    assert error["Message"] == "Could not find requested job with name: nobody"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"S3InputMode": "Pipe"}, "supports File"),
        ({"LocalPath": "/etc"}, "must be below /opt/ml/processing"),
        ({"LocalPath": "/opt/ml/processing/../model"}, "must be below /opt/ml/processing"),
        ({"S3CompressionType": "Gzip"}, "supports None"),
    ],
)
def test_what_cannot_be_done_here_is_refused_at_once(cloud, change, why):
    channel = s3_input("in", "s3://b/p")
    channel["S3Input"] |= change

    with pytest.raises(ClientError, match=why):
        cloud.process(cloud.image("pass"), ProcessingInputs=[channel])


def test_what_the_program_would_have_to_move_itself_is_refused_by_name(cloud):
    output = s3_output("s3://b/out")
    output["Outputs"][0]["AppManaged"] = True

    with pytest.raises(ClientError, match="output out is AppManaged"):
        cloud.process("x", ProcessingOutputConfig=output)
    with pytest.raises(ClientError, match="input in is AppManaged"):
        cloud.process("x", ProcessingInputs=[s3_input("in", "s3://b/p") | {"AppManaged": True}])


def test_the_log_arrives_while_the_job_runs_whatever_it_prints(cloud, logs):
    image = cloud.image("""
        import os, pathlib, sys, time
        print("first line"); sys.stdout.flush()
        sys.stdout.buffer.write(b"\\xff\\xfe binary\\n\\nno newline at the end"); sys.stdout.flush()
        print("to stderr", file=sys.stderr)
        go = pathlib.Path("go")
        while not go.exists(): time.sleep(0.02)
        print("last line")
    """)
    name = cloud.process(image)

    def lines():
        return log_lines(logs, "/aws/sagemaker/ProcessingJobs", name)

    eventually(lambda: "first line" in lines(), "the first line, live")
    assert "last line" not in lines()
    (cloud.root / "jobs" / "processing" / name / "algo-1" / "go").touch()
    assert cloud.processed(name)["ProcessingJobStatus"] == "Completed"

    assert lines() == [
        "first line",
        "\ufffd\ufffd binary",
        " ",
        "no newline at the endto stderr",
        "last line",
    ]


def test_events_tell_each_status_with_times_in_milliseconds_and_tags(cloud):
    name = cloud.process(cloud.image("pass"), Tags=[{"Key": "run", "Value": "r1"}])
    job = cloud.processed(name)

    first, last = cloud.details("Processing Job", name, until="Completed")
    assert (first["ProcessingJobStatus"], last["ProcessingJobStatus"]) == (
        "InProgress",
        "Completed",
    )
    assert last["ProcessingJobName"] == name
    assert last["ProcessingJobArn"] == job["ProcessingJobArn"]
    assert last["Tags"] == {"run": "r1"}
    assert last["ProcessingEndTime"] == pytest.approx(
        job["ProcessingEndTime"].timestamp() * 1000, abs=1
    )
    assert isinstance(last["ProcessingEndTime"], int)
