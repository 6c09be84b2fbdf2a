import math

import pytest

from tidemill_jobs.errors import ValueRefusedError
from tidemill_jobs.values import is_missing, read_boolean, read_number, read_text, read_time


@pytest.mark.parametrize("value", [None, "", "  ", "null", "NULL", "NaN", "nan", math.nan])
def test_null_nan_and_the_empty_text_are_missing_in_every_column(value):
    assert is_missing(value)
    assert math.isnan(read_number(value))
    assert math.isnan(read_boolean(value))
    assert math.isnan(read_time(value))
    assert read_text(value) == ""


def test_na_is_missing_among_numbers_and_namibia_among_texts():
    assert math.isnan(read_number("NA"))
    assert math.isnan(read_boolean("N/A"))
    assert math.isnan(read_time("None"))
    assert read_text("NA") == "NA"


@pytest.mark.parametrize(
    ("value", "number"),
    [("12", 12), (" -1.5\t", -1.5), (".5", 0.5), ("5.", 5), ("+1e3", 1000), (7, 7), (0.1, 0.1)],
)
def test_a_number_is_read_from_text_and_from_json_alike(value, number):
    assert read_number(value) == number


@pytest.mark.parametrize("value", ["abc", "1,5", "1_000", "0x10", "inf", "٣", "5\n", True, [], {}])
def test_what_is_no_number_is_refused_by_its_value(value):
    with pytest.raises(ValueRefusedError, match="send a number"):
        read_number(value)


@pytest.mark.parametrize("value", ["1e39", -3.5e38, math.inf, 10**400, "1e999"])
def test_a_number_beyond_32_bits_is_refused_instead_of_becoming_infinite(value):
    with pytest.raises(ValueRefusedError, match="beyond"):
        read_number(value)


def test_the_largest_32_bit_number_is_still_one():
    assert read_number("3.4028234663852886e38") == pytest.approx(3.4028234663852886e38)


def test_booleans_are_words_and_no_numbers():
    assert [read_boolean(v) for v in (True, False, "TRUE", " false ")] == [1, 0, 1, 0]
    for value in (1, 0, "1", "yes"):
        with pytest.raises(ValueRefusedError, match="true or false"):
            read_boolean(value)


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("1970-01-01", 0),
        ("1970-01-01T00:01", 1),
        ("1970-01-02 00:00:59.999", 1440),
        ("1970-01-01T02:00:00+02:00", 0),
        ("1970-01-01T00:00-0130", 90),
        ("1969-12-31T23:59Z", -1),
        ("2000-02-29", 15_863_040),
    ],
)
def test_times_are_minutes_since_1970_in_utc(text, minutes):
    assert read_time(text) == minutes


@pytest.mark.parametrize(
    "value",
    ["2026-02-30", "2026-13-01", "11/20/2026", "2026-11-20T24:00", "0999-01-01", 1763, True],
)
def test_what_is_no_time_is_refused(value):
    with pytest.raises(ValueRefusedError, match="2026-11-20T14:30:00Z"):
        read_time(value)


@pytest.mark.parametrize("value", [1, 1.0, True, ["a"]])
def test_a_text_column_refuses_numbers_because_1_and_1_0_would_be_two_categories(value):
    with pytest.raises(ValueRefusedError, match="in quotes"):
        read_text(value)


def test_a_long_value_is_cut_in_the_message():
    with pytest.raises(ValueRefusedError) as caught:
        read_number("x" * 5_000)

    assert len(str(caught.value)) < 120
