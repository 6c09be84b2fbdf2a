"""
A pipeline of the SDK's other steps: ask a program, tune, make a model, transform, call a function.

It is started, asked what came of it, started again for its last steps only, and stopped.
Argument: JSON of name (what all names begin with), bucket, role, source (the scripts' folder), and
the images `scripts` that runs scripts and `serving` that serves.
"""

import json
import sys
import time

from sagemaker.core.lambda_helper import Lambda
from sagemaker.core.parameter import ContinuousParameter
from sagemaker.core.training.configs import Compute, InputData, SourceCode
from sagemaker.core.transformer import Transformer
from sagemaker.core.workflow.parameters import ParameterString
from sagemaker.core.workflow.pipeline_context import PipelineSession
from sagemaker.mlops.workflow.callback_step import (
    CallbackOutput,
    CallbackOutputTypeEnum,
    CallbackStep,
)
from sagemaker.mlops.workflow.lambda_step import LambdaOutput, LambdaOutputTypeEnum, LambdaStep
from sagemaker.mlops.workflow.model_step import ModelStep
from sagemaker.mlops.workflow.parallelism_config import ParallelismConfiguration
from sagemaker.mlops.workflow.pipeline import Pipeline
from sagemaker.mlops.workflow.selective_execution_config import SelectiveExecutionConfig
from sagemaker.mlops.workflow.steps import TransformStep, TuningStep
from sagemaker.serve.model_builder import ModelBuilder
from sagemaker.train.model_trainer import ModelTrainer
from sagemaker.train.tuner import HyperparameterTuner

given = json.loads(sys.argv[1])
NAME, BUCKET = given["name"], given["bucket"]
session = PipelineSession(default_bucket=BUCKET)
client = session.sagemaker_client
sqs = session.boto_session.client("sqs")
queue = sqs.create_queue(QueueName=NAME)["QueueUrl"]
rows = ParameterString("Rows", default_value=f"s3://{BUCKET}/rows/")


def ask():
    return CallbackStep(
        "Ask",
        sqs_queue_url=queue,
        inputs={"rows": rows},
        outputs=[CallbackOutput("label", CallbackOutputTypeEnum.String)],
    )


def tune(label):
    trainer = ModelTrainer(
        training_image=given["scripts"],
        source_code=SourceCode(source_dir=given["source"], entry_script="train.py"),
        compute=Compute(instance_type="ml.m5.large", instance_count=1, volume_size_in_gb=1),
        base_job_name=NAME,
        hyperparameters={"label": label},
        role=given["role"],
        sagemaker_session=session,
    )
    tuner = HyperparameterTuner(
        model_trainer=trainer,
        objective_metric_name="score",
        metric_definitions=[{"Name": "score", "Regex": "score=([0-9.]+);"}],
        hyperparameter_ranges={"slope": ContinuousParameter(1, 3)},
        max_jobs=2,
        max_parallel_jobs=2,
        strategy="Random",
    )
    data = [InputData(channel_name="train", data_source=rows)]
    return TuningStep("Tune", step_args=tuner.tune(inputs=data))


def create():
    builder = ModelBuilder(
        s3_model_data_url=given["model"],
        image_uri=given["serving"],
        role_arn=given["role"],
        sagemaker_session=session,
    )
    return ModelStep("Create", step_args=builder.build(), depends_on=[tuned])


def transform(model_name):
    transformer = Transformer(
        model_name=model_name,
        instance_count=1,
        instance_type="ml.m5.large",
        strategy="SingleRecord",
        assemble_with="Line",
        output_path=f"s3://{BUCKET}/{NAME}/scored",
        sagemaker_session=session,
    )
    arguments = transformer.transform(rows, content_type="text/csv", split_type="Line")
    return TransformStep("Transform", step_args=arguments)


def tell(transformed):
    function = Lambda(
        function_name=NAME,
        execution_role_arn=given["role"],
        script=f"{given['source']}/tell.py",
        handler="tell.handler",
        runtime="python3.13",
        session=session,
    )
    output = transformed.properties.TransformOutput.S3OutputPath
    return LambdaStep(
        "Tell",
        lambda_func=function,
        inputs={"scored": output, "best": tuned.properties.BestTrainingJob.TrainingJobName},
        outputs=[LambdaOutput("text", LambdaOutputTypeEnum.String)],
    )


def message():
    """Take what the callback step says out of the queue."""
    found = []
    while not found:
        found = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=5).get("Messages", [])
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=found[0]["ReceiptHandle"])
    return json.loads(found[0]["Body"])


def steps(execution):
    return {step["StepName"]: step for step in execution.list_steps()}


asked = ask()
tuned = tune(asked.properties.Outputs["label"])
created = create()
transformed = transform(created.properties.ModelName)
function = tell(transformed)
pipeline = Pipeline(
    NAME,
    parameters=[rows],
    steps=[asked, tuned, created, transformed, function],
    sagemaker_session=session,
)
pipeline.upsert(role_arn=given["role"], tags=[{"Key": "team", "Value": "ops"}])
told = {}

execution = pipeline.start(
    execution_display_name="first", parallelism_config=ParallelismConfiguration(1)
)
question = message()
told["asked"] = question["arguments"]
client.send_pipeline_execution_step_success(
    CallbackToken=question["token"], OutputParameters=[{"Name": "label", "Value": "a b"}]
)
execution.wait(delay=1, max_attempts=200)
first = steps(execution)
told["first"] = {name: step["StepStatus"] for name, step in first.items()}
told["parameters"] = execution.list_parameters()["PipelineParameters"]
told["said"] = first["Tell"]["Metadata"]["Lambda"]["OutputParameters"]
best = client.describe_hyper_parameter_tuning_job(
    HyperParameterTuningJobName=first["Tune"]["Metadata"]["TuningJob"]["Arn"].rpartition("/")[2]
)["BestTrainingJob"]["TrainingJobName"]
told["best"] = best
told["label"] = client.describe_training_job(TrainingJobName=best)["HyperParameters"]["label"]

again = pipeline.start(
    selective_execution_config=SelectiveExecutionConfig(selected_steps=["Transform", "Tell"])
)
again.wait(delay=1, max_attempts=200)
told["selected"] = {name: "SelectiveExecutionResult" in step for name, step in steps(again).items()}

stopped = pipeline.start(execution_display_name="stopped")
told["asked again"] = [message()["status"]]
stopped.stop()
question = message()  # the execution ends when the callback has been answered
told["asked again"].append(question["status"])
client.send_pipeline_execution_step_failure(
    CallbackToken=question["token"], FailureReason="stopped"
)
while stopped.describe()["PipelineExecutionStatus"] == "Stopping":
    time.sleep(0.2)
summaries = pipeline.list_executions(sort_by="CreationTime", sort_order="Ascending")
told["executions"] = [
    each["PipelineExecutionStatus"] for each in summaries["PipelineExecutionSummaries"]
]
pipeline.delete()
sys.stdout.write(json.dumps(told) + "\n")
