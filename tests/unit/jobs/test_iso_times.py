from datetime import datetime

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidemill_jobs import schema
from tidemill_jobs.profile.iso_times import minutes_of

FORMS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%SZ"]


@settings(deadline=None)
@given(
    st.lists(
        st.datetimes(
            min_value=datetime(1000, 1, 1),  # noqa: DTZ001  # texts without an offset
            max_value=datetime(2999, 12, 31),  # noqa: DTZ001
        ),
        min_size=1,
        max_size=20,
    ),
    st.sampled_from(FORMS),
)
def test_it_reads_what_the_schema_reads(times, form):
    texts = pl.Series([time.strftime(form) for time in times])

    assert minutes_of(texts).tolist() == schema.minutes(texts).to_list()


@pytest.mark.parametrize(
    "text",
    [
        "2026-02-29",
        "2026-13-01",
        "2026-00-10",
        "2026-01-00",
        "0999-01-01",
        "3000-01-01",
        "2026-01-01T24:00",
        "2026-01-01T00:60",
        "2026-01-01T00:00:60",
        "2026-01-01T00:00:00z",
        "2026-01-01X00:00",
        "2026/01/01",
        "2026-0a-01",
        "2026-é-01",
        "a",
        "",
    ],
)
def test_it_refuses_what_is_no_time(text):
    assert minutes_of(pl.Series([text])) is None
    assert schema.minutes(pl.Series([text])).to_list() == [None]


def test_it_leaves_mixtures_to_others():
    assert minutes_of(pl.Series(["2026-01-01", "2026-01-01T00:00"])) is None
    assert minutes_of(pl.Series([], dtype=pl.String)) is None
