"""Whatever the columns hold, a comparison and its triage come to an end, and can be written."""

import json
import math

import polars as pl
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tidemill_jobs.drift import Comparison, DriftSettings, Triage, compare, triage
from tidemill_jobs.drift.__main__ import table
from tidemill_jobs.profile import Profile, Profiler

ROWS = 60
UNSHRUNK = (Phase.explicit, Phase.reuse, Phase.generate)  # shrinking whole tables takes minutes
EVERY = DriftSettings(minimum_rows=1)

cells = (
    st.sampled_from(["", "a", "A", "b ", "007", "7", "NA", "2.5", "2026-11-20", "true", "-", "é"])
    | st.integers(-3, 3).map(str)
    | st.floats(-1e3, 1e3).map(str)
    | st.sampled_from([0.0, 1e-300, 3e38, 1e300, math.inf, -math.inf, math.nan]).map(str)
)
few_values = st.lists(cells, min_size=1, max_size=4)
columns = st.lists(cells, min_size=ROWS, max_size=ROWS) | st.tuples(
    few_values, st.integers(1, ROWS)
).map(lambda drawn: [drawn[0][n % len(drawn[0])] for n in range(ROWS)])
tables = st.dictionaries(st.sampled_from(["x", "y", "z", "prediction"]), columns, max_size=4)


def profile(frame):
    profiler = Profiler()
    profiler.add(pl.DataFrame(frame, schema=dict.fromkeys(frame, pl.String)))
    return profiler.profile()


@settings(max_examples=60, phases=UNSHRUNK)
@given(tables, tables, st.none() | tables, st.sampled_from(["LInfinity", "ChiSquared"]))
def test_any_two_tables(was, now, recent, categorical):
    baseline, current = profile(was), profile(now)
    chosen = DriftSettings(minimum_rows=1, categorical=categorical)

    comparison = compare(baseline, current, chosen)
    found = triage(comparison, baseline, current, profile(recent) if recent else None)

    for document, kind in ((comparison.document(), Comparison), (found.document(), Triage)):
        text = json.dumps(document, allow_nan=False)
        assert json.dumps(kind.parse(json.loads(text)).document()) == text
    assert (found.kind == "none") == (not found.signs)
    assert found.reason.endswith((".", "?"))
    assert table(comparison, found)
    for one in comparison.features:
        assert 0 <= one.severity <= 1
        assert bool(one.findings) == (one.verdict in ("drifted", "missing", "extra")) or (
            one.verdict in ("constant", "too_few_rows", "not_judged")
        )


@settings(max_examples=20, phases=UNSHRUNK)
@given(tables)
def test_a_table_has_not_drifted_from_itself(frame):
    same = profile(frame)

    comparison = compare(same, same, EVERY)

    assert comparison.findings == ()
    assert triage(comparison, same, same).kind == "none"
    assert compare(same, Profile(), EVERY).findings == ()
