"""What a reader met: counts by reason, each with an example."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from tidemill_jobs.capture.errors import UnreadableError

EXAMPLE: Final = 200  # characters
NAMES: Final = 50  # columns that are told by name


@dataclass(slots=True)
class Reasons:
    """How often each reason was met, and what was found the first time."""

    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)

    def add(self, error: UnreadableError, where: str) -> None:
        """Count one line; *where* is its key and number."""
        self.counts[error.reason] += 1
        self.examples.setdefault(error.reason, f"{where}: {error}"[:EXAMPLE])

    def merge(self, other: "Reasons") -> None:
        """Add another's counts; the first example stays."""
        self.counts.update(other.counts)
        self.examples = {**other.examples, **self.examples}

    def document(self) -> dict[str, dict[str, Any]]:
        """Return `{reason: {"lines": n, "example": text}}`, the most frequent first."""
        return {
            reason: {"lines": count, "example": self.examples[reason]}
            for reason, count in self.counts.most_common()
        }

    @classmethod
    def parse(cls, document: dict[str, dict[str, Any]]) -> "Reasons":
        """Read what `document` returned."""
        return cls(
            Counter({reason: entry["lines"] for reason, entry in document.items()}),
            {reason: entry["example"] for reason, entry in document.items()},
        )


@dataclass(slots=True)
class Tally:
    """
    Counts over files. `lines` = `events` + all of `unreadable`; tallies merge.

    Args:
        files: Read.
        lines: That are not blank, but for unfinished ones.
        events: Requests that were read.
        rows: Of them.
        unreadable: Lines that were left out.
        unanswered: Events whose rows are there and whose predictions are not.
        absent: Rows that lack a column of the model's altogether (null is not absent).
        extra: Rows with a column that nobody knows; at most 50 are named.
        unfinished: Key and offset of last lines that were half written.
        counted_twice: Events that several readers counted side by side.
        partials_unread: Partial profiles that could not be read: their rows are missing here.
    """

    files: int = 0
    lines: int = 0
    events: int = 0
    rows: int = 0
    unreadable: Reasons = field(default_factory=Reasons)
    unanswered: Reasons = field(default_factory=Reasons)
    absent: Counter[str] = field(default_factory=Counter)
    extra: Counter[str] = field(default_factory=Counter)
    unfinished: list[tuple[str, int]] = field(default_factory=list)
    counted_twice: int = 0
    partials_unread: int = 0

    def unreadable_line(self, error: UnreadableError, where: str) -> None:
        """Count a line that is left out."""
        self.unreadable.add(error, where)

    def unanswered_line(self, error: UnreadableError, where: str) -> None:
        """Count an event whose answers cannot be read."""
        self.unanswered.add(error, where)

    def extra_column(self, name: str) -> bool:
        """Count a row with an unknown column; say whether it is one of those that are named."""
        if name not in self.extra and len(self.extra) >= NAMES:
            return False
        self.extra[name] += 1
        return True

    def merge(self, other: "Tally") -> None:
        """Add what another reader met."""
        self.files += other.files
        self.lines += other.lines
        self.events += other.events
        self.rows += other.rows
        self.unreadable.merge(other.unreadable)
        self.unanswered.merge(other.unanswered)
        self.absent.update(other.absent)
        self.extra = Counter(dict((self.extra + other.extra).most_common(NAMES)))
        self.unfinished += other.unfinished
        self.counted_twice += other.counted_twice
        self.partials_unread += other.partials_unread

    def document(self) -> dict[str, Any]:
        """Return plain JSON; `parse` reads it."""
        return {
            "files": self.files,
            "lines": self.lines,
            "events": self.events,
            "rows": self.rows,
            "unreadable": self.unreadable.document(),
            "unanswered": self.unanswered.document(),
            "absent": dict(self.absent),
            "extra": dict(self.extra),
            "unfinished": [list(place) for place in self.unfinished],
            "counted_twice": self.counted_twice,
            "partials_unread": self.partials_unread,
        }

    @classmethod
    def parse(cls, document: dict[str, Any]) -> "Tally":
        """Read what `document` returned."""
        return cls(
            files=document["files"],
            lines=document["lines"],
            events=document["events"],
            rows=document["rows"],
            unreadable=Reasons.parse(document["unreadable"]),
            unanswered=Reasons.parse(document["unanswered"]),
            absent=Counter(document["absent"]),
            extra=Counter(document["extra"]),
            unfinished=[(key, offset) for key, offset in document["unfinished"]],
            counted_twice=document.get("counted_twice", 0),
            partials_unread=document.get("partials_unread", 0),
        )
