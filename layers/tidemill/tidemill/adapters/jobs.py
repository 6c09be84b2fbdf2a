"""SageMaker pipelines: upserted by apply, started by retrain, read when they end."""

import uuid
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from tidemill.adapters.endpoints import is_missing

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
            ClientRequestToken=_token(),
        )["PipelineArn"]

    def delete_pipeline(self, name: str) -> bool:
        """Delete the pipeline; False when there was none."""
        if name not in self._names(name):
            return False
        self._client.delete_pipeline(PipelineName=name, ClientRequestToken=_token())
        return True

    def pipeline_execution(self, arn: str) -> dict[str, Any] | None:
        """Describe one execution; None when there is none, because its pipeline was deleted."""
        try:
            return dict(self._client.describe_pipeline_execution(PipelineExecutionArn=arn))
        except ClientError as error:
            if is_missing(error):
                return None
            raise

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
        described = self.pipeline_execution(arn)
        if described is None or described["PipelineExecutionStatus"] != "Executing":
            return False
        self._client.stop_pipeline_execution(PipelineExecutionArn=arn, ClientRequestToken=_token())
        return True

    def _names(self, prefix: str) -> set[str]:
        pages = self._client.get_paginator("list_pipelines").paginate(PipelineNamePrefix=prefix)
        return {item["PipelineName"] for page in pages for item in page["PipelineSummaries"]}


def _token() -> str:
    """Return a new token: one made of the name would tie a deleted pipeline to its successor."""
    return uuid.uuid4().hex
