"""
A first look at what drifted: is the data wrong, or has the world changed?

A model that is trained on a broken upstream learns the fault; one that is not trained after a real
shift grows stale. Triage knows profiles only, so it goes by signs: what somebody did to the data
(a factor, an offset, another spelling) is the same in every row, and a world rarely is.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from tidemill_jobs.drift import say
from tidemill_jobs.drift.compare import FEW, cdf_of, counts_of, gone_categories, new_categories
from tidemill_jobs.drift.conversions import Undone
from tidemill_jobs.drift.distances import categorical, numeric, share_changes
from tidemill_jobs.drift.findings import Check, Comparison, FeatureDrift
from tidemill_jobs.drift.signs import Kind, Name, Sign, Triage
from tidemill_jobs.drift.spelling import RECODED, one_for_one, placeholders, respelled
from tidemill_jobs.drift.undo import ALL, alike, outside, stuck, undo
from tidemill_jobs.profile import Column, Profile

PREDICTION = "prediction"  # follows from the features: it tells of no upstream but our own
NULL_ODDS = 5.0  # times the odds of being missing: no season does that
FROZEN = 0.9  # of the rows at one value
VARIED = 0.5  # of the baseline's rows at that value, at most: else it hardly varied before
SAME_AS = 0.05  # distance up to which two columns are taken for one
MIX = 0.7  # of a value's growth that a category's growth explains


@dataclass(frozen=True, slots=True)
class _Case:
    """What is looked at: the findings, and the profiles that a change may have come from."""

    comparison: Comparison
    baseline: Profile
    current: Profile
    healthy: tuple[Profile, ...]  # the nearest first; the baseline is the last of them

    @property
    def moved(self) -> list[FeatureDrift]:
        """The features with findings that both sides have, the farthest first."""
        return [one for one in self.comparison.worst if one.verdict == "drifted"]


def triage(
    comparison: Comparison, baseline: Profile, current: Profile, recent: Profile | None = None
) -> Triage:
    """
    Say what a comparison's findings mean.

    Args:
        comparison: Of *baseline* and *current*; features without a finding are not looked at.
        baseline: What the version in service was trained on.
        current: The window.
        recent: The last window before it that was not broken, if there is one. What is done to
            the data in the middle of a season shows against it only.
    """
    healthy = (baseline,) if recent is None else (recent, baseline)
    case = _Case(comparison, baseline, current, healthy)
    signs = [*_schema(case)]
    signs += _swapped(case, {sign.feature for sign in signs})
    taken = {sign.feature for sign in signs}
    for one in case.moved:
        if one.feature not in taken:
            signs += _of_feature(case, one)
    signs.sort(key=lambda sign: not sign.broken)
    return Triage(_kind(signs), tuple(signs), _reason(signs, comparison))


def _kind(signs: Sequence[Sign]) -> Kind:
    if not signs:
        return "none"
    return "broken_upstream" if signs[0].broken else "shift"


def _reason(signs: Sequence[Sign], comparison: Comparison) -> str:
    if not signs:
        if comparison.verdict == "too_few_rows":
            return f"{comparison.rows:,} rows are too few to say anything."
        return "No feature that a model is asked with has drifted."
    broken = [sign for sign in signs if sign.broken]
    shifted = list(dict.fromkeys(sign.feature for sign in signs if not sign.broken))
    if not broken:
        words = f"{say.names(shifted)} moved as the world moves"
        more = "; nothing points to a fault in the data."
        return f"{words} ({signs[0].sentence.rstrip('.')}){more}"
    features = list(dict.fromkeys(sign.feature for sign in broken))
    told = f"The data of {say.names(features)} looks broken: {broken[0].sentence}"
    also = f" {say.names(shifted)} moved, too." if shifted else ""
    return told + also


def _schema(case: _Case) -> Iterator[Sign]:
    """Tell of columns that are gone or another's name, and of types that changed."""
    extra = [one.feature for one in case.comparison.features if one.verdict == "extra"]
    for one in case.comparison.worst:
        if one.verdict == "missing":
            was = case.baseline.columns[one.feature]
            heir = next((name for name in extra if _alike(was, case.current.columns[name])), None)
            if heir is None:
                yield Sign("missing_column", one.feature, one.findings[0].sentence)
            else:
                text = f"'{one.feature}' is gone, and '{heir}' came with its values: renamed?"
                yield Sign("renamed_column", one.feature, text)
        for found in one.findings:
            if found.check == "data_type_check":
                yield Sign("another_type", one.feature, found.sentence)


def _swapped(case: _Case, taken: set[str]) -> Iterator[Sign]:
    """Tell of two columns that hold each other's values."""
    far = [one.feature for one in case.moved if one.feature not in taken]
    for one, other in combinations(far, 2):
        pairs = ((one, other), (other, one))
        if any(
            all(_alike(healthy.column(a), case.current.column(b)) for a, b in pairs)
            for healthy in case.healthy
        ):
            for name, its in pairs:
                text = f"'{name}' holds what '{its}' held, and the other way round."
                yield Sign("swapped_columns", name, text)


def _of_feature(case: _Case, one: FeatureDrift) -> Iterator[Sign]:
    """Tell what became of a feature; the first sign of a fault is enough."""
    checks = {found.check for found in one.findings}
    broken = list(_broken(case, one, checks))
    if broken:
        yield from broken
    elif one.role == "category" and checks - {"completeness_check"}:
        yield _category_moved(one)
    elif checks - {"completeness_check"}:
        yield Sign("covariate", one.feature, _median_moved(case, one))
    if "completeness_check" in checks and not any(sign.sign == "nulls" for sign in broken):
        found = next(found for found in one.findings if found.check == "completeness_check")
        yield Sign("missingness", one.feature, found.sentence)


def _broken(case: _Case, one: FeatureDrift, checks: set[Check]) -> Iterator[Sign]:
    if "completeness_check" in checks and (found := _nulls(case, one)):
        yield found
    if not checks - {"completeness_check"}:
        return
    if one.role == "number":
        found = _frozen_number(case, one) or _converted(case, one) or _outside(case, one)
    elif one.role == "category":
        found = _frozen_category(case, one) or _respelled(case, one)
    else:
        found = None
    if found:
        yield found


def _nulls(case: _Case, one: FeatureDrift) -> Sign | None:
    """Tell of values that are missing in another measure than they always were."""
    now = case.current.column(one.feature)
    was = case.healthy[0].column(one.feature)
    if _odds(now) < NULL_ODDS * _odds(was):
        return None
    before, after = was.missing / max(1, was.rows), now.missing / max(1, now.rows)
    text = (
        f"'{one.feature}' is missing in {say.percent(after)} of the rows, before in "
        f"{say.percent(before)}."
    )
    return Sign("nulls", one.feature, text)


def _odds(column: Column) -> float:
    return (column.missing + 0.5) / (column.present + 0.5)


def _frozen_number(case: _Case, one: FeatureDrift) -> Sign | None:
    now = cdf_of(case.current.column(one.feature))
    for healthy in case.healthy:
        was = cdf_of(healthy.column(one.feature))
        found = stuck(was, now) if was.rows and now.rows else None
        if found is None or found.before > VARIED:
            continue
        if found.now < FROZEN and _is_mix(case, one, found.now - found.before):
            continue
        name: Name = "frozen" if found.now >= FROZEN else "stuck_value"
        text = (
            f"'{one.feature}' is {say.number(found.value)} in {say.percent(found.now)} of the "
            f"rows, before in {say.percent(found.before)}."
        )
        return Sign(name, one.feature, text)
    return None


def _is_mix(case: _Case, one: FeatureDrift, growth: float) -> bool:
    """Return whether a category grew as a number's value did: a route has its distance."""
    return any(
        growth * MIX <= change
        for other in case.moved
        if other.role == "category" and other.feature != one.feature
        for change in share_changes(
            *(counts_of(side.column(other.feature)) for side in (case.baseline, case.current))
        ).values()
    )


def _converted(case: _Case, one: FeatureDrift) -> Sign | None:
    if one.feature == PREDICTION:
        return None
    now = cdf_of(case.current.column(one.feature))
    learned = cdf_of(case.baseline.column(one.feature))
    for healthy in case.healthy:
        was = cdf_of(healthy.column(one.feature))
        if not numeric(was, now).linf_robust > case.comparison.settings.threshold:
            continue  # it was like this before: whatever was done to it was not done now
        found = undo(
            was,
            now,
            listed=healthy.column(one.feature).number_counts.complete,
            sudden=healthy is not case.baseline,
            shape=learned if healthy is not case.baseline and alike(learned, was) else None,
        )
        if found and (found.evidence != "apart" or _alone(case, one, healthy)):
            name: Name = "offset" if found.factor == 1.0 else "scale"
            return Sign(name, one.feature, _what_was_done(one.feature, found))
    return None


def _outside(case: _Case, one: FeatureDrift) -> Sign | None:
    if one.feature == PREDICTION:
        return None
    was, now = (cdf_of(side.column(one.feature)) for side in (case.baseline, case.current))
    numbers = case.baseline.column(one.feature).numbers
    if numbers is None or not was.rows or not now.rows:
        return None
    found = outside(was, now, (float(numbers.low), float(numbers.high)))
    if found is None:
        return None
    text = (
        f"'{one.feature}' is between {say.number(found.low)} and {say.number(found.high)} in "
        f"{say.percent(found.share)} of the rows, where hardly any value was before."
    )
    return Sign("out_of_range", one.feature, text)


def _alone(case: _Case, one: FeatureDrift, healthy: Profile) -> bool:
    """Return whether no other number moved: what a season does, it does to many."""
    limit = case.comparison.settings.threshold
    for other in case.moved:
        if other.role == "number" and other.feature not in (one.feature, PREDICTION):
            was, now = (cdf_of(side.column(other.feature)) for side in (healthy, case.current))
            if numeric(was, now).linf_robust > limit:
                return False
    return True


def _what_was_done(feature: str, found: Undone) -> str:
    rows = f"{say.percent(found.share)} of the rows" if found.share < ALL else "nearly all rows"
    if found.round:
        hours = say.number(min(found.offset, found.round - found.offset))
        return f"'{feature}' was turned by {hours} round {say.number(found.round)} in {rows}."
    about = "" if found.known else "about "
    if found.factor == 1.0 and not found.known:
        way = "more" if found.offset > 0 else "less"
        return f"'{feature}' is {about}{say.number(abs(found.offset))} {way} than before in {rows}."
    if found.offset or found.factor < 0:
        return f"'{feature}' was {found.known} in {rows}, and is unchanged otherwise."
    way, by = ("multiplied", found.factor) if found.factor > 1 else ("divided", 1 / found.factor)
    by_what = f"{about}{say.number(by)}" + (f" ({found.known})" if found.known else "")
    return f"'{feature}' was {way} by {by_what} in {rows}, and is unchanged otherwise."


def _frozen_category(case: _Case, one: FeatureDrift) -> Sign | None:
    was, now = (counts_of(side.column(one.feature)) for side in (case.healthy[0], case.current))
    value = max(now.listed, key=lambda category: now.listed[category], default=None)
    if value is None or now.listed[value] < FROZEN * now.rows:
        return None
    before = was.listed.get(value, 0) / was.rows if was.rows else 0.0
    if before > VARIED:
        return None
    text = (
        f"'{one.feature}' is '{value}' in {say.percent(now.listed[value] / now.rows)} of the rows, "
        f"before in {say.percent(before)}."
    )
    return Sign("frozen", one.feature, text)


def _respelled(case: _Case, one: FeatureDrift) -> Sign | None:
    was, now = (counts_of(side.column(one.feature)) for side in (case.baseline, case.current))
    new = new_categories(was, now)
    total = sum(new.values())
    if total <= case.comparison.settings.new_categories / 2:
        return None
    words = placeholders(new)
    if sum(words.values()) > total / 2:
        value, share = next(iter(words.items()))
        text = f"'{one.feature}' is '{value}' in {say.percent(share)} of the rows."
        return Sign("placeholder", one.feature, text)
    if found := respelled(new, was.listed):
        written, known = next(iter(found.pairs.items()))
        text = (
            f"{say.percent(found.share)} of '{one.feature}' are known values written "
            f"{found.words}, such as '{written}' for '{known}'."
        )
        return Sign("spelling", one.feature, text)
    gone = sum(gone_categories(was, now).values())
    if total >= RECODED and gone >= RECODED and len(was.listed) > 1:
        text = f"'{one.feature}' has none of its old values: another code list?"
        return Sign("recoded", one.feature, text)
    if one_for_one(was.listed, {value: now.listed[value] for value in new}):
        text = (
            f"{say.percent(total)} of '{one.feature}' are {len(new)} new values, in the shares of "
            f"the {len(was.listed)} old ones: another code list?"
        )
        return Sign("recoded", one.feature, text)
    return None


def _category_moved(one: FeatureDrift) -> Sign:
    if one.new and any(found.check == "categorical_values_check" for found in one.findings):
        value, share = next(iter(one.new.items()))
        text = f"'{value}' is new in '{one.feature}', with {say.percent(share)} of the rows."
        return Sign("new_level", one.feature, text)
    return Sign("mix", one.feature, one.findings[-1].sentence)


def _median_moved(case: _Case, one: FeatureDrift) -> str:
    medians = [
        float(column.numbers.sketch.quantile(0.5))
        for side in (case.baseline, case.current)
        if (column := side.column(one.feature)).numbers is not None
    ]
    if len(medians) < 2:  # noqa: PLR2004  # it was empty
        return one.findings[-1].sentence
    return (
        f"'{one.feature}' moved: its median went from {say.number(medians[0])} to "
        f"{say.number(medians[1])}."
    )


def _alike(one: Column, other: Column) -> bool:
    """Return whether two columns hold the same values in about the same shares."""
    if one.kind != other.kind or min(one.present, other.present) < FEW:
        return False
    if one.kind == "number":
        return numeric(cdf_of(one), cdf_of(other)).linf_robust <= SAME_AS
    if one.kind == "time":
        return False
    sides = counts_of(one), counts_of(other)
    few = min(side.rows for side in sides)
    chance = math.sqrt(len(sides[0].listed) / (8 * math.log(2) * few))  # of samples so small
    return categorical(*sides).js <= SAME_AS + chance
