"""SageMaker pipelines: upserted by apply, started by retrain, read when they end."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient


class Jobs:
    """Pipelines and their executions."""

    def __init__(self, client: "SageMakerClient") -> None:
        self._client = client

    def upsert_pipeline(self, name: str, definition: str, role_arn: str) -> str:
        """Create the pipeline or give it *definition*; return its ARN."""
        if name in self._names(name):
            return self._client.update_pipeline(
                PipelineName=name, PipelineDefinition=definition, RoleArn=role_arn
            )["PipelineArn"]
        return self._client.create_pipeline(
            PipelineName=name,
            PipelineDefinition=definition,
            RoleArn=role_arn,
            # SageMaker asks for 32 to 128 characters; equal tokens create one pipeline.
            ClientRequestToken=name.ljust(32, "-"),
        )["PipelineArn"]

    def delete_pipeline(self, name: str) -> bool:
        """Delete the pipeline; False when there was none."""
        if name not in self._names(name):
            return False
        self._client.delete_pipeline(PipelineName=name, ClientRequestToken=name.ljust(32, "-"))
        return True

    def pipeline_execution(self, arn: str) -> dict[str, Any]:
        """Describe one execution."""
        return dict(self._client.describe_pipeline_execution(PipelineExecutionArn=arn))

    def steps(self, arn: str) -> list[dict[str, Any]]:
        """Return an execution's steps, oldest first."""
        pages = self._client.get_paginator("list_pipeline_execution_steps").paginate(
            PipelineExecutionArn=arn, SortOrder="Ascending"
        )
        return [dict(step) for page in pages for step in page["PipelineExecutionSteps"]]

    def processing_output(self, arn: str, name: str) -> str:
        """Return the S3 URI of a processing job's output."""
        described = self._client.describe_processing_job(ProcessingJobName=arn.rpartition("/")[2])
        for output in described["ProcessingOutputConfig"]["Outputs"]:
            if output["OutputName"] == name:
                return output["S3Output"]["S3Uri"].rstrip("/")
        raise KeyError(f"{arn} has no output {name!r}")

    def stop_pipeline(self, arn: str) -> bool:
        """Stop an execution that goes on; False when it had ended."""
        if self.pipeline_execution(arn)["PipelineExecutionStatus"] != "Executing":
            return False
        token = arn.rpartition("/")[2].rjust(32, "-")
        self._client.stop_pipeline_execution(PipelineExecutionArn=arn, ClientRequestToken=token)
        return True

    def _names(self, prefix: str) -> set[str]:
        pages = self._client.get_paginator("list_pipelines").paginate(PipelineNamePrefix=prefix)
        return {item["PipelineName"] for page in pages for item in page["PipelineSummaries"]}
