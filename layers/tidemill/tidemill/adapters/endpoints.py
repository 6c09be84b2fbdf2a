"""Endpoints: what is in service. They cost money, so deletion is complete."""

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

#: The inference id of our own questions: the watch leaves them out (tidemill_jobs.capture).
SMOKE = "tidemill-smoke"

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_sagemaker_runtime import SageMakerRuntimeClient


class Endpoints:
    """Describes, asks and deletes endpoints."""

    def __init__(
        self, client: "SageMakerClient", runtime: "SageMakerRuntimeClient | None" = None
    ) -> None:
        self._client = client
        self._runtime = runtime

    def describe(self, name: str) -> dict[str, Any] | None:
        """Return DescribeEndpoint's answer, or None when there is no endpoint."""
        try:
            return dict(self._client.describe_endpoint(EndpointName=name))
        except ClientError as error:
            if is_missing(error):
                return None
            raise

    def config(self, name: str) -> dict[str, Any] | None:
        """Return DescribeEndpointConfig's answer, or None when there is none."""
        try:
            return dict(self._client.describe_endpoint_config(EndpointConfigName=name))
        except ClientError as error:
            if is_missing(error):
                return None
            raise

    def predict(self, name: str, rows: list[dict[str, Any]]) -> list[Any]:
        """Send *rows*, in the user's own columns, and return one prediction for each."""
        return self._ask(name, rows)

    def smoke(self, name: str, rows: list[dict[str, Any]]) -> list[Any]:
        """Predict, as a question of our own: the watch leaves it out of the traffic."""
        return self._ask(name, rows, InferenceId=SMOKE)

    def _ask(self, name: str, rows: list[dict[str, Any]], **more: Any) -> list[Any]:
        if self._runtime is None:
            raise ValueError("no runtime client was given")
        answer = self._runtime.invoke_endpoint(
            EndpointName=name,
            ContentType="application/json",
            Accept="application/json",
            Body=json.dumps({"instances": rows}).encode(),
            **more,
        )
        predictions = json.loads(answer["Body"].read())["predictions"]
        return list(predictions)

    def delete(self, name: str, created: Iterable[str]) -> list[str]:
        """
        Delete the endpoint, and the configurations and models called *created*; name them.

        What is gone already is left out, so that a repeated call deletes the rest.
        """
        gone: list[str] = []
        if self.describe(name) is not None:
            self._client.delete_endpoint(EndpointName=name)
            gone.append(f"endpoint {name}")
        for unique in created:
            if self.config(unique) is not None:
                self._client.delete_endpoint_config(EndpointConfigName=unique)
                gone.append(f"endpoint configuration {unique}")
            try:
                self._client.delete_model(ModelName=unique)
            except ClientError as error:
                if not is_missing(error):
                    raise
            else:
                gone.append(f"model {unique}")
        return gone


def is_missing(error: ClientError) -> bool:
    """Say whether SageMaker's ValidationException means that the thing does not exist."""
    found = error.response["Error"]
    return found["Code"] in ("ResourceNotFound", "ResourceNotFoundException") or (
        found["Code"] == "ValidationException"
        and ("Could not find" in found["Message"] or "does not exist" in found["Message"])
    )
