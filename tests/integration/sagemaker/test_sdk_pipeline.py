"""
A pipeline that the SageMaker SDK wrote, word for word.

`sdk-pipeline.json` is what `Pipeline.definition()` of sagemaker 3.27.0 answers for a pipeline of
every step type that runs here but Transform, with caching, retries, property files and conditions.
"""

import json
from pathlib import Path

from tidemill_local.sagemaker.pipelines.checks import check_definition
from tidemill_local.sagemaker.pipelines.definition import read_definition

from .conftest import ROLE, client_of, eventually
from .fake_aws import FUNCTIONS
from .pipeline_calls import Pipelines

DEFINITION = Path(__file__).with_name("sdk-pipeline.json").read_text()
BUCKET = "my-bucket"  # as in the definition, like the queue and the function `n`
QUEUE = "https://sqs.us-east-1.amazonaws.com/000000000000/q"
PREPARE = """
import pathlib
assert list(pathlib.Path("/opt/ml/processing/input/raw").iterdir())
for name in ("train", "test"):
    out = pathlib.Path("/opt/ml/processing", name)
    out.mkdir(parents=True, exist_ok=True)
    (out / "rows.csv").write_text("".join(f"{n % 2},{n % 2},{n}\\n" for n in range(100)))
"""
EVALUATE = """
import json, pathlib
assert list(pathlib.Path("/opt/ml/processing/input/model").glob("model.tar.gz"))
out = pathlib.Path("/opt/ml/processing/evaluation")
out.mkdir(parents=True, exist_ok=True)
metrics = {"binary_classification_metrics": {"auc": {"value": 0.9}}}
(out / "evaluation.json").write_text(json.dumps(metrics))
"""


def test_every_step_of_the_sdk_is_accepted():
    definition = read_definition(DEFINITION)
    check_definition(definition)

    assert {step.type for step in definition.steps} >= {
        "Callback", "Condition", "Lambda", "Model", "Processing", "RegisterModel", "Training",
        "Tuning",
    }  # fmt: skip


def test_pipeline_of_the_sdk_runs_as_it_is(cloud, aws, s3):
    pipelines = Pipelines(cloud, BUCKET)
    s3.create_bucket(Bucket=BUCKET)
    for key, text in (
        ("raw/rows.csv", "1,2\n"),
        ("code/prep.py", PREPARE),
        ("code/eval.py", EVALUATE),
    ):
        s3.put_object(Bucket=BUCKET, Key=key, Body=text.encode())
    sqs = client_of("sqs", aws)
    queue = sqs.create_queue(QueueName="q")["QueueUrl"]
    asked = []
    FUNCTIONS["n"] = lambda event: asked.append(event) or {"ok": True, "n": 2}
    document = json.loads(DEFINITION.replace(QUEUE, queue))
    # Tuning has tests of its own; here it would only take its time.
    document["Steps"] = [step for step in document["Steps"] if step["Name"] != "Tune"]
    pipelines.sagemaker.create_pipeline(
        PipelineName="demo", PipelineDefinition=json.dumps(document), RoleArn=ROLE
    )

    arn = pipelines.start("demo")
    eventually(lambda: "Metadata" in pipelines.steps(arn).get("Ask", {}), "the callback is there")
    token = pipelines.steps(arn)["Ask"]["Metadata"]["Callback"]["CallbackToken"]
    pipelines.sagemaker.send_pipeline_execution_step_success(
        CallbackToken=token, OutputParameters=[{"Name": "rows", "Value": "100"}]
    )

    steps = pipelines.steps(arn)
    assert pipelines.ended(arn)["PipelineExecutionStatus"] == "Succeeded", steps
    assert asked == [{"exec": arn, "rows": 100}]
    assert pipelines.statuses(arn) == dict.fromkeys(
        ["Prep", "Train", "Evaluate", "Create", "Ask", "Notify", "Gate", "Register"], "Succeeded"
    )
    sqs.close()
    del FUNCTIONS["n"]
