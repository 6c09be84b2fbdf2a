"""`drift`: what the watch found in a model's traffic, window by window, and its report."""

# ruff: noqa: PLC0415  # imports inside commands keep `tidemill --help` fast
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from tidemill_cli.failures import RefusedError
from tidemill_cli.output import local_time, put_json, put_table, say
from tidemill_cli.session import MODEL, Session, hint, shared_options

if TYPE_CHECKING:
    from tidemill.domain.drift import Window
    from tidemill_cli.looks import Looked

#: Windows, features and findings that are printed; --json has them all.
WINDOWS, FEATURES, FINDINGS = 8, 10, 3
_NAMED = 3

#: How a model's traffic stands, in a few words, by the watch's verdict.
WORDS = {
    "no_baseline": "no baseline to compare with",
    "no_traffic": "no traffic",
    "too_few_rows": "too little traffic to say",
    "same": "no drift",
    "suspected": "perhaps drift",
    "held": "drift, not told yet",
    "drifted": "still drifted; that was told",
    "found": "drift was found",
}


@click.command()
@click.argument("model", type=MODEL)
@click.option("--open", "opened", is_flag=True, help="Open the newest report in a browser.")
@shared_options
@click.pass_obj
def drift(session: Session, model: str, opened: bool) -> None:  # noqa: FBT001  # a click flag
    """
    Show what the watch found in MODEL's traffic.

    Its windows, the features that are farthest, what was told, and where the report is.
    """
    from tidemill_cli.looks import fetch_report, looked_at

    stack = session.stack
    stack.stores.specs.get(model)
    looked = looked_at(stack, model, time.time())
    if looked is None:
        raise RefusedError(
            f"nobody has looked at {model}'s traffic yet: the watch does once a version is in "
            f"service; `tidemill watch {model}` looks now"
        )
    page = fetch_report(stack, looked) if opened else None
    if session.as_json:
        put_json({**looked.document(), "opened": str(page) if page else None})
    else:
        _put(session, looked)
    if page is not None:
        say(f"opening {page}")
        click.launch(str(page))


def _put(session: Session, looked: "Looked") -> None:
    now, watched = time.time(), looked.watched
    click.echo(f"{looked.model} version {watched.version}: {WORDS[watched.verdict]}")
    click.echo(f"  {watched.reason}")
    for line in _stands(looked, now):
        click.echo(f"  {line}")
    click.echo()
    put_table(
        [
            {
                "when": local_time(window.start, now),
                "rows": f"{window.rows:,}",
                "says": _says(looked, window),
            }
            for window in looked.windows[:WINDOWS]
        ],
        {"when": "window", "rows": "rows", "says": "what it says"},
        empty="no window of traffic is over yet",
    )
    if looked.features:
        click.echo()
        put_table(
            [_feature(one) for one in looked.features[:FEATURES]],
            {
                "feature": "feature",
                "verdict": "verdict",
                "distance": "distance",
                "threshold": "threshold",
                "missing": "missing",
                "says": "what was found",
            },
            empty="",
        )
    if looked.report:
        hint(session, f"the report: {looked.report}; `tidemill drift {looked.model} --open`")


def _stands(looked: "Looked", now: float) -> Iterator[str]:
    """Yield when it was looked at, what was told, and what holds the next finding back."""
    from tidemill.spec.durations import format_duration

    watched = looked.watched
    every = f", windows of {format_duration(watched.every)}"
    if watched.stands == "failed":
        again = f"; tried again {local_time(watched.again_at, now)}" if watched.again_at else ""
        yield f"the last look failed{again}"
    elif watched.looked_at is not None:
        yield f"looked at {local_time(watched.looked_at, now)}{every}"
    for told in sorted(watched.told, key=lambda one: -one.at)[:FINDINGS]:
        kind = told.kind.replace("_", " ")
        yield f"{kind} told {local_time(told.at, now)} ({told.id}): {_names(told.features)}"
    for kind, (why, until) in looked.held.items():
        said = kind.replace("_", " ")
        yield f"the next {said} is told from {local_time(until, now)} on: {why}"


def _says(looked: "Looked", window: "Window") -> str:
    if not window.rows:
        return "no traffic"
    if not looked.counts(window):
        return f"too few rows: it takes {looked.settings.minimum_rows:,}"
    if not window.drifted:
        return "the same"
    far = sorted(window.drifted, key=lambda name: (-window.drifted[name], name))
    names = _names([f"{name} {window.drifted[name]:.2f}" for name in far])
    return f"drifted: {names}" + ("; the upstream looks broken" if window.broken else "")


def _feature(one: dict[str, Any]) -> dict[str, Any]:
    was, now = one["completeness"]
    lost = f"{1 - was:.0%} → {1 - now:.0%}" if round(was, 2) != round(now, 2) else None
    found = one["findings"][0]["sentence"] if one["findings"] else one.get("note")
    distance = one["distance"]
    return {
        "feature": one["feature"],
        "verdict": one["verdict"].replace("_", " "),
        "distance": f"{distance:.2f}" if distance is not None else None,
        "threshold": f"{one['threshold']:g}" if distance is not None else None,
        "missing": lost,
        "says": found,
    }


def _names(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
