"""
Fix what a run trains on, and plan its jobs.

Called by `statemachines/retrain.asl.json`, state OpenRun.
"""

from typing import Any

import boto3
from aws_lambda_powertools import Logger

from tidemill.adapters.datasets import Datasets
from tidemill.adapters.lake import Lake
from tidemill.adapters.stores import Stores
from tidemill.contracts.runs import RunRef
from tidemill.names import aws_name
from tidemill.pipeline.definition import run_parameters
from tidemill.pipeline.prepare_job import prepare_job
from tidemill.settings import OpenRunSettings

logger = Logger()
settings = OpenRunSettings.from_env()
stores = Stores.of(boto3.client("dynamodb"), settings)
datasets = Datasets(stores.ledger, Lake(boto3.client("s3")), settings.artifact_bucket)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001  # Lambda passes both
    request = RunRef.parse(event)
    spec = stores.specs.get(request.ref)
    began = float(stores.runs.get(request.ref, request.run)["started_at"])
    fixed = datasets.fix(spec, began)
    contract = stores.data_contracts.uri_for(spec)
    job = prepare_job(
        spec,
        stack=settings.stack_name,
        run_id=request.run,
        dataset=fixed.dataset.hash,
        dataset_uri=fixed.dataset_uri,
        spec_uri=fixed.spec_uri,
        contract_uri=contract,
        lake_bucket=settings.lake_bucket,
        image_uri=settings.jobs_image_uri,
        role_arn=settings.execution_role_arn,
    )
    prepared = job["Environment"]["PREPARED_URI"]
    stores.runs.note(request.ref, request.run, prepared=prepared, **fixed.facts)
    logger.info("run_opened", extra={"run": request.run, "dataset": fixed.dataset.hash})
    return {
        "pipeline": aws_name(settings.stack_name, request.project, request.model),
        "prepared": prepared,
        "approve": spec.approve.mode,
        "parameters": run_parameters(spec, run_id=request.run, dataset=fixed.dataset.hash),
        "small": fixed.is_small,
        "prepare": {**fixed.uris, "contract": contract, "prepared": prepared},
        "prepare_job": job,
    }
