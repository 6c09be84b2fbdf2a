"""Tuning jobs, and the calls that make them."""

import uuid

from .conftest import PATIENCE, ROLE

# The better the nearer x is to 3; some hyperparameters make it misbehave.
TRAIN = """
    import json, os, pathlib, sys, time
    base = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"])
    given = json.loads((base / "input/config/hyperparameters.json").read_text())
    if given.get("mode") == "fail":
        sys.exit("no such mode")
    if given.get("mode") == "wait":
        time.sleep(600)
    if given.get("mode") != "silent":
        x = float(given.get("x", 0)) + len(given.get("c", ""))
        print(f"score={-(x - 3) ** 2:.6f};", flush=True)
    (base / "model" / "given.json").write_text(json.dumps(given))
"""
SCORE = {"Name": "score", "Regex": "score=([-0-9.]+);"}
OBJECTIVE = {"Type": "Maximize", "MetricName": "score"}
HYPERBAND = {"HyperbandStrategyConfig": {"MinResource": 1, "MaxResource": 3}}


def numbers(low, high, name="x"):
    return {"IntegerParameterRanges": [{"Name": name, "MinValue": str(low), "MaxValue": str(high)}]}


def choices(**values):
    ranges = [{"Name": name, "Values": list(given)} for name, given in values.items()]
    return {"CategoricalParameterRanges": ranges}


class Tuning:
    """Tunes on one cloud, with as few words as possible."""

    def __init__(self, cloud, bucket):
        self.cloud = cloud
        self.bucket = bucket
        self.sagemaker = cloud.sagemaker
        self.image = cloud.image(TRAIN)

    def definition(self, **changes):
        algorithm = {"TrainingImage": self.image, "TrainingInputMode": "File"}
        return {
            "StaticHyperParameters": {"mode": "train"},
            "AlgorithmSpecification": algorithm | {"MetricDefinitions": [SCORE]},
            "RoleArn": ROLE,
            "OutputDataConfig": {"S3OutputPath": f"s3://{self.bucket}/models"},
            "ResourceConfig": {
                "InstanceType": "ml.m5.large",
                "InstanceCount": 1,
                "VolumeSizeInGB": 1,
            },
            "StoppingCondition": {"MaxRuntimeInSeconds": 60},
        } | changes

    def start(self, ranges=None, jobs=2, at_once=2, **request):
        name = request.pop("HyperParameterTuningJobName", f"tune-{uuid.uuid4().hex[:8]}")
        limits = {"MaxParallelTrainingJobs": at_once} | (
            {} if jobs is None else {"MaxNumberOfTrainingJobs": jobs}
        )
        config = {
            "Strategy": "Random",
            "HyperParameterTuningJobObjective": OBJECTIVE,
            "ResourceLimits": limits,
            "ParameterRanges": ranges or numbers(1, 5),
            "RandomSeed": 7,
        } | request.pop("config", {})
        if "TrainingJobDefinitions" not in request:
            request.setdefault("TrainingJobDefinition", self.definition())
        self.sagemaker.create_hyper_parameter_tuning_job(
            HyperParameterTuningJobName=name, HyperParameterTuningJobConfig=config, **request
        )
        return name

    def ended(self, name):
        store = self.cloud.service.context.store
        end = "HyperParameterTuningEndTime"
        body = store.wait_for("HyperParameterTuningJob", name, lambda b: end in b, PATIENCE)
        assert end in body, body
        return self.sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)

    def run(self, *args, **request):
        return self.ended(self.start(*args, **request))

    def jobs(self, name, **request):
        return self.sagemaker.list_training_jobs_for_hyper_parameter_tuning_job(
            HyperParameterTuningJobName=name, **request
        )["TrainingJobSummaries"]
