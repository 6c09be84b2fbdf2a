"""
The contract: what a model's uploads must hold, as a document.

It is inferred from the first good delivery (`infer.py`), frozen, and found by its digest. Every
later upload is judged by it (`judge.py`), and Prepare reads columns as it says. The document:

    version     1
    format      as in the spec
    target, id, timestamp
                the columns with a role; null where the spec names none
    basis       {files, rows, facts, accepted}: what it was inferred from; the ids of at most 100
                facts, and of the facts of files that people accepted as the contract since
    columns     {name: …}:
      kind          "number" | "boolean" | "time" | "category"; null: any, nothing was there to tell
      required      a file must have the column
      completeness  the least share of cells that are not missing
      minimum, maximum
                    of numbers, or of times in minutes since 1970, UTC; null: none
      values        the known values, as `plain` writes them; null: any
      unique        no value may come twice in a file
      stated        the names of the fields above that the spec says: breaking them breaks the
                    contract, while an inferred one only warns
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from tidemill_jobs.contract.facts import ColumnFacts, cut
from tidemill_jobs.errors import JobError, ValueRefusedError
from tidemill_jobs.values import Kind, read_boolean, read_number

VERSION = 1
EXACT = 2**53  # whole floats up to here are written as integers


@dataclass(frozen=True, slots=True)
class ColumnContract:
    """What one column must hold; see the module's text."""

    kind: Kind | None
    required: bool
    completeness: float = 0.0
    minimum: float | None = None
    maximum: float | None = None
    values: tuple[str, ...] | None = None
    unique: bool = False
    stated: tuple[str, ...] = ()

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Self:
        """Read an entry of `columns`."""
        values = document["values"]
        read = {**document, "values": None if values is None else tuple(values)}
        return cls(**{**read, "stated": tuple(document["stated"])})


@dataclass(frozen=True, slots=True)
class Basis:
    """What a contract was inferred from."""

    files: int
    rows: int
    facts: tuple[str, ...]
    accepted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Contract:
    """What a model's uploads must hold."""

    format: str
    target: str
    problem: str
    id: str | None
    timestamp: str | None
    basis: Basis
    columns: Mapping[str, ColumnContract] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str | bytes) -> Self:
        """
        Read a contract document.

        Raises:
            JobError: It is none, or of another version.
        """
        try:
            document = dict(json.loads(text))
            version = document.pop("version")
            if version != VERSION:
                raise JobError(
                    f"the contract has version {version}; this image reads {VERSION}: build the "
                    "jobs image anew, then run again."
                )
            basis = document["basis"]
            document["basis"] = Basis(
                basis["files"],
                basis["rows"],
                tuple(basis["facts"]),
                tuple(basis.get("accepted", ())),
            )
            document["columns"] = {
                name: ColumnContract.parse(column) for name, column in document["columns"].items()
            }
            return cls(**document)
        except (AttributeError, KeyError, TypeError, ValueError) as exc:
            raise JobError(
                f"this is no contract ({exc!r}); accept one anew with tidemill quarantine "
                "accept-as-contract."
            ) from exc

    def to_json(self) -> str:
        """Return the canonical JSON: sorted keys, no spaces; equal contracts give equal text."""
        document = {"version": VERSION, **asdict(self)}
        return json.dumps(
            document, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False
        )

    @property
    def digest(self) -> str:
        """The first 16 hex digits of the SHA-256 of the canonical JSON."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:16]

    @property
    def roles(self) -> dict[str, str]:
        """The columns that a file is of no use without, and what for."""
        named = {self.target: "target", self.id: "id", self.timestamp: "timestamp"}
        return {name: role for name, role in named.items() if name is not None}


def plain(value: str, kind: Kind | None) -> str | None:
    """
    Return a cell as contracts list it: 1.0 and 1 are one number, True and true one boolean.

    None where the cell is missing, or is not of that kind.
    """
    if kind in ("number", "boolean"):
        try:
            number = read_number(value) if kind == "number" else read_boolean(value)
        except ValueRefusedError:
            return None
        if number != number:  # noqa: PLR0124  # NaN: missing
            return None
        if kind == "boolean":
            return "true" if number else "false"
        return str(int(number)) if number.is_integer() and abs(number) < EXACT else repr(number)
    return cut(value)


def present(column: ColumnFacts, kind: Kind | None) -> int:
    """Return how many cells are not missing, for what the column is read as."""
    cells = sum(seen.count for seen in column.meanings.values())
    return cells + (column.not_available if kind in (None, "category") else 0)


def absent(column: ColumnFacts, kind: Kind | None) -> int:
    """Return how many cells are missing, for what the column is read as."""
    return column.missing + (0 if kind in (None, "category") else column.not_available)


def first_absent(column: ColumnFacts, kind: Kind | None) -> int | None:
    """Return where the first missing cell is, for what the column is read as."""
    rows = [column.missing_row]
    if kind not in (None, "category"):
        rows.append(column.not_available_row)
    return min((row for row in rows if row is not None), default=None)
