"""Whether new categories are known ones, written in another way."""

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

#: What systems write where they know nothing, folded.
PLACEHOLDERS: Final = frozenset(
    ("", "unknown", "undefined", "unspecified", "none", "null", "nil", "nan", "na", "notavailable")
) | {"notapplicable", "missing", "default", "tbd", "test", "xxx", "dummy"}
EXPLAINED = 0.5  # of the rows in new categories, before a way of writing explains them
RECODED = 0.9  # of the rows in new categories, of the old ones gone
LEAST = 3  # categories that make a pattern
UNEQUAL = 0.2  # of the number of categories; rare ones may not have occurred
_AFFIX = 8  # characters that may be put before or behind


@dataclass(frozen=True, slots=True)
class Spelling:
    """How new categories come from known ones; `pairs` are examples, new → known."""

    words: str
    share: float  # of the window's rows
    pairs: Mapping[str, str]


def respelled(new: Mapping[str, float], known: Iterable[str]) -> Spelling | None:
    """
    Return the way of writing that explains most new categories.

    Args:
        new: Share of the window's rows by new category.
        known: The baseline's categories.
    """
    known = tuple(known)
    found = [
        *(_folded(new, known, words, fold) for words, fold in _FOLDS),
        *_affixed(new, known),
    ]
    best = max(found, key=lambda one: one.share, default=None)
    if best is None or best.share < EXPLAINED * sum(new.values()):
        return None
    # The narrowest way that explains as much: what is written in capitals differs in nothing else.
    return next(one for one in found if one.share >= 0.95 * best.share)


def placeholders(new: Mapping[str, float]) -> dict[str, float]:
    """Return the new categories that say that nothing is known."""
    return {value: share for value, share in new.items() if _bare(value) in PLACEHOLDERS}


def one_for_one(old: Mapping[str, int], new: Mapping[str, int]) -> bool:
    """Return whether there are as many new categories as old ones, in the same shares."""
    if len(new) < LEAST or abs(len(new) - len(old)) > UNEQUAL * len(old):
        return False
    size = max(len(old), len(new))
    shares = [
        sorted((rows / sum(side.values()) for rows in side.values()), reverse=True)
        + [0.0] * (size - len(side))
        for side in (old, new)
    ]
    apart = sum(abs(a - b) for a, b in zip(*shares, strict=True)) / 2
    return bool(apart <= UNEQUAL / 2)


def _folded(
    new: Mapping[str, float], known: tuple[str, ...], words: str, fold: Callable[[str], str]
) -> Spelling:
    by_fold = {folded: value for value in known if (folded := fold(value))}
    pairs = {value: by_fold[folded] for value in new if (folded := fold(value)) in by_fold}
    return Spelling(words, sum(new[value] for value in pairs), pairs)


def _affixed(new: Mapping[str, float], known: tuple[str, ...]) -> Iterable[Spelling]:
    """Find one text put before, or behind, or cut off, that explains at least two categories."""
    before: dict[str, dict[str, str]] = {}
    behind: dict[str, dict[str, str]] = {}
    for value in new:
        for one in filter(None, known):
            if 0 < len(value) - len(one) <= _AFFIX:
                if value.endswith(one):
                    before.setdefault(value.removesuffix(one), {})[value] = one
                if value.startswith(one):
                    behind.setdefault(value.removeprefix(one), {})[value] = one
    for place, affixes in (("before", before), ("behind", behind)):
        for affix, found in affixes.items():
            if len(found) > 1:
                share = sum(new[value] for value in found)
                yield Spelling(f"with '{affix}' {place} them", share, found)
    yield from _cut(new, known)


def _cut(new: Mapping[str, float], known: tuple[str, ...]) -> Iterable[Spelling]:
    """Find a length to which known categories were cut."""
    for length in {len(value) for value in new}:
        heads = {one[:length]: one for one in known if len(one) > length}
        found = {value: heads[value] for value in new if len(value) == length and value in heads}
        if len(found) > 1:
            yield Spelling(
                f"cut after {length} characters", sum(new[value] for value in found), found
            )


def _bare(text: str) -> str:
    """Return a text without case, accents, and all that is neither letter nor digit."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in plain if letter.isalnum())


def _accents(text: str) -> str:
    return "".join(
        letter
        for letter in unicodedata.normalize("NFKD", text)
        if not unicodedata.combining(letter)
    )


def _number(text: str) -> str:
    """Return a number without what does not change it: 007, 7.0 and 7 are one."""
    found = re.fullmatch(r"([+-]?)0*([0-9]+?)(?:\.0*)?", text.strip())
    return f"{found[1].strip('+')}{found[2]}" if found else ""


def _misread(text: str) -> str:
    """Return UTF-8 that was read as Latin-1 or Windows-1252 as it was meant, as long as it can."""
    for encoding in ("cp1252", "latin-1"):
        try:
            read = text.encode(encoding).decode("utf-8")
        except (UnicodeEncodeError, UnicodeDecodeError):
            continue
        if read != text:
            return read
    return text


def _ascii(text: str) -> str:
    """Return a text in which what is not ASCII, or stands for something lost, is one sign."""
    if text.isascii() and "?" not in text:
        return ""
    return re.sub(r"[^\x20-\x7e]+|\?+", "?", _misread(text))


_FOLDS: Final[tuple[tuple[str, Callable[[str], str]], ...]] = (
    ("with blanks around or within them", lambda text: "".join(text.split())),
    ("in capitals or small letters", str.casefold),
    ("in another Unicode form", lambda text: unicodedata.normalize("NFKC", text)),
    ("in another encoding", _misread),
    ("without their accents", _accents),
    ("with letters lost", _ascii),
    ("with other signs between letters", lambda text: re.sub(r"\W|_", "", text)),
    ("as another form of number", _number),
    ("in another way", _bare),
)
