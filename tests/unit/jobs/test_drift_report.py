"""The report of a look at traffic: it answers first, stays whole whatever columns are called."""

import re
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidemill_jobs.drift import DriftSettings, Sign, Triage, compare
from tidemill_jobs.profile import Profile, Profiler
from tidemill_jobs.report import Earlier, Look, Past, to_html
from tidemill_jobs.report.figures import moment, number, share

from .html_page import Page

ROWS, HOUR = 3_000, 3_600.0
START = 1_790_000_000 // HOUR * HOUR
SHIFT = Triage("shift", (), "Values moved as a season moves them.")
NONE = Triage("none", (), "Nothing was found.")


PLANS = [0.6, 0.3, 0.1], [0.1, 0.3, 0.6]


def profile(frame):
    profiler = Profiler()
    profiler.add(pl.DataFrame(frame))
    return profiler.profile()


def rows(seed=1, moved=0.0, count=ROWS):
    """Every kind of column that a picture knows."""
    random = np.random.default_rng(seed)
    start = np.datetime64("2026-01-01T00:00", "us")
    return {
        "fare": random.gamma(2.0 + 2 * moved, 20.0, count),
        "seats": random.integers(1, 6, count),
        "plan": random.choice(["basic", "plus", "pro"], count, p=PLANS[bool(moved)]),
        "member": random.choice([True, False], count),
        "at": start + random.integers(0, 90, count).astype("m8[D]"),
        "same": np.full(count, 7),
        "prediction": random.beta(2, 8, count),
    }  # fmt: skip


def lacking(frame, share_missing):
    random = np.random.default_rng(9)
    gone = random.random(ROWS) < share_missing
    return {
        **frame,
        "fare": [None if no else one for no, one in zip(gone, frame["fare"], strict=True)],
    }


BASELINE = profile(rows())
SAME, MOVED = profile(rows(2)), profile(rows(3, moved=1.0))
LOOK = Look(
    "flights/delay", 3, START, START + HOUR, "found",
    "fare drifted: fare by 0.4 (the threshold is 0.1), in 3 of the last 5 windows that count",
    "shift",
)  # fmt: skip
QUIET = Look("flights/delay", 3, START, START + HOUR, "same", "3,000 rows; no feature drifted")


JUDGE = DriftSettings()


def report(current=MOVED, look=LOOK, baseline=BASELINE, *, triage=SHIFT, history=(), judge=JUDGE):
    comparison = compare(baseline, current, judge)
    return to_html(look, baseline, current, comparison, triage=triage, history=history)


def past(hours, distances, count=900):
    return Past(START - hours * HOUR, count, distances)


def test_it_says_what_was_found_what_it_means_what_is_next_and_how_sure():
    seen = Page(report()).text

    told = [
        "flights/delay: drift was found",
        "What was found", "fare drifted: fare by 0.4",
        "What it means", "Values moved as a season moves them.",
        "What happens next", "Drift Found", "tidemill why flights/delay",
        "How sure that is", "3,000 rows of traffic are held against the 3,000 rows",
        "The features that are farthest", "▲ drifted",
    ]  # fmt: skip
    places = [seen.index(one) for one in told]
    assert places == sorted(places), "in this order"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kind": "broken_upstream"}, ["the data upstream looks broken", "nothing is trained"]),
        ({"retrain": False}, ["drift was found", "watch.drift.retrain is false"]),
        ({"verdict": "held", "until": START + HOUR}, ["not told yet", moment(START + HOUR)]),
        ({"verdict": "held"}, ["not told yet", "It is told if it lasts"]),
        ({"verdict": "suspected"}, ["perhaps drift", "3 of the last 5 windows"]),
        ({"verdict": "drifted"}, ["still drifted", "below 0.05"]),
        ({"verdict": "drifted", "kind": "broken_upstream"}, ["looks broken"]),
        ({"verdict": "too_few_rows"}, ["too little traffic to say"]),
        ({"verdict": "no_traffic"}, ["no traffic"]),
        ({"verdict": "same", "kind": None}, ["no drift", "Nothing needs to be done."]),
    ],
)
def test_every_verdict_has_its_words(change, said):
    seen = Page(report(look=replace(LOOK, **change))).text

    assert all(one in seen for one in said)


def test_signs_are_told_with_their_features():
    signs = tuple(Sign("nulls", f"c{n}", f"{n} % of c{n} are missing.") for n in range(20))
    moved = Sign("covariate", "fare", "'fare' moved: its median went up.")
    broken = Triage("broken_upstream", (*signs, moved), "c0 lost its values.")
    seen = Page(report(triage=broken)).text

    assert "c0 lost its values." in seen
    assert "11 % of c11 are missing." in seen
    assert "12 % of c12 are missing." not in seen
    assert "and 8 more" in seen
    lead, cards = seen.split("What happens next")
    assert moved.sentence not in lead, "the first lines tell what is broken"
    assert moved.sentence in cards, "and each feature what became of it"


def test_how_sure_tells_what_chance_can_do():
    few = compare(BASELINE, profile(rows(2, count=100)), DriftSettings())
    assert (
        "With fewer than 500 rows nothing is said."
        in Page(
            to_html(QUIET, BASELINE, profile(rows(2, count=100)), few, triage=NONE, history=())
        ).text
    )
    robust, simple = (
        Page(report(judge=DriftSettings(distance=name))).text for name in ("robust", "simple")
    )
    assert "distances of up to 0.05; that much is taken off each" in robust
    assert "distances of up to 0.05, and the threshold is 0.1" in simple


def test_a_window_without_traffic_is_a_report_too():
    look = replace(QUIET, verdict="no_traffic", reason="no traffic was captured")
    seen = Page(report(Profile(), look, triage=NONE)).text

    assert "There is nothing to compare." in seen
    assert "fare" in seen


def test_a_feature_is_shown_as_what_it_is():
    html = report()

    assert 'class="w"' in html, "numbers are an area and a line"
    assert 'class="n"' in html
    assert re.search("(59|60|61) % → (9|10|11|9.\\d) %", Page(html).text), "categories are shares"
    assert "2026-01-01T00:00Z" in html, "times are dates"
    assert "(the answers)" in html


def test_what_is_not_drifted_stands_folded_and_what_is_stands_open():
    html = report()
    opened, folded = html.split("All other features")

    assert {"fare", "plan"} <= set(re.findall("<code>(.*?)</code>", opened))
    assert "<code>member</code>" in folded
    assert '<details class="f" open>' not in folded


def test_without_drift_some_features_are_shown_anyway():
    html = report(SAME, QUIET, triage=NONE)

    assert html.count('<details class="f" open>') == 3
    assert "○ same" in html


def test_a_column_that_lost_its_cells_is_told_and_drawn():
    html = report(profile(lacking(rows(2), 0.4)))
    seen = Page(html).text

    assert "▲ missing cells" in seen
    assert re.search(r"0 % → (39|40|41) %", seen)
    assert '<circle class="wo"' in html, "the baseline's mark is hollow"


def test_columns_that_went_or_came_are_told():
    now = rows(2)
    now["fresh"] = now.pop("fare")
    seen = Page(report(profile(now))).text

    assert "✕ not there" in seen
    assert "+ new column" in seen


def test_a_column_of_another_type_shows_its_words():
    seen = Page(report(profile({**rows(2), "fare": ["about ten"] * ROWS}))).text

    assert "▲ other type" in seen
    assert "about ten" in seen


def test_the_course_of_time_is_drawn_in_order_with_a_mark_for_each_feature():
    history = [past(1, {"fare": 0.3}), past(3, {"fare": 0.0}), past(2, {"plan": 0.2}, 0)]
    html = report(history=[*history, past(1, {"fare": 0.31}), past(-5, {"fare": 0.9})])

    assert "From window to window" in html
    assert moment(START - 3 * HOUR) in html, "the first"
    assert moment(START) in html, "this one"
    assert moment(START + 5 * HOUR) not in html, "later ones are no history"
    assert len(set(re.findall(r'class="m" d="([^"]+)"', html))) >= 2, "told apart without colour"


def test_one_window_is_no_course_of_time():
    assert "From window to window" not in report()


def test_it_says_whether_the_retraining_helped():
    earlier = Earlier(2, "f-20260901t0000-1a2b3c4d", START - 9 * HOUR, {"fare": 0.44, "old": 0.2})
    helped = Page(report(SAME, replace(QUIET, earlier=earlier), triage=NONE)).text

    assert "Did the retraining help?" in helped
    assert "f-20260901t0000-1a2b3c4d of version 2" in helped
    assert "Of the 2 features that had drifted then, 1 is now as the version learned it." in helped
    assert "not there any more" in helped
    none = Page(report(look=replace(LOOK, earlier=replace(earlier, distances={"fare": 0.4})))).text
    assert "Of the 1 feature that had drifted then, none is now" in none


def test_lines_that_could_not_be_read_are_counted():
    look = replace(LOOK, unread={"truncated": 12, "not JSON": 3})

    assert "15 captured lines: 3 not JSON, 12 truncated" in Page(report(look=look)).text


def test_nothing_is_fetched_or_run_and_light_dark_and_paper_are_meant():
    html = report(history=[past(1, {"fare": 0.3})])
    page = Page(html)

    assert "default-src 'none'" in html
    assert not {"script", "link", "img", "image", "iframe", "a", "use"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name.startswith("on") or name == "href"]
    assert "url(" not in html
    assert "prefers-color-scheme:dark" in html
    assert "@media print" in html
    assert ("name", "viewport") in page.attributes


HOSTILE = st.one_of(
    st.sampled_from(
        [
            "",
            "<script>alert(1)</script>",
            '"><svg onload=alert(1)>',
            "</code></summary></details></main><h1>All is well</h1>",
            "&lt;b&gt; `tidemill delete`",
            "a\u202egnp.exe",
            "\x00\x1b[31m\ud800",
            "x" * 5_000,
        ]
    ),
    st.text(max_size=30),
)


@settings(max_examples=40)
@given(names=st.lists(HOSTILE, min_size=2, max_size=2, unique=True), value=HOSTILE)
def test_whatever_columns_and_categories_are_called_the_page_stays_whole(names, value):
    values = [value.encode("utf-8", "replace").decode(), "plain"] * 300
    first, second = (name.encode("utf-8", "replace").decode() for name in names)
    frame = {first: values, f"{second}_": np.arange(600.0)}
    before = profile({**frame, f"{second}_": np.arange(600.0) + 400})
    triage = Triage("broken_upstream", (Sign("spelling", first, value),), value)
    look = replace(LOOK, reason=value or "x", unread={value: 1})

    history = [past(1, {first: 0.4})]
    html = report(profile(frame), look, before, triage=triage, history=history)
    page = Page(html)

    plain = {"html", "head", "meta", "title", "style", "body", "main", "h1", "h2", "p", "div"}
    plain |= {"dl", "dt", "dd", "ul", "li", "details", "summary", "span", "em", "code", "svg"}
    plain |= {"path", "rect", "circle", "text", "g", "table", "thead", "tbody", "tr", "th", "td"}
    assert set(page.tags) <= plain
    assert page.tags.count("h1") == 1
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert not [char for char in html if not char.isprintable() and char not in "\n\t"]
    html.encode()


NUMBERS = st.floats(allow_nan=False, allow_infinity=False, width=32)


@settings(max_examples=60)
@given(
    was=st.lists(NUMBERS, min_size=1, max_size=40),
    now=st.lists(NUMBERS, min_size=1, max_size=40),
)
def test_any_numbers_can_be_drawn(was, now):
    judge = DriftSettings(minimum_rows=1)
    html = report(profile({"a": now}), LOOK, profile({"a": was}), judge=judge)

    Page(html)
    assert "nan" not in html.split("</style>")[1].replace("finance", "")
    shapes = re.findall(r' d="([^"]+)"', html)
    assert all(re.fullmatch(r"[MLHVZmhvzac0-9 .\-]+", one) for one in shapes), shapes
    for shape in shapes:
        assert all(-10 <= float(n) <= 400 for n in re.findall(r"-?\d+\.?\d*", shape))


def test_five_hundred_columns_fit_a_mail():
    random = np.random.default_rng(5)
    was = {f"feature_{n:03d}_of_a_wide_table": random.normal(n, 1 + n, 600) for n in range(250)}
    was |= {f"code_{n:03d}": random.choice([f"value {i}" for i in range(20)], 600)
            for n in range(250)}  # fmt: skip
    now = {name: values[::-1] * 1.5 if name[0] == "f" else values for name, values in was.items()}
    baseline, current = profile(was), profile(now)
    comparison = compare(baseline, current, DriftSettings())
    history = [past(n, dict.fromkeys(was, 0.1)) for n in range(1, 24)]

    html = to_html(LOOK, baseline, current, comparison, triage=SHIFT, history=history)

    assert len(html.encode()) < 2_000_000
    page = Page(html)
    assert page.tags.count("details") == 500 + 2, "every feature is there"
    assert html.count('<details class="f" open>') == 8
    assert "492 more features" in page.text


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0, "0 %"), (0.0004, "< 0.1 %"), (0.0123, "1.2 %"), (0.05, "5 %"), (0.128, "13 %"),
        (0.955, "95.5 %"), (0.9996, "> 99.9 %"), (1, "100 %"), (None, "\N{EN DASH}"),
    ],
)  # fmt: skip
def test_shares_have_few_digits_and_nothing_is_rounded_away(value, said):
    assert share(value) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0, "0"), (1234.5, "1,234"), (12.3456, "12.35"), (0.0123461, "0.01235"), (1e9, "1e+09"),
        (float("inf"), "∞"), (float("-inf"), "-∞"), (None, "\N{EN DASH}"), (2.50, "2.5"),
        (float("nan"), "\N{EN DASH}"), (-19.29, "-19.29"), (120, "120"),
    ],
)  # fmt: skip
def test_numbers_have_few_digits(value, said):
    assert number(value) == said


def test_a_moment_that_no_calendar_has_is_told_in_seconds():
    assert moment(1_789_999_200) == "2026-09-21 14:00"
    assert moment(1e18) == "second 1000000000000000000"
