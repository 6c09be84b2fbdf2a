"""Which class a text means: `1`, `1.0` and `true` may all be the model's class 1."""

from collections.abc import Sequence

import polars as pl

from tidemill_jobs.features import Class
from tidemill_jobs.values import BLANK

#: So many classes that the model does not know are told apart; the rest are no labels.
NEW_CLASSES = 50


class Classes:
    """The model's classes, in the order of its outputs; classes that only truth has come after."""

    def __init__(self, classes: Sequence[Class]) -> None:
        self._numbers: dict[str, int] = {}
        for number, value in enumerate(classes):
            self._numbers[_written(value)] = number
        self.count = len(self._numbers)
        self._most = self.count + NEW_CLASSES
        truths = {"false", "true"} if set(self._numbers) <= {"0", "1"} else {"0", "1"}
        words = {"0": "false", "1": "true", "false": "0", "true": "1"}
        #: A model of 0 and 1 may be told true and false, and the other way round.
        self._words = {w: words[w] for w in truths if words[w] in self._numbers}

    def numbers(self, column: pl.Series, *, grow: bool) -> pl.Series:
        """
        Return each text's class number (Int64), null where it is none.

        Args:
            column: Texts.
            grow: A text that is no class becomes a new one: the model cannot be right there.
        """
        once = sorted(text for text in column.unique().to_list() if text is not None)
        if not once:
            return pl.Series(column.name, [None] * len(column), dtype=pl.Int64)
        found = [self._number(text, grow=grow) for text in once]
        return column.replace_strict(once, found, default=None, return_dtype=pl.Int64)

    def _number(self, text: str, *, grow: bool) -> int | None:
        name = _plain(text)
        number = self._numbers.get(text, self._numbers.get(name))
        if number is None:
            number = self._numbers.get(self._words.get(name.lower(), ""))
        if number is None and grow and self.count < self._most:
            number = self._numbers[name] = self.count
            self.count += 1
        return number


def _written(value: Class) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return _plain(value if isinstance(value, str) else repr(value))


def _plain(text: str) -> str:
    """Write 1.0 as 1 and True as true; identifying codes such as 01 stay."""
    bare = text.strip(BLANK)
    if bare.lower() in ("true", "false"):
        return bare.lower()
    whole, point, rest = bare.partition(".")
    if point and not rest.strip("0") and whole.lstrip("+-").isdecimal():
        return whole
    return bare
