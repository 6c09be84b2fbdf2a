"""
Hold drift's distances, taken from profiles, against Evidently's and NannyML's, taken from rows.

    make test-oracles

Prints a table: by distance, the largest difference between theirs and ours by their definition,
with what is allowed, and how far the two definitions lie apart. Exit status: 0, or 1 when a
difference is beyond what is allowed.

Where every value of a feature is counted, nothing but rounding may differ. Where a sketch stands
for it, the distribution function may be off by `SKETCH`, and from that follows the rest: a cell's
share by as much at each end, the Wasserstein distance by as much over the whole range. What is
not held there is what a sketch cannot know: the Jensen-Shannon distance near 0, where its root
makes 0.017 of 0.0003 (the divergence is held); the logarithm of a cell's share in PSI when the
cell holds a few rows (cells of a hundredth and more are held); p-values, which a rank error of
0.0005 alone moves from 0.5 to 0.4 at these numbers of rows.
"""

import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import their_cells as their
from samples import Pair, frame, pairs

from tidemill_jobs.drift import Distances, DriftSettings, compare
from tidemill_jobs.drift.compare import cdf_of
from tidemill_jobs.drift.distances import jensen_shannon
from tidemill_jobs.profile import Column, Profile, Profiler

ROOT = Path(__file__).parents[2]
PEERS = {"Evidently": "evidently", "NannyML": "nannyml"}
BATCH = 65_536  # rows
EXACT = 1e-9  # relative to 1: rounding
SKETCH = 0.001  # of the rows: two sketches' rank errors
P_VALUE = 0.005  # ours is asymptotic
DIVERGENCE, PSI = 0.001, 0.003
LARGE = 0.01  # of the rows: a cell whose logarithm a sketch can tell
NOT_HELD = ("Jensen-Shannon distance", "PSI")  # of sketches, that is


@dataclass(frozen=True, slots=True)
class Held:
    """
    One distance of one feature: theirs, and ours by their definition.

    `published` is what a comparison says, None where it says no such thing; `allowed` is how far
    the two may be apart, None where they are not held.
    """

    distance: str
    peer: str
    where: str
    theirs: float
    ours: float
    counted: bool
    allowed: float | None
    published: float | None = None

    @property
    def difference(self) -> float:
        """How far the two are apart; above 1, relative to theirs."""
        return abs(self.theirs - self.ours) / max(1.0, abs(self.theirs))


def main() -> int:
    every, work = list(pairs()), tempfile.TemporaryDirectory()
    with work as folder:
        paths = [Path(folder) / f"{number}.npz" for number in range(len(every))]
        for pair, path in zip(every, paths, strict=True):
            pair.write(path)
        told = {peer: _ask(tool, paths) for peer, tool in PEERS.items()}
    held = [
        one
        for number, pair in enumerate(every)
        for one in _held(pair, {peer: said["pairs"][number] for peer, said in told.items()})
    ]
    versions = ", ".join(f"{peer} {said['version']}" for peer, said in told.items())
    sys.stdout.write(f"{len(held)} distances of {len(every)} pairs of samples; {versions}\n\n")
    _tell(held)
    beyond = [one for one in held if one.allowed is not None and not one.difference <= one.allowed]
    for one in beyond:
        sys.stdout.write(
            f"beyond: {one.distance} of {one.where}: {one.peer} {one.theirs:.9g}, "
            f"ours {one.ours:.9g}, {one.difference:.2g} apart, {one.allowed:.2g} is allowed\n"
        )
    return 1 if beyond else 0


def _ask(tool: str, paths: list[Path]) -> dict[str, Any]:
    python = ROOT / ".tools" / tool / "bin" / "python"
    script = Path(__file__).with_name(f"by_{tool}.py")
    done = subprocess.run(
        [python, script, *paths], capture_output=True, text=True, check=False, timeout=1_800
    )
    if done.returncode:
        raise SystemExit(f"{tool} ended with {done.returncode}: {done.stderr[-2000:]}")
    return json.loads(done.stdout[done.stdout.index('{"version"') :])


def _profiled(pair: Pair) -> tuple[Profile, Profile]:
    """Return both samples' profiles, written and read again: no row is at hand any more."""
    found = []
    for side in (pair.before, pair.after):
        profiler = Profiler()
        for batch in frame(side).iter_slices(BATCH):
            profiler.add(batch)
        found.append(Profile.loads(profiler.profile().dumps()))
    return found[0], found[1]


@dataclass(frozen=True, slots=True)
class _Feature:
    """One feature of a pair: both columns, and whether every value of both is counted."""

    name: str
    where: str
    was: Column
    now: Column
    counted: bool

    def held(
        self, distance: str, peer: str, theirs: float, ours: float, allowed: float | None = EXACT
    ) -> Held:
        if self.counted:
            allowed = P_VALUE if distance == "KS, p" else EXACT
        elif distance in NOT_HELD or distance.endswith("p"):
            allowed = None
        return Held(distance, peer, self.where, theirs, ours, self.counted, allowed)


def _held(pair: Pair, told: dict[str, dict[str, dict[str, Any]]]) -> Iterator[Held]:
    baseline, current = _profiled(pair)
    for one in compare(baseline, current, DriftSettings()).features:
        was, now = baseline.columns[one.feature], current.columns[one.feature]
        counted = _is_counted(was) and _is_counted(now)
        feature = _Feature(one.feature, f"{one.feature} ({pair.name})", was, now, counted)
        evidently, nannyml = told["Evidently"][one.feature], told["NannyML"][one.feature]
        published = one.distances
        own = {"PSI": published.psi, "Jensen-Shannon distance": published.js}
        held = [*_by_evidently(feature, evidently), *_by_nannyml(feature, nannyml)]
        if one.role == "number":
            held += _of_numbers(feature, published, evidently, nannyml)
        else:
            held += _of_categories(feature, published, evidently, nannyml)
            own |= {"chi-squared": published.chi2, "chi-squared, p": published.p_value}
        for found in held:
            yield replace(found, published=own.get(found.distance))


def _by_evidently(feature: _Feature, told: dict[str, Any]) -> Iterator[Held]:
    peer = "Evidently"
    cells = their.cells(feature.was, feature.now, _edges(told))
    yield feature.held("PSI", peer, told["psi"], their.stability(*cells))
    yield from _divergence(
        feature, peer, told["jensenshannon"] / their.NATS, jensen_shannon(*cells)
    )
    if "shares" in told:
        shares = [np.array(side) for side in told["shares"]]
        yield from _shares(feature, peer, shares, cells)
        large = (np.minimum(*shares) >= LARGE) & (np.minimum(*cells) >= LARGE)
        if not large.any():
            return
        some = [their.stability(*(side[large] for side in both)) for both in (shares, cells)]
        yield feature.held("PSI of cells with 1 % and more", peer, *some, PSI)


def _by_nannyml(feature: _Feature, told: dict[str, Any]) -> Iterator[Held]:
    peer = "NannyML"
    cells = their.cells(feature.was, feature.now, _edges(told))
    if "shares" in told:
        yield from _shares(feature, peer, [np.array(side) for side in told["shares"]], cells)
    ours = jensen_shannon(*their.with_rest(*cells))
    yield from _divergence(feature, peer, told["jensen_shannon"], ours)


def _divergence(feature: _Feature, peer: str, theirs: float, ours: float) -> Iterator[Held]:
    yield feature.held("Jensen-Shannon distance", peer, theirs, ours)
    yield feature.held("Jensen-Shannon divergence", peer, theirs**2, ours**2, DIVERGENCE)


def _shares(feature: _Feature, peer: str, theirs: Any, ours: Any) -> Iterator[Held]:
    """Hold the cell that is farthest off, of either side."""
    gaps = [np.abs(one - other) for one, other in zip(theirs, ours, strict=True)]
    side = int(np.argmax([gap.max() for gap in gaps]))
    at = int(gaps[side].argmax())
    off = float(theirs[side][at]), float(ours[side][at])
    yield feature.held("a cell's share", peer, *off, SKETCH)


def _of_numbers(
    feature: _Feature, published: Distances, evidently: dict[str, Any], nannyml: dict[str, Any]
) -> Iterator[Held]:
    sides = [side.numbers for side in (feature.was, feature.now)]
    std = sides[0].std_dev
    wide = (max(side.high for side in sides) - min(side.low for side in sides)) / std
    yield feature.held("KS", "NannyML", nannyml["kolmogorov_smirnov"], published.ks, SKETCH)
    yield feature.held("KS, p", "Evidently", evidently["ks"], published.p_value)
    for peer, theirs in (
        ("NannyML", nannyml["wasserstein"] / std),
        ("Evidently", evidently["wasserstein"]),
    ):
        ours, allowed = published.wasserstein_std, SKETCH * wide
        yield feature.held("Wasserstein, in standard deviations", peer, theirs, ours, allowed)


def _of_categories(
    feature: _Feature, published: Distances, evidently: dict[str, Any], nannyml: dict[str, Any]
) -> Iterator[Held]:
    chi2, p_value = their.contingency(feature.was, feature.now)
    yield feature.held("chi-squared", "NannyML", nannyml["chi2"], chi2)
    yield feature.held("chi-squared, p", "NannyML", nannyml["chi2_p"], p_value)
    goodness = their.goodness(feature.was, feature.now)
    yield feature.held("chi-squared, p", "Evidently", evidently["chisquare"], goodness)
    yield feature.held("L-infinity", "NannyML", nannyml["l_infinity"], published.linf_simple)


def _is_counted(column: Column) -> bool:
    if column.numbers is None:
        return column.complete
    return bool(column.number_counts.counts) and cdf_of(column).rows > 0


def _edges(told: dict[str, Any]) -> np.ndarray | None:
    return np.array(told["edges"]) if told.get("edges") else None


def _tell(held: list[Held]) -> None:
    by_kind: dict[tuple[str, str], list[Held]] = defaultdict(list)
    for one in held:
        by_kind[one.distance, one.peer].append(one)
    titles = (
        "distance", "of", "every value counted: largest difference", "allowed",
        "of sketches: largest difference", "allowed", "their definition and ours, at most apart",
    )  # fmt: skip
    lines = [_line(titles), _line(["---"] * len(titles))]
    for (distance, peer), some in sorted(by_kind.items()):
        cells = [distance, peer]
        for counted in (True, False):
            found = [one for one in some if one.counted == counted]
            worst = max(found, key=_strain, default=None)
            if worst is None:
                cells += ["", ""]
                continue
            largest = max(one.difference for one in found)
            cells.append(f"{largest:.1g} ({len(found)})")
            cells.append("not held" if worst.allowed is None else _allowed(found))
        lines.append(_line([*cells, _apart(some)]))
    sys.stdout.write("\n".join(lines) + "\n\n")


def _allowed(found: list[Held]) -> str:
    """Return what is allowed; where it depends on the feature, what the worst one uses of it."""
    if len({one.allowed for one in found}) == 1:
        return f"{found[0].allowed:g}"
    return f"{SKETCH:g} of the range; used: {max(map(_strain, found)):.0%}"


def _strain(one: Held) -> float:
    return one.difference / one.allowed if one.allowed else 0.0


def _apart(some: list[Held]) -> str:
    told = [one for one in some if one.published is not None]
    if not told:
        return ""
    one = max(told, key=lambda one: abs(one.published - one.theirs))
    return f"{one.where}: {one.theirs:.3g} and {one.published:.3g}"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    sys.exit(main())
