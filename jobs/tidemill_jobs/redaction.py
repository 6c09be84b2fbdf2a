"""
Columns that leave the process only as hashes, or not at all.

A hash is keyed (HMAC-SHA256, the key is the model's own), so that a list of all towns tells nobody
which town a row had; equal values have equal hashes in every format and for as long as the key
stays, so that their distribution can still be compared. Missing stays missing.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final, Protocol

from tidemill_jobs.errors import ValueRefusedError
from tidemill_jobs.features import Features
from tidemill_jobs.spec import How
from tidemill_jobs.values import Kind, is_missing, read_boolean, read_number, read_time

LETTERS: Final = 16  # of a hash: 64 bits
REDACTED: Final = "(redacted)"  # in place of a value in what people read
MARK: Final = "h"  # so that no hash can be read as a number

_READERS: Final = {"number": read_number, "boolean": read_boolean, "time": read_time}


@dataclass(frozen=True, slots=True)
class Redaction:
    """
    What becomes of a row before it is written.

    Args:
        rules: By column.
        key: Of the hashes.
        kinds: What the columns hold that the model reads: 7, "7" and 7.0 are one number.
        known: Columns that may be written; what nobody knows cannot be redacted, and is left out.
    """

    rules: Mapping[str, How]
    key: bytes = field(repr=False)
    kinds: Mapping[str, Kind]
    known: frozenset[str]

    @classmethod
    def of(cls, features: Features, rules: Mapping[str, How], key: bytes) -> "Redaction":
        """Return the redaction of a model's rows, by its features.json."""
        known = frozenset((*features.header, *features.names))
        return cls(rules, key, {column.name: column.kind for column in features.columns}, known)

    @classmethod
    def of_columns(
        cls, kinds: Mapping[str, Kind], rules: Mapping[str, How], key: bytes | None
    ) -> "Redaction":
        """Return the redaction of a table; without a key, what should be hashed is dropped."""
        if key is None:
            rules = dict.fromkeys(rules, "drop")
        return cls(rules, key or b"", kinds, frozenset(kinds))

    def row(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return what may be written of a row."""
        written = {}
        for name, cell in row.items():
            how = self.rules.get(name)
            if name in self.known and how != "drop":
                written[name] = self.cell(name, cell) if how == "hash" else cell
        return written

    def cell(self, column: str, value: Any) -> str | None:
        """Return a value's hash; None where it is missing."""
        text = self._text(column, value)
        if text is None:
            return None
        message = f"{column}\0{text}".encode(errors="surrogatepass")
        return MARK + hmac.new(self.key, message, hashlib.sha256).hexdigest()[:LETTERS]

    def _text(self, column: str, value: Any) -> str | None:
        """Return one text for all ways to write a value."""
        if is_missing(value):
            return None
        if isinstance(value, date):  # of a Parquet file
            value = value.isoformat()
        read = _READERS.get(self.kinds.get(column, "category"))
        if read is not None:
            try:
                number = read(value)
            except ValueRefusedError:
                pass  # no value of its column: hashed as it is
            else:
                return None if number != number else repr(number + 0.0)  # noqa: PLR0124  # NaN
        return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


class Documents(Protocol):
    """S3, as the lake module offers it."""

    def find_text(self, uri: str) -> str | None:
        """Return a document, None where there is none."""


def read_key(documents: Documents, uri: str) -> bytes | None:
    """Return the key of the hashes, None where nothing is hashed or no apply has made it yet."""
    text = documents.find_text(uri) if uri else None
    return bytes.fromhex(text) if text else None
