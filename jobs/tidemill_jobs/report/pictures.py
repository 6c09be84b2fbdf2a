"""
The report's pictures: SVG that stands in the page, drawn without script.

What was (the baseline) is always an area or a hollow mark, what is now always a line or a full
one: the pictures can be read without their colours, which are safe for the colour-blind besides
(Okabe and Ito's). Coordinates have one decimal: a tenth of a pixel, and half the bytes.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

from tidemill_jobs.page import text
from tidemill_jobs.profile import Column, Kll
from tidemill_jobs.report.bins import Bar, Bins, Floats, bars_of, bins_of
from tidemill_jobs.report.figures import cut, day, moment, number, share
from tidemill_jobs.report.look import Past

STYLE = """
:root{--was:#0072b2;--now:#d55e00;--l1:#0072b2;--l2:#d55e00;--l3:#007a5a;--l4:#9b4f84}
@media(prefers-color-scheme:dark){:root{--was:#56b4e9;--now:#f0a63a;--l1:#56b4e9;--l2:#f0a63a;
--l3:#3ccfa4;--l4:#e0a3cb}}
svg{display:block;width:100%;height:auto;overflow:visible}
svg text{font:10px system-ui,sans-serif;fill:var(--soft)}
.a{stroke:var(--line);fill:none}
.w{fill:var(--was);fill-opacity:.45}.n{fill:none;stroke:var(--now);stroke-width:2;
stroke-linejoin:round}.nb{fill:var(--now)}
.wo{fill:var(--page);stroke:var(--was);stroke-width:2}.jo{stroke:var(--soft);stroke-width:1.5}
.t{stroke:var(--ink);stroke-dasharray:5 3}.c{stroke:var(--soft);stroke-dasharray:1 3}
.tr{fill:var(--line)}.th{stroke:var(--ink);stroke-width:1.5}
.s0{--s:var(--ink)}.s1{--s:var(--l1)}.s2{--s:var(--l2)}.s3{--s:var(--l3)}.s4{--s:var(--l4)}
.l{fill:none;stroke:var(--s);stroke-width:1.5}.m{fill:var(--s)}
@media(prefers-color-scheme:dark){.w{fill-opacity:.6}}
.key{display:inline-block;width:1em;height:1em;vertical-align:-.15em}
"""
#: What tells the points of one line from another's without colour; centred on 0, 0.
MARKS = (
    "M-3.5 0a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0-7 0z",
    "M-3-3h6v6h-6z",
    "M0-4l4 7h-8z",
    "M0-4.5l4.5 4.5l-4.5 4.5l-4.5-4.5z",
    "M-4-1.3h2.7v-2.7h2.6v2.7h2.7v2.6h-2.7v2.7h-2.6v-2.7h-2.7z",
)
_TAILS = 0.02  # of a sample may lie beyond the picture without a word
_LONGEST = 60  # characters of a category
_LEFT, _WIDTH, _TOP, _BOTTOM = 2.0, 316.0, 14.0, 92.0


def overlay(was: Column, now: Column) -> str:
    """Return both samples of a feature over one another; empty when neither has a value."""
    kinds = {column.kind for column in (was, now) if column.present}
    if kinds == {"number"}:
        numbers = [column.numbers for column in (was, now)]
        whole = all(side is None or side.wholes == side.count for side in numbers)
        first, second = (side.sketch if side else Kll() for side in numbers)
        return _histogram(bins_of(first, second, whole=whole), number)
    if kinds == {"time"}:
        first, second = (side.sketch if side else Kll() for side in (was.times, now.times))
        return _histogram(bins_of(first, second), day)
    return _bars(bars_of(was, now)) if kinds else ""


def _histogram(bins: Bins | None, write: Callable[[float], str]) -> str:
    if bins is None:
        return ""
    most = max(float(bins.was.max()), float(bins.now.max()))
    low, high = float(bins.edges[0]), float(bins.edges[-1])
    ends = "".join(
        f'<text x="{x:g}" y="105"{anchor}>{text(write(at))}</text>'
        for x, at, anchor in (
            (_LEFT, low, ""),
            (_LEFT + _WIDTH / 2, low / 2 + high / 2, ' text-anchor="middle"'),
            (_LEFT + _WIDTH, high, ' text-anchor="end"'),
        )
    )
    return (
        '<svg viewBox="0 0 320 108" role="img" aria-label="Shares of the values, before and now">'
        f'<text x="2" y="9">{share(most)} of the rows</text>'
        f'<path class="a" d="M2 {_TOP:g}H318M2 {_BOTTOM:g}H318"/>'
        f'<path class="w" d="{_steps(bins.was, most)}z"/>'
        f'<path class="n" d="{_steps(bins.now, most)}"/>{ends}</svg>{_beyond(bins)}'
    )


def _steps(shares: Floats, most: float) -> str:
    """Return a line of steps from the left foot to the right foot."""
    width = _WIDTH / len(shares)
    parts = [f"M{_LEFT:g} {_BOTTOM:g}"]
    height = _BOTTOM
    for number_, one in enumerate(shares, 1):
        to = round(_BOTTOM - (_BOTTOM - _TOP) * float(one) / most, 1) if most else _BOTTOM
        if to != height:
            parts.append(f"V{to:g}")
            height = to
        parts.append(f"H{round(_LEFT + number_ * width, 1):g}")
    # Of bins of equal height only the last one's end is needed.
    kept = [
        part
        for part, after in zip(parts, [*parts[1:], "V"], strict=True)
        if not (part[0] == after[0] == "H")
    ]
    return "".join(kept) + (f"V{_BOTTOM:g}" if height != _BOTTOM else "")


def _beyond(bins: Bins) -> str:
    was, now = bins.beyond
    if max(was, now) <= _TAILS:
        return ""
    return (
        f'<p class="soft">Beyond the picture: {share(was)} of the training data, '
        f"{share(now)} of the traffic.</p>"
    )


def _bars(bars: Sequence[Bar]) -> str:
    most = max(max(bar.was, bar.now) for bar in bars)
    return f'<div class="bars">{"".join(_bar(bar, most) for bar in bars)}</div>'


def _bar(bar: Bar, most: float) -> str:
    name = '<em class="soft">all others</em>' if bar.value is None else _category(bar.value)
    was, now = (round(100 * one / most, 1) if most else 0.0 for one in (bar.was, bar.now))
    return (
        f"<div><span>{name}</span>"
        '<svg viewBox="0 0 100 9" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect class="w" width="{was:g}" height="4"/>'
        f'<rect class="nb" y="5" width="{now:g}" height="4"/></svg>'
        f"<span>{share(bar.was)} → {share(bar.now)}</span></div>"
    )


def _category(value: str) -> str:
    return f"<code>{text(cut(value, _LONGEST))}</code>" if value else '<em class="soft">empty</em>'


def gauge(distance: float, threshold: float) -> str:
    """Return a distance as a bar, with the threshold as a mark in it; both 0 to 1."""
    return (
        '<svg class="g" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="tr" y="3" width="100" height="4"/>'
        f'<rect class="nb" y="3" width="{round(100 * min(1.0, distance), 1):g}" height="4"/>'
        f'<path class="th" d="M{round(100 * min(1.0, threshold), 1):g} 0V10"/></svg>'
    )


def dumbbell(was: float, now: float) -> str:
    """Return two shares, 0 to 1, as a hollow and a full mark joined by a line."""
    first, second = (round(5 + 190 * min(1.0, max(0.0, one)), 1) for one in (was, now))
    return (
        '<svg viewBox="0 0 200 12" aria-hidden="true"><path class="a" d="M5 6H195"/>'
        f'<path class="jo" d="M{first:g} 6H{second:g}"/>'
        f'<circle class="wo" cx="{first:g}" cy="6" r="4"/>'
        f'<circle class="nb" cx="{second:g}" cy="6" r="4"/></svg>'
    )


def key(line: int) -> str:
    """Return the mark of a line of `over_time`, to stand beside its name."""
    return (
        f'<svg class="key s{line}" viewBox="-6 -6 12 12" aria-hidden="true">'
        f'<path class="m" d="{MARKS[line]}"/></svg>'
    )


def over_time(
    history: Sequence[Past], features: Sequence[str], *, threshold: float, clears_below: float
) -> str:
    """
    Return the features' distances from window to window, and each window's rows below.

    Args:
        history: The windows, oldest first.
        features: At most as many as there are `MARKS`.
        threshold: Above it a feature has drifted.
        clears_below: Below it, it is over.
    """
    told = [past.distances[name] for past in history for name in features if name in past.distances]
    most = min(1.0, max([2 * threshold, *(1.1 * one for one in told)]))
    rows = max((past.rows for past in history), default=0)
    left, right, top, bottom, foot = 30.0, 352.0, 8.0, 132.0, 168.0
    step = (right - left) / max(1, len(history))

    def across(place: int) -> float:
        return round(left + (place + 0.5) * step, 1)

    def up(distance: float) -> float:
        return round(bottom - (bottom - top) * min(distance, most) / most, 1)

    parts = [
        '<svg viewBox="0 0 360 190" role="img" aria-label="Distances, window by window">',
        f'<path class="a" d="M{left:g} {top:g}V{bottom:g}H{right:g}M{left:g} {foot:g}H{right:g}"/>',
        f'<path class="t" d="M{left:g} {up(threshold):g}H{right:g}"/>',
        f'<path class="c" d="M{left:g} {up(clears_below):g}H{right:g}"/>',
        *(
            f'<text x="{left - 3:g}" y="{y + 3:g}" text-anchor="end">{label:.2g}</text>'
            for y, label in _ticks(most, threshold, clears_below, up)
        ),
        *(
            f'<rect class="tr" x="{round(across(place) - step * 0.35, 1):g}" '
            f'y="{round(foot - 26 * past.rows / rows, 1):g}" width="{round(step * 0.7, 1):g}" '
            f'height="{round(26 * past.rows / rows, 1):g}"/>'
            for place, past in enumerate(history)
            if past.rows
        ),
        f'<text x="{left - 3:g}" y="{foot:g}" text-anchor="end">rows</text>',
    ]
    for line, name in enumerate(features):
        points = [
            (across(place), up(past.distances[name])) if name in past.distances else None
            for place, past in enumerate(history)
        ]
        parts.append(f'<g class="s{line}">{"".join(_line(points, MARKS[line]))}</g>')
    parts += _dates(history)
    return "".join((*parts, "</svg>"))


def _ticks(
    most: float, threshold: float, clears_below: float, up: Callable[[float], float]
) -> Iterator[tuple[float, float]]:
    """Yield where a number stands at the left, and which, as far as they do not touch."""
    taken: list[float] = []
    for value in (threshold, 0.0, most, clears_below):
        y = up(value)
        if all(abs(y - other) > 9 for other in taken):  # noqa: PLR2004  # a line of text
            taken.append(y)
            yield y, value


def _line(points: Sequence[tuple[float, float] | None], mark: str) -> Iterator[str]:
    """Yield a line through points; where one is not known the line has a gap."""
    path, joined = [], False
    for point in points:
        if point is None:
            joined = False
            continue
        path.append(f"{'L' if joined else 'M'}{point[0]:g} {point[1]:g}")
        joined = True
    if path:
        yield f'<path class="l" d="{"".join(path)}"/>'
    for point in points:
        if point is not None:
            x, y = point
            yield f'<path class="m" transform="translate({x:g} {y:g})" d="{mark}"/>'


def _dates(history: Sequence[Past]) -> Iterator[str]:
    if not history:
        return
    first, last = history[0], history[-1]
    if len(history) > 1:
        yield f'<text x="30" y="183">{text(moment(first.start))}</text>'
    yield f'<text x="352" y="183" text-anchor="end">{text(moment(last.start))}</text>'


def missing_shares(was: Mapping[str, float], now: Mapping[str, float], most: int) -> list[str]:
    """Return the columns whose missing share changed most, by half a percent at least."""
    changed = {
        name: abs(now[name] - was[name])
        for name in was
        if name in now and abs(now[name] - was[name]) >= 0.005  # noqa: PLR2004
    }
    return sorted(changed, key=lambda name: (-changed[name], name))[:most]
