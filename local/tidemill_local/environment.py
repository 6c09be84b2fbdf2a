"""The environments of the engine's process and of those who talk to it."""

import os
import tempfile
from collections.abc import Mapping

from tidemill_local import container_tools
from tidemill_local.state_directory import StateDirectory

ACCOUNT = "000000000000"
REGION = "us-east-1"
#: How many functions stay warm, for those who have the memory: starting one takes a second.
WARM = "TIDEMILL_WARM"
# SFN_WAIT_SCALE shortens what state machines wait between retries: tests take all of them.
_INHERITED = (
    "PATH", "HOME", "LANG", "LC_ALL", "SFN_WAIT_SCALE", WARM,
    "DOCKER_CONFIG", "DOCKER_CONTEXT", container_tools.HOST,
)  # fmt: skip


def client_environment(port: int) -> dict[str, str]:
    """Return the variables that make an AWS client talk to the local cloud on *port*."""
    return {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": ACCOUNT,  # the local cloud reads the account off the key id
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def clean_environment(state: StateDirectory, inherited: Mapping[str, str]) -> dict[str, str]:
    """Return what the engine's process may know of its caller, and where it puts its files."""
    kept = {name: inherited[name] for name in _INHERITED if name in inherited}
    if "DOCKER_HOST" in inherited:  # for our jobs; under its own name it would be ministack's too
        kept.setdefault(container_tools.HOST, inherited["DOCKER_HOST"])
    return {"PATH": os.defpath, **kept, "TMPDIR": str(state.temporary)}


def engine_environment(
    state: StateDirectory, port: int, inherited: Mapping[str, str]
) -> dict[str, str]:
    """
    Return the whole environment of the engine: what is clean, and ministack's settings.

    Docker is hidden and the account's Lambda limit lifted: functions run as our own processes,
    and wait for a free one instead of being throttled.
    """
    return {
        container_tools.HOST: "",
        **clean_environment(state, inherited),
        **client_environment(port),
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "BIND_HOST": "127.0.0.1",
        "DOCKER_HOST": f"unix://{state.root / 'no-docker'}",
        "GATEWAY_PORT": str(port),
        "IOT_MTLS_ENABLED": "0",
        "LAMBDA_ACCOUNT_CONCURRENCY": "0",
        "LOG_LEVEL": "WARNING",
        "MINISTACK_ACCOUNT_ID": ACCOUNT,
        "MINISTACK_REGION": REGION,
        "PERSIST_STATE": "1",
        "S3_DATA_DIR": str(state.objects),
        "S3_PERSIST": "1",
        "SFTP_ENABLED": "0",
        "STATE_DIR": str(state.services),
    }


def enter(environment: Mapping[str, str]) -> None:
    """Make *environment* the whole environment of this process."""
    os.environ.clear()
    os.environ.update(environment)
    tempfile.tempdir = None  # it is remembered from before
