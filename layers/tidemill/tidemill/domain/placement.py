"""Where an S3 key belongs: the lake's zones and whose prefix a key lies under."""

import re
from dataclasses import dataclass

RAW = "raw"
#: People write it, as they write raw/; but it is joined with predictions, never learned from.
TRUTH = "truth"
#: Zones that Tidemill itself writes; the loop guard refuses triggers from them.
OWN_ZONES = ("quarantine", "prepared", "batch", "scored", "capture", "watch")

_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class Placement:
    """A key under a model's prefix."""

    project: str
    model: str
    name: str  # the rest of the key; never empty

    @property
    def ref(self) -> str:
        """`project/model`."""
        return f"{self.project}/{self.model}"


def place(key: str, zone: str = RAW) -> Placement | None:
    """Return whose *key* is, or None when it lies outside `<zone>/<project>/<model>/`."""
    found, _, rest = key.partition("/")
    project, _, rest = rest.partition("/")
    model, _, name = rest.partition("/")
    if found != zone or not name or name.endswith("/"):
        return None
    if not are_names(project, model):
        return None
    return Placement(project, model, name)


def are_names(project: str, model: str) -> bool:
    """Say whether these can name a project and a model: `[a-z0-9]` words, single hyphens."""
    return bool(_NAME.fullmatch(project) and _NAME.fullmatch(model))
