"""What stands of each object version, among all that the ledger says of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tidemill.domain.admission import ObjectVersion, name_of
from tidemill.domain.check import Pass
from tidemill.times import seconds

#: How the key of a check's verdict on one upload ends.
CHECKED = "#check"
#: How the key of the entry ends that sets an upload aside which is not as its manifest says.
BY_MANIFEST = "#manifest"
#: How the key of an entry begins that names many which a check accepted.
PASSED = "check#"
_ADMISSION = 2  # separators in the key of admission's entry; a later stage has one more
_NOBODY: Mapping[str, Pass] = {}


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


def last_words(
    entries: Iterable[dict[str, Any]], passed: Mapping[str, Pass] = _NOBODY
) -> list[LastWord]:
    """
    Return what stands of each object version, in key order.

    Args:
        entries: The uploads' own.
        passed: What checks accepted without an entry of its own, by `ObjectVersion.id`.
    """
    last: dict[tuple[str, str], LastWord] = {}
    for entry in sorted(entries, key=lambda entry: str(entry["at"])):
        facts = entry["facts"]
        identity = (facts["key"], facts["version_id"])
        before = last.get(identity) or _passed(entry, passed)
        checked = before.checked or str(entry["entry"]).endswith(CHECKED)
        last[identity] = LastWord(entry, before.facts | facts, checked)
    return [last[identity] for identity in sorted(last)]


def _passed(entry: dict[str, Any], passed: Mapping[str, Pass]) -> LastWord:
    """Return what a check knew of an upload, whatever was said of it since."""
    facts = entry["facts"]
    found = passed and passed.get(name_of(facts["bucket"], facts["key"], facts["version_id"]))
    if not found:
        return LastWord(entry, {})
    return LastWord(entry, {"rows": found.rows, "sha256": found.sha256}, checked=True)


def passes(entries: Iterable[dict[str, Any]]) -> dict[str, Pass]:
    """Return by id the uploads that entries of checks name as accepted."""
    told = (Pass.parse(text) for entry in entries for text in entry["facts"]["passed"])
    return {each.id: each for each in told}


def accepted(entries: Iterable[dict[str, Any]]) -> list[ObjectVersion]:
    """Return the object versions of which the last word lets them in."""
    return [word.version for word in last_words(entries) if word.lets_in]


def of_delivery(entry: dict[str, Any], delivery: str) -> bool:
    """Say whether an entry is admission's of an upload of *delivery*; markers and later are not."""
    admitted = entry["kind"] == "upload" and entry["entry"].count("#") == _ADMISSION
    return bool(
        admitted and entry["verdict"] != "ignore" and entry["facts"].get("delivery") == delivery
    )


def members(entries: Iterable[dict[str, Any]], delivery: str) -> set[tuple[str, str, str]]:
    """Return which uploads admission accepted as data, as the delivery's record counts them."""
    found = (
        judged(entry)
        for entry in entries
        if of_delivery(entry, delivery) and not entry["facts"].get("catalogued")
    )
    return {version.identity for version, verdict in found if verdict == "accept"}


def judged(entry: dict[str, Any]) -> tuple[ObjectVersion, str]:
    """Return the object version that an entry is about, and its verdict's name."""
    return LastWord(entry, entry["facts"]).version, entry["verdict"]
