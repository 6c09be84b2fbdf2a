"""
JSON Schemas of the domain events, for those who subscribe to the bus.

`python -m tidemill.event_schemas events/schemas` writes them anew; a test compares what is checked
in with what `tidemill.contracts` says.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from tidemill.contracts.domain_events import DOMAIN_EVENTS, DomainEvent

_TYPES = {str: "string", int: "integer", bool: "boolean"}


def schema(kind: type[DomainEvent]) -> dict[str, Any]:
    """Return the JSON Schema of an event's `detail`; later versions may add properties."""
    hints = get_type_hints(kind)
    properties = {field.name: _property(hints[field.name]) for field in fields(kind)}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": kind.detail_type,
        "description": " ".join((kind.__doc__ or "").split()),
        "type": "object",
        "properties": {"version": {"const": kind.version}, **properties},
        "required": ["version", *properties],
    }


def _property(kind: Any) -> dict[str, Any]:
    if get_origin(kind) is Literal:
        return {"enum": list(get_args(kind))}
    return {"type": _TYPES[kind]}


def file_name(kind: type[DomainEvent]) -> str:
    """Return `delivery_closed.json` for `Delivery Closed`."""
    return f"{kind.detail_type.replace(' ', '_').lower()}.json"


def main(arguments: Sequence[str]) -> None:
    """Write every schema into the folder that is named."""
    (folder,) = map(Path, arguments)
    for kind in DOMAIN_EVENTS:
        text = json.dumps(schema(kind), indent=2, ensure_ascii=False)
        (folder / file_name(kind)).write_text(text + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
