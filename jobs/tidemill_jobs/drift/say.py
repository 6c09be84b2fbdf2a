"""What a comparison found, as sentences for the owner of a model."""

from collections.abc import Mapping
from typing import Final

from tidemill_jobs.drift.findings import DriftSettings, FeatureDrift

TIME: Final = "its values are times, which move on by themselves; only its gaps are judged"
IDENTIFYING: Final = "it names nearly every row differently; only its gaps are judged"
_NAMED = 3
_WORDS: Final = {
    "integral": "whole numbers",
    "fractional": "fractions",
    "number": "numbers",
    "infinite": "infinite or too large numbers",
    "boolean": "true or false",
    "time": "times",
    "text": "text",
}


def percent(share: float) -> str:
    """Write a share so that 0 and 1 mean none and all."""
    if 0 < share < 0.01:  # noqa: PLR2004
        return "less than 1 %"
    if 0.99 < share < 1:  # noqa: PLR2004
        return "more than 99 %"
    return f"{share:.0%}".replace("%", " %")


def number(value: float) -> str:
    """Write a number with four digits that mean something."""
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.4g}"  # noqa: PLR2004


def names(features: list[str]) -> str:
    """Name the first features and count the others."""
    named = [f"'{feature}'" for feature in features[:_NAMED]]
    if len(features) > _NAMED:
        return f"{', '.join(named)} and {len(features) - _NAMED} more"
    return " and ".join([", ".join(named[:-1]), named[-1]] if named[1:] else named)


def missing(name: str) -> str:
    """Tell of a column that is gone."""
    return f"'{name}' is a column of the baseline and is missing altogether."


def added(name: str) -> str:
    """Tell of a column that is new."""
    return f"'{name}' is no column of the baseline."


def too_few(baseline: int, current: int, least: int) -> str:
    """Tell why there is no verdict."""
    side = "the baseline has" if baseline < least else "there are"
    return f"{side} {min(baseline, current):,} rows, and a verdict takes {least:,}"


def incomplete(name: str, before: float, after: float) -> str:
    """Tell of values that are missing."""
    return (
        f"'{name}' is missing in {percent(1 - after)} of the rows; in the baseline it was in "
        f"{percent(1 - before)}."
    )


def filled(name: str, share: float) -> str:
    """Tell of values where there were none."""
    return (
        f"'{name}' was empty in the whole baseline and has values in {percent(share)} of the rows."
    )


def another_type(name: str, before: Mapping[str, float], after: Mapping[str, float]) -> str:
    """Tell of a type that changed."""
    was = max(before, key=before.__getitem__)
    grown = max(after, key=lambda kind: after[kind] - before.get(kind, 0.0))
    return (
        f"'{name}' held {_WORDS[was]} in {percent(before[was])} of its values, now in "
        f"{percent(after[was])}; {percent(after[grown])} are {_WORDS[grown]}."
    )


def new_categories(name: str, new: Mapping[str, float], share: float) -> str:
    """Tell of values that the baseline does not have."""
    return (
        f"'{name}' has values that the baseline does not have in {percent(share)} of the rows, "
        f"such as {_quoted(new)}."
    )


def far(feature: FeatureDrift, distance: float, settings: DriftSettings) -> str:
    """Tell of a distribution that moved."""
    if feature.role == "category" and settings.categorical == "ChiSquared":
        return (
            f"'{feature.feature}' has other shares than in the baseline (chi-squared "
            f"{number(feature.distances.chi2)}, p {number(feature.q_value or 0.0)} among all "
            "features)."
        )
    return (
        f"'{feature.feature}' is {distance:.2f} from the baseline ({settings.distance} L-infinity "
        f"distance; {settings.threshold:.2f} is allowed)."
    )


def _quoted(values: Mapping[str, float]) -> str:
    shown = [f"'{value}'" if len(value) <= 40 else f"'{value[:40]}…'" for value in values]  # noqa: PLR2004
    return ", ".join(shown[:_NAMED])
