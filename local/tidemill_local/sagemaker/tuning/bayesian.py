"""
Bayesian search, by Optuna's tree-structured Parzen estimator (TPE).

SageMaker has a Gaussian process of its own; both learn from the trials so far where good values
lie. Nothing is remembered between two questions: each gets the whole history, so that a search goes
on after a crash as if there had been none.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tidemill_local.sagemaker.tuning.search import Parameter, Values, at_random

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

_FIRST_AT_RANDOM = 3  # trials that must have a result before there is anything to learn from
_QUESTIONS = 10  # to get values that were not tried yet


@dataclass(frozen=True)
class Trial:
    """
    What is known of a set of values.

    Attributes:
        values: By the hyperparameters' names, as training jobs are told them.
        objective: What came of it; None while nothing has.
        failed: Nothing will.
    """

    values: Values
    objective: float | None = None
    failed: bool = False


def suggest(
    ranges: Sequence[Parameter], trials: Sequence[Trial], *, minimize: bool, seed: str
) -> Values:
    """
    Return the set of values that promises most, and that was not tried if there is any.

    Args:
        ranges: What to choose from.
        trials: What is known; those with values outside the ranges teach nothing.
        minimize: Whether a smaller objective is better.
        seed: The same seed and trials give the same values.
    """
    # Here, not above: it takes a second, and most of what the local cloud does needs none of it.
    import optuna  # noqa: PLC0415

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    known = [trial for trial in trials if all(p.fits(trial.values.get(p.name, "")) for p in ranges)]
    tried = [trial.values for trial in trials]
    if sum(trial.objective is not None for trial in known) < _FIRST_AT_RANDOM:
        return at_random(ranges, tried, seed)
    distributions = {parameter.name: _distribution(parameter) for parameter in ranges}
    for question in range(_QUESTIONS):
        sampler = optuna.samplers.TPESampler(
            seed=zlib.crc32(f"{seed}/{question}".encode()),
            n_startup_trials=_FIRST_AT_RANDOM,
            multivariate=True,
            constant_liar=True,  # what runs now counts as bad, so that its neighbours wait
        )
        study = optuna.create_study(
            sampler=sampler, direction="minimize" if minimize else "maximize"
        )
        for trial in known:
            study.add_trial(
                optuna.trial.create_trial(
                    state=_state(trial),
                    value=trial.objective,
                    params={p.name: _inside(p, trial.values[p.name]) for p in ranges},
                    distributions=distributions,
                )
            )
        asked = study.ask(distributions).params
        found = {p.name: _outside(p, asked[p.name]) for p in ranges}
        if found not in tried:
            return found
    return at_random(ranges, tried, seed)


def _state(trial: Trial) -> Any:
    from optuna.trial import TrialState  # noqa: PLC0415 - as above

    if trial.objective is not None:
        return TrialState.COMPLETE
    return TrialState.FAIL if trial.failed else TrialState.RUNNING


def _distribution(parameter: Parameter) -> "BaseDistribution":
    from optuna import distributions  # noqa: PLC0415 - as above

    low, high = parameter.low, parameter.high
    if parameter.kind == "categorical":
        return distributions.CategoricalDistribution(parameter.values)
    logarithmic = parameter.scale == "Logarithmic"
    if parameter.kind == "integer":
        return distributions.IntDistribution(int(low), int(high), log=logarithmic)
    if parameter.scale == "ReverseLogarithmic":
        return distributions.FloatDistribution(1 - high, 1 - low, log=True)
    return distributions.FloatDistribution(low, high, log=logarithmic)


def _inside(parameter: Parameter, text: str) -> str | int | float:
    """Return a value as its distribution has it."""
    if parameter.kind == "categorical":
        return text
    number = float(text)
    if parameter.kind == "integer":
        return int(number)
    if parameter.scale == "ReverseLogarithmic":
        return min(max(1 - number, 1 - parameter.high), 1 - parameter.low)
    return number


def _outside(parameter: Parameter, value: Any) -> str:
    """Return a distribution's value as training jobs are told it."""
    if parameter.kind == "categorical":
        return str(value)
    if parameter.kind == "integer":
        return str(int(value))
    number = 1 - value if parameter.scale == "ReverseLogarithmic" else float(value)
    return repr(min(max(number, parameter.low), parameter.high))
