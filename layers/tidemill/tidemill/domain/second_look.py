"""Which quarantined files are read again, row by row, for those who own the data."""

from tidemill.domain.size import MIB, text_bytes

#: Of one delivery: who delivers more bad files than this corrects the export, not rows.
MOST_FILES = 20
#: As text, estimated: what DuckDB reads within a function's memory, disk and five minutes.
MOST_BYTES = 128 * MIB


def is_worth_it(key: str, size: int, row: int | None) -> bool:
    """Say whether a file of *size* bytes has a bad row, and is small enough to find them all."""
    return row is not None and text_bytes(key, size) <= MOST_BYTES


def not_looked_at(key: str, size: int) -> str:
    """Return the sentence of a report that knows a file's first bad place only."""
    said = "Only the first place that was found is known"
    if text_bytes(key, size) > MOST_BYTES:
        return f"{said}: files of more than {MOST_BYTES // MIB} MiB of text are not read again."
    return f"{said}."
