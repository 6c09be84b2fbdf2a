"""
Prepare: from a dataset's object versions to splits that can be trained on.

One file is in memory at a time. First pass: read every file and decide what each column is
(`survey.py`); second pass: type and split the rows; then fit on the training rows; third pass:
transform and upload. `prepared.manifest` is written last: where it is, everything is.
"""

import heapq
import json
import logging
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from tidemill_jobs import baseline, schema, split
from tidemill_jobs.container import Container, read_document
from tidemill_jobs.contract.document import Contract
from tidemill_jobs.features import Dropped, Features, Target
from tidemill_jobs.fit import fit, transform_frame
from tidemill_jobs.lake import Lake, ObjectVersion, read_dataset
from tidemill_jobs.parts import PartWriter
from tidemill_jobs.prepared import to_frame
from tidemill_jobs.profile import Profiler
from tidemill_jobs.profile.columns import ColumnProfile
from tidemill_jobs.reader import RawFile
from tidemill_jobs.redacted import redact_frame
from tidemill_jobs.redaction import Redaction, read_key
from tidemill_jobs.spec import Spec
from tidemill_jobs.survey import Found, Survey, survey
from tidemill_jobs.target import Outcomes, check_rows, encode, find_classes
from tidemill_jobs.values import Kind

log = logging.getLogger(__name__)

SMOKE_ROWS = 20
FILES_NAMED = 1_000  # with their dropped rows
EXACT = 2**53  # whole floats up to here are written as integers
_SPLIT, _TARGET = "\x1fsplit", "\x1ftarget"  # no file's column: names are printable


def main(container: Container, arguments: Sequence[str]) -> None:
    """Run the processing job that the container describes."""
    if arguments:
        log.warning("prepare takes no arguments; ignored: %s", " ".join(arguments))
    spec = Spec.parse(read_document(container.processing_input("spec"), "spec.json"))
    versions = read_dataset(read_document(container.processing_input("dataset"), "dataset.json"))
    uri = container.prepared_uri
    contract = None
    if container.processing_input("contract").exists():  # models without a contract have none
        contract = Contract.parse(
            read_document(container.processing_input("contract"), "contract.json")
        )
    lake = Lake()
    with tempfile.TemporaryDirectory(dir=container.work) as work:
        key = read_key(lake, container.hash_key)
        summary = prepare(spec, versions, lake, uri, Path(work), contract=contract, key=key)
    message = _message(summary)
    log.info(message)
    container.say(message)


def prepare(
    spec: Spec,
    versions: Sequence[ObjectVersion],
    lake: Lake,
    uri: str,
    work: Path,
    *,
    contract: Contract | None = None,
    key: bytes | None = None,
) -> dict[str, Any]:
    """
    Prepare a dataset below *uri* and return its summary.

    With a contract, columns are what it says: no later file can change what one means. *key* is
    that of the hashes of redacted columns; without it the baseline has no such column.

    Raises:
        RefusedError: The dataset as a whole cannot be trained on.
        JobError: An object cannot be read or written.
    """
    found = survey(versions, spec, lake, work, contract)
    rows = _type_rows(found, spec, key)
    classes = find_classes(rows.outcomes, spec.problem, spec.target)
    check_rows(rows.outcomes, spec.problem, spec.target)
    features = _fit(found, rows.paths, spec, Target(spec.target, classes))
    writer = PartWriter(lake, uri, work)
    for path in rows.paths:
        _transform(path, features, writer)
        path.unlink()
    writer.close()
    summary = _summary(found, rows, features, spec)
    lake.put_text(features.to_json(), f"{uri}/features.json")
    lake.put_text("".join(f"{row}\n" for row in rows.smoke), f"{uri}/smoke.jsonl")
    lake.put_text(json.dumps(summary, indent=1, ensure_ascii=False), f"{uri}/summary.json")
    of_inputs = baseline.of_inputs(rows.training.profile(), features, spec.watch).files()
    for name, data in of_inputs.items():
        lake.put_bytes(data, f"{uri}/baseline/{name}")
    _put_manifests(lake, uri, writer.names)
    return summary


@dataclass(slots=True)
class _Rows:
    """
    What the second pass found; the typed rows wait on disk.

    *training* is given the training rows' inputs, as an endpoint is asked them.
    """

    training: Profiler
    paths: list[Path] = field(default_factory=list)
    outcomes: Outcomes = field(default_factory=Outcomes)
    without_target: int = 0
    profile: dict[str, ColumnProfile] = field(default_factory=dict)
    candidates: list[tuple[int, str]] = field(default_factory=list)  # hash and row of test rows

    @property
    def smoke(self) -> list[str]:
        """The raw test rows, as JSON, that the endpoint is tried with."""
        return [row for _, row in self.candidates]


def _type_rows(found: Survey, spec: Spec, key: bytes | None = None) -> _Rows:
    kinds = _inputs(found, spec)
    redaction = Redaction.of_columns(kinds, spec.redact, key)
    rows = _Rows(Profiler({**kinds, **dict.fromkeys(redaction.rules, "category")}))
    for file in found.files:
        raw = file.open()
        keys = split.row_keys(raw.frame, spec.id)
        hashes = split.hash_texts(keys, spec.seed)
        splits = split.assign(hashes, validation=spec.validation, test=spec.test)
        raw = _whole(raw, found.header)  # after the keys: they are of what the file holds
        typed = schema.typed(raw, {**kinds, spec.target: found.target})
        for name, kind in {**kinds, spec.target: found.target}.items():
            part = ColumnProfile.of(typed[name], kind)
            rows.profile[name] = rows.profile[name].merge(part) if name in rows.profile else part
        known = typed[spec.target].is_not_null()
        rows.without_target += typed.height - int(known.sum())
        of_training = known & pl.Series(splits == split.TRAIN)
        asked = baseline.as_asked(raw.frame, typed, {**kinds, **redaction.rules}, of_training)
        rows.training.add(redact_frame(asked, redaction))
        test = np.flatnonzero(known.to_numpy() & (splits == split.TEST))
        rows.candidates = heapq.nsmallest(
            SMOKE_ROWS, rows.candidates + _smoke_rows(found, raw.frame, typed, hashes, test)
        )
        typed = typed.rename({spec.target: _TARGET}).with_columns(pl.Series(_SPLIT, splits))
        typed = typed.filter(known)
        for number in range(len(split.NAMES)):
            of_split = typed.filter(pl.col(_SPLIT) == number)
            rows.outcomes.add(number, of_split[_TARGET], spec.problem)
        rows.paths.append(_keep(file, typed))
    return rows


def _whole(raw: RawFile, header: Sequence[str]) -> RawFile:
    """Return the rows with every column of the header; one that need not be there is missing."""
    lacking = [name for name in header if name not in raw.frame.columns]
    if not lacking:
        return raw
    empty = [pl.lit(None, pl.String).alias(name) for name in lacking]
    return replace(raw, frame=raw.frame.with_columns(empty))


def _inputs(found: Survey, spec: Spec) -> dict[str, Kind]:
    """Return the columns that may become model input: not the id, not the empty ones."""
    return {
        name: kind for name, kind in found.kinds.items() if kind is not None and name != spec.id
    }


def _keep(file: Found, typed: pl.DataFrame) -> Path:
    path = file.folder.with_suffix(".arrow")
    typed.write_ipc(path)
    file.forget()
    return path


def _fit(found: Survey, paths: Sequence[Path], spec: Spec, target: Target) -> Features:
    training = pl.scan_ipc(list(paths)).filter(pl.col(_SPLIT) == split.TRAIN)
    empty = [name for name, kind in found.kinds.items() if kind is None and name != spec.id]
    dropped = [Dropped(name, "every cell is missing") for name in empty]
    dropped += [Dropped(spec.id, "it identifies the row")] if spec.id else []
    return fit(
        training,
        _inputs(found, spec),
        problem=spec.problem,
        target=target,
        header=found.header,
        dropped=dropped,
    )


def _transform(path: Path, features: Features, writer: PartWriter) -> None:
    frame = pl.read_ipc(path)
    for number in range(len(split.NAMES)):
        rows = frame.filter(pl.col(_SPLIT) == number)
        target = encode(rows[_TARGET], features.target.classes)
        writer.add(number, to_frame(features, transform_frame(features, rows), target))


def _smoke_rows(
    found: Survey,
    raw: pl.DataFrame,
    typed: pl.DataFrame,
    hashes: split.Hashes,
    test: np.ndarray[Any, np.dtype[np.int64]],
) -> list[tuple[int, str]]:
    """Return the test rows with the smallest hashes, in the user's own columns."""
    chosen = test[np.argsort(hashes[test], kind="stable")[:SMOKE_ROWS]]
    rows = []
    for at in map(int, chosen):
        row = {}
        for name in found.header:
            column = typed[name] if name in typed.columns else raw[name]
            is_time = found.kinds.get(name) == "time"
            row[name] = _json_value(raw[name][at] if is_time else column[at])
        rows.append((int(hashes[at]), json.dumps(row, ensure_ascii=False)))
    return rows


def _json_value(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, float) and value.is_integer() and abs(value) < EXACT:
        return int(value)
    return value


def _summary(found: Survey, rows: _Rows, features: Features, spec: Spec) -> dict[str, Any]:
    counts: dict[str, int] = dict(zip(split.NAMES, rows.outcomes.rows, strict=True))
    counts["read"] = sum(counts.values()) + rows.without_target
    counts["without_target"] = rows.without_target
    dropped = [file for file in found.files if file.dropped]
    counts["dropped"] = sum(file.dropped.rows for file in dropped if file.dropped)
    counts["read"] += counts["dropped"]
    return {
        "version": 1,
        "rows": counts,
        "dropped_rows": [
            {
                "uri": file.version.uri,
                "version_id": file.version.version_id,
                **asdict(file.dropped),
            }
            for file in dropped[:FILES_NAMED]
            if file.dropped
        ],
        "files": [asdict(verdict) for verdict in found.verdicts],
        "columns": {
            name: profile.document(redacted=name in spec.redact)
            for name, profile in rows.profile.items()
        },
        "dropped": [asdict(entry) for entry in features.dropped],
        "notes": list(features.notes),
    }


def _put_manifests(lake: Lake, uri: str, parts: Sequence[Sequence[str]]) -> None:
    listed = {
        **dict(zip(split.NAMES, parts, strict=True)),
        "features": ["features.json"],
        "smoke": ["smoke.jsonl"],
        "baseline": [f"baseline/{name}" for name in baseline.FILES],
    }
    for name, files in listed.items():
        lake.put_manifest(uri, files, f"{uri}/{name}.manifest")
    everything = [file for files in listed.values() for file in files]
    lake.put_manifest(uri, [*everything, "summary.json"], f"{uri}/prepared.manifest")


def _message(summary: Mapping[str, Any]) -> str:
    rows, files = summary["rows"], summary["files"]
    message = (
        f"Prepared {rows['train']:,} rows for training, {rows['validation']:,} for validation and "
        f"{rows['test']:,} for the test."
    )
    if rows["without_target"]:
        message += f" {rows['without_target']:,} rows without a target were excluded."
    if rows["dropped"]:
        message += f" {rows['dropped']:,} rows that break the contract were left out."
    left_out = [file for file in files if file["verdict"] == "left_out"]
    if left_out:
        name = left_out[0]["uri"].rsplit("/", 1)[-1]
        message += f" {len(left_out)} of {len(files)} files left out; {name}: "
        message += left_out[0]["reason"]
    return message
