"""
The JSON Schema of model.yaml, by which editors complete keys and mark mistakes while one types.

It is narrower in nothing than `compile.py` and wider in a few things that a schema cannot say.
`python -m tidemill.spec.editor_schema docs/spec.md cli/tidemill_cli/model.schema.json` writes it
anew, with what docs/spec.md says of each key; a test compares what is checked in.
"""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tidemill.spec import instances
from tidemill.spec.authored import Authored
from tidemill.spec.durations import format_duration
from tidemill.spec.fields import DURATION
from tidemill.spec.metrics import METRICS

_ROW = re.compile(r"^\| `([a-z_.]+)` \| .+? \| .+? \| (.+?) \| `.+?` \|$", re.MULTILINE)
#: What a key may be where only code says so.
_CHOICES = {
    "train.compute.instance": sorted(instances.TRAINING & instances.PROCESSING),
    "deploy.instance": sorted(instances.HOSTING),
    "evaluate.metric": sorted({metric.name for metrics in METRICS.values() for metric in metrics}),
}


def schema(meanings: Mapping[str, str]) -> dict[str, Any]:
    """Return the schema; *meanings* says of each key, such as `data.target`, what it means."""
    document = Authored.model_json_schema()
    found = _inlined(document, "", document["$defs"], meanings)
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Tidemill model.yaml",
        **found,
    }


def meanings_of(text: str) -> dict[str, str]:
    """Return what docs/spec.md's table says of each key."""
    return {key: meaning.replace("`", "") for key, meaning in _ROW.findall(text)}


def _inlined(
    node: Mapping[str, Any], path: str, defs: Mapping[str, Any], meanings: Mapping[str, str]
) -> dict[str, Any]:
    """Return *node* without references and titles, with the meaning of the key at *path*."""
    if "$ref" in node:
        node = {**node, **defs[node["$ref"].rpartition("/")[2]]}
    found = {key: value for key, value in node.items() if key not in ("$ref", "$defs", "title")}
    for key, value in found.items():
        if key == "properties":
            below = {name: f"{path}.{name}".lstrip(".") for name in value}
            found[key] = {
                name: _inlined(value[name], where, defs, meanings) for name, where in below.items()
            }
        elif key in ("additionalProperties", "items") and isinstance(value, dict):
            found[key] = _inlined(value, "", defs, {})
        elif key in ("anyOf", "allOf"):
            found[key] = [_inlined(item, "", defs, {}) for item in value]
    if path in meanings:
        found["description"] = meanings[path]
    if path in _CHOICES:
        found = _with_choices(found, _CHOICES[path])
    if found.get("pattern") == DURATION and isinstance(found.get("default"), int):
        found["default"] = format_duration(found["default"])
    return found


def _with_choices(found: dict[str, Any], choices: list[str]) -> dict[str, Any]:
    kept = {key: value for key, value in found.items() if key in ("description", "default")}
    return {"enum": [*choices, None] if "anyOf" in found else choices, **kept}


def main(arguments: Sequence[str]) -> None:
    """Write the schema: first what the meanings are read from, then where to."""
    source, target = map(Path, arguments)
    text = json.dumps(schema(meanings_of(source.read_text())), indent=2, ensure_ascii=False)
    target.write_text(text + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
