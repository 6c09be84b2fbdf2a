"""
One column's statistics: bounded, and mergeable to what one pass over all rows would give.

A cell is tallied by what it is (`cells.py`), and what the column as a whole is (numbers, or
categories some of which look like numbers) follows from the tallies when it is asked. That is why
parts merge: no part has decided anything.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any, Final, Literal, Self, TypeVar

import numpy as np
import polars as pl

from tidemill_jobs.meanings import Meaning, decide_kind
from tidemill_jobs.profile.batch import Batch
from tidemill_jobs.profile.cells import Cells, Texts
from tidemill_jobs.profile.counted import MOST, Few, Frequent, ordered
from tidemill_jobs.profile.distinct import (
    TIMES,
    Distinct,
    Hashes,
    hash_batch,
    hash_numbers,
    hash_texts,
)
from tidemill_jobs.profile.extents import Lengths, Times
from tidemill_jobs.profile.numbers import Numbers, plain
from tidemill_jobs.times import minutes_text
from tidemill_jobs.values import Kind

InferredType = Literal["Integral", "Fractional", "String", "Unknown"]
_COUNTS: Final = ("blank", "nans", "codes", "trues", "falses")
_TRUE: Final = "true"
_FALSE: Final = "false"
Part = TypeVar("Part", Lengths, Numbers, Times)


@dataclass(frozen=True, slots=True)
class Column:
    """
    The statistics of one column.

    Attributes:
        rows: All its cells.
        blank: Cells that are missing in any column: null, NaN, the empty text.
        nans: Those of them that said NaN; JSON cannot, so compare `missing` instead.
        not_available: Cells `NA`, `N/A`, … by their text: missing unless the column holds text.
        codes: Texts such as `007`.
        trues: Cells that say true.
        falses: Cells that say false.
        declared: What the column is, where the spec knows; else it is inferred.
        numbers: Its numbers; None when it has none.
        times: Its times; None when it has none.
        lengths: The lengths of its texts; None when it has none.
        text_counts: How often which text occurs.
        number_counts: How often which number occurs; of a declared category they are texts.
        minute_counts: How often which time occurs.
        hashed: The different values, once they are too many to be counted one by one.
    """

    rows: int = 0
    blank: int = 0
    nans: int = 0
    not_available: Mapping[str, int] = field(default_factory=dict)
    codes: int = 0
    trues: int = 0
    falses: int = 0
    declared: Kind | None = None
    numbers: Numbers | None = None
    times: Times | None = None
    lengths: Lengths | None = None
    text_counts: Frequent = field(default_factory=Frequent)
    number_counts: Few = field(default_factory=Few)
    minute_counts: Few = field(default_factory=Few)
    hashed: Distinct | None = None

    @property
    def kind(self) -> Kind | None:
        """What the column is: declared, or what nine tenths of its cells are; None when empty."""
        if self.declared is not None:
            return self.declared
        numbers = self.numbers.count + self.numbers.infinities if self.numbers else 0
        counts: dict[Meaning, int] = {
            "number": numbers,
            "code": self.codes,
            "boolean": self.trues + self.falses,
            "time": self.times.count if self.times else 0,
            "text": self._text_count - self.codes,
        }
        return decide_kind([counts])

    @property
    def missing(self) -> int:
        """Cells without a value."""
        return self.blank + (0 if self.kind == "category" else sum(self.not_available.values()))

    @property
    def present(self) -> int:
        """Cells with a value."""
        return self.rows - self.missing

    @property
    def kinds(self) -> dict[str, int]:
        """How many of the cells that are present are what."""
        numbers = self.numbers or Numbers()
        words = sum(self.not_available.values()) if self.kind == "category" else 0
        return {
            "integral": numbers.wholes,
            "fractional": numbers.count - numbers.wholes + numbers.infinities,
            "boolean": self.trues + self.falses,
            "time": self.times.count if self.times else 0,
            "text": self._text_count + words,
        }

    @property
    def inferred_type(self) -> InferredType:
        """The column's type in Model Monitor's words."""
        if self.present == 0:
            return "Unknown"
        if self.kind != "number":
            return "String"
        return "Fractional" if self.kinds["fractional"] else "Integral"

    @property
    def complete(self) -> bool:
        """Whether `categories` names every value that occurs, with its exact count."""
        return self.hashed is None

    @property
    def categories(self) -> dict[str, int]:
        """
        Return the values with their counts, the most frequent first.

        All kinds of values are here as text: 1.0 as `1`, a time in minutes as ISO 8601. When not
        `complete`, a text's count may be too low by `error`.
        """
        return ordered(self.counts)

    @property
    def counts(self) -> dict[str, int]:
        """The `categories` in no order."""
        counts = dict(self.text_counts.counts)
        counts |= {
            _written(value): rows for value, rows in (self.number_counts.counts or {}).items()
        }
        counts |= {minutes_text(at): rows for at, rows in (self.minute_counts.counts or {}).items()}
        counts |= {_TRUE: self.trues} if self.trues else {}
        counts |= {_FALSE: self.falses} if self.falses else {}
        if self.kind == "category":
            counts |= self.not_available
        return counts

    @property
    def other(self) -> int:
        """Rows with a value that `categories` does not tell of."""
        return self.present - self.infinities - sum(self.counts.values())

    @property
    def error(self) -> int:
        """By how much counts in `categories` may be too low."""
        return self.text_counts.error

    @property
    def infinities(self) -> int:
        """Numbers that are infinite, or larger than models can hold."""
        return self.numbers.infinities if self.numbers else 0

    @property
    def distinct(self) -> int:
        """How many different values there are: exact when `complete`, else within about 5 %."""
        return len(self.counts) if self.hashed is None else self.hashed.count

    def add(self, cells: Cells) -> Self:
        """Return the column with a batch more."""
        minutes, minute_counts = _few(cells.minutes, self.minute_counts)
        text_counts, number_counts = cells.texts.frequent, Few()
        if self.declared == "category":
            wholes, floats = cells.wholes.counted(), cells.floats.counted()
            text_counts = text_counts.merge(_as_texts(wholes)).merge(_as_texts(floats))
        else:
            wholes, number_counts = _few(cells.wholes, self.number_counts)
            floats, fractions = _few(cells.floats, self.number_counts)
            number_counts = number_counts.merge(fractions)
        batches = (wholes, floats, minutes)
        part = Column(
            rows=cells.rows,
            blank=cells.blank,
            nans=cells.nans,
            not_available=cells.not_available,
            codes=cells.codes,
            trues=cells.trues,
            falses=cells.falses,
            lengths=_lengths(cells.texts),
            text_counts=text_counts,
            number_counts=number_counts,
            minute_counts=minute_counts,
        )
        numbers, times = self.numbers, self.times
        if len(wholes.values) or len(floats.values) or cells.infinities:
            numbers = (numbers or Numbers()).add(wholes, floats, cells.infinities)
        if len(minutes.values):
            times = (times or Times()).add(minutes)
        return self._merged(part, numbers, times, partial(_hashes, batches, cells.texts, part))

    def merge(self, other: "Column") -> Self:
        """Return both together; a kind declared for one of them is that of both."""
        numbers, times = _merged(self.numbers, other.numbers), _merged(self.times, other.times)
        merged = self._merged(other, numbers, times, lambda _: [other.known_hashes()])
        return replace(merged, declared=self.declared or other.declared)

    def document(self) -> dict[str, Any]:
        """Return the column as JSON."""
        counts = {name: getattr(self, name) for name in _COUNTS if getattr(self, name)}
        return counts | {
            "rows": self.rows,
            "not_available": dict(self.not_available),
            "declared": self.declared,
            "numbers": self.numbers.document() if self.numbers else None,
            "times": self.times.document() if self.times else None,
            "lengths": asdict(self.lengths) if self.lengths else None,
            "values": {
                "texts": self.text_counts.document(),
                "numbers": self.number_counts.document(),
                "minutes": self.minute_counts.document(),
                "hashed": self.hashed.document() if self.hashed else None,
            },
        }

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Self:
        """Read what `document` returned."""
        numbers, times, lengths = (document[name] for name in ("numbers", "times", "lengths"))
        values = document["values"]
        hashed = values["hashed"]
        return cls(
            rows=document["rows"],
            not_available=document["not_available"],
            declared=document["declared"],
            numbers=Numbers.parse(numbers) if numbers else None,
            times=Times.parse(times) if times else None,
            lengths=Lengths(**lengths) if lengths else None,
            text_counts=Frequent(**values["texts"]),
            number_counts=Few.parse(values["numbers"]),
            minute_counts=Few.parse(values["minutes"]),
            hashed=Distinct.parse(hashed) if hashed else None,
            **{name: document.get(name, 0) for name in _COUNTS},
        )

    @property
    def _text_count(self) -> int:
        return self.lengths.count if self.lengths else 0

    def _merged(
        self,
        other: "Column",
        numbers: Numbers | None,
        times: Times | None,
        hashes_of_other: Callable[[np.uint64], Iterable[Hashes]],
    ) -> Self:
        merged = replace(
            self,
            **{name: getattr(self, name) + getattr(other, name) for name in _COUNTS},
            rows=self.rows + other.rows,
            not_available=_added(self.not_available, other.not_available)
            if other.not_available
            else self.not_available,
            numbers=numbers,
            times=times,
            lengths=_merged(self.lengths, other.lengths),
            text_counts=self.text_counts.merge(other.text_counts),
            number_counts=self.number_counts.merge(other.number_counts),
            minute_counts=self.minute_counts.merge(other.minute_counts),
        )
        parts = (merged.text_counts, merged.number_counts, merged.minute_counts)
        if all(part.complete for part in parts):
            return merged
        hashed = self.hashed or Distinct().add(self.known_hashes())
        if other.hashed:
            hashed = hashed.merge(other.hashed)
        for hashes in hashes_of_other(hashed.limit):
            hashed = hashed.add(hashes)
        return replace(merged, hashed=hashed)

    def known_hashes(self) -> Hashes:
        """Return the hashes of the values that are counted one by one."""
        if self.hashed is not None:
            return Distinct().hashes
        texts = pl.Series(list(self.text_counts.counts), dtype=pl.String)
        return np.concatenate(
            (
                hash_texts(texts),
                hash_numbers(self.number_counts.counts or ()),
                hash_numbers(self.minute_counts.counts or (), TIMES),
                _hashes_of_flags(self),
            )
        )


def _added(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return {name: one.get(name, 0) + other.get(name, 0) for name in sorted({*one, *other})}


def _merged(one: Part | None, other: Part | None) -> Part | None:
    return one.merge(other) if one and other else one or other


def _lengths(texts: Texts) -> Lengths | None:
    count = texts.frequent.rows
    return Lengths(count, texts.shortest, texts.longest, texts.characters) if count else None


def _few(numbers: Batch, known: Few) -> tuple[Batch, Few]:
    """Count the different numbers, unless there are too many already."""
    if known.counts is not None:
        numbers = numbers.counted_if(MOST)
        if numbers.counts is not None and len(numbers.values) <= MOST:
            return numbers, Few(numbers.rows, _counts(numbers))
    rows = numbers.rows
    return numbers, Few(rows, None if rows else {})


def _counts(numbers: Batch) -> dict[float, int]:
    counts = numbers.counts.tolist() if numbers.counts is not None else []
    return dict(zip(numbers.values.tolist(), counts, strict=True))


def _as_texts(numbers: Batch) -> Frequent:
    counts: dict[str, int] = {}
    for value, rows in _counts(numbers).items():
        written = _written(value)
        counts[written] = counts.get(written, 0) + rows
    return Frequent.of(numbers.rows, counts)


def _hashes(
    batches: tuple[Batch, Batch, Batch], texts: Texts, part: Column, limit: np.uint64
) -> Iterator[Hashes]:
    """Yield the hashes of a batch up to a limit, each array valid until the next one."""
    for numbers, salt in zip(batches, (0, 0, TIMES), strict=True):
        if len(numbers.values):
            yield hash_batch(numbers, salt, limit)
    if texts.frequent.rows:
        yield texts.hashes()
    if part.trues or part.falses:
        yield _hashes_of_flags(part)


def _hashes_of_flags(column: Column) -> Hashes:
    flags = [name for name, rows in ((_TRUE, column.trues), (_FALSE, column.falses)) if rows]
    return hash_texts(pl.Series(flags, dtype=pl.String))


def _written(value: float) -> str:
    return str(plain(value))
