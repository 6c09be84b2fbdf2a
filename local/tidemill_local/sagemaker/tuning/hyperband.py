"""
Hyperband: many training jobs begin, and those that do worse at a rung (an epoch) are stopped there.

A tuning job's training jobs are dealt to brackets, which differ in how early their first rung is;
at each rung a third goes on, as in asynchronous successive halving.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tidemill_local.sagemaker.tuning import rules

_FACTOR = 3  # of those that reach a rung one in so many goes on; and how far rungs lie apart
_MOST_EPOCHS = 20_000
_EPOCHS = ("epochs", "numepochs", "n-epochs", "n_epochs", "num_epochs")


class ResourceError(Exception):
    """MinResource and MaxResource that cannot be meant; the sentence is fit for a caller."""


@dataclass(frozen=True)
class Resources:
    """How many epochs a training job has at the least and at the most."""

    least: int
    most: int


def resources(config: Mapping[str, Any], definition: Mapping[str, Any]) -> Resources:
    """
    Return the epochs of a definition's training jobs.

    Args:
        config: The HyperParameterTuningJobConfig.
        definition: The training job definition, whose StaticHyperParameters may tell MaxResource.

    Raises:
        ResourceError: Nothing tells it, or it is no range.
    """
    given = config.get("StrategyConfig", {}).get("HyperbandStrategyConfig", {})
    statics = definition.get("StaticHyperParameters", {})
    told = [statics[name] for name in _EPOCHS if name in statics]
    most = given.get("MaxResource") or (int(told[0]) if told and told[0].isdigit() else 0)
    if not most:
        raise ResourceError(
            "MaxResource is neither given nor told by StaticHyperParameters "
            f"({', '.join(_EPOCHS)}); set it in HyperbandStrategyConfig"
        )
    least = given.get("MinResource", 1)
    if not least <= most <= _MOST_EPOCHS:
        raise ResourceError(
            f"MaxResource must lie between MinResource ({least}) and {_MOST_EPOCHS}, not be {most}"
        )
    return Resources(least, most)


def first_rung(number: int, resources: Resources) -> int:
    """Return the first rung of a definition's training job of this number, from its bracket."""
    rungs = [resources.least]
    while rungs[-1] * _FACTOR <= resources.most:
        rungs.append(rungs[-1] * _FACTOR)
    # An earlier first rung costs less a job, so its bracket gets more of them.
    shares = [-(-len(rungs) * _FACTOR**left // (left + 1)) for left in reversed(range(len(rungs)))]
    deal = itertools.chain.from_iterable(
        [rung] * share for rung, share in zip(rungs, shares, strict=True)
    )
    return next(itertools.islice(deal, number % sum(shares), None))


def unpromising(
    epochs: Sequence[float],
    earlier: Sequence[Sequence[float]],
    rung: int,
    *,
    most: int,
    minimize: bool,
) -> bool:
    """
    Whether a training job is to be stopped at one of the rungs it has reached.

    Args:
        epochs: Its objective after each epoch so far.
        earlier: The same of the jobs of its bracket that were launched before it.
        rung: Its first rung.
        most: MaxResource: from there on nobody is compared.
        minimize: Whether a smaller objective is better.
    """
    while rung < most and rung <= len(epochs):
        value = epochs[rung - 1]
        there = [job[rung - 1] for job in earlier if len(job) >= rung]
        ahead = sum(rules.better(other, value, minimize=minimize) for other in there)
        if ahead >= max(1, (len(there) + 1) // _FACTOR):
            return True
        rung *= _FACTOR
    return False
