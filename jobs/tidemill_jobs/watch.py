"""
Watch: profile captured traffic, window by window.

What a part's files of one window come to is a *partial*: the profile of their rows, the predictions
as rows of their own, and last a document that names the files it covers. Partials of a window merge
to what one pass would have given. One that is there already is not made again, so that a part that
is stopped goes on where it was. As a processing job it reads

    plan        plan.json: {version: 1, spec: the compiled spec, every: seconds of a window,
                champion: {version: 3}, model: "s3://…/model.tar.gz", results: "s3://…" without a
                trailing slash, objects: [{uri, version_id, etag, size, window: its start, in
                seconds since 1970}], counted: {a window's start: [partials, by id, whose events
                do not count again]}}
"""

import hashlib
import json
import logging
import tarfile
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from tidemill_jobs.baseline import prediction_feature
from tidemill_jobs.capture.event_ids import (
    DIGEST_BYTES,
    MOST_KNOWN,
    Digests,
    EventIds,
    known_from,
)
from tidemill_jobs.capture.reader import Batch, CaptureReader
from tidemill_jobs.capture.schema import Schema
from tidemill_jobs.capture.tally import Tally
from tidemill_jobs.container import Container, read_document
from tidemill_jobs.errors import GoneError, JobError
from tidemill_jobs.features import Features
from tidemill_jobs.lake import Lake, ObjectVersion
from tidemill_jobs.profile import Profile, Profiler
from tidemill_jobs.redacted import withhold
from tidemill_jobs.values import Kind

log = logging.getLogger(__name__)

TRANSFERS = 8  # downloads at a time
RESERVE = 20.0  # seconds that are left for writing what was read
BYTES_PER_SECOND = 3 * 1_048_576  # of captured lines
PROFILE, COVERS, PREDICTIONS, EVENTS = "profile.json.gz", "json", "parquet", "events"

SecondsLeft = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a part is to read, whose traffic it is, and where partials go."""

    spec: Mapping[str, Any]
    every: int
    version: int
    model: str
    results: str
    windows: Mapping[float, tuple[ObjectVersion, ...]]
    counted: Mapping[float, tuple[str, ...]]

    @classmethod
    def parse(cls, text: str) -> "Plan":
        """
        Read plan.json.

        Raises:
            JobError: It is no plan of version 1.
        """
        try:
            document: dict[str, Any] = json.loads(text)
            if document["version"] != 1:
                raise JobError(
                    f"plan.json has version {document['version']}; this image reads 1: build the "
                    "jobs image anew, then watch again."
                )
            windows: dict[float, list[ObjectVersion]] = defaultdict(list)
            for item in document["objects"]:
                windows[float(item["window"])].append(ObjectVersion.parse(item))
            return cls(
                spec=document["spec"],
                every=int(document["every"]),
                version=int(document["champion"]["version"]),
                model=document["model"],
                results=document["results"].rstrip("/"),
                windows={start: tuple(windows[start]) for start in sorted(windows)},
                counted={
                    float(start): tuple(some) for start, some in document.get("counted", {}).items()
                },
            )
        except (AttributeError, KeyError, TypeError, ValueError) as exc:
            raise JobError(f"plan.json is not a plan ({exc!r}); watch again.") from exc


def main(container: Container, arguments: Sequence[str]) -> None:
    """
    Run the processing job that the container describes.

    Raises:
        JobError: An object or a partial could not be transferred; what was written stays.
    """
    if arguments:
        log.warning("watch takes no arguments; ignored: %s", " ".join(arguments))
    plan = Plan.parse(read_document(container.processing_input("plan"), "plan.json"))
    with tempfile.TemporaryDirectory(dir=container.work) as work:
        done = profile_windows(plan, Lake(), Path(work))
    message = f"Profiled {len(done)} windows of traffic."
    log.info(message)
    container.say(message)


def profile_windows(
    plan: Plan, lake: Lake, work: Path, *, seconds_left: SecondsLeft | None = None
) -> list[float]:
    """
    Write the partial of each window of a part.

    Args:
        plan: What to read.
        lake: Where from and where to.
        work: A folder on a disk with room for some of the files.
        seconds_left: Tells when to stop; None in a job, which has hours.

    Returns:
        The starts of the windows that have their partial now. Of the others there was no time for:
        calling again goes on with them.

    Raises:
        JobError: A file or the model cannot be read; what was written stays.
    """
    done: list[float] = []
    schema: Schema | None = None
    for start, objects in plan.windows.items():
        name = f"{iso(start)}/{partial_id(objects)}"
        covers = f"{plan.results}/partials/{name}.{COVERS}"
        if lake.find_text(covers) is None:
            needed = RESERVE + sum(item.size for item in objects) / BYTES_PER_SECOND
            if seconds_left is not None and seconds_left() < needed:
                log.warning("stopped before %s: too little time is left", name)
                return done
            schema = schema or schema_of(plan, lake, work)
            reader = CaptureReader(schema, EventIds(_counted(plan, start, lake, work)))
            write_partial(plan, lake, work, name, _profiled(objects, lake, work, reader))
            document = covers_of(plan, start, objects, reader.tally)
            lake.put_text(json.dumps(document, separators=(",", ":")), covers)
        done.append(start)
    return done


@dataclass(frozen=True, slots=True)
class Seen:
    """What the files of a window hold."""

    profile: Profile
    predictions: Sequence[pl.DataFrame]
    events: bytes = b""


def _profiled(
    objects: Sequence[ObjectVersion], lake: Lake, work: Path, reader: CaptureReader
) -> Seen:
    profiler, predictions = Profiler(kinds=kinds_of(reader.schema)), []
    for version, path in _fetched(objects, lake, work):
        with path.open("rb") as file:
            for batch in reader.read(file, version.uri):
                profiler.add(with_prediction(batch, reader.schema))
                predictions.append(batch.predictions)
        path.unlink()
    return Seen(profiler.profile(), predictions, reader.events())


def _counted(plan: Plan, start: float, lake: Lake, work: Path) -> Digests:
    """Return the events of the window that other partials count; of older releases' none."""
    parts: list[bytes] = []
    path, room = work / EVENTS, MOST_KNOWN * DIGEST_BYTES
    for partial in plan.counted.get(start, ()):
        if lake.fetch(f"{plan.results}/partials/{iso(start)}/{partial}.{EVENTS}", path):
            room -= path.stat().st_size
            if room < 0:
                log.warning("too many events in %s to tell all that come again", iso(start))
                break
            parts.append(path.read_bytes())
    path.unlink(missing_ok=True)
    return known_from(parts)


def _fetched(
    objects: Sequence[ObjectVersion], lake: Lake, work: Path
) -> Iterator[tuple[ObjectVersion, Path]]:
    """Yield the files in order, some fetched at a time; one that was deleted has no rows."""

    def fetch(numbered: tuple[int, ObjectVersion]) -> Path | None:
        number, version = numbered
        path = work / f"{number}.jsonl"
        try:
            lake.read(version, path)
        except GoneError:
            path.unlink(missing_ok=True)
            log.warning("%s was deleted before it was read", version.uri)
            return None
        return path

    with ThreadPoolExecutor(TRANSFERS, thread_name_prefix="transfer") as pool:
        numbered = list(enumerate(objects))
        for first in range(0, len(numbered), TRANSFERS):
            some = numbered[first : first + TRANSFERS]
            for (_, version), path in zip(some, pool.map(fetch, some), strict=True):
                if path is not None:
                    yield version, path


def write_partial(plan: Plan, lake: Lake, work: Path, name: str, seen: Seen) -> None:
    """Write profile and predictions; `covers_of`, which makes them count, comes after."""
    if seen.predictions:
        path = work / "predictions.parquet"
        pl.concat(seen.predictions).write_parquet(path)
        lake.put_file(path, f"{plan.results}/predictions/{name}.{PREDICTIONS}")
    for kind, data in ((PROFILE, seen.profile.dumps()), (EVENTS, seen.events)):
        path = work / kind
        path.write_bytes(data)
        lake.put_file(path, f"{plan.results}/partials/{name}.{kind}")


def with_prediction(batch: Batch, schema: Schema) -> pl.DataFrame:
    """
    Return a batch's inputs with the answers as one more feature, as the baseline has it.

    That is the score, or in a multiclass problem the label. What the spec redacts is not among
    the inputs, though it was captured as it came.
    """
    source = "probability" if schema.problem == "binary" else "prediction"
    name = prediction_feature(schema.names)
    answers = batch.predictions[source].alias(name)
    if not batch.inputs.width:
        return answers.to_frame()
    inputs = withhold(batch.inputs, hashed=schema.hashes, dropped=schema.dropped)
    return inputs.drop(name, strict=False).with_columns(answers)


def kinds_of(schema: Schema) -> dict[str, Kind]:
    """
    Return what the features are, as in the baseline: postal codes are no numbers.

    Else a category whose cells look like numbers would be of another type than its baseline.
    """
    answers: Kind = "category" if schema.problem == "multiclass" else "number"
    return {**schema.kinds, prediction_feature(schema.names): answers}


def schema_of(plan: Plan, lake: Lake, work: Path) -> Schema:
    """
    Return the columns and classes of the version that answered, from its archive.

    Raises:
        JobError: There is no archive, or no features.json in it.
    """
    path = work / "model.tar.gz"
    if not lake.fetch(plan.model, path):
        raise JobError(f"{plan.model} is gone; bring another version into service.")
    try:
        with tarfile.open(path, mode="r:gz") as archive:
            member = archive.extractfile("features.json")
            text = member.read().decode() if member else ""
    except (KeyError, OSError, tarfile.TarError) as exc:
        raise JobError(f"{plan.model} cannot be read ({exc}), nor can its traffic.") from exc
    finally:
        path.unlink(missing_ok=True)
    features = Features.parse(text)
    data = plan.spec["data"]
    ignored = [name for name in (data["id"], data["timestamp"], *data["exclude"]) if name]
    redact = plan.spec.get("watch", {}).get("capture", {}).get("redact", {})
    dropped = [name for name, how in redact.items() if how == "drop"]
    hashed = [name for name, how in redact.items() if how == "hash"]
    return Schema.of(features, ignored).without(dropped).hashed(hashed)


def covers_of(
    plan: Plan, start: float, objects: Sequence[ObjectVersion], tally: Tally
) -> dict[str, Any]:
    """Return the document that makes a partial count: which files it covers."""
    return {
        "version": 1,
        "id": partial_id(objects),
        "window": start,
        "every": plan.every,
        "model_version": plan.version,
        "rows": tally.rows,
        "tally": tally.document(),
        "covers": [[_key(item.uri), item.version_id] for item in objects],
    }


def partial_id(objects: Sequence[ObjectVersion]) -> str:
    """Return 16 hex digits: the same for the same files."""
    text = "\n".join(sorted(f"{item.uri} {item.version_id}" for item in objects))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def iso(start: float) -> str:
    """Return a window's start as folders name it: `2026-11-20T10:00:00.000Z`."""
    return f"{datetime.fromtimestamp(start, UTC):%Y-%m-%dT%H:%M:%S}.000Z"


def _key(uri: str) -> str:
    return uri.removeprefix("s3://").partition("/")[2]
