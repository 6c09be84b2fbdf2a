"""Hold a window's profile against the baseline's, feature by feature; no row is read again."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from tidemill_jobs.drift import say
from tidemill_jobs.drift.distances import Cdf, Counts, Distances, categorical, numeric
from tidemill_jobs.drift.findings import (
    Comparison,
    DriftSettings,
    FeatureDrift,
    Finding,
    Role,
    Verdict,
    known,
)
from tidemill_jobs.drift.significance import adjusted
from tidemill_jobs.profile import Column, Profile
from tidemill_jobs.values import Kind

FEW = 30  # values on a side below which a distribution says nothing
IDENTIFYING = 0.5  # as many different texts as half of the rows: names, not categories
SURELY = 10.0  # a category is new when it is so many times more frequent than it can have been
EXPECTED = 10.0  # rows that say something of one category
LISTED = 10  # new and gone categories that a comparison names
_DEVIATIONS = 3.0  # of a share's sampling noise

ROLES: Mapping[str | None, Role] = {
    "number": "number",
    "boolean": "category",
    "category": "category",
    "time": "time",
    None: "unknown",
}


@dataclass(frozen=True, slots=True)
class _Side:
    """What a column derives from its tallies at every question, asked once."""

    column: Column
    kind: Kind | None
    rows: int
    present: int
    kinds: Mapping[str, int]

    @classmethod
    def of(cls, column: Column) -> Self:
        return cls(column, column.kind, column.rows, column.present, column.kinds)

    @property
    def missing(self) -> int:
        return self.rows - self.present

    @property
    def completeness(self) -> float:
        return self.present / self.rows if self.rows else 0.0


def compare(baseline: Profile, current: Profile, settings: DriftSettings) -> Comparison:
    """
    Return what became of every feature of either profile.

    With fewer than `minimum_rows` rows on a side, columns that are missing or extra are found and
    nothing else is; without any rows, nothing is.
    """
    names = [name for name in baseline.columns if name not in settings.ignore]
    extra = [name for name in current.columns if name not in (*names, *settings.ignore)]
    few = min(baseline.rows, current.rows) < max(1, settings.minimum_rows)
    features = []
    for name in names:
        if name not in current.columns:
            features.append(_missing(name, baseline, current, settings))
        elif few:
            features.append(_too_few(name, baseline, current, settings))
        else:
            was, now = _Side.of(baseline.columns[name]), _Side.of(current.columns[name])
            features.append(_present(name, was, now, settings))
    features += [_extra(name, current) for name in extra if current.rows]
    return Comparison(baseline.rows, current.rows, settings, _judged(features, settings))


def cdf_of(column: Column) -> Cdf:
    """
    Return the distribution of a column's numbers; infinite ones are left out.

    It is exact while the column has few different numbers, else as its sketch has it.
    """
    if column.numbers is None:
        return Cdf(np.empty(0), np.empty(0))
    counts = column.number_counts.counts
    if not counts:  # too many to be counted one by one, or counted as a category's texts
        return Cdf(*column.numbers.sketch.cdf())
    values = np.fromiter(counts.keys(), float, len(counts))
    order = np.argsort(values)
    return Cdf(values[order], np.cumsum(np.fromiter(counts.values(), float, len(counts))[order]))


def _deviation(column: Column) -> float | None:
    return column.numbers.std_dev if column.numbers is not None else None


def counts_of(column: Column) -> Counts:
    """Return a column's values as categories, with what is not known of them."""
    categories = column.categories
    listed = sum(categories.values())
    if column.complete:
        return Counts(categories, column.present - listed)
    other = max(0, column.present - listed)
    # Numbers and times are given up at once when they are too many: then any could be frequent.
    given_up = not (column.number_counts.complete and column.minute_counts.complete)
    return Counts(categories, other, other if given_up else min(other, column.error))


def _missing(
    name: str, baseline: Profile, current: Profile, settings: DriftSettings
) -> FeatureDrift:
    if not current.rows:
        return _too_few(name, baseline, current, settings)
    found = Finding(name, "missing_column_check", 1.0, 0.0, say.missing(name))
    was = _completeness(baseline.columns[name])
    return FeatureDrift(
        name,
        "missing",
        ROLES[baseline.columns[name].kind],
        completeness=(was, 0.0),
        findings=(found,),
    )


def _extra(name: str, current: Profile) -> FeatureDrift:
    column = current.columns[name]
    found = Finding(name, "extra_column_check", 1.0, 0.0, say.added(name))
    return FeatureDrift(
        name,
        "extra",
        ROLES[column.kind],
        column.present,
        completeness=(0.0, _completeness(column)),
        findings=(found,),
    )


def _too_few(
    name: str, baseline: Profile, current: Profile, settings: DriftSettings
) -> FeatureDrift:
    was, now = baseline.columns[name], current.column(name)
    return FeatureDrift(
        name,
        "too_few_rows",
        ROLES[was.kind],
        now.present,
        threshold=settings.threshold,
        completeness=(_completeness(was), _completeness(now)),
        note=say.too_few(baseline.rows, current.rows, settings.minimum_rows),
    )


def _present(name: str, was: _Side, now: _Side, settings: DriftSettings) -> FeatureDrift:
    """Compare a feature that both sides have, with enough rows."""
    role = ROLES[was.kind]
    feature = FeatureDrift(
        name,
        "same",
        role,
        now.present,
        threshold=settings.threshold,
        completeness=(was.completeness, now.completeness),
    )
    findings = [
        *_completeness_findings(name, was, now, settings),
        *_type_findings(name, was, now, settings),
    ]
    if note := _not_judged(role, was, now):
        verdict: Verdict = "not_judged"
        return replace(feature, verdict=verdict, note=note, findings=tuple(findings))
    if not was.present:
        return replace(feature, findings=(*findings, *_filled(name, now, settings)))
    if _constant(was, now):
        return replace(feature, verdict="constant", distance=0.0, findings=tuple(findings))
    if min(was.present, now.present) < FEW:
        few = say.too_few(was.present, now.present, FEW)
        return replace(feature, verdict="too_few_rows", note=few, findings=tuple(findings))
    if role == "number":
        return replace(
            feature,
            distances=numeric(cdf_of(was.column), cdf_of(now.column), _deviation(was.column)),
            findings=tuple(findings),
        )
    counts = counts_of(was.column), counts_of(now.column)
    new, gone = new_categories(*counts), gone_categories(*counts)
    if sum(new.values()) > settings.new_categories:
        share = sum(new.values())
        sentence = say.new_categories(name, new, share)
        findings.append(
            Finding(name, "categorical_values_check", share, settings.new_categories, sentence)
        )
    return replace(
        feature,
        distances=categorical(*counts),
        new=_largest(new),
        gone=_largest(gone),
        findings=tuple(findings),
    )


def _judged(features: Iterable[FeatureDrift], settings: DriftSettings) -> tuple[FeatureDrift, ...]:
    """Decide by the distances, once they are all known: p-values depend on how many were tested."""
    features = tuple(features)
    q_values = adjusted({one.feature: one.distances.p_value for one in features})
    return tuple(
        _decided(replace(one, q_value=known(q_values[one.feature])), settings) for one in features
    )


def _decided(feature: FeatureDrift, settings: DriftSettings) -> FeatureDrift:
    distance = known(_deciding(feature.distances, settings))
    if distance is None:
        if feature.findings and feature.verdict not in ("missing", "extra"):
            return replace(feature, verdict="drifted")
        return feature
    feature = replace(feature, distance=distance)
    if _is_far(feature, distance, settings):
        sentence = say.far(feature, distance, settings)
        found = Finding(
            feature.feature, "baseline_drift_check", distance, settings.threshold, sentence
        )
        feature = replace(feature, findings=(*feature.findings, found))
    return replace(feature, verdict="drifted") if feature.findings else feature


def _deciding(distances: Distances, settings: DriftSettings) -> float:
    return distances.linf_robust if settings.distance == "robust" else distances.linf_simple


def _is_far(feature: FeatureDrift, distance: float, settings: DriftSettings) -> bool:
    if feature.role == "category" and settings.categorical == "ChiSquared":
        return feature.q_value is not None and feature.q_value <= settings.false_discovery
    return distance > settings.threshold


def _completeness(column: Column) -> float:
    return column.present / column.rows if column.rows else 0.0


def _completeness_findings(
    name: str, was: _Side, now: _Side, settings: DriftSettings
) -> list[Finding]:
    before, after = was.completeness, now.completeness
    noise = _noise(was.missing + now.missing, was.rows, now.rows)
    if before - after - noise <= settings.completeness_drop:
        return []
    sentence = say.incomplete(name, before, after)
    allowed = before - settings.completeness_drop
    return [Finding(name, "completeness_check", after, allowed, sentence)]


def _type_findings(name: str, was: _Side, now: _Side, settings: DriftSettings) -> list[Finding]:
    """Tell how much of the type mix moved; whole numbers are numbers, unless all were whole."""
    if min(was.present, now.present) < FEW:
        return []
    before, after = _types(was, was), _types(now, was)
    moved = max(0.0, max(before.values()) - after[max(before, key=before.__getitem__)])
    noise = _noise(round(moved * now.present), was.present, now.present)
    if moved - noise <= settings.type_share:
        return []
    sentence = say.another_type(name, before, after)
    return [Finding(name, "data_type_check", moved, settings.type_share, sentence)]


def _types(side: _Side, baseline: _Side) -> dict[str, float]:
    kinds = {kind: rows / side.present for kind, rows in side.kinds.items()}
    kinds["infinite"] = side.column.infinities / side.present
    kinds["fractional"] -= kinds["infinite"]
    if baseline.kinds["fractional"] > baseline.column.infinities:
        kinds["number"] = kinds.pop("integral") + kinds.pop("fractional")
    return kinds


def _noise(found: int, baseline: int, current: int) -> float:
    """Return how much a share of so many rows differs between two samples by chance."""
    share = found / (baseline + current)
    return _DEVIATIONS * math.sqrt(share * (1.0 - share) * (1.0 / baseline + 1.0 / current))


def _not_judged(role: Role, was: _Side, now: _Side) -> str:
    if role == "time":
        return say.TIME
    texts = role == "category" and min(was.present, now.present) >= FEW
    if texts and was.column.distinct > IDENTIFYING * was.present:
        return say.IDENTIFYING
    return ""


def _filled(name: str, now: _Side, settings: DriftSettings) -> list[Finding]:
    """Tell of values where the baseline had none; without any, there is nothing to tell."""
    share = now.completeness
    if share <= settings.threshold:
        return []
    sentence = say.filled(name, share)
    return [Finding(name, "baseline_drift_check", share, settings.threshold, sentence)]


def _constant(was: _Side, now: _Side) -> bool:
    before, after = was.column, now.column
    if not before.complete or before.distinct != 1:
        return False
    same = after.complete and after.counts.keys() == before.counts.keys()
    return same or not now.present


def new_categories(baseline: Counts, current: Counts) -> dict[str, float]:
    """Return the shares of categories that the baseline cannot have had to any such extent."""
    possible = SURELY * baseline.error / baseline.rows * current.rows
    least = max(possible, EXPECTED) if baseline.error else 0.0
    found = {
        category: rows / current.rows
        for category, rows in current.listed.items()
        if category not in baseline.listed and rows > least
    }
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def gone_categories(baseline: Counts, current: Counts) -> dict[str, float]:
    """Return the baseline's shares of categories that should have occurred, and did not."""
    found = {
        category: rows / baseline.rows
        for category, rows in baseline.listed.items()
        if category not in current.listed
        and rows / baseline.rows * current.rows > EXPECTED + SURELY * current.error
    }
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def _largest(shares: Mapping[str, float]) -> dict[str, float]:
    return dict(list(shares.items())[:LISTED])
