"""What a table's column names must be, whether they come from a CSV header or a Parquet footer."""

from collections import Counter
from collections.abc import Sequence
from difflib import get_close_matches

from tidemill.domain.finding import Finding, listed, shown
from tidemill.spec.compiled import Data


def judge(names: Sequence[str], data: Data) -> Finding | None:
    """Hold the column names, in file order, against the spec; the first rule broken is returned."""
    return (
        _present(names, data.target, "target")
        or _named(names)
        or _unique(names)
        or _present(names, data.id, "id")
        or _present(names, data.timestamp, "timestamp")
    )


def _present(names: Sequence[str], wanted: str | None, role: str) -> Finding | None:
    if wanted is None or wanted in names:
        return None
    nearest = _nearest(names, wanted)
    hint = f"; the nearest is {shown(nearest)}" if nearest is not None else ""
    return Finding(
        f"{role}_missing",
        f"There is no column {shown(wanted)}, which the spec names as {role}{hint}. "
        f"The file has {_count(len(names))}: {listed(names)}.",
        f"Name the column {shown(wanted)} in the file's first row, "
        f"or set data.{role} in model.yaml to the column that is meant, and upload again.",
        column=wanted,
    )


def _nearest(names: Sequence[str], wanted: str) -> str | None:
    folded = {name.strip().casefold(): name for name in reversed(names)}
    close = get_close_matches(wanted.strip().casefold(), folded, n=1)
    return folded[close[0]] if close else None


def _named(names: Sequence[str]) -> Finding | None:
    blank = [str(place) for place, name in enumerate(names, 1) if not name.strip()]
    if not blank:
        return None
    return Finding(
        "blank_header",
        f"{_count(len(blank))} of {len(names)} without a name, the first at place {blank[0]}.",
        "Give every column a name, or remove what is no column "
        "(often a comma at the end of the header row).",
    )


def _unique(names: Sequence[str]) -> Finding | None:
    twice = [name for name, times in Counter(names).items() if times > 1]
    if not twice:
        return None
    return Finding(
        "duplicate_header",
        f"{_count(len(twice))} named more than once: {listed(twice)}.",
        "Give every column a name of its own: which of the equal ones is meant cannot be known.",
        column=twice[0],
    )


def _count(columns: int) -> str:
    return "1 column" if columns == 1 else f"{columns} columns"
