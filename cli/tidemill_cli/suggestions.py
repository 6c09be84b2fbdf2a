"""
From a sample's facts to what a spec should say of it. Pure: no file, no process.

A sample says what is in it, not what it means. So only what the facts leave no doubt about is
set; the rest is a suggestion with its reason, for a person to take or to strike out.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tidemill_cli.failures import MalformedError

Problem = Literal["binary", "multiclass", "regression"]

#: So many whole numbers may be classes; more are taken for amounts.
MOST_NUMBERED_CLASSES = 20
MOST_CLASSES = 200  # as the trainer has it; a test keeps the two in step
#: A column is a time, number or code when so many of its cells are.
SHARE = 0.9
#: Text of which so many cells differ tells rows apart, and no two of them alike.
MOSTLY_DIFFERENT = 0.5
_CLASSES_SHOWN = 4
_ID_WORDS = frozenset({"id", "key", "uuid", "guid", "number", "no", "nr", "code", "ref"})
_TIME_WORDS = ("created", "placed", "scheduled", "opened", "started", "date", "time", "at")
#: What is usually written down only after the outcome is known.
_LATER_WORDS = frozenset(
    {
        *("actual", "arrival", "cancelled", "canceled", "churned", "closed", "completed"),
        *("delivered", "final", "finished", "label", "outcome", "paid", "predicted"),
        *("prediction", "refund", "refunded", "resolved", "result", "returned", "score"),
    }
)
_WORD = re.compile(r"[A-Za-z][a-z]*|\d+")


@dataclass(frozen=True, slots=True)
class Remark:
    """What is worth a second look about one column."""

    column: str
    why: str


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What the spec of a sample should say. The remarks are not taken over by themselves."""

    target: str
    problem: Problem
    because: str  # why this problem
    id: str | None
    ids: tuple[str, ...]  # other columns that tell rows apart
    timestamp: str | None
    timestamps: tuple[str, ...]  # other columns of times
    leaks: tuple[Remark, ...]
    texts: tuple[Remark, ...]  # too different from row to row to learn from
    constants: tuple[str, ...]
    warnings: tuple[str, ...]


def suggest(facts: Mapping[str, Any], target: str, problem: str | None = None) -> Suggestion:
    """
    Return what the spec should say.

    Args:
        facts: Of a file that could be read (docs/checks.md).
        target: The column to predict.
        problem: What the person says it is; None to guess.

    Raises:
        MalformedError: There is no such column, or nothing to learn from it.
    """
    columns = {column["name"]: column for column in facts["columns"]}
    if target not in columns:
        near = next((name for name in columns if name.lower() == target.lower()), None)
        hint = f"did you mean '{near}'?" if near else f"its columns: {_listed(list(columns))}"
        raise MalformedError(f"the sample has no column '{target}'; {hint}")
    rows = facts["rows"]
    guessed, because = _problem(columns[target])
    others = [column for name, column in columns.items() if name != target]
    times = sorted((column["name"] for column in others if _is(column, "time")), key=_time_rank)
    known = times[:1] if times and _time_rank(times[0])[0] <= len(_TIME_WORDS) else []
    ids = [
        column["name"]
        for column in others
        if column["name"] not in times and _tells_rows_apart(column, rows)
    ]
    named = [name for name in ids if _ID_WORDS & set(_words(name))]
    leaks = tuple(
        Remark(column["name"], why)
        for column in others
        if column["name"] not in (*ids, *known) and (why := _leak(column, columns[target], target))
    )
    leaking = {remark.column for remark in leaks}
    return Suggestion(
        target=target,
        problem=problem or guessed,  # type: ignore[arg-type]  # click has checked the word
        because="as you said" if problem else because,
        id=named[0] if named else None,
        ids=tuple(name for name in ids if name not in named[:1]),
        timestamp=known[0] if known else None,
        timestamps=tuple(name for name in times if name not in known),
        leaks=leaks,
        texts=tuple(
            Remark(column["name"], why)
            for column in others
            if column["name"] not in (*named[:1], *leaking)
            and (why := _unlike(column, rows, name=column["name"] in ids))
        ),
        constants=tuple(column["name"] for column in others if column["distinct"] <= 1),
        warnings=tuple(_warnings(columns[target], rows, guessed, problem)),
    )


def _problem(target: Mapping[str, Any]) -> tuple[Problem, str]:
    """Guess the problem from the target's facts, with the reason."""
    name, distinct = target["name"], target["distinct"]
    shown = ", ".join(str(value["value"]) for value in target["values"][:_CLASSES_SHOWN])
    if distinct <= 1:
        held = f"'{shown}' in every row" if distinct else "empty in every row"
        raise MalformedError(
            f"the target '{name}' is {held}, so there is nothing to learn; "
            "take a sample in which it differs"
        )
    if distinct == 2:  # noqa: PLR2004  # two classes
        return "binary", f"it has two values: {shown}"
    if not _is(target, "number"):
        if distinct > MOST_CLASSES:
            raise MalformedError(
                f"the target '{name}' has {distinct:,} different texts ({shown}, …), more than "
                f"{MOST_CLASSES} classes; choose another target, or group them"
            )
        return "multiclass", f"it has {distinct} values: {shown}{', …' * (distinct > 4)}"  # noqa: PLR2004  # as many as are shown
    whole = target["complete"] and all(_whole(value["value"]) for value in target["values"])
    if whole and distinct <= MOST_NUMBERED_CLASSES:
        return (
            "multiclass",
            f"it has {distinct} whole numbers; if they are amounts, write regression",
        )
    low, high = target["numbers"]["low"], target["numbers"]["high"]
    return "regression", f"it is a number, from {low:g} to {high:g}"


def _warnings(target: Mapping[str, Any], rows: int, guessed: str, problem: str | None) -> list[str]:
    found = []
    missing = target["missing"] + target["not_available"]
    if missing:
        found.append(f"{missing} of {rows} rows have no {target['name']}; they are not used")
    if problem == "binary" and guessed != "binary":
        found.append(f"{target['name']} has {target['distinct']} values, and binary needs two")
    if problem == "regression" and not _is(target, "number"):
        found.append(f"{target['name']} holds no numbers, and regression needs them")
    if rows < 100:  # noqa: PLR2004  # said in the sentence
        found.append(f"{rows} rows are few: at least 50 must be left for training")
    return found


def _is(column: Mapping[str, Any], meaning: str) -> bool:
    """Say whether nearly all cells could mean this, as the jobs decide it."""
    cells = sum(seen["count"] for seen in column["meanings"].values())
    held = column["meanings"].get(meaning)
    return bool(held) and held["count"] >= SHARE * cells


def _tells_rows_apart(column: Mapping[str, Any], rows: int) -> bool:
    """Say whether every row has a value of its own that is a name of it, not a measurement."""
    if column["repeats"] or column["missing"] or rows < 2 or _spaced(column):  # noqa: PLR2004  # one row differs from none
        return False
    if _is(column, "number"):  # a unique measurement has a fraction, a name of a row has none
        return all(_whole(value["value"]) for value in column["values"])
    return not _is(column, "time")


def _unlike(column: Mapping[str, Any], rows: int, *, name: bool) -> str | None:
    """Return why nothing can be learned from *column* that holds for other rows, or None."""
    if name:
        return "another value in every row"
    if not _is(column, "text") or column["distinct"] <= MOSTLY_DIFFERENT * rows:
        return None
    kind = "free text" if _spaced(column) else "text"
    return f"{kind} with {column['distinct']:,} different values in {rows:,} rows"


def _leak(column: Mapping[str, Any], target: Mapping[str, Any], name: str) -> str | None:
    """Return why *column* may know the answer, or None."""
    empty = column["missing"] + column["not_available"]
    same = next((value for value in target["values"] if value["count"] == empty), None)
    if empty and same and target["complete"] and target["distinct"] <= MOST_NUMBERED_CLASSES:
        return (
            f"empty in {empty} rows, exactly as many as have {name} = {same['value']}: "
            "filled in only once it is known?"
        )
    counts = sorted(value["count"] for value in column["values"])
    if (
        column["complete"]
        and target["complete"]
        and column["distinct"] == target["distinct"] > 1
        and counts == sorted(value["count"] for value in target["values"])
    ):
        return f"its values are as frequent as those of {name}: the same thing in other words?"
    words = set(_words(column["name"]))
    if set(_words(name)) <= words:
        return f"its name holds '{name}'"
    later = sorted(words & _LATER_WORDS)
    if later:
        return f"'{later[0]}' sounds like something known only afterwards"
    return None


def _spaced(column: Mapping[str, Any]) -> bool:
    values = column["values"]
    return sum(" " in str(value["value"]).strip() for value in values) > len(values) / 2


def _whole(value: Any) -> bool:
    try:
        return float(value).is_integer()
    except ValueError:
        return False


def _words(name: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(name)]


def _time_rank(name: str) -> tuple[int, str]:
    """Sort what was known first to the front: when something was placed, not when it was closed."""
    words = _words(name)
    later = bool(_LATER_WORDS & set(words))
    early = next((n for n, word in enumerate(_TIME_WORDS) if word in words), len(_TIME_WORDS))
    return (len(_TIME_WORDS) + 1 if later else early), name


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:20])
    return f"{shown} and {len(names) - 20} more" if len(names) > 20 else shown  # noqa: PLR2004  # as many as are shown
