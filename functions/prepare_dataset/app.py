"""
Prepare a small dataset: what the Prepare job does, in a Lambda that needs no start-up.

Called by `statemachines/retrain.asl.json`, state PrepareSmall.
"""

import json
from typing import Any

import boto3
from aws_lambda_powertools import Logger

from tidemill.adapters.lake import Lake, split
from tidemill.adapters.stores import Stores
from tidemill.contracts.runs import PrepareDataset
from tidemill.errors import RefusedError
from tidemill.pipeline.own_capture import hash_key
from tidemill.room import room
from tidemill.settings import PrepareDatasetSettings
from tidemill.spec.compiled import Spec as CompiledSpec
from tidemill_jobs import errors
from tidemill_jobs.contract.document import Contract
from tidemill_jobs.lake import Lake as Versions
from tidemill_jobs.lake import read_dataset
from tidemill_jobs.prepare import prepare
from tidemill_jobs.redaction import read_key
from tidemill_jobs.spec import Spec

logger = Logger()
settings = PrepareDatasetSettings.from_env()
s3 = boto3.client("s3")
lake, versions = Lake(s3), Versions(s3)
stores = Stores.of(boto3.client("dynamodb"), settings)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    request = PrepareDataset.parse(event)
    # A call that Step Functions gave up on may still be writing, so each has a prefix of its own.
    uri = f"{request.prepared}-{context.aws_request_id}"
    text = lake.get_text(request.spec)
    spec, compiled = Spec.parse(text), CompiledSpec.parse(json.loads(text))
    key = read_key(versions, hash_key(compiled, split(request.spec)[0]))
    dataset = read_dataset(lake.get_text(request.dataset))
    contract = Contract.parse(lake.get_text(request.contract)) if request.contract else None
    try:
        with room(f"{len(dataset)} files") as work:
            summary = prepare(spec, dataset, versions, uri, work, contract=contract, key=key)
    except errors.RefusedError as error:
        raise RefusedError(str(error)) from error
    stores.runs.note(request.ref, request.run, prepared=uri)
    logger.info("dataset_prepared", extra={"run": request.run, "rows": summary["rows"]})
    return {"prepared": uri, "rows": summary["rows"]}
