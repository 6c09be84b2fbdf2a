"""A table's statistics: one column beside the other, and the file that keeps them."""

import gzip
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

from tidemill_jobs.errors import JobError
from tidemill_jobs.profile.column import Column

VERSION: Final = 1
FILE_NAME: Final = "profile.json.gz"


class ProfileError(JobError):
    """A file is no profile, or one of a later version."""


@dataclass(frozen=True, slots=True)
class Profile:
    """
    The statistics of `rows` rows.

    A column that some rows lack (JSON Lines, files of different schemas) is missing there, so
    every column has as many cells as there are rows.
    """

    rows: int = 0
    columns: Mapping[str, Column] = field(default_factory=dict)

    def merge(self, other: "Profile") -> Self:
        """Return what one pass over the rows of both would have given."""
        columns = {
            name: self.column(name).merge(other.column(name))
            for name in {**self.columns, **other.columns}
        }
        return type(self)(self.rows + other.rows, columns)

    def column(self, name: str) -> Column:
        """Return a column; one that is not there is missing in every row."""
        return self.columns.get(name) or Column(rows=self.rows, blank=self.rows)

    def dumps(self) -> bytes:
        """Return the profile as gzip-packed JSON; the same profile gives the same bytes."""
        document = {
            "version": VERSION,
            "rows": self.rows,
            "columns": [
                {"name": name, **column.document()} for name, column in self.columns.items()
            ],
        }
        text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return gzip.compress(text.encode(), compresslevel=6, mtime=0)

    @classmethod
    def loads(cls, content: bytes) -> Self:
        """
        Read what `dumps` returned.

        Raises:
            ProfileError: It is something else.
        """
        try:
            document: Mapping[str, Any] = json.loads(gzip.decompress(content))
        except (OSError, EOFError, ValueError, zlib.error) as exc:
            raise ProfileError(
                f"the file is no profile ({exc}); give the {FILE_NAME} that a profile wrote."
            ) from exc
        version = document.get("version") if isinstance(document, dict) else None
        if version != VERSION:
            raise ProfileError(
                f"the profile has version {version}, and version {VERSION} is read here; make it "
                "again with this release."
            )
        try:
            columns = {column["name"]: Column.parse(column) for column in document["columns"]}
            return cls(int(document["rows"]), columns)
        except (AttributeError, LookupError, TypeError, ValueError) as exc:
            raise ProfileError(
                f"the profile is damaged ({exc!r}); make it again with this release."
            ) from exc
