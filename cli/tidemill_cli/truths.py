"""`truth` and `quality`: say what really happened, and how good the predictions were."""

# ruff: noqa: PLC0415  # imports inside commands keep `tidemill --help` fast
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tidemill_cli.failures import MalformedError, RefusedError
from tidemill_cli.output import local_time, put_json, put_table, say
from tidemill_cli.session import MODEL, Session, hint, shared_options

if TYPE_CHECKING:
    from tidemill_cli.stack import Stack

#: Of the parts of predictions, the newest of so many bytes are fetched to tell what will be joined.
MOST_FETCHED_BYTES = 32 * 1024 * 1024
_POINTS_SHOWN = 20


@click.command()
@click.argument("model", type=MODEL)
@click.argument("file", type=click.Path(path_type=Path))
@shared_options
@click.pass_obj
def truth(session: Session, model: str, file: Path) -> None:
    """
    Send FILE, which says what really happened, to MODEL.

    It is looked at first: a file that could not be used is not sent.
    """
    from tidemill_cli.uploads import Source, send

    stack = session.stack
    spec = stack.stores.specs.get(model)
    if not file.is_file():
        raise MalformedError(f"there is no file {file}; nothing was sent")
    found = _looked_at(stack, model, file, spec.data.target)
    verdict = found["verdict"]
    if verdict["name"] != "accept":
        raise RefusedError(
            f"{file} was not sent ({verdict['rule']}): {verdict['reason']} {verdict['next_step']}"
        )
    key = f"truth/{model}/{file.name}"
    version_id, count = send(stack.clients.s3, Source(str(file), file.name), stack.lake_bucket, key)
    document = {
        "file": str(file),
        "bucket": stack.lake_bucket,
        "key": key,
        "version_id": version_id,
        "size": count,
        **found["facts"],
        "joins": found["joins"],
    }
    if session.as_json:
        put_json(document)
        return
    click.echo(f"{key}  {version_id}")
    click.echo(f"{verdict['reason']}. {_will_join(found['joins'])}")
    hint(session, f"the next look joins it; `tidemill quality {model}` says what it came to")


def _looked_at(stack: "Stack", model: str, file: Path, target: str) -> dict[str, Any]:
    """Return what the jobs say of a truth file, beside the newest predictions."""
    from tidemill_cli.samples import asked

    with tempfile.TemporaryDirectory() as folder:
        parts = _newest_parts(stack, model, Path(folder))
        return asked("truth", str(file), "--target", target, "--predictions", *map(str, parts))


def _newest_parts(stack: "Stack", model: str, folder: Path) -> list[Path]:
    listed = list(stack.lake.listed(stack.lake_bucket, f"watch/{model}/predictions/"))
    room = MOST_FETCHED_BYTES
    paths: list[Path] = []
    for part in sorted(listed, key=lambda part: part.key, reverse=True):
        room -= part.size
        if room < 0:
            break
        path = folder / f"{len(paths)}.parquet"
        if stack.lake.download(stack.lake_bucket, part.key, path):
            paths.append(path)
    return paths


def _will_join(joins: Mapping[str, int]) -> str:
    if not joins["predictions"]:
        return "No prediction has been looked at yet; labels wait for theirs."
    said = f"{joins['joined']:,} of the {joins['predictions']:,} newest predictions get a label"
    if joins["unknown"]:
        one = joins["unknown"] == 1
        waits = (
            "label names none of these and waits" if one else "labels name none of these and wait"
        )
        said += f"; {joins['unknown']:,} {waits}"
    if joins["no_row"]:
        said += f"; of several rows but without one: {joins['no_row']:,}"
    return f"{said}."


@click.command()
@click.argument("model", type=MODEL)
@shared_options
@click.pass_obj
def quality(session: Session, model: str) -> None:
    """
    Show how good MODEL's predictions were, where truth is known.

    Exit status 1 says that they are worse than the spec allows.
    """
    from tidemill.adapters.qualities import summary_uri

    stack = session.stack
    spec = stack.stores.specs.get(model)
    found = stack.lake.get_json(summary_uri(stack.lake_bucket, model))
    if found is None:
        raise RefusedError(
            f"nothing is known of the quality of {model} yet: it is judged when its traffic is "
            f"looked at; send what really happened with `tidemill truth {model} FILE`"
        )
    document = _document(found)
    if session.as_json:
        put_json(document)
    else:
        _print(document, found, direction=spec.evaluate.direction)
    if document["low"]:
        raise SystemExit(1)


def _document(found: Mapping[str, Any]) -> dict[str, Any]:
    from tidemill.times import iso

    asked, decision, counts = found["asked"], found["decision"], found["counts"]
    return {
        "model": found["model"],
        "version": found["champion"],
        "verdict": decision["verdict"],
        "reason": decision["reason"],
        "low": decision["low"],
        "metric": asked["metric"],
        "floor": asked["floor"],
        "minimum_rows": asked["minimum_rows"],
        "evaluated": found["evaluated"],
        "judged_at": found["judged_at"],
        **{name: counts[name] for name in ("predictions", "joined", "waiting", "unknown")},
        "no_row": counts["no_row"],
        "corrected": counts["corrected"],
        "points": [
            {
                "from": iso(point["start"]),
                "to": iso(point["end"]),
                **{name: point[name] for name in ("rows", "value", "low", "high", "verdict")},
            }
            for point in found["points"]
        ],
    }


def _print(document: Mapping[str, Any], found: Mapping[str, Any], *, direction: str) -> None:
    now = time.time()
    metric, floor = document["metric"], document["floor"]
    click.echo(f"version {document['version']}: {document['reason']}")
    click.echo(
        f"{document['joined']:,} of {document['predictions']:,} predictions have their truth, "
        f"{document['waiting']:,} wait for it; {document['unknown']:,} labels name no known "
        "prediction"
    )
    known = (
        [f"{metric} was {document['evaluated']:.4g} at evaluation"] if document["evaluated"] else []
    )
    asked = found["asked"]["direction"] if floor is not None else direction
    side = "floor" if asked == "maximize" else "ceiling"
    known.append(f"the {side} is {floor:.4g}" if floor is not None else "no floor is set")
    click.echo("; ".join(known))
    if not document["points"]:
        return
    click.echo()
    points = found["points"][-_POINTS_SHOWN:]
    rows = [
        {
            "from": local_time(point["start"], now),
            "to": local_time(point["end"], now),
            "rows": f"{point['rows']:,}",
            "value": point["value"],
            "range": _range(point),
            "verdict": point["verdict"].replace("_", " "),
        }
        for point in points
    ]
    columns = {"from": "from", "to": "to", "rows": "rows", "value": metric, "range": "95 %",
               "verdict": "verdict"}  # fmt: skip
    put_table(rows, columns, "")
    if len(found["points"]) > len(points):
        say(f"the last {len(points)} of {len(found['points'])} points; --json has them all")


def _range(point: Mapping[str, Any]) -> str | None:
    if point["low"] is None:
        return None
    return f"{point['low']:.4g} to {point['high']:.4g}"
