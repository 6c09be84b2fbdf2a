"""Endpoints: what is in service. They cost money, so deletion is complete."""

import json
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

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
        if self._runtime is None:
            raise ValueError("no runtime client was given")
        answer = self._runtime.invoke_endpoint(
            EndpointName=name,
            ContentType="application/json",
            Accept="application/json",
            Body=json.dumps({"instances": rows}).encode(),
        )
        predictions = json.loads(answer["Body"].read())["predictions"]
        return list(predictions)

    def delete(self, name: str) -> list[str]:
        """Delete the endpoint, and every configuration and model called `name--…`; name them."""
        gone: list[str] = []
        if self.describe(name) is not None:
            self._client.delete_endpoint(EndpointName=name)
            gone.append(f"endpoint {name}")
        configs = self._client.get_paginator("list_endpoint_configs").paginate(NameContains=name)
        for page in configs:
            for config in page["EndpointConfigs"]:
                if belongs(config["EndpointConfigName"], name):
                    self._client.delete_endpoint_config(
                        EndpointConfigName=config["EndpointConfigName"]
                    )
                    gone.append(f"endpoint configuration {config['EndpointConfigName']}")
        for models in self._client.get_paginator("list_models").paginate(NameContains=name):
            for model in models["Models"]:
                if belongs(model["ModelName"], name):
                    self._client.delete_model(ModelName=model["ModelName"])
                    gone.append(f"model {model['ModelName']}")
        return gone


def belongs(name: str, owner: str) -> bool:
    """Say whether a resource called *name* is one of the model whose AWS name is *owner*."""
    return name == owner or name.startswith(f"{owner}--")


def is_missing(error: ClientError) -> bool:
    """Say whether SageMaker's ValidationException means that the thing does not exist."""
    found = error.response["Error"]
    return found["Code"] in ("ResourceNotFound", "ResourceNotFoundException") or (
        found["Code"] == "ValidationException"
        and ("Could not find" in found["Message"] or "does not exist" in found["Message"])
    )
