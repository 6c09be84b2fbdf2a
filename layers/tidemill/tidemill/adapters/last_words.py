"""What stands of each object version, among all that the ledger says of it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tidemill.domain.admission import ObjectVersion
from tidemill.times import seconds

#: How the key of a check's verdict ends.
CHECKED = "#check"


@dataclass(frozen=True, slots=True)
class LastWord:
    """What stands of an object version: its last entry, and all that any entry knew of it."""

    entry: dict[str, Any]
    facts: dict[str, Any]
    checked: bool = False  # a check has read it

    @property
    def version(self) -> ObjectVersion:
        """The object version."""
        facts = self.facts
        return ObjectVersion(
            bucket=facts["bucket"],
            key=facts["key"],
            version_id=facts["version_id"],
            etag=facts["etag"],
            size=facts["size"],
            uploaded=facts["uploaded"],
            sequencer=facts["sequencer"],
            checksum=facts.get("checksum", ""),
            sha256=facts.get("sha256", ""),
            rows=facts.get("rows"),
            released=facts.get("released", False),
        )

    @property
    def at(self) -> float:
        """When it was said, in seconds since 1970."""
        return seconds(str(self.entry["at"]).partition("#")[0])

    @property
    def lets_in(self) -> bool:
        """Whether datasets take it; a copy that a check found stays a candidate."""
        if self.entry["verdict"] == "duplicate":
            return bool(self.entry["facts"].get("same_as"))
        return self.entry["verdict"] == "accept" and not self.entry["facts"].get("catalogued")

    @property
    def trains(self) -> bool:
        """Whether a run may learn from it: what nobody has read yet waits for its check."""
        return self.lets_in and (self.checked or self.is_released)

    @property
    def is_released(self) -> bool:
        """Whether a person let it in after it had been set aside."""
        return self.lets_in and bool(self.entry["facts"].get("released"))


def last_words(entries: Iterable[dict[str, Any]]) -> list[LastWord]:
    """Return what stands of each object version, in key order."""
    last: dict[tuple[str, str], LastWord] = {}
    for entry in sorted(entries, key=lambda entry: str(entry["at"])):
        facts = entry["facts"]
        identity = (facts["key"], facts["version_id"])
        before = last.get(identity)
        known, checked = (before.facts, before.checked) if before else ({}, False)
        checked = checked or str(entry["entry"]).endswith(CHECKED)
        last[identity] = LastWord(entry, known | facts, checked)
    return [last[identity] for identity in sorted(last)]
