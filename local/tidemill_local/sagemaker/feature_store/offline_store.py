"""
The offline store: every record that was ever put, as Parquet files in SageMaker's layout.

Rows wait in the service's store until a file holds them, so that none is lost; a file that was
written just before a crash may be written again. Files are partitioned by the hour of the event.
"""

import importlib
import io
import logging
import secrets
import threading
import time
from datetime import UTC, datetime
from typing import Any

from tidemill_local.sagemaker.containers.channels import split_uri
from tidemill_local.sagemaker.context import Context
from tidemill_local.sagemaker.operations import on_start, on_stop
from tidemill_local.sagemaker.store import MissingRecordError

logger = logging.getLogger(__name__)

_KIND = "OfflineRow"
_PAUSE_SECONDS = 2.0


class OfflineStore:
    """Writes the rows of one service's feature groups; a part of its context."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._writing = threading.Lock()
        self._thread: threading.Thread | None = None

    def add(self, group: dict[str, Any], row: dict[str, Any], event_time: float) -> None:
        """Keep a row until it is in a file."""
        body = {"group": group["FeatureGroupName"], "row": row, "event": event_time}
        self._context.store.insert(_KIND, f"{time.time():.6f}-{secrets.token_hex(6)}", body)
        self.resume()

    def resume(self) -> None:
        """Write what waits, soon."""
        with self._writing:
            if self._thread is None and not self._stopping.is_set():
                self._thread = threading.Thread(target=self._run, name="offline", daemon=True)
                self._thread.start()
        self._wake.set()

    def flush(self, group: str | None = None) -> None:
        """Write what waits, of one group or of all, now."""
        with self._writing:
            waiting: dict[tuple[str, int], dict[str, dict[str, Any]]] = {}
            for name, body in self._context.store.named_rows(_KIND):
                if group in (None, body["group"]):
                    hour = int(body["event"] // 3600)
                    waiting.setdefault((body["group"], hour), {})[name] = body
            for (owner, _), rows in waiting.items():
                self._write(owner, rows)

    def close(self) -> None:
        """Stop writing; what waits stays in the store."""
        self._stopping.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(10.0)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.wait()
            self._wake.clear()
            self._stopping.wait(_PAUSE_SECONDS)  # rows come in crowds, and one file can hold them
            if self._stopping.is_set():
                return
            try:
                self.flush()
            except Exception:  # S3 may be away; the rows wait
                logger.exception("the offline store could not be written; it is tried again")
                self._stopping.wait(_PAUSE_SECONDS)
                self._wake.set()

    def _write(self, group: str, rows: dict[str, dict[str, Any]]) -> None:
        definition = self._context.store.get("FeatureGroup", group)
        if definition is not None:
            moments = [body["event"] for body in rows.values()]
            uri = definition["OfflineStoreConfig"]["S3StorageConfig"]["ResolvedOutputS3Uri"]
            bucket, prefix = split_uri(uri)
            self._context.s3.put_object(
                Bucket=bucket,
                Key=f"{prefix.rstrip('/')}/{_place(max(moments))}",
                Body=_parquet(definition, [body["row"] for body in rows.values()]),
            )
        for name in rows:
            try:
                self._context.store.delete(_KIND, name)
            except MissingRecordError:
                continue


def _place(event: float) -> str:
    """Return a file's key below `data/`: the hour's folder, the newest event's time in the name."""
    moment = datetime.fromtimestamp(event, UTC)
    folder = moment.strftime("year=%Y/month=%m/day=%d/hour=%H")
    return f"{folder}/{moment.strftime('%Y%m%dT%H%M%SZ')}_{secrets.token_hex(8)}.parquet"


def _parquet(definition: dict[str, Any], rows: list[dict[str, Any]]) -> bytes:
    polars: Any = importlib.import_module("polars")  # takes memory: only who needs it pays
    types = {"Integral": polars.Int64, "Fractional": polars.Float64, "String": polars.String}
    schema = {
        each["FeatureName"]: types[each["FeatureType"]] for each in definition["FeatureDefinitions"]
    }
    stamp = polars.Datetime("ms", "UTC")
    schema |= {"write_time": stamp, "api_invocation_time": stamp, "is_deleted": polars.Boolean}
    now = datetime.now(UTC)
    columns = {
        name: [now if name == "write_time" else _cell(row.get(name), name) for row in rows]
        for name in schema
    }
    out = io.BytesIO()
    polars.DataFrame(columns, schema=schema).write_parquet(out)
    return out.getvalue()


def _cell(value: Any, name: str) -> Any:
    return datetime.fromtimestamp(value, UTC) if name == "api_invocation_time" else value


@on_start
def resume_writing(context: Context) -> None:
    """Write what an earlier service left."""
    if context.store.rows(_KIND):
        context.part(OfflineStore).resume()


@on_stop
def stop_writing(context: Context) -> None:
    """End the writer."""
    context.part(OfflineStore).close()
