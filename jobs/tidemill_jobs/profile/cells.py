"""
What each cell of a column is: the same value is the same, whatever the file's format.

A text is taken for what it says: `12`, `1.0`, `true`, `2026-11-20T14:30Z`, whether CSV, JSON or
Parquet holds it. Empty texts, `null` and NaN are missing (`tidemill_jobs.values`).
"""

import operator
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tidemill_jobs import schema
from tidemill_jobs.contract.facts import SHOWN, cut
from tidemill_jobs.errors import ReadError
from tidemill_jobs.profile import iso_times
from tidemill_jobs.profile.batch import BUCKETS, Batch, borrow, runs, tallied
from tidemill_jobs.profile.counted import MOST, Frequent
from tidemill_jobs.profile.distinct import Hashes, hash_texts
from tidemill_jobs.values import BLANK, BOOLEAN, CODE, LARGEST, MISSING, NOT_AVAILABLE

_NOT_A_NUMBER: Final = ("NaN", "nan")
_EVERY: Final = "rows"
_NO_FLOATS: Final = Batch.none()
_NO_WHOLES: Final = Batch.none(np.int64)
#: Texts between these begin with no blank, digit, sign or point, and with none of the letters of
#: true, false, null, NaN, NA, None, inf: they can be nothing but text.
_CROWDED: Final = 8  # times the mean
_PLAINLY: Final = r"^[^ \t0-9+\-.tTfFnNiI]"
_PLAIN: Final = (":F", "GI", "JN", "OT", "Uf", "gi", "jn", "ot", "u\U0010ffff")


@dataclass(frozen=True, slots=True)
class Texts:
    """Cells that are nothing but text, codes such as `007` among them; the long ones are cut."""

    frequent: Frequent = field(default_factory=Frequent)
    shortest: int = 0  # characters, before any was cut
    longest: int = 0
    characters: int = 0
    hashed: Hashes | None = None  # of every text, where `frequent` does not name them all

    def hashes(self) -> Hashes:
        """Return the hashes of the different texts."""
        if self.hashed is not None:
            return self.hashed
        return hash_texts(pl.Series(list(self.frequent.counts), dtype=pl.String))


@dataclass(frozen=True, slots=True)
class Cells:
    """
    The cells of a batch, sorted by what they are.

    Attributes:
        rows: All of them.
        blank: Those that are missing in any column: null, NaN, the empty text.
        nans: Those of them that say NaN. JSON has no NaN, so this depends on the format.
        not_available: Cells `NA`, `N/A`, … : missing unless the column holds text.
        codes: Texts such as `007`, which identify.
        trues: Cells that say true.
        falses: Cells that say false.
        wholes: Whole numbers of 64 bits.
        floats: Finite numbers that came as fractions, whole ones among them.
        infinities: Numbers that models cannot hold.
        minutes: Times, in minutes since 1970 (UTC).
        texts: The others, and the codes.
    """

    rows: int
    blank: int = 0
    nans: int = 0
    not_available: dict[str, int] = field(default_factory=dict)
    codes: int = 0
    trues: int = 0
    falses: int = 0
    wholes: Batch = _NO_WHOLES
    floats: Batch = _NO_FLOATS
    infinities: int = 0
    minutes: Batch = _NO_WHOLES
    texts: Texts = field(default_factory=Texts)


class KnownTexts:
    """Texts of a column that are known to be nothing but text, by their hashes."""

    def __init__(self) -> None:
        self.many = False  # more different ones than are counted one by one
        self._texts: dict[int, str] = {}
        self._hashes: Hashes = np.empty(0, np.uint64)

    def runs(self, hashes: Hashes) -> tuple[Hashes, NDArray[np.int64]]:
        """Return each hash once, and how often it occurs."""
        if 0 < len(self._hashes) <= MOST < len(hashes):
            found = tallied(hashes, self._hashes)
            if found is not None:
                return found
        return _runs(hashes)

    def counted(self, texts: pl.Series, different: Hashes, rows: NDArray[np.int64]) -> Texts | None:
        """Count the texts by their hashes; None where some must be looked at more closely."""
        found = different.tolist()
        if not self._texts.keys() >= set(found):
            self._learn(texts, found)
            if not self._texts.keys() >= set(found):
                return None
        rows_of = zip(found, rows.tolist(), strict=True)
        counts = {self._texts[hashed]: count for hashed, count in rows_of}
        lengths = [len(text) for text in counts]
        return Texts(
            frequent=Frequent.of(len(texts), counts),
            shortest=min(lengths),
            longest=max(lengths),
            characters=sum(map(operator.mul, lengths, counts.values())),
            hashed=different if len(counts) > MOST else None,
        )

    def _learn(self, texts: pl.Series, found: list[int]) -> None:
        if len(self._texts) > MOST:
            self._texts.clear()
        new = pl.Series([hashed for hashed in found if hashed not in self._texts], dtype=pl.UInt64)
        unknown = texts.filter(texts.hash().is_in(new.implode())).unique()
        cells = _of_any_texts(unknown)
        only_text = cells.texts.frequent.rows == len(unknown) and not cells.codes
        if only_text and cells.texts.longest <= SHOWN:
            self._texts.update(zip(hash_texts(unknown).tolist(), unknown.to_list(), strict=True))
            self._hashes = np.array(list(self._texts), np.uint64)


def sort_cells(column: pl.Series, known: KnownTexts | None = None) -> Cells:
    """
    Sort the cells of a column.

    Args:
        column: A batch of it.
        known: What earlier batches of the same column have taught.

    Raises:
        ReadError: It is nested, or of a type that no column of a model has.
    """
    dtype = column.dtype
    if dtype == pl.String or isinstance(dtype, (pl.Categorical, pl.Enum)):
        return _of_texts(column.cast(pl.String), known or KnownTexts())
    rows, blank = len(column), column.null_count()
    present = column.drop_nulls() if blank else column
    if dtype == pl.Float64 or isinstance(dtype, pl.Decimal):
        return _of_floats(rows, blank, present.cast(pl.Float64).to_numpy())
    if dtype == pl.Float32:
        # By its shortest decimal, as a text file holds it: 0.1 is 0.1 and not 0.10000000149.
        return _of_floats(rows, blank, present.cast(pl.String).cast(pl.Float64).to_numpy())
    if dtype == pl.Null:
        return Cells(rows, blank)
    if dtype == pl.Boolean:
        trues = int(present.sum())
        return Cells(rows, blank, trues=trues, falses=len(present) - trues)
    if isinstance(dtype, (pl.Date, pl.Datetime)):
        return Cells(rows, blank, minutes=Batch.of_wholes(_minutes(present)))
    if dtype.is_integer():
        return _of_integers(rows, blank, present)
    raise ReadError(
        f"column '{column.name}' holds {dtype} values, which no model input can be",
        rule="nested_column",
        next_step="leave it out or write it as text",
        column=column.name,
    )


def _of_integers(rows: int, blank: int, values: pl.Series) -> Cells:
    wholes = values.cast(pl.Int64, strict=False)
    if not wholes.null_count():
        return Cells(rows, blank, wholes=Batch.of_wholes(wholes.to_numpy()))
    longer = values.filter(wholes.is_null()).cast(pl.Float64)
    kept = Batch.of_wholes(wholes.drop_nulls().to_numpy())
    return replace(_of_floats(rows, blank, longer.to_numpy()), wholes=kept)


def _of_floats(rows: int, blank: int, values: NDArray[np.float64]) -> Cells:
    batch, nans, infinities = Batch.of_floats(values), 0, 0
    if batch.seen is not None and batch.seen.strange:
        numbers = values[~np.isnan(values)]
        finite = numbers[np.abs(numbers) <= LARGEST]
        nans, infinities = len(values) - len(numbers), len(numbers) - len(finite)
        batch = Batch.of_floats(finite)
    return Cells(rows, blank + nans, nans, floats=batch, infinities=infinities)


def _minutes(column: pl.Series) -> NDArray[np.int64]:
    if column.dtype == pl.Datetime and getattr(column.dtype, "time_zone", None) is not None:
        column = column.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    return schema.minutes(column.cast(pl.Datetime("us"))).to_numpy()


def _of_texts(column: pl.Series, known: KnownTexts) -> Cells:
    rows, blank = len(column), column.null_count()
    present = column.drop_nulls() if blank else column
    if present.is_empty():
        return Cells(rows, blank)
    hashes = hash_texts(present)
    if not known.many or len(present) < _CROWDED * MOST:
        different, counts = known.runs(hashes)
        known.many = known.many or len(different) > MOST
        if len(different) <= MOST:
            texts = known.counted(present, different, counts)
            return _of_any_texts(column) if texts is None else Cells(rows, blank, texts=texts)
    times = iso_times.minutes_of(present)
    if times is not None:
        return Cells(rows, blank, minutes=Batch.of_wholes(times))
    lengths = present.str.len_chars()
    rarely = len(present) >= _CROWDED * MOST  # else `rare` would be too great a part of it
    if rarely and _are_plain(present) and int(str(lengths.max())) <= SHOWN:
        return Cells(rows, blank, texts=_plain_texts(present, hashes, lengths))
    return _of_any_texts(column)


def _runs(hashes: Hashes) -> tuple[Hashes, NDArray[np.int64]]:
    """Return each hash once, and how often it occurs."""
    ascending = borrow("sorted", len(hashes), np.uint64)
    np.copyto(ascending, hashes)
    ascending.sort()
    return runs(ascending)


def _are_plain(texts: pl.Series) -> bool:
    """Return whether no text can be anything else, by how they begin."""
    low, high = str(texts.min()), str(texts.max())
    if any(start <= low and high < end for start, end in _PLAIN):
        return True
    return bool(texts.str.contains(_PLAINLY).all())


def _of_any_texts(column: pl.Series) -> Cells:
    """Look at each different text once: `rows` says how many cells hold it."""
    text, cell, rows = pl.col("text"), pl.col("cell"), pl.col(_EVERY)
    counted = column.alias("text").value_counts(name=_EVERY)
    counted = counted.with_columns(cell=text.str.strip_chars(BLANK))
    blank = counted.filter(cell.is_null() | cell.is_in(MISSING))
    nans = blank.filter(cell.is_in(_NOT_A_NUMBER))
    unknown = counted.filter(cell.is_in(NOT_AVAILABLE))
    rest = counted.filter(cell.is_not_null() & ~cell.is_in([*MISSING, *NOT_AVAILABLE]))
    rest = rest.with_columns(
        number=cell.cast(pl.Float64, strict=False).fill_nan(None),
        whole=cell.cast(pl.Int64, strict=False),
        code=cell.str.contains(CODE),
        boolean=cell.str.contains(BOOLEAN),
    )
    number, whole = pl.col("number"), pl.col("whole")
    is_number = number.is_not_null() & ~pl.col("code")
    fits = number.abs() <= LARGEST
    wholes = rest.filter(is_number & whole.is_not_null())
    floats = rest.filter(is_number & whole.is_null() & fits)
    booleans = rest.filter("boolean").select(cell.str.to_lowercase(), _EVERY)
    others = rest.filter(~is_number & ~pl.col("boolean"))
    minutes = schema.minutes(others["cell"])
    times = others.select(rows, minutes=minutes).drop_nulls()
    texts = others.filter(minutes.is_null())
    trues = booleans.filter(cell == "true")
    return Cells(
        rows=len(column),
        blank=_rows(blank),
        nans=_rows(nans),
        not_available=_summed(unknown.select("cell", _EVERY)),
        codes=_rows(texts.filter(number.is_not_null())),
        trues=_rows(trues),
        falses=_rows(booleans) - _rows(trues),
        wholes=Batch.of_counted(wholes["whole"], wholes[_EVERY]),
        floats=Batch.of_counted(floats["number"], floats[_EVERY]),
        infinities=_rows(rest.filter(is_number & whole.is_null() & ~fits)),
        minutes=Batch.of_counted(times["minutes"], times[_EVERY]),
        texts=_texts(texts.select("text", _EVERY)),
    )


def _rows(counted: pl.DataFrame) -> int:
    return int(counted[_EVERY].sum())


def _summed(counted: pl.DataFrame) -> dict[str, int]:
    """Return the rows of each word; `NA` and `NA ` are one."""
    sums = counted.group_by("cell", maintain_order=True).agg(pl.col(_EVERY).sum())
    return dict(sums.iter_rows())


def _texts(counted: pl.DataFrame) -> Texts:
    if counted.is_empty():
        return Texts()
    text, rows = pl.col("text"), pl.col(_EVERY)
    lengths = text.str.len_chars()
    shortest, longest, characters = counted.select(
        lengths.min().alias("shortest"),
        lengths.max().alias("longest"),
        (lengths.cast(pl.Int64) * rows).sum().alias("characters"),
    ).row(0)
    if longest > SHOWN:
        counted = counted.with_columns(
            pl.when(lengths > SHOWN)
            .then(text.map_elements(cut, return_dtype=pl.String))
            .otherwise(text)
        )
    hashed = hash_texts(counted["text"]) if counted.height > MOST else None
    return Texts(_frequent(counted), shortest, longest, characters, hashed)


def _plain_texts(texts: pl.Series, hashes: Hashes, lengths: pl.Series) -> Texts:
    """
    Count texts most of which are rare: only the hashes that can be frequent are looked at.

    Each hash falls into a bucket. A text that occurs more often than `rare` fills its bucket by
    itself, and chance alone fills hardly any so far.
    """
    rare = _CROWDED * (len(texts) // BUCKETS + 1)
    buckets = borrow("work", len(hashes), np.int64)
    np.bitwise_and(hashes, np.uint64(BUCKETS - 1), out=buckets.view(np.uint64))
    full = np.bincount(buckets, minlength=BUCKETS) > rare
    counts: dict[str, int] = {}
    if full.any():
        different, rows = _runs(hashes.take(np.flatnonzero(full.take(buckets))))
        often = different[rows > rare]
        wanted = pl.Series(often.tolist(), dtype=pl.UInt64)
        found = texts.filter(texts.hash().is_in(wanted.implode()))
        named = found.alias("text").value_counts(name=_EVERY).iter_rows()
        counts = {text: rows - rare for text, rows in named}
    return Texts(
        frequent=Frequent.of(len(texts), counts, rare),
        shortest=int(str(lengths.min())),
        longest=int(str(lengths.max())),
        characters=int(lengths.sum()),
        hashed=hashes,
    )


def _counts_beyond(counts: NDArray[np.int64]) -> int:
    """Return the greatest count that more than `MOST` values reach."""
    values_by_count = np.bincount(counts)
    reach = np.cumsum(values_by_count[::-1])[::-1]
    return int(np.flatnonzero(reach > MOST)[-1])


def _frequent(counted: pl.DataFrame) -> Frequent:
    rows, total = pl.col(_EVERY), int(counted[_EVERY].sum())
    lost = 0
    if counted.height > MOST:
        lost = _counts_beyond(counted[_EVERY].cast(pl.Int64).to_numpy())
        counted = counted.filter(rows > lost).with_columns(rows - lost)
    return Frequent.of(total, dict(counted.iter_rows()), lost)
