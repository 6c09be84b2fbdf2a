"""
How often triage is right on labelled faults of real flights: the tables of docs/drift.md.

    .venv/bin/python bench/triage.py [--seeds 1 20] [--cases]

Rules were tuned on seeds 1000 to 1019; the published tables are of seeds 1 to 20.
"""

import argparse
from collections import Counter
from collections.abc import Iterable

import polars as pl
from faults import FAULTS, Case, Flights, cases

from tidemill_jobs.drift import DriftSettings, Triage, compare, triage
from tidemill_jobs.profile import Profile, Profiler

KINDS = ("none", "shift", "broken_upstream")
SETTINGS = DriftSettings()


class Profiles:
    """Profiles of frames; those of baselines are made once."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[pl.DataFrame, Profile]] = {}

    def of(self, frame: pl.DataFrame, *, keep: bool = False) -> Profile:
        """Profile a frame, or return what is known of it."""
        if keep and id(frame) in self._known:
            return self._known[id(frame)][1]
        profiler = Profiler()
        profiler.add(frame)
        found = profiler.profile()
        if keep:
            self._known[id(frame)] = (frame, found)
        return found


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs=2, default=(1, 20), metavar=("FIRST", "LAST"))
    parser.add_argument("--cases", action="store_true", help="name every case that is wrong")
    chosen = parser.parse_args()
    seeds = range(chosen.seeds[0], chosen.seeds[1] + 1)
    all_flights, profiles = Flights(), Profiles()

    print(f"Seeds {seeds[0]} to {seeds[-1]}.\n\n## Windows of the baseline's own months\n")
    told = [
        (case, _judge(case, profiles, recent=False))
        for seed in seeds
        for case in cases(all_flights, seed)
    ]
    _table(told, wrong=chosen.cases)
    print("\n## Windows of the month after\n")
    later = [case for seed in seeds for case in cases(all_flights, seed, season=True)]
    for recent in (False, True):
        print(f"\n### {'With' if recent else 'Without'} the last healthy window\n")
        _table(
            [(case, _judge(case, profiles, recent=recent)) for case in later], wrong=chosen.cases
        )


def _judge(case: Case, profiles: Profiles, *, recent: bool) -> Triage:
    baseline, window = profiles.of(case.baseline, keep=True), profiles.of(case.window)
    before = profiles.of(case.recent) if recent else None
    return triage(compare(baseline, window, SETTINGS), baseline, window, before)


def _table(told: Iterable[tuple[Case, Triage]], *, wrong: bool) -> None:
    told = list(told)
    found = Counter((case.kind, one.kind) for case, one in told)
    named = Counter(case.kind for case, one in told if set(case.features) & set(one.broken))
    print("| what was done | " + " | ".join(KINDS) + " | feature named | signs |")
    print("|---|---|---|---|---|---|")
    for kind in dict.fromkeys(case.kind for case, _ in told):
        signs = Counter(
            sign.sign
            for case, one in told
            if case.kind == kind
            for sign in one.signs
            if sign.broken or kind not in FAULTS
        )
        cells = [f"{found[kind, one]}" for one in KINDS]
        cells.append(f"{named[kind]}" if kind in FAULTS else "")
        cells.append(", ".join(f"{sign} {count}" for sign, count in signs.most_common()))
        print(f"| {kind} | " + " | ".join(cells) + " |")
    if wrong:
        print()
        for case, one in told:
            if (one.kind == "broken_upstream") != (case.kind in FAULTS) or (
                case.kind in FAULTS and not set(case.features) & set(one.broken)
            ):
                what = f"{case.kind} ({case.what}; {case.window.height} rows)"
                print(f"- {what}: {one.kind}: {one.reason}")


if __name__ == "__main__":
    main()
