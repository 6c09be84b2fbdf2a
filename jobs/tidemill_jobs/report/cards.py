"""One feature: what became of it, both samples in a picture, and in numbers."""

from collections.abc import Sequence
from typing import Final

from tidemill_jobs.drift import FeatureDrift, Sign
from tidemill_jobs.page import text
from tidemill_jobs.profile import Column, Profile
from tidemill_jobs.report import pictures
from tidemill_jobs.report.figures import NONE, cut, distance, number, share
from tidemill_jobs.times import minutes_text

PREDICTION: Final = "prediction"  # the feature that the model's answers are
_SMALL = 0.001  # p-values below it are all alike
_LONGEST = 120  # characters of a name
#: A mark and a word for each verdict; a report on paper has no colours.
_STATES = {
    "drifted": "▲ drifted",
    "missing": "✕ not there",
    "extra": "+ new column",
    "same": "○ same",
    "constant": f"{NONE} constant",
    "too_few_rows": "· too few rows",
    "not_judged": "· not judged",
}
_CLOSE = "△ close"
_DISTANCE = "baseline_drift_check"
#: What was found where it is not the distance.
_FOUND = {
    "data_type_check": "other type",
    "completeness_check": "missing cells",
    "missing_column_check": "not there",
    "extra_column_check": "new column",
    "categorical_values_check": "unknown values",
}


def card(
    feature: FeatureDrift,
    baseline: Profile,
    current: Profile,
    *,
    signs: Sequence[Sign],
    clears_below: float,
    opened: bool,
) -> str:
    """
    Return what is known of one feature, to be folded or unfolded.

    Args:
        feature: What became of it.
        baseline: The profile of what the version learned from.
        current: The window's.
        signs: What triage saw in it.
        clears_below: Not clearly the same above it.
        opened: It stands open.
    """
    was, now = (side.columns.get(feature.feature) for side in (baseline, current))
    far = "state far" if feature.findings and feature.verdict != "extra" else "state"
    decided = feature.distance if _by_distance(feature) and feature.verdict != "constant" else None
    known = f" {distance(decided)}" if decided is not None else ""
    bar = pictures.gauge(decided, feature.threshold) if decided is not None else ""
    answers = ' <span class="soft">(the answers)</span>' if feature.feature == PREDICTION else ""
    sentences = [sign.sentence for sign in signs] + [one.sentence for one in feature.findings]
    said = "".join(f"<p>{text(sentence)}</p>" for sentence in dict.fromkeys(sentences))
    note = f'<p class="soft">{text(feature.note)}</p>' if feature.note else ""
    return (
        f'<details class="f"{" open" if opened else ""}><summary><span>{name_of(feature.feature)}'
        f'{answers}</span><span class="{far}">{state(feature, clears_below)}{known}</span>'
        f"{bar}</summary>"
        f"{said}{note}{pictures.overlay(was or Column(), now or Column())}"
        f"{_numbers(was, now)}{_distances(feature)}</details>"
    )


def _by_distance(feature: FeatureDrift) -> bool:
    """Say whether the distance is what the verdict rests on."""
    return not feature.findings or any(one.check == _DISTANCE for one in feature.findings)


def state(feature: FeatureDrift, clears_below: float) -> str:
    """Return a feature's verdict, as a mark and a word."""
    if is_close(feature, clears_below):
        return _CLOSE
    if _by_distance(feature) or feature.verdict in ("missing", "extra"):
        found = feature.findings and feature.verdict not in ("missing", "extra")
        return _STATES["drifted" if found else feature.verdict]
    return f"▲ {_FOUND[feature.findings[0].check]}"


def _numbers(was: Column | None, now: Column | None) -> str:
    """Return what is known of both samples in numbers, side by side."""
    lines = [
        (title, *cells)
        for title, *cells in zip(
            ("missing", "different", "mean", "middle", "5 % to 95 %", "least", "greatest"),
            _told(was),
            _told(now),
            strict=True,
        )
        if any(cells)
    ]
    body = "".join(
        f'<tr><th scope="row">{title}</th><td>{one or NONE}</td><td>{other or NONE}</td></tr>'
        for title, one, other in lines
    )
    return (
        '<table class="nums"><thead><tr><td></td><th scope="col">learned</th>'
        f'<th scope="col">now</th></tr></thead><tbody>{body}</tbody></table>'
    )


def _told(column: Column | None) -> list[str]:
    if column is None or not column.rows:
        return [""] * 7
    kind, present = column.kind, column.present
    told = [share((column.rows - present) / column.rows)]
    told.append(f"{'' if column.complete else 'about '}{column.distinct:,}" if present else "")
    if kind == "number" and column.numbers and column.numbers.count:
        numbers = column.numbers
        low, middle, high = (float(one) for one in numbers.sketch.quantile((0.05, 0.5, 0.95)))
        between = f"{number(low, 3)} to {number(high, 3)}"
        ends = (number(numbers.low), number(numbers.high))
        return [*told, number(numbers.mean), number(middle), between, *ends]
    if kind == "time" and column.times and column.times.count:
        middle = float(column.times.sketch.quantile(0.5))
        ends = (minutes_text(column.times.low), minutes_text(column.times.high))
        return [*told, "", minutes_text(middle), "", *ends]
    return [*told, *[""] * 5]


def _distances(feature: FeatureDrift) -> str:
    names = {
        "ks": "KS",
        "psi": "PSI",
        "js": "Jensen-Shannon",
        "wasserstein_std": "Wasserstein (standard deviations)",
        "chi2": "chi-squared",
    }
    known = feature.distances.document()
    told = [f"{title} {number(known[name], 3)}" for name, title in names.items() if name in known]
    if "p_value" in known:
        told.append(f"p {known['p_value']:.2g}" if known["p_value"] >= _SMALL else "p < 0.001")
    return f'<p class="soft">{text(" · ".join(told))}</p>' if told else ""


def is_close(feature: FeatureDrift, clears_below: float) -> bool:
    """Say whether it has not drifted, and is not clearly the same either."""
    return feature.verdict == "same" and not feature.clear(clears_below)


def name_of(name: str) -> str:
    """Return a column's name, as far as there is room for it."""
    return f"<code>{text(cut(name, _LONGEST))}</code>" if name else '<em class="soft">no name</em>'
