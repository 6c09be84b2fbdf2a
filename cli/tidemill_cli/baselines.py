"""`baseline`: what a version's training rows were, which later traffic is compared with."""

# ruff: noqa: PLC0415  # imports inside commands keep `tidemill --help` fast
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from tidemill_cli.failures import RefusedError
from tidemill_cli.output import put_json, table
from tidemill_cli.session import MODEL, Session, shared_options

if TYPE_CHECKING:
    from tidemill.adapters.baselines import Baseline
    from tidemill_cli.stack import Stack

_CATEGORIES = 3  # that the table names of a column
_FEW = 50  # different values up to which naming the most frequent ones tells something


@click.command()
@click.argument("model", type=MODEL)
@click.option(
    "--version",
    type=click.IntRange(min=1),
    help="The version (default: the one in service, else the newest).",
)
@shared_options
@click.pass_obj
def baseline(session: Session, model: str, version: int | None) -> None:
    """
    Show what a version of MODEL learned from.

    What its endpoint is asked is compared with this.
    """
    stack = session.stack
    stack.stores.specs.get(model)
    number, found = _baseline(stack, model, version)
    statistics = _document(stack, found.statistics)
    constraints = _document(stack, found.constraints)
    held = {entry["name"]: entry for entry in constraints["features"]}
    features = [_feature(entry, held[entry["name"]]) for entry in statistics["features"]]
    rows = statistics["dataset"]["item_count"]
    if session.as_json:
        put_json(
            {
                "model": model,
                "version": number,
                "rows": rows,
                "profile": found.profile,
                "statistics": found.statistics,
                "constraints": found.constraints,
                "features": features,
            }
        )
        return
    click.echo(f"version {number} of {model} learned from {rows:,} rows")
    click.echo()
    columns = {
        "feature": "feature",
        "type": "type",
        "complete": "complete",
        "mean": "mean",
        "std_dev": "std dev",
        "range": "range",
        "values": "values",
    }
    for line in table([_row(feature) for feature in features], columns):
        click.echo(line)
    click.echo()
    for uri in (found.profile, found.statistics, found.constraints):
        click.echo(uri)


def _baseline(stack: "Stack", ref: str, version: int | None) -> tuple[int, "Baseline"]:
    from tidemill.adapters.baselines import baseline_of, without_baseline

    group = stack.aws_name(ref)
    if version is None:
        champion = stack.stores.champions.find(ref)
        held = [item["version"] for item in stack.registry.versions(group)]
        if not held:
            raise RefusedError(
                f"{ref} has no version yet; the first run that passes the gate registers one"
            )
        version = champion["version"] if champion else held[-1]
    package = stack.registry.describe(stack.registry.version(group, version)["package"])
    found = baseline_of(package)
    if found is None:
        raise RefusedError(without_baseline(version))
    return version, found


def _document(stack: "Stack", uri: str) -> Any:
    document = stack.lake.get_json(uri)
    if document is None:
        raise RefusedError(f"{uri} is gone; restore it, or start a run for a version with its own")
    return document


def _feature(statistics: Mapping[str, Any], constraints: Mapping[str, Any]) -> dict[str, Any]:
    numbers = statistics.get("numerical_statistics", {})
    text = statistics.get("string_statistics", {})
    counted = text.get("distribution", {}).get("categorical", {}).get("buckets", [])
    distinct = text.get("distinct_count")
    return {
        "feature": statistics["name"],
        "type": statistics["inferred_type"],
        "completeness": constraints["completeness"],
        **{name: numbers.get(name) for name in ("mean", "std_dev", "min", "max")},
        "distinct": None if distinct is None else round(distinct),
        "categories": {entry["value"]: entry["count"] for entry in counted},
    }


def _row(feature: Mapping[str, Any]) -> dict[str, Any]:
    low, high = feature["min"], feature["max"]
    return {
        **feature,
        "complete": f"{feature['completeness']:.1%}",
        "range": None if low is None else f"{low:.6g} to {high:.6g}",
        "values": _values(feature),
    }


def _values(feature: Mapping[str, Any]) -> str | None:
    distinct, counts = feature["distinct"], feature["categories"]
    if distinct is None:
        return None
    if distinct > _FEW:
        return f"{distinct:,} different"
    shares = sum(counts.values())
    named = [f"{value} {rows / shares:.0%}" for value, rows in list(counts.items())[:_CATEGORIES]]
    if distinct > len(named):
        named.append(f"and {distinct - len(named)} more")
    return ", ".join(named)
