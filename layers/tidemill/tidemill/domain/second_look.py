"""Which quarantined files are read again, row by row, for those who own the data, and where."""

from tidemill.domain.size import MIB, text_bytes

#: Of one delivery: who delivers more bad files than this corrects the export, not rows.
MOST_FILES = 20
#: As text, estimated: what DuckDB reads within a function's memory, disk and five minutes.
MOST_BYTES = 128 * MIB


def is_worth_it(row: int | None) -> bool:
    """Say whether a file whose first bad place is *row* has bad rows to be named."""
    return row is not None


def is_small(key: str, size: int) -> bool:
    """Say whether a function may read a file of *size* bytes again; of others the job did so."""
    return text_bytes(key, size) <= MOST_BYTES


def not_looked_at(key: str, size: int) -> str:
    """Return the sentence of a report that knows a file's first bad place only."""
    said = "Only the first place that was found is known"
    if not is_small(key, size):
        return (
            f"{said}: files of more than {MOST_BYTES // MIB} MiB of text are read again only where "
            "a job checks them."
        )
    return f"{said}."
