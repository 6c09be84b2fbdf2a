"""
The pipeline of tests/unit/pipeline/flights-delay.json, written with the SDK: its definition.

Argument: JSON of bucket, the session's own.
"""

import json
import sys

from sagemaker.core.drift_check_baselines import DriftCheckBaselines
from sagemaker.core.model_metrics import MetricsSource, ModelMetrics
from sagemaker.core.processing import Processor
from sagemaker.core.shapes import (
    Channel,
    DataSource,
    ProcessingInput,
    ProcessingOutput,
    ProcessingS3Input,
    ProcessingS3Output,
    S3DataSource,
)
from sagemaker.core.training.configs import (
    Compute,
    OutputDataConfig,
    StoppingCondition,
)
from sagemaker.core.workflow.conditions import (
    ConditionGreaterThan,
    ConditionGreaterThanOrEqualTo,
)
from sagemaker.core.workflow.functions import Join, JsonGet
from sagemaker.core.workflow.parameters import ParameterFloat, ParameterString
from sagemaker.core.workflow.pipeline_context import PipelineSession
from sagemaker.core.workflow.properties import PropertyFile
from sagemaker.mlops.workflow.condition_step import ConditionStep
from sagemaker.mlops.workflow.fail_step import FailStep
from sagemaker.mlops.workflow.model_step import ModelStep
from sagemaker.mlops.workflow.pipeline import Pipeline
from sagemaker.mlops.workflow.retry import (
    SageMakerJobExceptionTypeEnum,
    SageMakerJobStepRetryPolicy,
    StepExceptionTypeEnum,
    StepRetryPolicy,
)
from sagemaker.mlops.workflow.steps import ProcessingStep, TrainingStep
from sagemaker.serve.model_builder import ModelBuilder
from sagemaker.train.model_trainer import ModelTrainer

session = PipelineSession(default_bucket=json.loads(sys.argv[1])["bucket"])
IMAGE = "000000000000.dkr.ecr.us-east-1.amazonaws.com/tidemill-jobs:local"
ROLE = "arn:aws:iam::000000000000:role/tidemill-jobs"
RUNS = "s3://tidemill-artifacts/pipelines/flights/delay"
KINDS = ["application/json", "application/jsonlines", "text/csv"]
INSTANCE = "ml.m5.xlarge"
ADVICE = "send more or better data, or change evaluate.minimum in model.yaml"

run = ParameterString("RunId")
prepared = ParameterString("PreparedUri")
dataset = ParameterString("DatasetHash")
minimum = ParameterFloat("MinimumMetric", default_value=0.6)
tags = [
    {"Key": "tidemill:stack", "Value": "tidemill"},
    {"Key": "tidemill:project", "Value": "flights"},
    {"Key": "tidemill:model", "Value": "delay"},
    {"Key": "tidemill:run", "Value": run},
]
calls = StepRetryPolicy(
    exception_types=[StepExceptionTypeEnum.SERVICE_FAULT, StepExceptionTypeEnum.THROTTLING],
    interval_seconds=10,
    max_attempts=5,
)
machines = SageMakerJobStepRetryPolicy(
    exception_types=[
        SageMakerJobExceptionTypeEnum.INTERNAL_ERROR,
        SageMakerJobExceptionTypeEnum.CAPACITY_ERROR,
        SageMakerJobExceptionTypeEnum.RESOURCE_LIMIT,
    ],
    interval_seconds=60,
    max_attempts=5,
)


def written(*parts):
    return Join(on="/", values=[RUNS, run, *parts])


def train():
    def channel(name, content_type):
        source = S3DataSource(
            s3_data_type="ManifestFile",
            s3_uri=Join(on="/", values=[prepared, f"{name}.manifest"]),
            s3_data_distribution_type="FullyReplicated",
        )
        return Channel(
            channel_name=name,
            data_source=DataSource(s3_data_source=source),
            content_type=content_type,
            input_mode="File",
        )

    models = Join(on="/", values=["s3://tidemill-artifacts/models/flights/delay", run])
    trainer = ModelTrainer(
        training_image=IMAGE,
        training_input_mode="File",
        role=ROLE,
        compute=Compute(instance_type=INSTANCE, instance_count=1, volume_size_in_gb=30),
        stopping_condition=StoppingCondition(max_runtime_in_seconds=3600),
        output_data_config=OutputDataConfig(s3_output_path=models, compression_type="GZIP"),
        hyperparameters={
            "eta": "0.1", "max_depth": "6", "metric": "auc", "problem": "binary", "seed": "7",
        },
        input_data_config=[
            channel("train", "application/x-parquet"),
            channel("validation", "application/x-parquet"),
            channel("features", "application/json"),
        ],
        tags=[{"key": tag["Key"], "value": tag["Value"]} for tag in tags],
        sagemaker_session=session,
    )  # fmt: skip
    return TrainingStep("Train", step_args=trainer.train(), retry_policies=[calls, machines])


def evaluate(trained):
    def given(name, uri, kind="ManifestFile"):
        source = ProcessingS3Input(
            s3_uri=uri,
            local_path=f"/opt/ml/processing/input/{name}",
            s3_data_type=kind,
            s3_input_mode="File",
        )
        return ProcessingInput(input_name=name, s3_input=source)

    def kept(name):
        target = ProcessingS3Output(
            s3_uri=written(name),
            local_path=f"/opt/ml/processing/output/{name}",
            s3_upload_mode="EndOfJob",
        )
        return ProcessingOutput(output_name=name, s3_output=target)

    processor = Processor(
        image_uri=IMAGE,
        role=ROLE,
        entrypoint=["python", "-m", "tidemill_jobs", "evaluate"],
        instance_type=INSTANCE,
        instance_count=1,
        volume_size_in_gb=30,
        max_runtime_in_seconds=3600,
        tags=tags,
        sagemaker_session=session,
    )
    parts = [
        given(name, Join(on="/", values=[prepared, f"{name}.manifest"]))
        for name in ("test", "smoke", "baseline")
    ]
    arguments = processor.run(
        inputs=[
            given("model", trained.properties.ModelArtifacts.S3ModelArtifacts, "S3Prefix"), *parts,
        ],
        outputs=[kept("evaluation"), kept("baseline")],
        arguments=[
            "--metric", "auc", "--direction", "maximize",
            Join(on="", values=["--minimum=", minimum]),
        ],
    )  # fmt: skip
    return ProcessingStep(
        "Evaluate",
        step_args=arguments,
        property_files=[evaluation],
        retry_policies=[calls, machines],
    )


def register(trained):
    def source(*parts):
        return MetricsSource("application/json", written(*parts))

    baseline = {
        "model_data_statistics": source("baseline", "statistics.json"),
        "model_data_constraints": source("baseline", "constraints.json"),
    }
    builder = ModelBuilder(
        s3_model_data_url=trained.properties.ModelArtifacts.S3ModelArtifacts,
        image_uri=IMAGE,
        role_arn=ROLE,
        sagemaker_session=session,
    )
    arguments = builder.register(
        model_package_group_name="tidemill--flights--delay",
        content_types=KINDS,
        response_types=KINDS,
        inference_instances=["ml.m5.large"],
        approval_status="PendingManualApproval",
        model_metrics=ModelMetrics(
            model_statistics=source("evaluation", "evaluation.json"), **baseline
        ),
        drift_check_baselines=DriftCheckBaselines(**baseline),
        customer_metadata_properties={
            "project": "flights", "model": "delay", "run": run, "dataset": dataset,
        },
    )  # fmt: skip
    return ModelStep(name="Register", step_args=arguments, retry_policies=[calls])


def measured(path):
    return JsonGet(step_name="Evaluate", property_file=evaluation, json_path=path)


evaluation = PropertyFile(name="Evaluation", output_name="evaluation", path="evaluation.json")
trained = train()
evaluated = evaluate(trained)
refuse = FailStep(
    "Refuse",
    error_message=Join(
        on="",
        values=[
            "Refused: auc on the test rows must be at least ",
            minimum,
            f" and better than the trivial predictor's; it is not. Read {RUNS}/",
            run,
            f"/evaluation/evaluation.json for the numbers; then {ADVICE}.",
        ],
    ),
)
gate = ConditionStep(
    "Gate",
    conditions=[
        ConditionGreaterThanOrEqualTo(left=measured("metric.value"), right=minimum),
        ConditionGreaterThan(left=measured("metric.value"), right=measured("metric.trivial")),
    ],
    if_steps=[register(trained)],
    else_steps=[refuse],
)
pipeline = Pipeline(
    "tidemill--flights--delay",
    parameters=[run, prepared, dataset, minimum],
    steps=[trained, evaluated, gate],
    sagemaker_session=session,
)
sys.stdout.write(json.dumps(json.loads(pipeline.definition())) + "\n")
