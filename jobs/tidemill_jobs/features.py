"""
From a row to the model's input: what Prepare fits, and Prepare and serving apply alike.

The fitted state is `features.json`; it travels in the model artifact. Numbers and booleans become
32-bit floats; a time becomes parts relative to an origin, because a 32-bit float loses an epoch's
digits; a category stays text, for the model's graph encodes it. Missing is NaN, or the empty text.

Only numpy is needed here: an endpoint loads no data-frame library.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from tidemill_jobs.errors import JobError, ValueRefusedError
from tidemill_jobs.spec import Problem
from tidemill_jobs.values import (
    LARGEST,
    Kind,
    read_boolean,
    read_number,
    read_text,
    read_time,
)

TARGET: Final = "__target__"  # the column of prepared files that is no input
OTHER: Final = "other"  # every category beyond the most frequent ones, and every unseen one
DAY: Final = 1_440  # minutes
THURSDAY: Final = 3  # 1970-01-01, counting from Monday
PARTS: Final = ("hour", "minute_of_day", "weekday", "month", "days")
VERSION: Final = 1
PLAIN: Final = frozenset({float, int})  # types of numbers that need no reading
THRESHOLD: Final = 0.5  # from this probability on, the label is the positive class

Class = str | int | float | bool
Floats = NDArray[np.float64]
Cells = Sequence[str] | Sequence[float] | Floats

_READERS: Final[Mapping[Kind, Callable[[Any], Any]]] = {
    "number": read_number,
    "boolean": read_boolean,
    "time": read_time,
    "category": read_text,
}


@dataclass(frozen=True)
class Column:
    """
    One column of the user's that the model reads.

    `inputs` are the names of what it becomes: one name, or one per kept part of a time.
    `origin` counts minutes since 1970 to the day from which a time's days are counted.
    """

    name: str
    kind: Kind
    inputs: tuple[str, ...]
    parts: tuple[str, ...] = ()
    origin: int = 0
    categories: tuple[str, ...] = ()

    @cached_property
    def known(self) -> frozenset[str]:
        """What a text may be without becoming `other`."""
        return frozenset((*self.categories, ""))

    @cached_property
    def plain(self) -> dict[str, str]:
        """The texts that stay as they are, by themselves."""
        return {text: text for text in self.known if read_text(text) == text}


@dataclass(frozen=True, slots=True)
class Target:
    """What is predicted; `classes` in the order of the model's outputs, empty for regression."""

    name: str
    classes: tuple[Class, ...]

    @property
    def positive(self) -> Class | None:
        """The class whose probability a binary model answers: the last in sorted order."""
        return self.classes[-1] if self.classes else None


@dataclass(frozen=True, slots=True)
class Dropped:
    """A column that the model does not read, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Features:
    """The fitted state. `header` is the user's own columns, without target and excluded ones."""

    problem: Problem
    target: Target
    header: tuple[str, ...]
    columns: tuple[Column, ...]
    dropped: tuple[Dropped, ...]
    notes: tuple[str, ...]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The columns a row must have."""
        return tuple(column.name for column in self.columns)

    @cached_property
    def numeric(self) -> tuple[str, ...]:
        """Names of the numeric inputs, in the order of the model's first input."""
        return tuple(name for c in self.columns if c.kind != "category" for name in c.inputs)

    @cached_property
    def categorical(self) -> tuple[Column, ...]:
        """The text columns, in the order of the model's second input."""
        return tuple(column for column in self.columns if column.kind == "category")

    @cached_property
    def numbers(self) -> tuple[str, ...]:
        """The columns that are numbers, each of which is one input."""
        return tuple(column.name for column in self.columns if column.kind == "number")

    @cached_property
    def rest(self) -> "Features":
        """The same with nothing but the columns that are neither number nor category."""
        known = ("number", "category")
        return replace(self, columns=tuple(c for c in self.columns if c.kind not in known))

    @cached_property
    def places(self) -> tuple[list[int], list[int]]:
        """Where in the model's first input the numbers are, and where the rest's inputs are."""
        rest = set(self.rest.numeric)
        at = range(len(self.numeric))
        numbers = [place for place in at if self.numeric[place] not in rest]
        return numbers, [place for place in at if self.numeric[place] in rest]

    def to_json(self) -> str:
        """Return features.json: equal states give equal text."""
        return json.dumps({"version": VERSION, **asdict(self)}, indent=1, ensure_ascii=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """
        Read features.json.

        Raises:
            JobError: It was written by another version, or is damaged.
        """
        try:
            document = json.loads(text)
            if document["version"] != VERSION:
                raise JobError(
                    f"features.json has version {document['version']}; this image reads {VERSION}: "
                    "train the model again with this image."
                )
            return cls(
                problem=document["problem"],
                target=Target(document["target"]["name"], tuple(document["target"]["classes"])),
                header=tuple(document["header"]),
                columns=tuple(_parse_column(entry) for entry in document["columns"]),
                dropped=tuple(Dropped(**entry) for entry in document["dropped"]),
                notes=tuple(document["notes"]),
            )
        except (KeyError, TypeError, ValueError) as exc:
            raise JobError(f"features.json is damaged ({exc!r}); train the model again.") from exc


@dataclass(frozen=True, slots=True)
class ModelInput:
    """
    What the model reads.

    `numeric` is float32 of shape (rows, numeric inputs), NaN where missing; `categories` holds
    text of shape (rows, text columns), empty where missing.
    """

    numeric: NDArray[np.float32]
    categories: NDArray[np.object_]

    def __len__(self) -> int:
        return len(self.numeric)

    def __getitem__(self, rows: Any) -> Self:
        return type(self)(self.numeric[rows], self.categories[rows])


def class_name(value: Class) -> str:
    """Return a class as text: true and false as JSON writes them."""
    return value if isinstance(value, str) else json.dumps(value)


def transform(features: Features, columns: Mapping[str, Cells]) -> ModelInput:
    """
    Assemble the model's input of typed columns.

    Args:
        features: The fitted state.
        columns: For every column of *features*: numbers, booleans as 0 and 1, minutes since 1970,
            each a float with NaN where missing; or categories as text, empty where missing.
    """
    rows = len(columns[features.columns[0].name])
    numbers: list[Sequence[float] | Floats] = []
    texts: list[list[str]] = []
    for column in features.columns:
        values: Any = columns[column.name]
        if column.kind == "category":
            known = column.known
            texts.append([value if value in known else OTHER for value in values])
        elif column.kind == "time":
            minutes = np.asarray(values, np.float64)
            numbers += [time_part(minutes, part, column.origin) for part in column.parts]
        else:
            numbers.append(values)
    return ModelInput(_matrix(numbers, rows, np.float32), _matrix(texts, rows, np.object_))


def _matrix(columns: Sequence[Any], rows: int, kind: type) -> NDArray[Any]:
    """Return columns side by side; all at once, which for one row is what saves time."""
    return np.ascontiguousarray(np.array(columns, kind).reshape(len(columns), rows).T)


def time_part(minutes: Floats, part: str, origin: int) -> Floats:
    """
    Return one part of times given in minutes since 1970-01-01 UTC; NaN stays NaN.

    Args:
        minutes: Whole minutes.
        part: `hour` 0-23, `minute_of_day` 0-1439, `weekday` 0 (Monday) to 6, `month` 1-12, or
            `days` since the origin's day.
        origin: Minutes since 1970 of that day's midnight.
    """
    days: Floats = np.floor(minutes / DAY)
    if part == "days":
        return days - origin // DAY
    if part == "weekday":
        weekday: Floats = (days + THURSDAY) % 7
        return weekday
    if part == "month":
        months = np.nan_to_num(days).astype("datetime64[D]").astype("datetime64[M]")
        month: Floats = months.astype(np.float64) % 12 + 1
        month[np.isnan(days)] = np.nan
        return month
    of_day = minutes - days * DAY
    return of_day if part == "minute_of_day" else np.floor(of_day / 60)


def transform_rows(features: Features, rows: Sequence[Mapping[str, Any]]) -> ModelInput:
    """
    Assemble the model's input of rows as users send them; extra columns are ignored.

    Raises:
        ValueRefusedError: Names the row (from 1), the column and the value, or the missing columns.
    """
    return _plain(features, rows) or _careful(features, rows)


def _plain(features: Features, rows: Sequence[Mapping[str, Any]]) -> ModelInput | None:
    """
    Assemble rows whose numbers are numbers and whose texts are known ones, as nearly all are.

    None where a value must be looked at by itself, which takes several times as long.
    """
    try:
        numbers = [[row[name] for name in features.numbers] for row in rows]
        texts = [[c.plain[row[c.name]] for c in features.categorical] for row in rows]
    except (KeyError, TypeError):  # a column is missing; a text is a new one, or no text at all
        return None
    if features.numbers and not all(map(_is_plain, numbers)):
        return None
    numeric = np.array(numbers, np.float32).reshape(len(rows), len(features.numbers))
    if features.rest.columns:
        first, numeric = numeric, np.empty((len(rows), len(features.numeric)), np.float32)
        at_numbers, at_rest = features.places
        numeric[:, at_numbers] = first
        numeric[:, at_rest] = _careful(features.rest, rows).numeric
    categories = np.array(texts, np.object_).reshape(len(rows), len(features.categorical))
    return ModelInput(numeric, categories)


def _is_plain(cells: Sequence[Any]) -> bool:
    # A NaN in front fails the comparison, one further on hides no larger number.
    return PLAIN.issuperset(map(type, cells)) and min(cells) >= -LARGEST and max(cells) <= LARGEST


def _careful(features: Features, rows: Sequence[Mapping[str, Any]]) -> ModelInput:
    names = features.names
    try:
        cells = {name: [row[name] for row in rows] for name in names}
    except KeyError:
        number, lacking = next(
            (number, lacking)
            for number, row in enumerate(rows, start=1)
            if (lacking := [name for name in names if name not in row])
        )
        raise ValueRefusedError(
            f"Row {number} lacks the columns {_listed(lacking)}; send every column the model "
            "reads, null where the value is missing."
        ) from None
    return transform(features, {c.name: _read(c, cells[c.name]) for c in features.columns})


def _read(column: Column, values: Sequence[Any]) -> Cells:
    read = _READERS[column.kind]
    done: list[Any] = []
    try:
        for value in values:
            done.append(read(value))  # noqa: PERF401  # counts the good
    except ValueRefusedError as exc:
        raise ValueRefusedError(f"Row {len(done) + 1}: column '{column.name}' {exc}.") from exc
    return done


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(f"'{name}'" for name in names[:8])
    return f"{shown} and {len(names) - 8} more" if len(names) > 8 else shown  # noqa: PLR2004


def _parse_column(entry: Mapping[str, Any]) -> Column:
    return Column(
        name=entry["name"],
        kind=entry["kind"],
        inputs=tuple(entry["inputs"]),
        parts=tuple(entry["parts"]),
        origin=int(entry["origin"]),
        categories=tuple(entry["categories"]),
    )
