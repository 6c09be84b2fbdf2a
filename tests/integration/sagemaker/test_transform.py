"""Transform jobs: real serving processes, asked about every record of some objects."""

import gzip
import json
import struct
import uuid

import pytest

from .conftest import PATIENCE, eventually
from .job_requests import keys
from .model_servers import Hosting, gone, refused

# Adds up rows of CSV, doubles n of JSON lines; some records make it misbehave.
MODEL = """
    import http.server, json, os, pathlib, sys, time

    BASE = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"])
    FAILED = set()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self):
            if self.path == "/execution-parameters" and "PARAMETERS" in os.environ:
                return self.answer(200, os.environ["PARAMETERS"])
            self.answer(200 if self.path == "/ping" else 404, "")

        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            sys.stdout.write(f"asked {len(body.splitlines())}\\n")  # one write: others write too
            sys.stdout.flush()
            if "die" in body:
                os._exit(3)
            if "sleep" in body:
                (BASE / "pid").write_text(str(os.getpid()))
                time.sleep(60)
            if "refuse" in body:
                return self.answer(400, "this is no row")
            if "flaky" in body and body not in FAILED:
                FAILED.add(body)
                return self.answer(503, "busy")
            if "fail" in body:
                return self.answer(500, "the model is unwell")
            if body == "tell":
                said = {k: v for k, v in os.environ.items() if k.startswith(("SAGEMAKER_", "G"))}
                said["type"], said["accept"] = self.headers["Content-Type"], self.headers["Accept"]
                return self.answer(200, json.dumps(said))
            self.answer(200, "\\n".join(map(one, body.splitlines())))

        def answer(self, status, text):
            body = text.encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    def one(line):
        if line.startswith("{"):
            return json.dumps({"double": 2 * json.loads(line)["n"]})
        return str(sum(float(field) for field in line.split(",") if field != "flaky"))

    port = int(os.environ["SAGEMAKER_BIND_TO_PORT"])
    http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""


class Transforming:
    """Transforms objects of one bucket on one cloud, with as few words as possible."""

    def __init__(self, cloud, s3, bucket):
        self.cloud = cloud
        self.s3 = s3
        self.bucket = bucket
        self.sagemaker = cloud.sagemaker
        self.model = Hosting(cloud, s3, bucket).model(
            image=cloud.image(MODEL), Environment={"GIVEN": "by the model"}
        )

    def put(self, **objects):
        """Upload objects below a prefix of their own; return the prefix."""
        prefix = f"in-{uuid.uuid4().hex[:8]}"
        for name, body in objects.items():
            self.s3.put_object(
                Bucket=self.bucket, Key=f"{prefix}/{name.replace('__', '/')}", Body=body
            )
        return prefix

    def start(self, prefix, **request):
        name = request.pop("TransformJobName", f"transform-{uuid.uuid4().hex[:8]}")
        source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{self.bucket}/{prefix}"}
        self.sagemaker.create_transform_job(
            TransformJobName=name,
            ModelName=request.pop("ModelName", self.model),
            TransformInput={
                "DataSource": {"S3DataSource": source | request.pop("S3DataSource", {})},
                "ContentType": "text/csv",
                "SplitType": "Line",
            }
            | request.pop("TransformInput", {}),
            TransformOutput={
                "S3OutputPath": f"s3://{self.bucket}/out/{name}",
                "AssembleWith": "Line",
                "Accept": "text/csv",
            }
            | request.pop("TransformOutput", {}),
            TransformResources={
                "InstanceType": "ml.m5.large",
                "InstanceCount": request.pop("instances", 1),
            },
            **request,
        )
        return name

    def ended(self, name):
        store = self.cloud.service.context.store
        body = store.wait_for("TransformJob", name, lambda b: "TransformEndTime" in b, PATIENCE)
        assert "TransformEndTime" in body, body
        return self.sagemaker.describe_transform_job(TransformJobName=name)

    def run(self, prefix, **request):
        return self.ended(self.start(prefix, **request))

    def outputs(self, job):
        prefix = f"out/{job['TransformJobName']}/"
        return {
            name: self.s3.get_object(Bucket=self.bucket, Key=prefix + name)["Body"].read()
            for name in keys(self.s3, self.bucket, prefix)
        }


@pytest.fixture(scope="module")
def transforming(shared_cloud, s3):
    bucket = f"lake-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=bucket)
    return Transforming(shared_cloud, s3, bucket)


def lines(logs, job):
    group = "/aws/sagemaker/TransformJobs"
    found = logs.describe_log_streams(
        logGroupName=group, logStreamNamePrefix=f"{job['TransformJobName']}/i-"
    )["logStreams"]
    return {
        stream["logStreamName"].rpartition("/")[2]: [
            event["message"]
            for event in logs.get_log_events(
                logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True
            )["events"]
        ]
        for stream in found
    }


def test_each_object_gets_an_output_of_its_place(transforming, logs):
    prefix = transforming.put(**{"a.csv": b"1,2\n3,4\n", "day__b.csv": b"5,6"})

    job = transforming.run(prefix)

    assert job["TransformJobStatus"] == "Completed", job.get("FailureReason")
    assert transforming.outputs(job) == {"a.csv.out": b"3.0\n7.0\n", "day/b.csv.out": b"11.0\n"}
    assert job["CreationTime"] <= job["TransformStartTime"] <= job["TransformEndTime"]
    assert job["DataProcessing"] == {"InputFilter": "$", "OutputFilter": "$", "JoinSource": "None"}
    details = transforming.cloud.details(
        "Transform Job", job["TransformJobName"], until="Completed"
    )
    assert [detail["TransformJobStatus"] for detail in details] == ["InProgress", "Completed"]
    written = lines(logs, job)
    assert written.pop("data-log")[0].endswith(
        "[sagemaker logs]: MaxConcurrentTransforms=1, MaxPayloadInMB=6, BatchStrategy=MULTI_RECORD"
    )
    assert sorted(*written.values()) == ["asked 1", "asked 2"]
    left = transforming.cloud.root / "jobs" / "transform"
    eventually(lambda: not list(left.iterdir()), "the job's directory is gone")


def test_several_instances_share_the_objects(transforming, logs):
    prefix = transforming.put(a=b"1,2\n", b=b"3,4\nrefuse\n", c=b"5,6\n")

    job = transforming.run(prefix, instances=2)

    assert job["TransformJobStatus"] == "Failed"
    assert "1 of 3 objects failed" in job["FailureReason"]
    assert transforming.outputs(job) == {"a.out": b"3.0\n", "c.out": b"11.0\n"}
    asked = [printed for name, printed in lines(logs, job).items() if name != "data-log"]
    assert sorted(asked, key=len) == [["asked 2"], ["asked 1", "asked 1"]]


def test_records_in_frames_are_sent_one_by_one_without_them(transforming):
    rows = [b"1,2", b"3,4,5"]
    content = b"".join(struct.pack("<Q", len(row)) + b"crc1" + row + b"crc2" for row in rows)

    job = transforming.run(
        transforming.put(a=content),
        TransformInput={"SplitType": "TFRecord"},
        BatchStrategy="SingleRecord",
    )

    assert transforming.outputs(job) == {"a.out": b"3.0\n12.0\n"}


def test_records_are_filtered_joined_and_sent_one_by_one(transforming, logs):
    prefix = transforming.put(rows=b"".join(b"id%d,%d,1\n" % (n, n) for n in range(20)))

    job = transforming.run(
        prefix,
        BatchStrategy="SingleRecord",
        MaxConcurrentTransforms=4,
        DataProcessing={"InputFilter": "$[1:]", "JoinSource": "Input", "OutputFilter": "$[0,-1]"},
    )

    assert job["TransformJobStatus"] == "Completed", job.get("FailureReason")
    expected = b"".join(b"id%d,%d.0\n" % (n, n + 1) for n in range(20))
    assert transforming.outputs(job) == {"rows.out": expected}
    (container,) = [found for name, found in lines(logs, job).items() if name != "data-log"]
    assert container == ["asked 1"] * 20


def test_a_manifest_of_gzipped_json_lines(transforming):
    prefix = transforming.put(
        **{"x__a.gz": gzip.compress(b'{"n": 1}\n{"n": 2}\n'), "other": b"not in the manifest"}
    )
    manifest = [{"prefix": f"s3://{transforming.bucket}/{prefix}/"}, "x/a.gz"]
    where = transforming.put(manifest=json.dumps(manifest).encode())

    job = transforming.run(
        f"{where}/manifest",
        S3DataSource={"S3DataType": "ManifestFile"},
        TransformInput={"ContentType": "application/jsonlines", "CompressionType": "Gzip"},
        TransformOutput={"Accept": "application/jsonlines"},
        DataProcessing={"JoinSource": "Input"},
    )

    assert job["TransformJobStatus"] == "Completed", job.get("FailureReason")
    (stored,) = transforming.outputs(job).values()
    assert [json.loads(line) for line in stored.splitlines()] == [
        {"n": 1, "SageMakerOutput": {"double": 2}},
        {"n": 2, "SageMakerOutput": {"double": 4}},
    ]
    assert list(transforming.outputs(job)) == ["x/a.gz.out"]


def test_the_container_is_told_what_the_request_says(transforming):
    job = transforming.run(
        transforming.put(a=b"tell"),
        TransformInput={"SplitType": "None", "ContentType": "application/x-thing"},
        TransformOutput={"AssembleWith": "None"},
        Environment={"GREETING": "hello"},
        MaxPayloadInMB=3,
        BatchStrategy="MultiRecord",
        MaxConcurrentTransforms=2,
    )

    assert job["TransformJobStatus"] == "Completed", job.get("FailureReason")
    said = json.loads(transforming.outputs(job)["a.out"])
    assert {
        "SAGEMAKER_BATCH": "true",
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": "3",
        "SAGEMAKER_BATCH_STRATEGY": "MULTI_RECORD",
        "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": "2",
        "GIVEN": "by the model",
        "GREETING": "hello",
        "type": "application/x-thing",
        "accept": "text/csv",
    }.items() <= said.items()


def test_what_the_container_wishes_holds_where_the_request_says_nothing(transforming, logs):
    wishes = {"MaxConcurrentTransforms": 3, "BatchStrategy": "SINGLE_RECORD", "MaxPayloadInMB": "x"}
    job = transforming.run(
        transforming.put(a=b"1\n2\n"), Environment={"PARAMETERS": json.dumps(wishes)}
    )

    assert lines(logs, job)["data-log"][0].endswith(
        "MaxConcurrentTransforms=3, MaxPayloadInMB=6, BatchStrategy=SINGLE_RECORD"
    )


def test_a_bad_object_fails_the_job_and_leaves_the_others_their_outputs(transforming, logs):
    job = transforming.run(
        transforming.put(a=b"refuse\n", b=b"1\n", c=b"2\n", d=b"1" * 3_000_000), MaxPayloadInMB=1
    )

    assert job["TransformJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("ClientError: See job logs for more information.")
    assert "2 of 4 objects failed" in job["FailureReason"]
    assert transforming.outputs(job) == {"b.out": b"1.0\n", "c.out": b"2.0\n"}
    told = "\n".join(lines(logs, job)["data-log"])
    assert "/a: ClientError: 400" in told
    assert "/a: this is no row" in told
    assert "/d: ClientError: Too much data for max payload size" in told


def test_a_fault_is_tried_again_as_often_as_asked(transforming):
    objects = transforming.put(a=b"flaky,1\n")

    again = transforming.run(objects)
    once = transforming.run(objects, ModelClientConfig={"InvocationsMaxRetries": 0})

    assert again["TransformJobStatus"] == "Completed", again.get("FailureReason")
    assert once["TransformJobStatus"] == "Failed"
    assert once["FailureReason"].startswith("AlgorithmError: See job logs for more information.")
    assert "Bad HTTP status received from algorithm: 503" in once["FailureReason"]


def test_a_container_that_dies_fails_the_job(transforming):
    job = transforming.run(transforming.put(a=b"die\n"))

    assert job["TransformJobStatus"] == "Failed"
    assert "Unable to get response from algorithm" in job["FailureReason"]


def test_a_model_that_takes_too_long_is_not_waited_for(transforming):
    config = {"InvocationsTimeoutInSeconds": 1, "InvocationsMaxRetries": 0}
    job = transforming.run(transforming.put(a=b"sleep\n"), ModelClientConfig=config)

    assert job["TransformJobStatus"] == "Failed"
    assert "no answer within 1 s" in job["FailureReason"]


def test_a_stopped_job_ends_its_process_and_uploads_no_half(transforming):
    name = transforming.start(transforming.put(a=b"1\nsleep\n"), BatchStrategy="SingleRecord")
    pid_file = transforming.cloud.root / "jobs/transform" / name / "algo-1/server/opt/ml/pid"
    eventually(lambda: pid_file.exists() and pid_file.read_text(), "the model is asked")
    pid = int(pid_file.read_text())

    transforming.sagemaker.stop_transform_job(TransformJobName=name)

    job = transforming.ended(name)
    assert job["TransformJobStatus"] == "Stopped"
    assert "FailureReason" not in job
    assert transforming.outputs(job) == {}
    assert gone(pid)
    refused(
        transforming.sagemaker.stop_transform_job,
        "The request was rejected because the transform job is in status Stopped",
        TransformJobName=name,
    )


def test_an_empty_prefix_and_a_broken_model_fail_the_job(transforming, s3):
    hosting = Hosting(transforming.cloud, s3, transforming.bucket)
    broken = hosting.model(image=transforming.cloud.image("raise SystemExit('no model here')"))

    empty = transforming.run("nothing-there")
    job = transforming.run(transforming.put(a=b"1\n"), ModelName=broken)

    assert "No S3 objects found under S3 URL" in empty["FailureReason"]
    assert job["TransformJobStatus"] == "Failed"
    assert job["FailureReason"].startswith(
        "AlgorithmError: The primary container for transform job"
    )
    assert "no model here" in job["FailureReason"]


def test_jobs_are_listed_and_found_by_name_only(transforming):
    name = transforming.start(transforming.put(a=b"1\n"), TransformJobName="listed")
    listed = transforming.sagemaker.list_transform_jobs(NameContains="listed")
    transforming.ended(name)

    (summary,) = listed["TransformJobSummaries"]
    assert summary["TransformJobArn"].endswith(":transform-job/listed")
    with pytest.raises(transforming.sagemaker.exceptions.ResourceInUse, match="already exists"):
        transforming.start("in", TransformJobName="listed")
    for ask in (
        transforming.sagemaker.describe_transform_job,
        transforming.sagemaker.stop_transform_job,
    ):
        refused(ask, "Could not find requested job with name: nobody", TransformJobName="nobody")


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        ({"ModelName": "nobody"}, "Could not find model"),
        (
            {
                "TransformInput": {"SplitType": "RecordIO"},
                "DataProcessing": {"InputFilter": "$[0]"},
            },
            "needs SplitType None or Line, not RecordIO",
        ),
        ({"S3DataSource": {"S3DataType": "AugmentedManifestFile"}}, "AugmentedManifestFile is not"),
        ({"S3DataSource": {"S3Uri": "https://host/x"}}, "not an S3 URI"),
        ({"TransformOutput": {"S3OutputPath": "https://host/x"}}, "not an S3 URI"),
        ({"MaxPayloadInMB": 101}, "must not exceed 100 MB"),
        ({"MaxPayloadInMB": 26, "MaxConcurrentTransforms": 4}, "make 104 MB"),
        ({"DataProcessing": {"InputFilter": "features"}}, "must begin with $"),
        ({"DataProcessing": {"OutputFilter": "$[?(@)]"}}, "OutputFilter of DataProcessing"),
        (
            {"DataProcessing": {"JoinSource": "Input"}, "TransformOutput": {"Accept": "image/png"}},
            "Accept of TransformOutput must be the ContentType",
        ),
        (
            {"DataProcessing": {"InputFilter": "$[1:]"}, "TransformInput": {"ContentType": "a/b"}},
            "DataProcessing needs ContentType text/csv",
        ),
        (
            {
                "DataProcessing": {"JoinSource": "Input"},
                "TransformOutput": {"AssembleWith": "None"},
            },
            "AssembleWith must be the SplitType",
        ),
        (
            {"DataProcessing": {"InputFilter": "$[1:]"}, "TransformInput": {"SplitType": "None"}},
            "needs SplitType Line",
        ),
    ],
)
def test_what_cannot_be_done_is_refused_at_once(transforming, request_, says):
    job = {"TransformJobName": "refused"}
    refused(transforming.start, says, prefix="in", **job, **request_)
    refused(transforming.sagemaker.describe_transform_job, "Could not find requested job", **job)
