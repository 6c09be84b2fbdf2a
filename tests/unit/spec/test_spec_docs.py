"""docs/spec.md against the keys that really exist."""

import re
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from tidemill.spec.authored import DECIDED_ELSEWHERE, Authored, ColumnRule
from tidemill.spec.compile import compile_spec
from tidemill.spec.durations import format_duration
from tidemill.spec.metrics import METRICS

TEXT = (Path(__file__).parents[3] / "docs" / "spec.md").read_text()
ROW = re.compile(r"^\| `([a-z_.]+)` \| (.+?) \| (.+?) \| (.+?) \| `(.+?)` \|$", re.MULTILINE)
ROWS = {key: (default, example) for key, _, default, _, example in ROW.findall(TEXT)}
DURATIONS = {
    "delivery.quiet",
    "delivery.max_wait",
    "triggers.cooldown",
    "train.compute.max_runtime",
    "watch.every",
    "watch.drift.cooldown",
}
DERIVED = {"evaluate.metric": "by problem", "evaluate.direction": "by metric"}


def leaves(section=Authored, path=""):
    """Yield every key with its default, as the table writes it."""
    for name, field in section.model_fields.items():
        key = f"{path}{field.alias or name}"
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from leaves(field.annotation, f"{key}.")
        else:
            yield key, written(key, field)


def written(key, field):
    if key in DERIVED:
        return DERIVED[key]
    if field.is_required():
        return "*required*"
    default = field.get_default(call_default_factory=True)
    if default is None or default in ([], {}):
        return "*none*"
    return f"`{format_duration(default) if key in DURATIONS else default}`"


def test_the_table_has_every_key_in_the_order_of_the_file():
    assert list(ROWS) == [key for key, _ in leaves()]


@pytest.mark.parametrize(("key", "default"), list(leaves()))
def test_a_row_gives_the_default(key, default):
    assert ROWS[key][0] == default


@pytest.mark.parametrize("key", ROWS)
def test_an_example_compiles(key, smallest):
    document = yaml.safe_load(smallest)
    section = document
    *above, last = key.split(".")
    for part in above:
        section = section.setdefault(part, {})
    section[last] = yaml.safe_load(ROWS[key][1])

    assert compile_spec(yaml.safe_dump(document))


@pytest.mark.parametrize("example", re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL))
def test_a_whole_example_compiles(example):
    assert compile_spec(example).ref == "flights/delay"


@pytest.mark.parametrize("problem", METRICS)
def test_the_metrics_are_listed_with_their_default(problem):
    first, *others = (f"`{metric.name}`" for metric in METRICS[problem])

    assert f"| `{problem}` | {first} | {', '.join(others)} |" in TEXT


def test_every_refused_hyperparameter_is_listed():
    section = TEXT.partition("## Hyperparameters that are decided elsewhere")[2]
    table = section.partition("## ")[0]
    listed = {
        name
        for row in table.splitlines()[5:]
        for name in re.findall(r"`(\w+)`", row[: row.find("|", 2)])
    }

    assert listed == set(DECIDED_ELSEWHERE)


def test_every_key_of_a_column_is_listed():
    section = TEXT.partition("## What is known of a column")[2].partition("## ")[0]
    rows = (row[: row.find("|", 2)] for row in section.splitlines() if row.startswith("| `"))

    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == set(
        ColumnRule.model_fields
    )
