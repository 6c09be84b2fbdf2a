"""The JSON Schema of model.yaml: what is checked in, and that it knows right from wrong."""

import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml

from tidemill.spec.editor_schema import main, meanings_of, schema

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs" / "spec.md").read_text()
CHECKED_IN = ROOT / "cli" / "tidemill_cli" / "model.schema.json"
EXAMPLES = [
    *re.findall(r"```yaml\n(.+?)```", TEXT, re.DOTALL),
    (ROOT / "examples/flights/model.yaml").read_text(),
]


def refusals(document):
    return list(
        jsonschema.Draft7Validator(json.loads(CHECKED_IN.read_text())).iter_errors(document)
    )


def test_the_schema_that_is_checked_in_is_the_one_of_the_keys(tmp_path):
    """`python -m tidemill.spec.editor_schema docs/spec.md cli/tidemill_cli/model.schema.json`."""
    main([str(ROOT / "docs/spec.md"), str(tmp_path / "made.json")])

    assert (tmp_path / "made.json").read_text() == CHECKED_IN.read_text()
    jsonschema.Draft7Validator.check_schema(json.loads(CHECKED_IN.read_text()))


@pytest.mark.parametrize("text", EXAMPLES)
def test_every_example_is_valid(text):
    assert refusals(yaml.safe_load(text)) == []


def test_every_key_says_what_it_means():
    def keys(node, path=""):
        for name, below in node.get("properties", {}).items():
            yield f"{path}{name}", below
            yield from keys(below, f"{path}{name}.")

    described = {key for key, node in keys(schema(meanings_of(TEXT))) if node.get("description")}

    assert set(meanings_of(TEXT)) <= described


@pytest.mark.parametrize(
    "change",
    [
        {"traget": 1},
        {"project": "My Team"},
        {"delivery": {"quiet": 30}},
        {"delivery": {"quiet": "30 seconds"}},
        {"train": {"problem": "binarry"}},
        {"train": {"problem": "binary", "compute": {"instance": "ml.m5.gigantic"}}},
        {"deploy": {"count": 0}},
        {"data": {}},
        {"check": {"columns": {"a": {"type": "text"}}}},
    ],
    ids=str,
)
def test_a_mistake_is_marked(change):
    right = {"project": "p", "model": "m", "data": {"target": "y"}, "train": {"problem": "binary"}}
    assert refusals(right) == []

    assert refusals(right | change)
