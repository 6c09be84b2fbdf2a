"""The local cloud's other services, as clients."""

from typing import Any

import boto3
from botocore.config import Config


def session(account: str, region: str) -> boto3.Session:
    """Return a session; its key names the local account, its secret opens nothing."""
    return boto3.Session(
        aws_access_key_id=account, aws_secret_access_key=account, region_name=region
    )


CONFIG: Any = Config(
    connect_timeout=5,
    read_timeout=60,
    max_pool_connections=32,
    retries={"max_attempts": 3, "mode": "standard"},
    s3={"addressing_style": "path"},
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
)
