"""
A pipeline of the SDK's own steps: count, train, register where there are rows enough, else fail.

Argument: JSON of name (what all names begin with), bucket, role, source (the scripts' folder), and
the images `scripts` that runs scripts and `serving` that serves.
"""

import json
import sys

from sagemaker.core.processing import ScriptProcessor
from sagemaker.core.shapes import (
    ProcessingInput,
    ProcessingOutput,
    ProcessingS3Input,
    ProcessingS3Output,
)
from sagemaker.core.training.configs import (
    Compute,
    InputData,
    OutputDataConfig,
    SourceCode,
    StoppingCondition,
)
from sagemaker.core.workflow.conditions import ConditionGreaterThanOrEqualTo
from sagemaker.core.workflow.functions import Join, JsonGet
from sagemaker.core.workflow.parameters import ParameterInteger, ParameterString
from sagemaker.core.workflow.pipeline_context import PipelineSession
from sagemaker.core.workflow.properties import PropertyFile
from sagemaker.mlops.workflow.condition_step import ConditionStep
from sagemaker.mlops.workflow.fail_step import FailStep
from sagemaker.mlops.workflow.model_step import ModelStep
from sagemaker.mlops.workflow.pipeline import Pipeline
from sagemaker.mlops.workflow.steps import CacheConfig, ProcessingStep, TrainingStep
from sagemaker.serve.model_builder import ModelBuilder
from sagemaker.train.model_trainer import ModelTrainer

given = json.loads(sys.argv[1])
NAME, BUCKET = given["name"], given["bucket"]
session = PipelineSession(default_bucket=BUCKET)
rows = ParameterString("Rows", default_value=f"s3://{BUCKET}/rows/")
enough = ParameterInteger("Enough", default_value=2)
kept = CacheConfig(enable_caching=True, expire_after="PT1H")


def count():
    processor = ScriptProcessor(
        image_uri=given["scripts"],
        command=["python3"],
        instance_type="ml.m5.large",
        instance_count=1,
        role=given["role"],
        sagemaker_session=session,
    )
    source = ProcessingS3Input(
        s3_uri=rows,
        local_path="/opt/ml/processing/input/rows",
        s3_data_type="S3Prefix",
        s3_input_mode="File",
    )
    target = ProcessingS3Output(
        s3_uri=f"s3://{BUCKET}/{NAME}/evaluation",
        local_path="/opt/ml/processing/output",
        s3_upload_mode="EndOfJob",
    )
    arguments = processor.run(
        code=f"{given['source']}/count.py",
        inputs=[ProcessingInput(input_name="rows", s3_input=source)],
        outputs=[ProcessingOutput(output_name="evaluation", s3_output=target)],
    )
    return ProcessingStep(
        "Count", step_args=arguments, property_files=[evaluation], cache_config=kept
    )


def train(after):
    trainer = ModelTrainer(
        training_image=given["scripts"],
        source_code=SourceCode(source_dir=given["source"], entry_script="train.py"),
        compute=Compute(instance_type="ml.m5.large", instance_count=1, volume_size_in_gb=1),
        stopping_condition=StoppingCondition(max_runtime_in_seconds=120),
        output_data_config=OutputDataConfig(s3_output_path=f"s3://{BUCKET}/models"),
        base_job_name=NAME,
        hyperparameters={"slope": 2},
        role=given["role"],
        sagemaker_session=session,
        input_data_config=[InputData(channel_name="train", data_source=rows)],
    )
    return TrainingStep("Train", step_args=trainer.train(), depends_on=[after], cache_config=kept)


def register(trained):
    builder = ModelBuilder(
        s3_model_data_url=trained.properties.ModelArtifacts.S3ModelArtifacts,
        image_uri=given["serving"],
        sagemaker_session=session,
        role_arn=given["role"],
    )
    arguments = builder.register(
        model_package_group_name=NAME,
        content_types=["text/csv"],
        response_types=["text/csv"],
        inference_instances=["ml.m5.large"],
        approval_status="PendingManualApproval",
    )
    return ModelStep(name="Register", step_args=arguments)


def ended(**parameters):
    """Start an execution; return its status and its steps' when it has ended."""
    execution = pipeline.start(parameters=parameters)
    try:
        execution.wait(delay=2, max_attempts=100)
    except Exception as error:  # noqa: BLE001 - botocore's WaiterError, of an execution that failed
        sys.stderr.write(f"{error}\n")
    steps = execution.list_steps()
    return {
        "status": execution.describe()["PipelineExecutionStatus"],
        "steps": {step["StepName"]: step["StepStatus"] for step in steps},
        "reasons": [step["FailureReason"] for step in steps if "FailureReason" in step],
        "cached": sorted(step["StepName"] for step in steps if "CacheHitResult" in step),
    }


evaluation = PropertyFile(name="Evaluation", output_name="evaluation", path="evaluation.json")
counted = count()
trained = train(counted)
few = FailStep("TooFew", error_message=Join(on=" ", values=["fewer rows than", enough]))
condition = ConditionGreaterThanOrEqualTo(
    left=JsonGet(step_name="Count", property_file=evaluation, json_path="rows.value"), right=enough
)
gate = ConditionStep(
    "Gate", conditions=[condition], if_steps=[register(trained)], else_steps=[few],
    depends_on=[trained],
)  # fmt: skip
pipeline = Pipeline(
    NAME, parameters=[rows, enough], steps=[counted, trained, gate], sagemaker_session=session
)
first = pipeline.upsert(role_arn=given["role"], description="one")["PipelineArn"]
second = pipeline.upsert(role_arn=given["role"], description="another")["PipelineArn"]
client = session.sagemaker_client
told = {
    "same": first == second,
    "description": client.describe_pipeline(PipelineName=NAME)["PipelineDescription"],
    "good": ended(),
    "bad": ended(Enough=3),
}
versions = client.list_model_packages(ModelPackageGroupName=NAME)["ModelPackageSummaryList"]
told["versions"] = [version["ModelApprovalStatus"] for version in versions]
told["deleted"] = pipeline.delete()["PipelineArn"] == first
sys.stdout.write(json.dumps(told) + "\n")
