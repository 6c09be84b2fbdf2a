"""
Redacted columns of tables and of profiles: made alike, and compared only where they are.

A version's baseline is redacted as its traffic is; then hashes are compared with hashes. Where the
spec's redaction changed after the version was trained, or before it was rolled out again, one side
has values and the other hashes: that is no drift, and is left out.
"""

import re
from collections.abc import Collection, Mapping
from typing import Final, Literal

import polars as pl

from tidemill_jobs.profile import Column, Profile
from tidemill_jobs.redaction import LETTERS, MARK, Redaction
from tidemill_jobs.spec import How

State = Literal["hashed", "plain", "mixed", "empty"]
#: What a partial profile has in place of a value that should be a hash and is none yet.
WITHHELD: Final = "(not hashed)"
_HASH: Final = re.compile(f"{MARK}[0-9a-f]{{{LETTERS}}}")


def redact_frame(frame: pl.DataFrame, redaction: Redaction) -> pl.DataFrame:
    """Return a table's columns as they would have been written: hashed, or not at all."""
    kept = []
    for column in frame:
        how = redaction.rules.get(column.name)
        if how == "hash":
            cell = redaction.cell
            values = column.unique()
            hashes = pl.Series([cell(column.name, value) for value in values], dtype=pl.String)
            kept.append(column.replace_strict(values, hashes, return_dtype=pl.String))
        elif how != "drop":
            kept.append(column)
    return pl.DataFrame(kept)


def withhold(
    frame: pl.DataFrame, *, hashed: Collection[str], dropped: Collection[str]
) -> pl.DataFrame:
    """
    Return captured rows without what the spec redacts by now, and their capture did not.

    A value that is no hash becomes `WITHHELD`: that it is there can still be told.
    """
    frame = frame.drop(dropped, strict=False)
    texts = [pl.col(name).cast(pl.String) for name in frame.columns if name in hashed]
    return frame.with_columns(
        pl.when(text.is_null() | text.str.contains(f"^{_HASH.pattern}$"))
        .then(text)
        .otherwise(pl.lit(WITHHELD))
        .name.keep()
        for text in texts
    )


def incomparable(baseline: Profile, current: Profile, rules: Mapping[str, How]) -> tuple[str, ...]:
    """
    Return the columns whose difference says nothing.

    Args:
        baseline: Of the version's training rows.
        current: Of its traffic.
        rules: The redaction that is in force: what it drops is missed by nobody.
    """
    names = dict.fromkeys((*baseline.columns, *current.columns))
    return tuple(
        name
        for name in names
        if rules.get(name) == "drop"
        or not _alike(baseline.columns.get(name), current.columns.get(name), rules.get(name))
    )


def _alike(learned: Column | None, asked: Column | None, how: How | None) -> bool:
    one, other = _state(learned), _state(asked)
    if "mixed" in (one, other):
        return False
    if learned is None or asked is None or "empty" in (one, other):
        return True
    # Until a rollout, numbers that will be hashes are profiled as texts already.
    return one == other and (how is None or learned.kind == asked.kind)


def _state(column: Column | None) -> State:
    """Say what a column's cells are, going by its most frequent texts."""
    if column is None or not column.present:
        return "empty"
    if WITHHELD in column.text_counts.counts:
        return "mixed"
    hashes = [bool(_HASH.fullmatch(text)) for text in column.text_counts.counts]
    if not any(hashes):
        return "plain"
    return "hashed" if all(hashes) and column.numbers is None else "mixed"
