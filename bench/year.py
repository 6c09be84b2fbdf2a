"""
A year of noisy drift: how often each policy retrains, and what it loses in quality by that.

Traffic is simulated, because its truth must be known: six features, a weekly rhythm, a slow season,
single days that are off, and three real shifts that also change what the answer depends on. What
looks at it is the product's own code: profiles, distances and `decide_drift`, with the defaults of
model.yaml but for the length of a window, which is a day.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import reduce

import numpy as np
import polars as pl
from cloud import Workspace
from figures import Figure, Result, median
from numpy.typing import NDArray

from tidemill.domain.drift import History, Told, Window, decide_drift, remember
from tidemill.spec.compiled import Drift
from tidemill_jobs.drift import Comparison, DriftSettings, compare
from tidemill_jobs.metrics import Outcome, auc
from tidemill_jobs.profile import Profile, Profiler

SEEDS, QUICK_SEEDS = 20, 2
Floats = NDArray[np.float64]

DAYS, DAY, FIRST = 365, 86_400.0, 28  # the first days train the first version
FEATURES, SHIFTS = 6, 3
LEARNED_FROM = 28  # days: `prepare.window.age`
WEEKDAY_ROWS, WEEKEND_ROWS = 1_500, 400
SETTINGS = Drift()


@dataclass(frozen=True, slots=True)
class Day:
    """One day's requests, with the truth that is known the day after."""

    rows: Floats  # of shape (n, FEATURES)
    truth: Floats  # of shape (n,), 0 or 1
    profile: Profile
    best: float  # the AUC of whoever knows what the answer depends on


@dataclass(slots=True)
class Policy:
    """What a policy keeps from day to day; `decide` says whether to retrain now."""

    decide: Callable[["Policy", int, Comparison | None], bool]
    history: History = field(default_factory=History)
    told: list[Told] = field(default_factory=list)
    weights: Floats = field(default_factory=lambda: np.zeros(FEATURES + 1))
    baseline: Profile | None = None
    retrained: list[int] = field(default_factory=list)
    lost: list[float] = field(default_factory=list)


def measure(workspace: Workspace) -> Result:
    """Let every policy live through the same years."""
    seeds = QUICK_SEEDS if workspace.quick else SEEDS
    policies = {
        "never": _never,
        "one datapoint over the threshold": _at_once,
        "3 of 5 windows, with cooldown (ours)": _ours,
        "every day": _always,
    }
    retrains: dict[str, list[float]] = {name: [] for name in policies}
    lost: dict[str, list[float]] = {name: [] for name in policies}
    idle: dict[str, list[float]] = {name: [] for name in policies}
    for seed in range(seeds):
        shifts, days = _year(seed)
        for name, decide in policies.items():
            lived = _live(Policy(decide), days)
            retrains[name].append(len(lived.retrained))
            lost[name].append(100 * float(np.mean(lived.lost)))
            idle[name].append(sum(not _was_due(day, shifts) for day in lived.retrained))
    figures = [
        figure
        for name in policies
        for figure in (
            Figure(f"{name}: retrains a year", median(retrains[name]), note=f"of {seeds} years"),
            Figure(f"{name}: without a shift", median(idle[name]), note="in the 28 days before"),
            Figure(f"{name}: AUC lost, in hundredths", median(lost[name]), note="mean of the days"),
        )
    ]
    samples = {f"{name}: lost": values for name, values in lost.items()}
    samples |= {f"{name}: retrains": values for name, values in retrains.items()}
    return Result("A year of noisy drift", tuple(figures), samples)


def _year(seed: int) -> tuple[list[int], list[Day]]:
    """Return the days of the real shifts, and all days."""
    chance = np.random.default_rng(seed)
    shifts = sorted(int(day) for day in chance.choice(np.arange(60, DAYS - 30), SHIFTS, False))
    centre, weights = np.zeros(FEATURES), chance.normal(0, 1, FEATURES)
    season = chance.uniform(0, 2 * np.pi, FEATURES)
    days = []
    for day in range(DAYS):
        if day in shifts:
            moved = chance.choice(FEATURES, 2, replace=False)
            centre[moved] += chance.choice([-1, 1], 2) * chance.uniform(0.6, 1.4, 2)
            weights[moved] = chance.normal(0, 1, 2)
        weekend = day % 7 >= 5  # noqa: PLR2004  # Saturday is day 5 of the simulated week
        middle = centre + 0.08 * np.sin(2 * np.pi * day / 365 + season) + 0.1 * weekend
        if chance.random() < 0.06:  # noqa: PLR2004  # a day that is off: a holiday, a campaign
            middle[chance.integers(FEATURES)] += chance.choice([-1, 1]) * chance.uniform(0.4, 0.8)
        count = int(chance.poisson(WEEKEND_ROWS if weekend else WEEKDAY_ROWS))
        days.append(_day(chance, middle, weights, count))
    return shifts, days


def _day(chance: np.random.Generator, middle: Floats, weights: Floats, count: int) -> Day:
    rows = chance.normal(middle, 1.0, (count, FEATURES))
    score = rows @ weights - middle @ weights
    truth = (chance.random(count) < 1 / (1 + np.exp(-score))).astype(float)
    profiler = Profiler()
    profiler.add(pl.DataFrame({f"x{n}": rows[:, n] for n in range(FEATURES)}))
    return Day(rows, truth, profiler.profile(), _auc(truth, score))


def _auc(truth: Floats, scores: Floats) -> float:
    return auc(Outcome("binary", truth, scores))


def _live(policy: Policy, days: list[Day]) -> Policy:
    _retrain(policy, days[:FIRST])
    policy.retrained.clear()
    for number in range(FIRST, DAYS):
        day = days[number]
        answers = np.column_stack([day.rows, np.ones(len(day.rows))]) @ policy.weights
        policy.lost.append(day.best - _auc(day.truth, answers))
        compared = None
        if policy.decide in LOOKING:
            assert policy.baseline is not None
            compared = compare(policy.baseline, day.profile, _settings(policy))
        if policy.decide(policy, number, compared):
            policy.retrained.append(number)
            _retrain(policy, days[max(0, number + 1 - LEARNED_FROM) : number + 1])
            policy.history = History(since=(number + 1) * DAY)
    return policy


def _settings(policy: Policy) -> DriftSettings:
    """One datapoint is one datapoint: whoever alarms on it asks for no number of rows."""
    least = SETTINGS.minimum_rows if policy.decide is _ours else 1
    return DriftSettings(SETTINGS.distance, SETTINGS.threshold, minimum_rows=least)


def _retrain(policy: Policy, learned_from: list[Day]) -> None:
    rows = np.concatenate([day.rows for day in learned_from])
    truth = np.concatenate([day.truth for day in learned_from])
    policy.weights = _logistic(rows, truth)
    if policy.decide in LOOKING:
        profiles = (day.profile for day in learned_from)
        policy.baseline = reduce(Profile.merge, profiles)


def _logistic(rows: Floats, truth: Floats) -> Floats:
    """Return the weights of a logistic regression with an intercept, by Newton's method."""
    known = np.column_stack([rows, np.ones(len(rows))])
    weights = np.zeros(known.shape[1])
    for _ in range(8):
        share = 1 / (1 + np.exp(-known @ weights))
        curve = (known * (share * (1 - share))[:, None]).T @ known + np.eye(len(weights))
        weights += np.linalg.solve(curve, known.T @ (truth - share) - weights)
    return weights


def _ours(policy: Policy, day: int, compared: Comparison | None) -> bool:
    assert compared is not None
    window = Window(
        day * DAY,
        compared.rows,
        drifted=compared.drifted,
        between=compared.unclear(SETTINGS.clears_below),
    )
    policy.history = remember(policy.history, [window], SETTINGS, policy.told)
    now = (day + 1) * DAY
    found = decide_drift(policy.history, SETTINGS, policy.told, now).finding
    if found is not None:
        told = Told(found.id, found.kind, now, found.window, tuple(found.features))
        policy.told.append(told)
    return found is not None


def _at_once(_policy: Policy, _day: int, compared: Comparison | None) -> bool:
    assert compared is not None
    return bool(compared.drifted)


def _never(_policy: Policy, _day: int, _compared: Comparison | None) -> bool:
    return False


def _always(_policy: Policy, _day: int, _compared: Comparison | None) -> bool:
    return True


def _was_due(day: int, shifts: list[int]) -> bool:
    return any(day - LEARNED_FROM <= shift <= day for shift in shifts)


LOOKING = (_ours, _at_once)
