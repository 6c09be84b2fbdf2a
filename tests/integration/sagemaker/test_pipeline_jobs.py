"""Tuning, Model and Transform steps on real jobs, and the trial that an execution's jobs are in."""

import json

from .conftest import ROLE
from .pipeline_calls import RESOURCES, STEP_EVENT, Pipelines

# The better the nearer x is to 3.
TUNED = """
    import json, os, pathlib
    base = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"])
    x = int(json.loads((base / "input/config/hyperparameters.json").read_text())["x"])
    print(f"score={-(x - 3) ** 2:.1f};", flush=True)
    (base / "model" / "x.txt").write_text(str(x))
"""
# Answers each line with the x that the model was trained with.
SERVE = """
    import http.server, os, pathlib
    X = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"], "model", "x.txt").read_text()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.answer(b"")

        def do_POST(self):
            lines = self.rfile.read(int(self.headers["Content-Length"])).splitlines()
            self.answer("\\n".join(X for _ in lines).encode())

        def answer(self, body):
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    port = int(os.environ["SAGEMAKER_BIND_TO_PORT"])
    http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""


def tuning_step(pipelines):
    grid = [{"Name": "x", "Values": ["1", "3"]}]
    return {
        "Name": "Tune",
        "Type": "Tuning",
        "Arguments": {
            "HyperParameterTuningJobConfig": {
                "Strategy": "Grid",
                "ResourceLimits": {"MaxParallelTrainingJobs": 2},
                "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "score"},
                "ParameterRanges": {"CategoricalParameterRanges": grid},
            },
            "TrainingJobDefinition": {
                "AlgorithmSpecification": {
                    "TrainingImage": pipelines.cloud.image(TUNED),
                    "TrainingInputMode": "File",
                    "MetricDefinitions": [{"Name": "score", "Regex": "score=([-0-9.]+);"}],
                },
                "RoleArn": ROLE,
                "OutputDataConfig": {"S3OutputPath": f"s3://{pipelines.bucket}/models"},
                "ResourceConfig": RESOURCES,
                "StoppingCondition": {"MaxRuntimeInSeconds": 60},
            },
        },
    }


def model_step(pipelines):
    best = {"Get": "Steps.Tune.TrainingJobSummaries[0].TrainingJobName"}
    where = [f"s3://{pipelines.bucket}/models", best, "output/model.tar.gz"]
    return {
        "Name": "Model",
        "Type": "Model",
        "Arguments": {
            "ExecutionRoleArn": ROLE,
            "PrimaryContainer": {
                "Image": pipelines.cloud.image(SERVE),
                "ModelDataUrl": {"Std:Join": {"On": "/", "Values": where}},
            },
        },
    }


def transform_step(pipelines):
    lines = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{pipelines.bucket}/in/"}
    return {
        "Name": "Score",
        "Type": "Transform",
        "Arguments": {
            "ModelName": {"Get": "Steps.Model.ModelName"},
            "TransformInput": {
                "DataSource": {"S3DataSource": lines},
                "ContentType": "text/csv",
                "SplitType": "Line",
            },
            "TransformOutput": {
                "S3OutputPath": f"s3://{pipelines.bucket}/out",
                "AssembleWith": "Line",
            },
            "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
        },
    }


def test_best_of_a_tuning_job_becomes_a_model_that_scores(shared_cloud, bucket, s3):
    pipelines = Pipelines(shared_cloud, bucket)
    s3.put_object(Bucket=bucket, Key="in/rows.csv", Body=b"1\n2\n")
    document = json.loads(
        pipelines.definition(
            tuning_step(pipelines), model_step(pipelines), transform_step(pipelines)
        )
    )
    document["PipelineExperimentConfig"] = {
        "ExperimentName": {"Get": "Execution.PipelineName"},
        "TrialName": {"Get": "Execution.PipelineExecutionId"},
    }
    name = pipelines.create(pipelines.training())
    pipelines.sagemaker.update_pipeline(PipelineName=name, PipelineDefinition=json.dumps(document))

    arn = pipelines.start(name)
    described = pipelines.ended(arn)

    steps = pipelines.steps(arn)
    assert described["PipelineExecutionStatus"] == "Succeeded", steps
    tuned = steps["Tune"]["Metadata"]["TuningJob"]["Arn"].rpartition("/")[2]
    assert len(tuned) <= 32
    best = pipelines.sagemaker.describe_hyper_parameter_tuning_job(
        HyperParameterTuningJobName=tuned
    )["BestTrainingJob"]
    assert best["TunedHyperParameters"] == {"x": "3"}
    model = steps["Model"]["Metadata"]["Model"]["Arn"].rpartition("/")[2]
    container = pipelines.sagemaker.describe_model(ModelName=model)["PrimaryContainer"]
    assert best["TrainingJobName"] in container["ModelDataUrl"]
    job = steps["Score"]["Metadata"]["TransformJob"]["Arn"].rpartition("/")[2]
    assert pipelines.sagemaker.describe_transform_job(TransformJobName=job)["ModelName"] == model
    answers = s3.get_object(Bucket=bucket, Key="out/rows.csv.out")["Body"].read()
    assert answers.split() == [b"3", b"3"]
    told = [e for e in pipelines.events(STEP_EVENT, arn) if e["currentStepStatus"] == "Succeeded"]
    assert [(e["stepType"], list(e["metadata"])) for e in told] == [
        ("Tuning", ["tuningJob"]),
        ("Model", ["model"]),
        ("Transform", ["transformJob"]),
    ]
    # The execution's jobs are in its trial, under their steps' names.
    config = described["PipelineExperimentConfig"]
    assert config == {"ExperimentName": name, "TrialName": arn.rpartition("/")[2]}
    (component,) = pipelines.sagemaker.list_trial_components(TrialName=config["TrialName"])[
        "TrialComponentSummaries"
    ]
    assert component["DisplayName"] == "Score"


def test_second_execution_has_a_trial_of_its_own(shared_cloud, bucket):
    pipelines = Pipelines(shared_cloud, bucket)
    job = pipelines.processing("Look", shared_cloud.image("pass"))
    document = json.loads(pipelines.definition(job))
    document["PipelineExperimentConfig"] = {
        "ExperimentName": "mine",
        "TrialName": {"Get": "Parameters.RunId"},
    }
    name = pipelines.create(job)
    pipelines.sagemaker.update_pipeline(PipelineName=name, PipelineDefinition=json.dumps(document))

    for run in ("r1", "r2"):
        arn = pipelines.start(name, {"RunId": run})
        assert pipelines.ended(arn)["PipelineExecutionStatus"] == "Succeeded"

    trials = pipelines.sagemaker.list_trials(ExperimentName="mine")["TrialSummaries"]
    assert {trial["TrialName"] for trial in trials} == {"r1", "r2"}


def test_tuning_and_transform_steps_that_name_what_is_not_there(shared_cloud, bucket):
    pipelines = Pipelines(shared_cloud, bucket)
    step = transform_step(pipelines)
    step["Arguments"]["ModelName"] = "nobody"

    arn = pipelines.start(pipelines.create(step))

    assert pipelines.ended(arn)["PipelineExecutionStatus"] == "Failed"
    reason = pipelines.steps(arn)["Score"]["FailureReason"]
    assert reason.startswith("ClientError: Failed to invoke sagemaker:CreateTransformJob.")
    assert "nobody" in reason
