"""
The facts of one object version: what a check saw when it read it once.

Facts know no contract, so they are cached by object version and read again by every later
judgement. They do depend on how the spec says that files are read (`read_as`); when that changes,
the version is read anew. The document, version 1:

    version     1
    uri, version_id, etag, size, sha256
    read_as     {format, timestamp, exclude}: facts serve a spec that reads alike
    status      "read" | "unreadable"
    rule, reason, next_step, row, column
                of an unreadable file: what is wrong, in words and as data; else null
    unit        "line" (text files) | "row" (Parquet): what every `row` below counts, from 1
    typed       the format itself says what is text (Parquet)
    rows        data rows; 0 when unreadable
    memory      bytes that the rows take in memory, about
    columns     [{name, …}] in the file's order:
      stored        "text" | "number" | "boolean" | "time": what the format stores
      missing       cells that are missing in any column: null, NaN, the empty text
      missing_row   the first of them, or null
      not_available, not_available_row
                    cells NA, N/A, n/a, None: missing where a number, time or boolean is expected
      meanings      {number | code | boolean | time | text: {count, row, value}}: how many of the
                    other cells could mean what, with the first of each
      numbers, times
                    {low, low_row, high, high_row, quantiles} of the cells that are such (times in
                    minutes since 1970, UTC), or null; 21 quantiles from 0 to 1, each a cell's value
      distinct      different values as written, missing cells apart
      repeats       cells whose value stood before in the file
      repeat        {row, value}: the first of them, or null
      values        [{value, count, row}]: the most frequent, by count and then by value
      complete      `values` holds every value that occurs

Texts have at most 128 characters: a longer one is cut and ends in a mark of its own (`cut`), so
that two that begin alike still differ. Nothing grows with the rows: a column has at most 256
values, a file 50,000 (or 16 a column).
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

from tidemill_jobs.errors import JobError
from tidemill_jobs.meanings import Meaning

VERSION = 1
SHOWN = 128  # characters of a cell
VALUES = 256  # of a column
VALUES_IN_ALL = 50_000  # of a file
QUANTILES = 21
READER_FAILED = "reader_failed"  # not the file's fault, so such facts are not kept as an answer

Status = Literal["read", "unreadable"]


def facts_id(uri: str, version_id: str) -> str:
    """Return the name of an object version's facts: 32 hex digits."""
    address = f"{uri.removeprefix('s3://')} {version_id}"
    return hashlib.sha256(address.encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class ReadAs:
    """How the spec says that files are read."""

    format: str
    timestamp: str | None
    exclude: tuple[str, ...]

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Self:
        """Read the document's `read_as`."""
        return cls(document["format"], document["timestamp"], tuple(document["exclude"]))


@dataclass(frozen=True, slots=True)
class Spot:
    """A cell: where it is and what it holds."""

    row: int
    value: str


@dataclass(frozen=True, slots=True)
class Counted:
    """How often something occurs, and its first cell."""

    count: int
    row: int
    value: str


@dataclass(frozen=True, slots=True)
class Range:
    """Least and greatest of a column's numbers or times, and what lies between."""

    low: float
    low_row: int
    high: float
    high_row: int
    quantiles: tuple[float, ...]

    @classmethod
    def parse(cls, document: Mapping[str, Any] | None) -> Self | None:
        """Read a column's `numbers` or `times`."""
        if document is None:
            return None
        return cls(**{**document, "quantiles": tuple(document["quantiles"])})


@dataclass(frozen=True, slots=True)
class ColumnFacts:
    """One column of one file; see the module's text."""

    name: str
    stored: str
    missing: int
    missing_row: int | None
    not_available: int
    not_available_row: int | None
    meanings: Mapping[Meaning, Counted]
    numbers: Range | None
    times: Range | None
    distinct: int
    repeats: int
    repeat: Spot | None
    values: tuple[Counted, ...]
    complete: bool

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Self:
        """Read an entry of `columns`."""
        repeat = document["repeat"]
        return cls(
            name=document["name"],
            stored=document["stored"],
            missing=document["missing"],
            missing_row=document["missing_row"],
            not_available=document["not_available"],
            not_available_row=document["not_available_row"],
            meanings={name: Counted(**seen) for name, seen in document["meanings"].items()},
            numbers=Range.parse(document["numbers"]),
            times=Range.parse(document["times"]),
            distinct=document["distinct"],
            repeats=document["repeats"],
            repeat=Spot(**repeat) if repeat else None,
            values=tuple(Counted(**value) for value in document["values"]),
            complete=document["complete"],
        )


@dataclass(frozen=True, slots=True)
class Facts:
    """What one object version holds, or why it cannot be read."""

    uri: str
    version_id: str
    etag: str
    size: int
    sha256: str
    read_as: ReadAs
    status: Status
    rule: str | None = None
    reason: str | None = None
    next_step: str | None = None
    row: int | None = None
    column: str | None = None
    unit: str = "line"
    typed: bool = False
    rows: int = 0
    memory: int = 0
    columns: tuple[ColumnFacts, ...] = ()

    @classmethod
    def parse(cls, text: str | bytes) -> Self:
        """
        Read a facts document.

        Raises:
            JobError: It is none, or of another version.
        """
        try:
            document = dict(json.loads(text))
            version = document.pop("version")
            if version != VERSION:
                raise JobError(
                    f"the facts have version {version}; this image reads {VERSION}: check again."
                )
            document["read_as"] = ReadAs.parse(document["read_as"])
            document["columns"] = tuple(map(ColumnFacts.parse, document["columns"]))
            return cls(**document)
        except (KeyError, TypeError, ValueError) as exc:
            raise JobError(f"this is no facts document ({exc!r}); check again.") from exc

    @property
    def id(self) -> str:
        """The facts' name."""
        return facts_id(self.uri, self.version_id)

    @property
    def name(self) -> str:
        """The object's last path segment."""
        return self.uri.rsplit("/", 1)[-1]

    def find(self, name: str) -> ColumnFacts | None:
        """Return the facts of a column, None when the file lacks it."""
        return next((column for column in self.columns if column.name == name), None)

    def place(self, row: int) -> str:
        """Return `line 18` or `row 17`."""
        return f"{self.unit} {row:,}"

    def to_json(self) -> str:
        """Return the document; equal facts give equal text."""
        document = {"version": VERSION, **asdict(self)}
        return json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def quantile_places(count: int) -> list[int]:
    """Return which of *count* sorted values the quantiles are."""
    steps = QUANTILES - 1
    return [(step * (count - 1) + steps // 2) // steps for step in range(QUANTILES)]


def cut(text: str) -> str:
    """Return a cell as facts keep it: a long one is cut, and marked by the start of its hash."""
    if len(text) <= SHOWN:
        return text
    mark = hashlib.sha256(text.encode()).hexdigest()[:8]
    return f"{text[: SHOWN - 9]}…{mark}"


def same_bytes(one: Facts, other: Facts) -> bool:
    """Return whether two object versions hold the same bytes, whatever their keys."""
    return (one.size, one.sha256) == (other.size, other.sha256)
