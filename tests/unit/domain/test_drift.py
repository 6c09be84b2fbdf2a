"""What windows of traffic come to: episodes, findings, and what holds a finding back."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.domain.drift import (
    LATE_WINDOWS,
    MOST_FEATURES,
    MOST_SIGNS,
    WEEK,
    History,
    Told,
    Window,
    decide_drift,
    remember,
    still_needed,
)
from tidemill.spec.compiled import Drift

HOUR = 3_600.0
NOW = 1_795_168_800.0  # Friday, 2026-11-20T10:00:00Z
#: Two of three windows; nothing but them holds a finding back.
QUICK = Drift(windows=2, of=3, minimum_rows=100, cooldown_seconds=0, per_week=1_000)


def window(number, rows=1_000, **distances):
    """Return the window of that hour; a distance of 0.07 is neither drifted nor clear."""
    far = {name: value for name, value in distances.items() if value > QUICK.threshold}
    between = tuple(name for name in distances if name not in far)
    return Window(NOW + number * HOUR, rows, far, between)


def decide(*windows, settings=QUICK, told=(), now=NOW, since=0.0):
    history = remember(History(since), windows, settings, told)
    return decide_drift(history, settings, told, now)


def as_told(finding, at=NOW):
    return Told(finding.id, finding.kind, at, finding.window, tuple(finding.features))


class Watching:
    """A watch over time: it concludes windows, and remembers what it told."""

    def __init__(self, settings=QUICK):
        self.settings, self.history, self.told, self.findings = settings, History(), [], []

    def conclude(self, *windows, at=NOW):
        self.history = remember(self.history, windows, self.settings, self.told)
        decision = decide_drift(self.history, self.settings, self.told, at)
        if decision.finding:
            self.findings.append(decision.finding)
            self.told.append(as_told(decision.finding, at))
        self.told = list(still_needed(self.told, self.history, at))
        return decision


# ── what one window says ─────────────────────────────────────────────────────


def test_nothing_was_seen_yet():
    assert decide().verdict == "no_traffic"


@pytest.mark.parametrize(
    ("rows", "verdict", "reason"),
    [
        (0, "no_traffic", "no traffic was captured"),
        (1, "too_few_rows", "1 row; a window takes 100"),
        (99, "too_few_rows", "99 rows; a window takes 100"),
        (100, "same", "100 rows; no feature drifted"),
    ],
)
def test_a_window_needs_rows_to_say_anything(rows, verdict, reason):
    decision = decide(Window(NOW, rows))
    assert (decision.verdict, decision.reason) == (verdict, reason)
    assert decision.facts["rows"] == rows


def test_no_rows_are_never_enough():
    assert decide(Window(NOW, 0), settings=replace(QUICK, minimum_rows=0)).verdict == "no_traffic"


def test_one_window_is_a_suspicion():
    decision = decide(window(0, distance=0.4))
    assert decision.verdict == "suspected"
    assert decision.finding is None
    assert decision.reason == (
        "1,000 rows; distance drifted, in 1 of the 2 windows (of 3) that it takes"
    )


# ── episodes ─────────────────────────────────────────────────────────────────


def test_enough_of_the_last_windows_are_a_finding():
    """Two of three: a quiet window between two loud ones does not matter."""
    decision = decide(window(0, distance=0.4), window(1), window(2, distance=0.5, carrier=0.2))
    assert decision.verdict == "found"
    assert decision.drifted == ("distance",)
    assert decision.finding.features == {"distance": 0.5}
    assert decision.reason == (
        "distance drifted: distance by 0.5 (the threshold is 0.1), in 2 of the last 3 windows "
        "that count"
    )
    assert decision.facts["finding"] == decision.finding.id


def test_too_few_rows_neither_count_nor_clear():
    loud = [window(0, distance=0.4), window(1, rows=5), window(2, rows=5), window(3, rows=0)]
    assert decide(*loud).verdict == "no_traffic"
    assert decide(*loud, window(4, distance=0.4)).verdict == "found"
    watching = Watching()
    watching.conclude(*loud, window(4, distance=0.4))
    watching.conclude(window(5, rows=5))
    watching.conclude(window(6, distance=0.4))
    assert len(watching.findings) == 1, "five rows ended nothing"


def test_an_episode_lasts_until_a_window_is_clear():
    watching = Watching()
    watching.conclude(window(0, distance=0.4), window(1, distance=0.4))
    between = watching.conclude(window(2, distance=0.07), window(3, distance=0.07))
    assert between.verdict == "drifted"
    assert "that was told" in between.reason
    assert watching.conclude(window(4, distance=0.3), window(5, distance=0.3)).verdict == "drifted"
    assert watching.conclude(window(6)).verdict == "same"
    assert watching.conclude(window(7, distance=0.3)).verdict == "suspected", "the count is new"
    assert watching.conclude(window(8, distance=0.3)).verdict == "found"
    assert len({finding.id for finding in watching.findings}) == 2


def test_features_that_drift_together_are_one_finding_the_farthest_first():
    decision = decide(*(window(n, a=0.2, b=0.9, c=0.3) for n in range(2)))
    assert list(decision.finding.features) == ["b", "c", "a"]
    assert decision.reason.startswith("b and 2 more features drifted: b by 0.9")


def test_a_feature_that_joins_later_is_a_finding_of_its_own():
    watching = Watching()
    watching.conclude(window(0, a=0.2), window(1, a=0.2))
    watching.conclude(window(2, a=0.2, b=0.3), window(3, a=0.2, b=0.3))
    assert [list(finding.features) for finding in watching.findings] == [["a"], ["b"]]


# ── broken upstream ──────────────────────────────────────────────────────────


def broken(number, **distances):
    signs = {name: "60 % of its values are missing" for name in distances if name != "z"}
    return replace(window(number, **distances), broken=signs)


def test_a_broken_upstream_is_told_and_a_shift_waits_until_it_is_mended():
    watching = Watching()
    watching.conclude(broken(0, x=0.8, z=0.3))
    decision = watching.conclude(broken(1, x=0.8, z=0.3))
    assert (decision.finding.kind, list(decision.finding.features)) == ("broken_upstream", ["x"])
    assert decision.reason == (
        "x: 60 % of its values are missing, in 2 of the last 2 windows that count; "
        "the upstream looks broken"
    )
    assert watching.conclude(broken(2, x=0.8, z=0.3)).verdict == "drifted"
    mended = watching.conclude(window(3, z=0.3))
    assert (mended.finding.kind, list(mended.finding.features)) == ("shift", ["z"])


def test_what_was_broken_and_is_a_shift_after_all_is_told_as_that():
    watching = Watching()
    watching.conclude(broken(0, x=0.8), broken(1, x=0.8))
    watching.conclude(window(2, x=0.8))
    watching.conclude(window(3, x=0.8))
    assert [finding.kind for finding in watching.findings] == ["broken_upstream", "shift"]


# ── what holds a finding back ────────────────────────────────────────────────


def earlier(at, kind="shift"):
    return Told(f"f-{at}", kind, at, at - 9 * HOUR, ("other",))


def test_a_cooldown_holds_a_finding_back_until_it_ends():
    settings = replace(QUICK, cooldown_seconds=7_200)
    loud, told = [window(n, a=0.2) for n in range(2)], [earlier(NOW - HOUR)]
    held = decide(*loud, settings=settings, told=told)
    assert (held.verdict, held.until, held.finding) == ("held", NOW + HOUR, None)
    assert "the last finding was told at 2026-11-20T09:00:00.000Z and the cooldown is 2h" in (
        held.reason
    )
    assert held.facts["until"] == NOW + HOUR
    after = decide(*loud, settings=settings, told=told, now=NOW + HOUR)
    assert after.verdict == "found"


def test_a_week_takes_so_many_findings():
    settings = replace(QUICK, per_week=2)
    loud = [window(n, a=0.2) for n in range(2)]
    told = [earlier(NOW - WEEK), earlier(NOW - 6 * 86_400), earlier(NOW - 86_400)]
    held = decide(*loud, settings=settings, told=told)
    assert (held.verdict, held.until) == ("held", NOW + 86_400)
    assert "2 findings in seven days, and per_week is 2" in held.reason
    assert decide(*loud, settings=settings, told=told[:2]).verdict == "found"


def test_each_kind_has_its_own_pace():
    settings = replace(QUICK, cooldown_seconds=7_200)
    loud = [window(n, a=0.2) for n in range(2)]
    told = [earlier(NOW - HOUR, "broken_upstream")]
    assert decide(*loud, settings=settings, told=told).verdict == "found"


# ── a new champion, and windows that come again ──────────────────────────────


def test_a_new_version_begins_anew_but_keeps_the_pace():
    """Also within the window in which it came."""
    settings = replace(QUICK, cooldown_seconds=7_200)
    watching = Watching(settings)
    watching.conclude(*(window(n, a=0.2) for n in range(2)))
    fresh = History(since=NOW + HOUR + 1)
    fresh = remember(fresh, [window(1, a=0.2)], settings, watching.told)
    assert decide_drift(fresh, settings, watching.told, NOW + HOUR).verdict == "suspected"
    fresh = remember(fresh, [window(2, a=0.2)], settings, watching.told)
    assert decide_drift(fresh, settings, watching.told, NOW + HOUR).verdict == "held"
    assert decide_drift(fresh, settings, watching.told, NOW + 2 * HOUR).verdict == "found"


def test_late_files_may_end_what_was_suspected_and_tell_what_was_not():
    watching = Watching()
    watching.conclude(window(0, a=0.2), window(1, rows=3))
    assert watching.conclude(window(1, a=0.2)).verdict == "found", "now there are enough rows"
    watching.conclude(window(0))
    assert len(watching.findings) == 1, "what was told was told"
    assert watching.conclude(window(2, a=0.2)).verdict == "drifted"
    assert watching.conclude(window(3)).verdict == "same"


LEVELS = st.sampled_from([0.0, 0.07, 0.4])  # clear, between, drifted
SERIES = st.lists(st.tuples(LEVELS, LEVELS, st.sampled_from([0, 20, 1_000])), max_size=12)


def windows_of(series):
    return [
        window(n, rows, **{k: v for k, v in (("a", a), ("b", b)) if v})
        for n, (a, b, rows) in enumerate(series)
    ]


def counted(windows):
    return [one for one in windows if one.counts(QUICK)]


@given(SERIES, st.data())
def test_in_any_order_and_however_often_an_episode_is_told_once(series, data):
    """Between two findings of a feature lies a window that cleared it."""
    windows = windows_of(series)
    order = data.draw(st.permutations([*windows, *windows]))
    watching = Watching()
    for one in order:
        watching.conclude(one)
        assert watching.conclude(one).finding is None, "a repetition tells nothing"
    for name in "ab":
        told = sorted(f.window for f in watching.findings if name in f.features)
        clear = [w.start for w in counted(windows) if name not in (*w.drifted, *w.between)]
        for before, after in pairwise(told):
            assert any(before < start < after for start in clear)


@given(SERIES, st.data())
def test_whatever_the_order_what_drifted_at_the_end_was_told(series, data):
    windows = windows_of(series)
    inorder, shuffled = Watching(), Watching()
    for one in windows:
        inorder.conclude(one)
    for one in data.draw(st.permutations(windows)):
        shuffled.conclude(one)
    assert shuffled.history == inorder.history
    bare = decide_drift(shuffled.history, QUICK, [], NOW)
    told = {name for finding in shuffled.findings for name in finding.features}
    assert set(bare.drifted) <= told


@given(SERIES)
def test_in_order_there_is_a_finding_for_each_episode(series):
    """Counted by hand, without looking back: two drifted of three begin one, a clear ends it."""
    watching, expected = Watching(), []
    said, going = {"a": [], "b": []}, {"a": False, "b": False}
    for one in windows_of(series):
        watching.conclude(one)
        if not one.counts(QUICK):
            continue
        for name in "ab":
            if going[name]:
                if name not in (*one.drifted, *one.between):
                    going[name], said[name] = False, []
                continue
            said[name] = [*said[name], name in one.drifted][-3:]
            if sum(said[name]) >= 2:
                going[name] = True
                expected.append((one.start, name))
    found = [(f.window, name) for f in watching.findings for name in sorted(f.features)]
    assert found == expected


@given(st.integers(0, 40), st.booleans())
def test_an_episode_outlives_the_windows_that_are_kept(extra, told_late):
    """Also one that was held back all the time, and is told when nobody knows its beginning."""
    settings = replace(QUICK, cooldown_seconds=10**9 if told_late else 0)
    watching = Watching(settings)
    watching.told = [earlier(NOW - HOUR)]
    kept = settings.of + LATE_WINDOWS
    for number in range(kept + extra):
        watching.conclude(window(number, a=0.2 if number < 2 else 0.07))
    assert len(watching.history.windows) == kept
    if told_late:
        assert watching.findings == []
        watching.settings = QUICK
        watching.conclude(window(kept + extra, a=0.07))
    assert [list(finding.features) for finding in watching.findings] == [["a"]]
    assert watching.conclude(window(kept + extra + 1)).verdict == "same"


def test_a_window_that_was_let_go_stays_gone():
    kept = QUICK.of + LATE_WINDOWS
    history = remember(History(), [window(n) for n in range(kept + 1)], QUICK, [])
    again = remember(history, [window(0, a=0.9)], QUICK, [])
    assert again == history


def test_of_a_window_with_many_features_the_farthest_are_kept_and_none_is_cleared():
    names = {f"c{n:03}": 0.2 + n / 1_000 for n in range(500)}
    watching = Watching()
    watching.conclude(window(0, **names), window(1, **names))
    (kept, _) = watching.history.windows
    assert kept.capped
    assert set(kept.drifted) == set(sorted(names)[-MOST_FEATURES:])
    (finding,) = watching.findings
    assert finding.reason.startswith("c499 and 29 more features drifted")
    shuffled = dict.fromkeys(sorted(names)[: MOST_FEATURES + 1], 0.2)
    watching.conclude(window(2, **shuffled))
    assert watching.conclude(window(3, c499=0.07)).verdict == "drifted", "it may have been left out"


def test_of_many_signs_some_are_kept():
    names = {f"c{n:02}": 0.5 for n in range(20)}
    decision = decide(broken(0, **names), broken(1, **names))
    assert len(decision.finding.features) == MOST_SIGNS
