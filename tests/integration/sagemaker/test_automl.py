"""AutoML jobs: one that really trains, and fakes for the ways in which one can end."""

import json
import random
import uuid

import pytest

from tidemill_local.sagemaker.context import Limits
from tidemill_local.sagemaker.errors import ValidationError
from tidemill_local.sagemaker.operations import call

from .conftest import ACCOUNT, PATIENCE, REGION, ROLE, eventually
from .job_requests import archive
from .model_servers import refused

IMAGE = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/tidemill-jobs"
# Stands for the jobs image: prepares nothing, and says that every model is as good as its depth.
FAKE = """
    import json, os, pathlib, sys, time
    base = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"])
    while pathlib.Path({gate!r}).exists():
        (base / "here").touch()
        time.sleep(0.02)
    if sys.argv[1] == "prepare":
        spec = json.loads((base / "processing/input/spec/spec.json").read_text())
        if spec["data"]["target"] == "missing":
            (base / "output/message").write_text("there is no column missing")
            sys.exit(1)
    else:
        given = json.loads((base / "input/config/hyperparameters.json").read_text())
        print("validation_error=0." + given["max_depth"] + " rounds=1", flush=True)
        (base / "model/model.onnx").write_text("a model")
"""


class AutoML:
    """Runs AutoML jobs on one cloud, with as few words as possible."""

    def __init__(self, cloud, s3, bucket):
        self.cloud = cloud
        self.s3 = s3
        self.bucket = bucket
        self.sagemaker = cloud.sagemaker

    def fake(self, gate):
        """Let the jobs image be a fake that waits as long as a file is there."""
        known = self.cloud.image(FAKE.format(gate=str(gate))).partition(":")[0]
        path = self.cloud.root / "images.json"
        images = json.loads(path.read_text())
        path.write_text(json.dumps(images | {IMAGE: images[known]}))
        for name in ("train", "validation", "features"):  # what the fake does not prepare
            text = json.dumps([{"prefix": f"s3://{self.bucket}/"}, "in/a.csv"])
            for job in ("job", "missing"):
                key = f"out/{job}/preprocessed-data/{name}.manifest"
                self.s3.put_object(Bucket=self.bucket, Key=key, Body=text.encode())
        self.s3.put_object(Bucket=self.bucket, Key="in/a.csv", Body=b"a,label\n1,x\n")
        return self

    def start(self, name="job", objective="Accuracy", candidates=2, **changes):
        tabular = {
            "TargetAttributeName": "label",
            "ProblemType": "BinaryClassification",
            "CompletionCriteria": {"MaxCandidates": candidates},
        } | changes.pop("TabularJobConfig", {})
        source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{self.bucket}/in/"}
        request = {
            "AutoMLJobInputDataConfig": [{"DataSource": {"S3DataSource": source}}],
            "OutputDataConfig": {"S3OutputPath": f"s3://{self.bucket}/out"},
            "RoleArn": ROLE,
            "AutoMLProblemTypeConfig": {"TabularJobConfig": tabular},
            "AutoMLJobObjective": {"MetricName": objective},
        }
        self.sagemaker.create_auto_ml_job_v2(AutoMLJobName=name, **request | changes)
        return name

    def ended(self, name="job"):
        store = self.cloud.service.context.store
        body = store.wait_for("AutoMLJob", name, lambda b: "EndTime" in b, PATIENCE * 3)
        assert "EndTime" in body, body
        return self.sagemaker.describe_auto_ml_job_v2(AutoMLJobName=name)

    def candidates(self, name="job", **request):
        return self.sagemaker.list_candidates_for_auto_ml_job(AutoMLJobName=name, **request)[
            "Candidates"
        ]


@pytest.fixture
def automl(make_cloud, s3, bucket, tmp_path):
    return AutoML(make_cloud(root=tmp_path / "state"), s3, bucket).fake(tmp_path / "gate")


@pytest.fixture(scope="module")
def plain(shared_cloud, s3):
    """A cloud whose AutoML jobs never come to run."""
    bucket = f"lake-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=bucket)
    return AutoML(shared_cloud, s3, bucket)


def test_a_leaderboard_of_models_that_were_really_trained(make_cloud, s3, bucket):
    numbers = random.Random(1)
    rows = [(numbers.random(), numbers.random(), numbers.choice("xyz")) for _ in range(200)]
    text = "".join(f"{a:.3f},{b:.3f},{c},{'yes' if a + b > 1 else 'no'}\n" for a, b, c in rows)
    s3.put_object(Bucket=bucket, Key="in/a.csv", Body=f"a,b,c,label\n{text}".encode())
    automl = AutoML(make_cloud(), s3, bucket)

    automl.start(objective="AUC")
    job = automl.ended()

    assert job["AutoMLJobStatus"] == "Completed", job.get("FailureReason")
    board = automl.candidates(SortBy="FinalObjectiveMetricValue", SortOrder="Descending")
    values = [candidate["FinalAutoMLJobObjectiveMetric"]["Value"] for candidate in board]
    assert len(values) == 2
    assert 1 >= values[0] >= values[1] > 0.7
    best = job["BestCandidate"]
    assert best["CandidateName"] == board[0]["CandidateName"]
    assert best["FinalAutoMLJobObjectiveMetric"]["Type"] == "Maximize"
    (container,) = best["InferenceContainers"]
    uri = container["ModelDataUrl"]
    key = uri.removeprefix(f"s3://{bucket}/")
    listed = s3.list_objects_v2(Bucket=bucket, Prefix=key)["Contents"]
    assert [item["Key"] for item in listed] == [key]
    steps = [step["CandidateStepType"].rpartition("::")[2] for step in best["CandidateSteps"]]
    assert steps == ["ProcessingJob", "TrainingJob"]


def test_a_score_becomes_the_objective_that_was_asked_for(automl, s3):
    job = automl.ended(automl.start())

    assert job["AutoMLJobStatus"] == job["AutoMLJobSecondaryStatus"] == "Completed"
    best = job["BestCandidate"]
    name = best["CandidateName"]
    given = automl.sagemaker.describe_training_job(TrainingJobName=name)["HyperParameters"]
    found = best["FinalAutoMLJobObjectiveMetric"]
    assert found["MetricName"] == "Accuracy"
    assert found["Value"] == pytest.approx(1 - int(given["max_depth"]) / 10)
    artifact = f"out/job/tuning/{name}/output/model.tar.gz"
    assert archive(s3, automl.bucket, artifact) == {"model.onnx": "a model"}
    assert len(automl.candidates()) == 2
    (one,) = automl.candidates(CandidateNameEquals=name)
    assert one["CandidateStatus"] == "Completed"
    (summary,) = automl.sagemaker.list_auto_ml_jobs(StatusEquals="Completed")["AutoMLJobSummaries"]
    assert summary["AutoMLJobName"] == "job"
    with pytest.raises(automl.sagemaker.exceptions.ResourceInUse, match="already exists"):
        automl.start()


def test_data_that_cannot_be_prepared_fails_the_job(automl):
    job = automl.ended(automl.start("missing", TabularJobConfig={"TargetAttributeName": "missing"}))

    assert job["AutoMLJobStatus"] == "Failed"
    assert "ProcessingJob missing-pr-1-" in job["FailureReason"]
    assert automl.candidates("missing") == []


def test_input_that_is_not_there_fails_the_job(automl):
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{automl.bucket}/nothing"}
    given = [{"DataSource": {"S3DataSource": source}}]

    job = automl.ended(automl.start(AutoMLJobInputDataConfig=given))

    assert job["AutoMLJobStatus"] == "Failed"
    assert "No S3 objects found under S3 URL" in job["FailureReason"]


def test_a_stopped_job_stops_what_it_runs(automl, tmp_path):
    (tmp_path / "gate").touch()
    automl.start()
    processing = automl.cloud.root / "jobs/processing"
    eventually(lambda: list(processing.rglob("here")), "the rows are being prepared")

    automl.sagemaker.stop_auto_ml_job(AutoMLJobName="job")

    job = automl.ended()
    assert job["AutoMLJobStatus"] == job["AutoMLJobSecondaryStatus"] == "Stopped"
    (prepare,) = automl.sagemaker.list_processing_jobs()["ProcessingJobSummaries"]
    assert prepare["ProcessingJobStatus"] == "Stopped"


def test_a_job_goes_on_after_a_crash_while_it_tunes(make_cloud, s3, bucket, tmp_path):
    limits, gate = Limits(stop_grace_seconds=1.0, jobs=1), tmp_path / "gate"
    first = AutoML(make_cloud(limits, tmp_path / "state"), s3, bucket).fake(gate)
    first.start()
    eventually(first.candidates, "a candidate is launched")
    gate.touch()
    first.cloud.service.stop()

    gate.unlink()
    second = AutoML(make_cloud(limits, tmp_path / "state"), s3, bucket)
    job = second.ended()

    assert job["AutoMLJobStatus"] == "Completed", job.get("FailureReason")
    assert job["BestCandidate"]["CandidateStatus"] == "Completed"


def test_jobs_of_no_known_name_are_not_found(plain):
    for ask in (
        plain.sagemaker.describe_auto_ml_job_v2,
        plain.sagemaker.stop_auto_ml_job,
        plain.sagemaker.list_candidates_for_auto_ml_job,
    ):
        refused(ask, "Could not find an AutoML job", "ResourceNotFound", AutoMLJobName="nobody")


@pytest.mark.parametrize(
    "members", [{}, {"TabularJobConfig": {}, "TextClassificationJobConfig": {}}]
)
def test_what_is_to_be_one_of_several_things_is_exactly_one(plain, members):
    with pytest.raises(ValidationError, match="Exactly one of ImageClassificationJobConfig"):
        call(plain.cloud.service.context, "CreateAutoMLJobV2", {"AutoMLProblemTypeConfig": members})


SOURCE = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://b/in"}}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"objective": "F1"}, "an AutoMLJobObjective that its trainer measures"),
        ({"TabularJobConfig": {"ProblemType": "Regression"}}, "Regression by RMSE"),
        ({"TabularJobConfig": {"Mode": "ENSEMBLING"}}, "Mode AUTO"),
        ({"TabularJobConfig": {"SampleWeightAttributeName": "w"}}, "SampleWeightAttributeName is"),
        (
            {
                "AutoMLProblemTypeConfig": {
                    "TextClassificationJobConfig": {"ContentColumn": "a", "TargetLabelColumn": "b"}
                }
            },
            "TextClassificationJobConfig is not supported",
        ),
        (
            {"AutoMLJobInputDataConfig": [{"DataSource": SOURCE}, {"ChannelType": "validation"}]},
            "one training channel",
        ),
        (
            {
                "AutoMLJobInputDataConfig": [
                    {"DataSource": SOURCE, "ContentType": "x-application/p"}
                ]
            },
            "ContentType x-application/p is not supported",
        ),
        ({"OutputDataConfig": {"S3OutputPath": "https://host/x"}}, "not an S3 URI"),
    ],
)
def test_what_cannot_be_done_is_refused_at_once(plain, changes, says):
    refused(plain.start, says, **json.loads(json.dumps(changes)))
