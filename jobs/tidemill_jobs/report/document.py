"""The report's page: the answer first, then the features, the farthest first; the rest folded."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tidemill_jobs.drift import Comparison, FeatureDrift, Triage
from tidemill_jobs.page import facts, page, text
from tidemill_jobs.profile import Profile
from tidemill_jobs.report import pictures, words
from tidemill_jobs.report.cards import card, is_close, name_of, state
from tidemill_jobs.report.figures import distance, moment, rows, share
from tidemill_jobs.report.look import Look, Past, in_order
from tidemill_jobs.report.style import STYLE

FILE_NAME: Final = "report.html"

OPEN = 8  # features that stand open at the most
FEW = 3  # features that do when none is away
LINES = len(pictures.MARKS)
MISSING = 12  # columns that the picture of missing cells shows
SIGNS = 12  # of a broken upstream
_TYPED = re.compile(r"`([^`]+)`")


@dataclass(frozen=True, slots=True)
class _Report:
    """What every part of the page is made from."""

    look: Look
    baseline: Profile
    current: Profile
    comparison: Comparison
    triage: Triage
    history: Sequence[Past]


def to_html(
    look: Look,
    baseline: Profile,
    current: Profile,
    comparison: Comparison,
    *,
    triage: Triage,
    history: Sequence[Past] = (),
) -> str:
    """
    Return the page.

    Args:
        look: Which look it was and what it decided.
        baseline: The profile of what the version learned from, and answered then.
        current: The window's.
        comparison: Of the two.
        triage: What the comparison means.
        history: Windows before this one, in any order.
    """
    past = in_order(history, look, comparison)
    report = _Report(look, baseline, current, comparison, triage, past)
    title = words.title_of(look)
    worst = sorted(comparison.features, key=_rank)
    shown = [one for one in worst if _is_open(one, look)][:OPEN] or worst[:FEW]
    rest = [one for one in worst if one not in shown]
    body = (
        f"<h1>{text(title)}</h1>",
        _lead(report),
        _about(report),
        _helped(report),
        _over_time(report),
        _features(report, shown),
        _missing(report),
        _rest(report, rest),
        _HELP,
    )
    return page(title, "".join(body), STYLE)


def _rank(feature: FeatureDrift) -> tuple[float, float, str]:
    """Return what orders features: what counts, then what is left when chance is not taken off."""
    simple = feature.distances.linf_simple
    return -feature.severity, -simple if simple == simple else 0.0, feature.feature  # noqa: PLR0124  # NaN


def _is_open(feature: FeatureDrift, look: Look) -> bool:
    return bool(feature.findings) or is_close(feature, look.clears_below)


def _lead(report: _Report) -> str:
    look, triage = report.look, report.triage
    broken = [sign for sign in triage.signs if sign.broken]
    signs = "".join(f"<li>{text(sign.sentence)}</li>" for sign in broken[:SIGNS])
    more = len(broken) - SIGNS
    signs += f'<li class="soft">and {more:,} more</li>' if more > 0 else ""
    said = (
        ("What was found", _said(words.found(look))),
        ("What it means", _said(triage.reason) + (f"<ul>{signs}</ul>" if signs else "")),
        ("What happens next", _said(words.next_step(look))),
        ("How sure that is", _said(words.sureness(look, report.comparison))),
    )
    listed = "".join(f"<dt>{title}</dt><dd>{html}</dd>" for title, html in said)
    return f'<div class="lead {look.verdict}"><dl>{listed}</dl></div>'


def _said(sentence: str) -> str:
    """Return a paragraph; what stands between backticks is typed, or a name."""
    typed = _TYPED.sub(r"<code>\1</code>", text(sentence))
    return f"<p>{typed}</p>"


def _about(report: _Report) -> str:
    look = report.look
    unread = sum(look.unread.values())
    told = [
        ("Model", f"{look.model}, version {look.version}"),
        ("Window", f"{moment(look.start)} to {moment(look.end)} UTC"),
        ("Rows", f"{report.comparison.rows:,} asked; {report.comparison.baseline_rows:,} learned"),
    ]
    if unread:
        why = ", ".join(f"{count:,} {reason}" for reason, count in sorted(look.unread.items()))
        told.append(("Not read", f"{rows(unread, 'captured line')}: {why}"))
    return facts(told)


def _helped(report: _Report) -> str:
    """Say whether the retraining that a finding led to helped."""
    earlier = report.look.earlier
    if earlier is None:
        return ""
    now = {one.feature: one for one in report.comparison.features}
    lines, over = [], 0
    for name, before in list(earlier.distances.items())[:MISSING]:
        feature = now.get(name)
        after = feature.distance if feature else None
        became = state(feature, report.look.clears_below) if feature else "not there any more"
        over += feature is not None and not feature.findings
        lines.append(
            f'<tr role="row"><th role="rowheader" scope="row">{name_of(name)}</th>'
            f'<td role="cell">{distance(before)}</td><td role="cell">{distance(after)}</td>'
            f'<td role="cell">{text(became)}</td></tr>'
        )
    of = len(lines)
    return (
        "<h2>Did the retraining help?</h2>"
        f"<p>Version {report.look.version} is in service since finding {text(earlier.finding)} of "
        f"version {earlier.version}, at {moment(earlier.window)} UTC. Of the "
        f"{rows(of, 'feature')} that had drifted then, {over or 'none'} "
        f"{'is' if over < 2 else 'are'} now as the version learned "  # noqa: PLR2004
        f"{'it' if over < 2 else 'them'}.</p>"  # noqa: PLR2004
        '<table role="table" class="nums"><thead role="rowgroup"><tr role="row">'
        '<th role="columnheader" scope="col">feature</th><th role="columnheader" scope="col">then'
        '</th><th role="columnheader" scope="col">now</th><th role="columnheader" scope="col">'
        f'</th></tr></thead><tbody role="rowgroup">{"".join(lines)}</tbody></table>'
    )


def _over_time(report: _Report) -> str:
    names = _farthest(report)[:LINES]
    if not names or len(report.history) < 2:  # noqa: PLR2004  # one point is no course of time
        return ""
    settings = report.comparison.settings
    picture = pictures.over_time(
        report.history,
        names,
        threshold=settings.threshold,
        clears_below=report.look.clears_below,
    )
    legend = "".join(
        f"<li>{pictures.key(at)} {name_of(name)}</li>" for at, name in enumerate(names)
    )
    return (
        "<h2>From window to window</h2>"
        '<p class="soft">How far the farthest features are from what the version learned: 0 is the '
        f"same, 1 nothing in common. The dashed line is the threshold ({settings.threshold:g}); "
        f"below the dotted one ({report.look.clears_below:g}) it is over.</p>"
        f'<div class="chart">{picture}</div><ul class="legend">{legend}</ul>'
    )


def _farthest(report: _Report) -> list[str]:
    """Return the features that are, or were in any window, away; if none was, the farthest now."""
    now = {
        one.feature: one.distance
        for one in report.comparison.features
        if one.distance is not None and one.verdict != "extra"
    }
    ever = {name: max(past.distances.get(name, 0.0) for past in report.history) for name in now}
    order = sorted(now, key=lambda name: (-now[name], -ever[name], name))
    away = [name for name in order if ever[name] >= report.look.clears_below]
    return away or order[:1]


def _features(report: _Report, shown: Sequence[FeatureDrift]) -> str:
    if not shown:
        return ""
    cards = "".join(_card(report, one, opened=True) for one in shown)
    return (
        "<h2>The features that are farthest</h2>"
        '<ul class="legend"><li><svg viewBox="0 0 20 12" aria-hidden="true"><path class="w" '
        'd="M0 12V3H20V12z"/></svg> what the version learned from</li><li><svg viewBox="0 0 20 12" '
        'aria-hidden="true"><path class="n" d="M0 9H6V3H13V7H20"/></svg> what it is asked now</li>'
        f'</ul><div class="grid">{cards}</div>'
    )


def _rest(report: _Report, rest: Sequence[FeatureDrift]) -> str:
    if not rest:
        return ""
    folded = "".join(_card(report, one, opened=False) for one in rest)
    return (
        f"<h2>All other features</h2><details><summary>{rows(len(rest), 'more feature')}, the "
        f'farthest first</summary><div class="rest">{folded}</div></details>'
    )


def _card(report: _Report, feature: FeatureDrift, *, opened: bool) -> str:
    return card(
        feature,
        report.baseline,
        report.current,
        signs=[sign for sign in report.triage.signs if sign.feature == feature.feature],
        clears_below=report.look.clears_below,
        opened=opened,
    )


def _missing(report: _Report) -> str:
    judged = [one.feature for one in report.comparison.features]
    shares = [
        {name: side.columns[name].missing / side.rows for name in judged if name in side.columns}
        if side.rows
        else {}
        for side in (report.baseline, report.current)
    ]
    was, now = shares
    names = pictures.missing_shares(was, now, MISSING)
    if not names:
        return (
            "<h2>Missing cells</h2><p>No column lacks more or fewer of its cells than it did.</p>"
        )
    lines = "".join(
        f"<div><span>{name_of(name)}</span>{pictures.dumbbell(was[name], now[name])}"
        f"<span>{share(was[name])} → {share(now[name])}</span></div>"
        for name in names
    )
    return (
        '<h2>Missing cells</h2><p class="soft">The share of each column\'s cells that are missing, '
        "from 0 to 100 %: the hollow mark is what the version learned from, the full one is now. "
        f'Only columns where it changed.</p><div class="pairs chart">{lines}</div>'
    )


_HELP = """<h2>How to read this</h2><details><summary>Words and pictures</summary><dl>
<dt>Distance</dt><dd>The largest difference between the two distributions: at the worst place, so
much more (or less) of the rows lie up to there than did; for categories, by so much one category's
share changed. What chance explains at these numbers of rows is taken off, if the spec says so.</dd>
<dt>▲ drifted</dt><dd>The distance is above the threshold, or cells are missing, of another type,
or of unknown categories, more than is allowed.</dd>
<dt>△ close</dt><dd>Not above the threshold, nor so far below it that it is clearly over.</dd>
<dt>KS, PSI, Jensen-Shannon, Wasserstein, chi-squared, p</dt><dd>Other measures of the same, for
those who know them. They decide nothing here. A small p says that a difference is real, not that
it matters: with a million rows every difference is real.</dd>
<dt>Baseline</dt><dd>The rows that the version in service learned from, and its answers then.</dd>
</dl></details>"""
