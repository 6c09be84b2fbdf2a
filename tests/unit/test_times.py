import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.times import iso, seconds

MOMENTS = st.floats(0, 4e9)


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (0.0, "1970-01-01T00:00:00.000Z"),
        (1_795_168_800.123, "2026-11-20T10:00:00.123Z"),
        (1_795_168_800.9999, "2026-11-20T10:00:00.999Z"),
    ],
)
def test_a_moment_is_written_in_utc_with_milliseconds(moment, text):
    assert iso(moment) == text


@given(MOMENTS, MOMENTS)
def test_the_order_of_texts_is_the_order_of_times(a, b):
    assert len(iso(a)) == len(iso(b))
    if a <= b:
        assert iso(a) <= iso(b)


@given(MOMENTS)
def test_reading_gives_back_what_was_written_to_the_millisecond(moment):
    assert abs(seconds(iso(moment)) - moment) < 0.00101


@pytest.mark.parametrize(
    "text", ["2026-11-20T10:00:00", "2026-11-20T10:00:00Z", "2026-11-20T11:00:00+01:00"]
)
def test_a_zone_is_heeded_and_without_one_it_is_utc(text):
    assert seconds(text) == 1_795_168_800.0
