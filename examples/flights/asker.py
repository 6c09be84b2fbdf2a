"""Asks the endpoint one flight after another, and counts what it did not answer."""

import threading
from pathlib import Path
from types import TracebackType
from typing import Self

import boto3
import polars as pl
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from data import LEAKS
from story import Commands

PAUSE_SECONDS = 0.05


class Asker:
    """Used in a `with` block; ask and count until it ends. A retried question counts as failed."""

    def __init__(self, commands: Commands, model: str, path: Path) -> None:
        environment = commands.environment
        self._client = boto3.client(
            "sagemaker-runtime",
            endpoint_url=environment["AWS_ENDPOINT_URL"],
            region_name=environment["AWS_DEFAULT_REGION"],
            aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
            config=Config(retries={"total_max_attempts": 1}),
        )
        self._endpoint = f"tidemill--{model.replace('/', '--')}"
        self._rows = pl.read_csv(path, n_rows=1000).drop("late", *LEAKS)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self.answers = 0
        self.failures: list[str] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._client.close()

    def _ask(self) -> None:
        questions = self._rows.write_csv(include_header=False).splitlines()
        while not self._stop.wait(PAUSE_SECONDS):
            body = questions[self.answers % len(questions)]
            try:
                self._client.invoke_endpoint(
                    EndpointName=self._endpoint, ContentType="text/csv", Body=body.encode()
                )["Body"].read()
            except (BotoCoreError, ClientError) as error:
                self.failures.append(str(error))
            else:
                self.answers += 1
