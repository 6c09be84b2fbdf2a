"""
Fix what a run trains on, and plan its jobs.

Called by `statemachines/retrain.asl.json`, state OpenRun.
"""

from typing import Any

import boto3
from aws_lambda_powertools import Logger

from tidemill.adapters.lake import Lake
from tidemill.adapters.stores import Stores
from tidemill.contracts import RunRef
from tidemill.domain.dataset import Dataset, newest_of_each_key
from tidemill.errors import NothingToTrainError
from tidemill.names import aws_name
from tidemill.pipeline.prepare_job import prepare_job
from tidemill.settings import OpenRunSettings

logger = Logger()
settings = OpenRunSettings.from_env()
stores = Stores(
    boto3.client("dynamodb"), state_table=settings.state_table, ledger_table=settings.ledger_table
)
lake = Lake(boto3.client("s3"))


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001  # Lambda passes both
    request = RunRef.parse(event)
    spec = stores.specs.get(request.ref)
    objects = newest_of_each_key(stores.ledger.accepted(request.ref))
    if not objects:
        raise NothingToTrainError(
            f"{request.ref} has no accepted upload; "
            f"send one with `tidemill upload {request.ref} FILE`"
        )
    dataset = Dataset(request.project, request.model, objects)
    base = f"s3://{settings.artifact_bucket}/datasets/{request.ref}"
    dataset_uri = f"{base}/{dataset.hash}/dataset.json"
    spec_uri = f"{base}/spec-{spec.digest}/spec.json"
    lake.put_json(dataset_uri, dataset.to_document())
    lake.put_text(spec_uri, spec.to_json())
    job = prepare_job(
        spec,
        stack=settings.stack_name,
        run_id=request.run,
        dataset=dataset.hash,
        dataset_uri=dataset_uri,
        spec_uri=spec_uri,
        lake_bucket=settings.lake_bucket,
        image_uri=settings.jobs_image_uri,
        role_arn=settings.execution_role_arn,
    )
    prepared = job["Environment"]["PREPARED_URI"]
    stores.runs.note(
        request.ref,
        request.run,
        dataset=dataset.hash,
        files=len(objects),
        bytes=dataset.bytes,
        prepared=prepared,
        spec=spec.digest,
    )
    logger.info("run_opened", extra={"run": request.run, "dataset": dataset.hash})
    return {
        "pipeline": aws_name(settings.stack_name, request.project, request.model),
        "prepared": prepared,
        "approve": spec.approve.mode,
        "parameters": [
            {"Name": "RunId", "Value": request.run},
            {"Name": "PreparedUri", "Value": prepared},
            {"Name": "DatasetHash", "Value": dataset.hash},
            {"Name": "MinimumMetric", "Value": repr(spec.evaluate.minimum)},
        ],
        "prepare_job": job,
    }
