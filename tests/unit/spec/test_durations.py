import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.spec.durations import format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("2m", 120), ("1h30m", 5_400), ("2d", 172_800), ("1d1s", 86_401), ("0s", 0)],
)
def test_a_duration_is_numbers_with_units(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "30", "s", "1 h", "1m1h", "-5s", "1.5h", "1w", "٣s", "9" * 12]
)
def test_anything_else_is_no_duration(text):
    assert parse_duration(text) is None


@given(st.integers(min_value=0, max_value=10**9))
def test_what_is_formatted_is_read_back(seconds):
    assert parse_duration(format_duration(seconds)) == seconds
