"""The files' text: JSON as its standard has it, so that every reader takes it."""

import json
from collections.abc import Mapping
from typing import Any

VERSION = 0.0  # of all three formats


def to_text(document: Mapping[str, Any]) -> str:
    """
    Return the document as JSON.

    Raises:
        ValueError: A number in it is NaN or infinite, which JSON does not have.
    """
    return json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
