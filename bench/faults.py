"""
Faults of the kinds that upstreams make, and shifts of the kinds that worlds make, in real flights.

Everything is drawn from the seed: which months, which feature, how bad, in what share of the rows.
A baseline is half the flights of three months; windows are drawn from the other half, so that a
window of the same months has no drift by construction.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

sys.path.append(str(Path(__file__).parents[1] / "examples" / "flights"))
from data import flights

CATEGORIES = ("carrier", "origin", "dest")
NUMBERS = (
    "distance", "sched_arr_time", "temp", "dewp", "humid", "wind_dir", "wind_speed", "pressure",
    "visib",
)  # fmt: skip
RARE = ("wind_gust", "precip")  # mostly missing, mostly zero
FEATURES = (*CATEGORIES, *NUMBERS, *RARE)
MONTHS = 3  # of a baseline
WINDOWS = (600, 2_000, 10_000)

Random = np.random.Generator


@dataclass(frozen=True, slots=True)
class Case:
    """
    One labelled case.

    Attributes:
        kind: The label, a key of `FAULTS` or `SHIFTS`, or `no drift`.
        baseline: What the model was trained on.
        window: What it is asked now.
        recent: Other flights of the window's month, without its fault.
        features: Those that were broken; any, for a shift.
        what: What was done, for people.
    """

    kind: str
    baseline: pl.DataFrame
    window: pl.DataFrame
    recent: pl.DataFrame
    features: tuple[str, ...] = ()
    what: str = ""


class Flights:
    """All flights of the year, half of each month for baselines, half for windows."""

    def __init__(self) -> None:
        every = flights().select("month", *FEATURES)
        half = pl.int_range(pl.len()).shuffle(seed=13) % 2
        self._trained = every.filter(half == 0)
        self._asked = every.filter(half == 1)
        self._baselines: dict[int, pl.DataFrame] = {}

    def baseline(self, first: int) -> pl.DataFrame:
        """Return half the flights of the months from *first*; December is followed by January."""
        if first not in self._baselines:
            wanted = pl.col("month").is_in(_months(first))
            self._baselines[first] = self._trained.filter(wanted).drop("month")
        return self._baselines[first]

    def windows(
        self, months: tuple[int, ...], rows: int, random: Random
    ) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Draw some of the other half's flights of some months, and as many more, if there are."""
        some = self._asked.filter(pl.col("month").is_in(months)).drop("month")
        drawn = random.permutation(some.height)
        return some[drawn[:rows]], some[drawn[rows : 2 * rows]]


def cases(all_flights: Flights, seed: int, *, season: bool = False) -> list[Case]:
    """
    Return one case of each kind.

    Args:
        all_flights: Where rows come from.
        seed: What everything is drawn from.
        season: Take windows from the month after the baseline's, so that faults come on top of
            what a month changes; there are no other shifts then.
    """
    found = []
    for place, (kind, shift) in enumerate(() if season else SHIFTS.items()):
        random = np.random.default_rng([seed, 100 + place])
        case = _plain(all_flights, random, season=False)
        found.append(replace(shift(case, all_flights, random), kind=kind))
    for place, (kind, fault) in enumerate(FAULTS.items()):
        random = np.random.default_rng([seed, place, season])
        case = _plain(all_flights, random, season=season)
        window, features, what = fault(case.window, random)
        found.append(replace(case, kind=kind, window=window, features=features, what=what))
    random = np.random.default_rng([seed, 99, season])
    plain = _plain(all_flights, random, season=season)
    found.append(replace(plain, kind="no fault" if season else "no drift"))
    return found


def _plain(all_flights: Flights, random: Random, *, season: bool) -> Case:
    first = int(random.integers(1, 13))
    months = _months(first + MONTHS)[:1] if season else _months(first)
    rows = int(random.choice(WINDOWS))
    window, recent = all_flights.windows(months, rows, random)
    return Case("no drift", all_flights.baseline(first), window, recent)


def _months(first: int) -> tuple[int, ...]:
    return tuple((first - 1 + later) % 12 + 1 for later in range(MONTHS))


# --- what upstreams do -------------------------------------------------------------------------

Fault = Callable[[pl.DataFrame, Random], tuple[pl.DataFrame, tuple[str, ...], str]]


def _nulls(window: pl.DataFrame, random: Random) -> tuple[pl.DataFrame, tuple[str, ...], str]:
    name = str(random.choice(FEATURES))
    share = _share(random, 0.15)
    broken = _where(window, share, random, pl.lit(None), name)
    return broken, (name,), f"{name}: null in {share:.0%}"


UNITS = {
    "distance": (1.609344, 5_280.0, 0.868976),
    "temp": ("celsius",),
    "dewp": ("celsius",),
    "humid": (0.01,),
    "wind_speed": (0.44704, 0.868976, 1.609344),
    "pressure": (0.02953, 100.0, 0.750062),
    "visib": (1.609344, 1_609.344),
}
FACTORS = (10.0, 100.0, 1_000.0, 60.0, 0.3048, 2.54, 0.1, 0.001, 3_600.0)


def _scale(window: pl.DataFrame, random: Random) -> tuple[pl.DataFrame, tuple[str, ...], str]:
    """Another unit of that feature (half), a common factor (a third), or any from 3 to 50."""
    way = random.random()
    name = str(random.choice(list(UNITS) if way < 0.5 else NUMBERS))
    if way < 0.5:
        factor = UNITS[name][int(random.integers(len(UNITS[name])))]
    elif way < 5 / 6:
        factor = float(random.choice(FACTORS))
    else:
        factor = float(np.exp(random.uniform(np.log(3), np.log(50))))
    share = _share(random, 0.3)
    changed = (pl.col(name) - 32) / 1.8 if factor == "celsius" else pl.col(name) * factor
    return (
        _where(window, share, random, changed, name),
        (name,),
        f"{name} x {factor} in {share:.0%}",
    )


def _offset(window: pl.DataFrame, random: Random) -> tuple[pl.DataFrame, tuple[str, ...], str]:
    """Some deviations (half), a named offset, or another time zone, round the clock."""
    way = random.random()
    share = _share(random, 0.3)
    if way < 0.5:
        name = str(random.choice(NUMBERS))
        deviation = float(window[name].std() or 1.0)  # type: ignore[arg-type]
        offset = round(float(random.choice([-1, 1]) * random.uniform(0.7, 4)) * deviation, 1)
        changed = pl.col(name) + offset
    elif way < 0.75:
        name, offset = (("temp", 459.67), ("dewp", 459.67), ("pressure", -1_000.0),
                        ("pressure", 29.0))[int(random.integers(4))]  # fmt: skip
        changed = pl.col(name) + offset
    else:
        name, offset = "sched_arr_time", float(random.choice([400, 500, -400, -500]))
        changed = (pl.col(name) + offset) % 2_400
    return (
        _where(window, share, random, changed, name),
        (name,),
        f"{name} + {offset} in {share:.0%}",
    )


SPELLINGS: dict[str, Callable[[pl.Expr], pl.Expr]] = {
    "small": lambda text: text.str.to_lowercase(),
    "blank behind": lambda text: text + " ",
    "padded": lambda text: text.str.pad_end(8),
    "ICAO": lambda text: "K" + text,
    "quoted": lambda text: '"' + text + '"',
    "dashed": lambda text: text.str.head(1) + "-" + text.str.slice(1),
    "full width": lambda text: text.map_elements(
        lambda one: "".join(chr(ord(letter) + 0xFEE0) for letter in one), pl.String
    ),
    "cut": lambda text: text.str.head(1),
    "other codes": lambda text: (
        (text.hash(7) % 100_000).cast(pl.String).str.pad_start(5, "0") + "#"
    ),
    "unknown": lambda text: pl.when(text.is_not_null()).then(pl.lit("UNKNOWN")),
}


def _spelling(window: pl.DataFrame, random: Random) -> tuple[pl.DataFrame, tuple[str, ...], str]:
    name, way = str(random.choice(CATEGORIES)), str(random.choice(list(SPELLINGS)))
    share = _share(random, 0.3)
    changed = SPELLINGS[way](pl.col(name))
    return _where(window, share, random, changed, name), (name,), f"{name}: {way} in {share:.0%}"


def _frozen(window: pl.DataFrame, random: Random) -> tuple[pl.DataFrame, tuple[str, ...], str]:
    """The last value for all that follow, or a default; categories for all rows only."""
    name = str(random.choice((*CATEGORIES, *NUMBERS)))
    share = 1.0 if name in CATEGORIES else _share(random, 0.3)
    values = window[name].drop_nulls()
    value = values[int(random.integers(len(values)))]
    if name in NUMBERS and random.random() < 0.4:
        value = type(value)(random.choice([0, -1, -999, 9_999]))
    return (
        _where(window, share, random, pl.lit(value), name),
        (name,),
        f"{name} = {value} in {share:.0%}",
    )


def _schema(window: pl.DataFrame, random: Random) -> tuple[pl.DataFrame, tuple[str, ...], str]:
    name = str(random.choice((*CATEGORIES, *NUMBERS)))
    way = int(random.integers(5))
    if way == 0:
        return window.drop(name), (name,), f"{name} dropped"
    if way == 1:
        return window.rename({name: name.upper()}), (name,), f"{name} renamed"
    if way == 2:
        other = "dest" if name == "origin" else "origin" if name in CATEGORIES else (
            "dewp" if name == "temp" else "temp"
        )  # fmt: skip
        return (
            window.rename({name: other, other: name}),
            (name, other),
            f"{name} and {other} swapped",
        )
    if way == 3 and name in NUMBERS:
        text = pl.col(name).cast(pl.Float64).cast(pl.String).str.replace(".", ",", literal=True)
        return window.with_columns(text.alias(name)), (name,), f"{name} with a decimal comma"
    share = _share(random, 0.3)
    codes = (
        pl.col(name).cast(pl.String) + " units"
        if name in NUMBERS
        else (pl.col(name).hash(3) % 997).cast(pl.String)
    )
    window = window.with_columns(pl.col(name).cast(pl.String))
    return (
        _where(window, share, random, codes, name),
        (name,),
        f"{name}: another type in {share:.0%}",
    )


FAULTS: dict[str, Fault] = {
    "nulls": _nulls,
    "scale": _scale,
    "offset": _offset,
    "spelling": _spelling,
    "frozen": _frozen,
    "schema": _schema,
}


def _share(random: Random, least: float) -> float:
    """Return the share of rows that a fault hits: all of them in every second case."""
    return 1.0 if random.random() < 0.5 else float(random.uniform(least, 1.0))


def _where(
    window: pl.DataFrame, share: float, random: Random, changed: pl.Expr, name: str
) -> pl.DataFrame:
    hit = pl.Series("hit", random.random(window.height) < share)
    return window.with_columns(pl.when(hit).then(changed).otherwise(pl.col(name)).alias(name))


# --- what worlds do ----------------------------------------------------------------------------

Shift = Callable[[Case, Flights, Random], Case]


def _season(case: Case, all_flights: Flights, random: Random) -> Case:
    """Another month, three to eight after the baseline began."""
    first, later = int(random.integers(1, 13)), int(random.integers(MONTHS, 9))
    month = _months(first + later)[:1]
    window, _ = all_flights.windows(month, case.window.height, random)
    return replace(
        case, baseline=all_flights.baseline(first), window=window,
        what=f"months from {first}, then month {month[0]}",
    )  # fmt: skip


def _mix(case: Case, _: Flights, random: Random) -> Case:
    """One level, three to eight times as frequent: rows are drawn again."""
    name = str(random.choice(CATEGORIES))
    frequent = case.window[name].value_counts(sort=True).head(6)[name]
    level = frequent[int(random.integers(len(frequent)))]
    times = float(random.uniform(3, 8))
    weights = np.where((case.window[name] == level).to_numpy(), times, 1.0)
    rows = random.choice(case.window.height, case.window.height, p=weights / weights.sum())
    return replace(case, window=case.window[rows], what=f"{name} {level} x {times:.1f}")


def _covariate(case: Case, _: Flights, random: Random) -> Case:
    """Large values of one feature, or small ones, many times as frequent; no other is aimed at."""
    name = str(random.choice(NUMBERS))
    values = case.window[name].fill_null(strategy="mean").to_numpy()
    ranks = np.argsort(np.argsort(values)) / len(values) - 0.5
    weights = np.exp(random.choice([-1, 1]) * random.uniform(2, 5) * ranks)
    rows = random.choice(case.window.height, case.window.height, p=weights / weights.sum())
    return replace(case, window=case.window[rows], what=f"{name} moved")


def _new_level(case: Case, _: Flights, random: Random) -> Case:
    """One frequent level, or several rare ones, that the baseline has never seen."""
    name = str(random.choice(CATEGORIES))
    counts = case.window[name].value_counts(sort=True)
    shares = (counts["count"] / case.window.height).to_numpy()
    start = int(random.integers(min(4, len(shares) - 1)))
    held, total = [], 0.0
    for place in range(start, len(shares)):
        held.append(counts[name][place])
        total += float(shares[place])
        if total > 0.12:
            break
    baseline = case.baseline.filter(~pl.col(name).is_in(held))
    return replace(case, baseline=baseline, what=f"{name} {', '.join(held)} ({total:.0%})")


SHIFTS: dict[str, Shift] = {
    "season": _season,
    "covariate": _covariate,
    "mix": _mix,
    "new level": _new_level,
}
