"""What a bench found: figures with their goals, and the tables that people read."""

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """
    One measured number.

    Attributes:
        name: What it is.
        value: The number, in *unit*.
        unit: Such as `s`, `ms`, `MiB`, `x` or `""` for a count.
        goal: What it should not exceed; None where the number is only told.
        note: How it came about, in a few words.
    """

    name: str
    value: float
    unit: str = ""
    goal: float | None = None
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the goal is kept; None without one."""
        return None if self.goal is None else self.value <= self.goal

    def cells(self) -> list[str]:
        """Return the figure as the cells of a table's row."""
        verdict = {None: "", True: "kept", False: "**missed**"}[self.met]
        goal = "" if self.goal is None else f"≤ {_number(self.goal)} {self.unit}".rstrip()
        figure = f"{_number(self.value)} {self.unit}".rstrip()
        return [self.name, figure, goal, verdict, self.note]


@dataclass(frozen=True, slots=True)
class Result:
    """
    All figures of one bench.

    Attributes:
        title: What was measured, as a heading.
        figures: In the order people read them.
        samples: The single measurements behind them, by name, in the figures' units.
    """

    title: str
    figures: tuple[Figure, ...]
    samples: dict[str, list[float]]

    def markdown(self) -> str:
        """Return the table of docs/benchmarks.md."""
        rows = [["figure", "measured", "goal", "", "how"], ["---"] * 5]
        rows += [figure.cells() for figure in self.figures]
        lines = ["| " + " | ".join(row) + " |" for row in rows]
        return "\n".join([f"### {self.title}", "", *lines])

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain JSON."""
        figures = [{**asdict(figure), "met": figure.met} for figure in self.figures]
        return {"title": self.title, "figures": figures, "samples": self.samples}


def median(samples: Sequence[float]) -> float:
    """Return the median."""
    return statistics.median(samples)


def percentile(samples: Sequence[float], share: float) -> float:
    """Return the smallest sample that *share* of all do not exceed (nearest rank)."""
    ordered = sorted(samples)
    rank = -(-len(ordered) * share // 1)  # rounded up
    return ordered[max(0, int(rank) - 1)]


def _number(value: float) -> str:
    """Write three digits that mean something, and whole numbers whole."""
    if value == int(value):
        return f"{int(value):,}"
    steps = ((100, 0), (10, 1), (1, 2), (0, 3))
    digits = next(digits for least, digits in steps if abs(value) >= least)
    return f"{value:,.{digits}f}"
