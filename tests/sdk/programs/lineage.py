"""
What the SDK's own lineage classes find out about a training job and its version.

Argument: JSON of bucket, the training job's name, and the ARNs of the model package and its group.
"""

import json
import sys

from sagemaker.core.helper.session_helper import Session
from sagemaker.core.lineage.artifact import Artifact, DatasetArtifact, ModelArtifact
from sagemaker.core.lineage.context import Context
from sagemaker.core.lineage.query import (
    LineageEntityEnum,
    LineageFilter,
    LineageQuery,
    LineageQueryDirectionEnum,
    LineageSourceEnum,
)
from sagemaker.core.lineage.visualizer import LineageTableVisualizer

given = json.loads(sys.argv[1])
job, package = given["job"], given["package"]
session = Session(default_bucket=given["bucket"])
client = session.sagemaker_client

described = client.describe_training_job(TrainingJobName=job)
data = described["InputDataConfig"][0]["DataSource"]["S3DataSource"]["S3Uri"]
model_uri = described["ModelArtifacts"]["S3ModelArtifacts"]


def arn_of(uri):
    (found,) = Artifact.list(source_uri=uri, sagemaker_session=session)
    return found.artifact_arn


tables = LineageTableVisualizer(session)
model = ModelArtifact.load(arn_of(model_uri), sagemaker_session=session)
dataset = DatasetArtifact.load(arn_of(data), sagemaker_session=session)
(group,) = Context.list(source_uri=given["group"], sagemaker_session=session)
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
sys.stdout.write(json.dumps(found) + "\n")
