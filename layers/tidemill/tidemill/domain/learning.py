"""What of a spec, and of the training code, decides what a run learns."""

import hashlib
import json
from dataclasses import asdict
from typing import Any

from tidemill.spec.compiled import Spec

#: The spec's sections that decide it. When a run starts, who approves, and on what machines it is
#: trained and served changes nothing of what is learned.
SECTIONS = ("data", "check", "prepare", "train", "evaluate")


def learning_digest(spec: Spec, image: str) -> str:
    """Return 16 hex digits that change when a run would learn otherwise; *image* trains it."""
    learned = {section: _section(spec, section) for section in SECTIONS}
    text = json.dumps({**learned, "image": image}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def changes(before: Spec, after: Spec) -> list[str]:
    """Return which sections are learned otherwise; none when it is the training code."""
    return [name for name in SECTIONS if _section(before, name) != _section(after, name)]


def _section(spec: Spec, name: str) -> dict[str, Any]:
    section = asdict(getattr(spec, name))
    section.pop("compute", None)
    return section
