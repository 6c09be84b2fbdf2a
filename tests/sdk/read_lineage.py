"""
What the SDK's own lineage classes find out about a training job and its version, as JSON.

Arguments: the endpoint URL, the training job's name, the model package's ARN.
"""

import json
import sys

import boto3
import sagemaker
from sagemaker.lineage.artifact import Artifact, DatasetArtifact, ModelArtifact
from sagemaker.lineage.context import Context
from sagemaker.lineage.query import (
    LineageEntityEnum,
    LineageFilter,
    LineageQuery,
    LineageQueryDirectionEnum,
    LineageSourceEnum,
)
from sagemaker.lineage.visualizer import LineageTableVisualizer

url, job, package = sys.argv[1:]
where = boto3.Session("000000000000", "local", region_name="us-east-1")
client = where.client("sagemaker", endpoint_url=url)
runtime = where.client("sagemaker-runtime", endpoint_url=url)
session = sagemaker.Session(where, sagemaker_client=client, sagemaker_runtime_client=runtime)

described = client.describe_training_job(TrainingJobName=job)
data = described["InputDataConfig"][0]["DataSource"]["S3DataSource"]["S3Uri"]
model_uri = described["ModelArtifacts"]["S3ModelArtifacts"]


def arn_of(uri):
    (found,) = Artifact.list(source_uri=uri, sagemaker_session=session)
    return found.artifact_arn


tables = LineageTableVisualizer(session)
model = ModelArtifact.load(arn_of(model_uri), sagemaker_session=session)
dataset = DatasetArtifact.load(arn_of(data), sagemaker_session=session)
(group,) = Context.list(context_type="ModelGroup", sagemaker_session=session)
sources = LineageQuery(session).query(
    start_arns=[group.context_arn],
    direction=LineageQueryDirectionEnum.ASCENDANTS,
    query_filter=LineageFilter(
        entities=[LineageEntityEnum.ARTIFACT], sources=[LineageSourceEnum.DATASET]
    ),
    include_edges=False,
)
found = {
    "job": tables.show(training_job_name=job).values.tolist(),
    "package": tables.show(model_package_arn=package).values.tolist(),
    "trained_by": model.training_job_arns(),
    "upstream": [each.artifact_arn for each in model.dataset_artifacts()],
    "sources": [vertex.to_lineage_object().source.source_uri for vertex in sources.vertices],
}
sys.stdout.write(f"{json.dumps(found)}\n")
