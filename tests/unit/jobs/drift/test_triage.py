"""Each sign of a broken upstream, and each shift of the world that must not be taken for one."""

import numpy as np
import polars as pl
import pytest

from tidemill_jobs.drift import BROKEN, DriftSettings, Triage, compare, triage
from tidemill_jobs.profile import Profiler

ROWS = 3_000
CITIES = ["Zürich", "Genève", "Basel", "Bern", "Lugano"]
SHARES = [0.35, 0.25, 0.2, 0.15, 0.05]


def profile(frame):
    profiler = Profiler()
    profiler.add(pl.DataFrame(frame))
    return profiler.profile()


def rows(seed=1, count=ROWS, warmer=0.0):
    random = np.random.default_rng(seed)
    minutes = np.concatenate([random.normal(480, 60, count // 3), random.normal(1_050, 90, count)])
    return {
        "speed": np.round(random.gamma(4.0, 8.0, count), 1),
        "temp": np.round(random.normal(50 + warmer, 12, count), 1),
        "humid": np.round(random.normal(60 - warmer / 2, 9, count), 1),
        "minute": np.clip(random.permutation(minutes)[:count], 0, 1_439).round(),
        "city": random.choice(CITIES, count, p=SHARES),
        "line": random.choice(["S1", "S2", "S3", "IR"], count, p=[0.4, 0.3, 0.2, 0.1]),
        "prediction": random.beta(2, 5, count),
    }


BASELINE = profile(rows(1, 30_000))


def judged(recent=None, **columns):
    current = profile({**rows(2), **columns})
    return triage(compare(BASELINE, current, DriftSettings()), BASELINE, current, recent)


def part(share, values, name, seed=3):
    """Return a feature in which a share of the rows has other values."""
    usual = rows(2)[name]
    return np.where(np.random.default_rng(seed).random(ROWS) < share, values, usual)


def assert_sign(found, sign, feature, *words):
    assert found.kind == ("broken_upstream" if sign in BROKEN else "shift")
    assert (found.signs[0].sign, found.signs[0].feature) == (sign, feature)
    for word in (f"'{feature}'", *words):
        assert word in found.reason


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("count", [600, 2_000, 10_000])
def test_another_shape_is_no_other_unit(seed, count):
    """A hump of a few rows, stretched, is like a plateau: Celsius and Fahrenheit, they said."""
    random = np.random.default_rng(seed)
    learned, before = (profile({"x": random.normal(500, 100, n)}) for n in (30_000, count))
    now = profile({"x": random.uniform(500, 1_200, count)})

    found = triage(compare(learned, now, DriftSettings()), learned, now, before)

    assert (found.kind, [sign.sign for sign in found.signs]) == ("shift", ["covariate"])


@pytest.mark.parametrize("count", [600, 2_000, 10_000])
def test_another_unit_keeps_the_shape(count):
    random = np.random.default_rng(5)
    learned, before = (profile({"x": random.normal(500, 100, n)}) for n in (30_000, count))
    now = profile({"x": random.normal(500, 100, count) * 1.8 + 32})

    found = triage(compare(learned, now, DriftSettings()), learned, now, before)

    assert [sign.sign for sign in found.signs] == ["scale"]


def test_nothing_drifted():
    found = judged()

    assert (found.kind, found.signs) == ("none", ())
    assert found.reason == "No feature that a model is asked with has drifted."


def test_too_few_rows_mean_nothing():
    few = profile(rows(2, 20))

    found = triage(compare(BASELINE, few, DriftSettings()), BASELINE, few)

    assert found.kind == "none"
    assert found.reason == "20 rows are too few to say anything."


def test_nulls_that_were_never_there():
    found = judged(speed=part(0.4, np.nan, "speed"))

    assert_sign(found, "nulls", "speed", "is missing in 4", "before in 0 %")


def test_a_feature_that_is_often_missing_may_be_missing_more_often():
    def gusts(seed, missing, count):
        hidden = np.random.default_rng(seed).random(count) < missing
        return np.where(hidden, np.nan, rows(seed, count)["speed"])

    baseline = profile({**rows(1), "speed": gusts(1, 0.6, ROWS)})
    current = profile({**rows(2), "speed": gusts(2, 0.75, ROWS)})

    found = triage(compare(baseline, current, DriftSettings()), baseline, current)

    assert_sign(found, "missingness", "speed")


@pytest.mark.parametrize("share", [1.0, 0.4])
@pytest.mark.parametrize(
    ("factor", "words"),
    [
        (60.0, ("multiplied by 60 (minutes and hours",)),
        (1_000.0, ("multiplied by 1,000 (thousands",)),
        (0.3048, ("divided by 3.281 (feet and metres)",)),
        (2.54, ("multiplied by 2.54 (centimetres and inches)",)),
        (0.01, ("divided by 100 (per cent",)),
        (-1.0, ("turned round in sign",)),
        (37.0, ("multiplied by about 3",)),  # no unit's
    ],
)
def test_a_constant_factor(factor, words, share):
    found = judged(speed=part(share, rows(2)["speed"] * factor, "speed"))

    assert_sign(found, "scale", "speed", *words)
    assert ("in nearly all rows" in found.reason) is (share == 1)


def test_degrees_that_were_converted():
    found = judged(temp=part(0.6, (rows(2)["temp"] - 32) / 1.8, "temp"))

    assert_sign(found, "scale", "temp", "from Fahrenheit into Celsius")


@pytest.mark.parametrize("share", [1.0, 0.5])
@pytest.mark.parametrize(
    ("offset", "words"),
    [(273.15, "Celsius into kelvin"), (45.5, "more than before in"), (-40, "less")],
)
def test_a_constant_offset(offset, words, share):
    found = judged(temp=part(share, rows(2)["temp"] + offset, "temp"))

    assert_sign(found, "offset", "temp", words)


def test_another_time_zone():
    found = judged(minute=(rows(2)["minute"] + 300) % 1_440)

    assert_sign(found, "offset", "minute", "turned by 300 round 1,440")


def test_values_where_none_ever_was():
    """Neither a factor nor an offset, but no world either."""
    found = judged(speed=part(0.5, rows(2)["speed"] ** 3, "speed"))

    assert_sign(found, "out_of_range", "speed")


def test_values_in_a_narrow_place_where_none_was():
    found = judged(temp=np.random.default_rng(4).normal(5, 0.5, ROWS))

    assert_sign(found, "out_of_range", "temp", "hardly any value was before")


@pytest.mark.parametrize(
    ("written", "words"),
    [
        (str.upper, "in capitals or small letters"),
        (lambda city: f" {city}  ", "with blanks"),
        (lambda city: city.encode().decode("latin-1"), "in another encoding"),
        (lambda city: f"{city} (CH)", "with ' (CH)' behind"),
        (lambda city: f"CH-{city}", "with 'CH-' before"),
        (lambda city: city[:3], "cut after 3 characters"),
        (lambda city: "".join(chr(ord(c) + 0xFEE0) if c.isascii() else c for c in city), "Unicode"),
        (lambda city: city[:1] + "." + city[1:], "with other signs"),
    ],
)
def test_categories_written_in_another_way(written, words):
    found = judged(city=part(0.5, [written(city) for city in rows(2)["city"]], "city"))

    assert_sign(found, "spelling", "city", words)


def test_accents_and_letters_that_were_lost():
    cities = {"Zürich": "Zurich", "Genève": "Geneve"}
    plain = [cities.get(city, city) for city in rows(2)["city"]]
    lost = [city.replace("ü", "\ufffd").replace("è", "?") for city in rows(2)["city"]]

    assert_sign(judged(city=plain), "spelling", "city", "without their accents")
    assert_sign(judged(city=lost), "spelling", "city", "with letters lost")


def test_codes_that_lost_their_zeros():
    codes = np.array(["007", "012", "101", "220"])
    baseline = profile({**rows(1), "code": codes[np.arange(ROWS) % 4]})
    current = profile({**rows(2), "code": np.array(["7", "12", "101", "220"])[np.arange(ROWS) % 4]})

    found = triage(compare(baseline, current, DriftSettings()), baseline, current)

    assert found.kind == "broken_upstream"
    assert {"spelling", "another_type"} & {sign.sign for sign in found.signs}


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_another_code_list(share):
    codes = {city: f"{n}-{n * 7919 % 97}#" for n, city in enumerate(CITIES)}
    recoded = part(share, [codes[city] for city in rows(2)["city"]], "city")

    assert_sign(judged(city=recoded), "recoded", "city", "another code list?")


def test_a_word_for_nothing():
    found = judged(city=part(0.4, "UNKNOWN", "city"))

    assert_sign(found, "placeholder", "city", "'UNKNOWN'")


@pytest.mark.parametrize("name", ["temp", "city", "prediction"])
def test_a_value_that_is_frozen(name):
    found = judged(**{name: [rows(2)[name][0]] * ROWS})

    assert_sign(found, "frozen", name, "100 %")


@pytest.mark.parametrize("value", [-999, 0, 50.0])
def test_a_value_that_part_of_the_rows_is_stuck_at(value):
    assert_sign(judged(temp=part(0.45, value, "temp")), "stuck_value", "temp", "4")


def test_a_column_that_is_gone():
    frame = rows(2)
    del frame["temp"]
    current = profile(frame)

    found = triage(compare(BASELINE, current, DriftSettings()), BASELINE, current)

    assert_sign(found, "missing_column", "temp", "missing altogether")


@pytest.mark.parametrize("name", ["temp", "city"])
def test_a_column_of_another_name(name):
    frame = rows(2)
    frame["other"] = frame.pop(name)
    current = profile(frame)

    found = triage(compare(BASELINE, current, DriftSettings()), BASELINE, current)

    assert_sign(found, "renamed_column", name, "'other' came with its values")


def test_two_columns_that_changed_places():
    usual = rows(2)

    found = judged(temp=usual["humid"], humid=usual["temp"], city=usual["line"], line=usual["city"])

    assert [sign.sign for sign in found.signs] == ["swapped_columns"] * 4
    assert {sign.feature for sign in found.signs} == {"temp", "humid", "city", "line"}


@pytest.mark.parametrize(
    "values", [[f"{n},5" for n in range(ROWS)], [f"{n} km/h" for n in range(ROWS)]]
)
def test_a_type_that_changed(values):
    assert_sign(judged(speed=values), "another_type", "speed", "text")


def test_a_column_more_is_no_fault():
    assert judged(more=[1] * ROWS).kind == "none"


def test_a_baseline_of_an_older_schema():
    baseline = profile({"velocity": rows(1)["speed"], "place": rows(1)["city"]})
    current = profile(rows(2))

    found = triage(compare(baseline, current, DriftSettings()), baseline, current)

    assert [sign.sign for sign in found.signs] == ["renamed_column"] * 2
    assert found.kind == "broken_upstream"


def test_a_season_is_a_shift():
    current = profile(rows(2, warmer=20.0))

    found = triage(compare(BASELINE, current, DriftSettings()), BASELINE, current)

    assert_sign(found, "covariate", "temp", "its median went from 50", "'humid'")
    assert {sign.feature for sign in found.signs} == {"temp", "humid"}


def test_another_shape_is_a_shift():
    assert_sign(judged(speed=np.random.default_rng(4).gamma(2, 30, ROWS)), "covariate", "speed")


def test_another_mix_is_a_shift():
    city = np.random.default_rng(4).choice(CITIES, ROWS, p=[0.1, 0.1, 0.2, 0.5, 0.1])

    assert_sign(judged(city=city), "mix", "city")


def test_a_route_that_is_more_frequent_takes_its_distance_along():
    """Half of all trips now go to one city: its distance is no value that something stuck at."""
    distances = {"Zürich": 100.0, "Genève": 280.0, "Basel": 95.0, "Bern": 125.0, "Lugano": 200.0}

    def trips(seed, shares, count):
        random = np.random.default_rng(seed)
        city = random.choice(CITIES, count, p=shares)
        away = np.array([distances[one] for one in city])
        return {**rows(seed, count), "city": city, "away": away + random.integers(0, 2, count)}

    baseline = profile(trips(1, SHARES, ROWS))
    current = profile(trips(2, [0.2, 0.1, 0.1, 0.05, 0.55], ROWS))

    found = triage(compare(baseline, current, DriftSettings()), baseline, current)

    assert found.kind == "shift"
    assert {sign.sign for sign in found.signs} == {"mix", "covariate"}


def test_a_category_that_is_really_new_is_a_shift():
    found = judged(city=part(0.3, "Chur", "city"))

    assert_sign(found, "new_level", "city", "'Chur' is new")


def test_what_is_done_in_the_middle_of_a_season_shows_against_the_last_healthy_window():
    """20 degrees warmer than the baseline, and in Celsius besides."""
    season = rows(2, warmer=20.0)
    current = profile({**season, "temp": ((season["temp"] - 32) / 1.8).round(1)})
    comparison = compare(BASELINE, current, DriftSettings())

    alone = triage(comparison, BASELINE, current)
    found = triage(comparison, BASELINE, current, profile(rows(5, warmer=20.0)))

    assert alone.kind == "shift"
    assert_sign(found, "scale", "temp", "Celsius", "'humid' moved, too")


def test_a_fault_outweighs_a_shift():
    season = rows(2, warmer=20.0)
    current = profile({**season, "line": ["UNKNOWN"] * ROWS})

    found = triage(compare(BASELINE, current, DriftSettings()), BASELINE, current)

    assert found.kind == "broken_upstream"
    assert found.broken.keys() == {"line"}
    assert "'temp' and 'humid' moved, too" in found.reason


def test_predictions_that_moved_are_no_conversion():
    found = judged(prediction=rows(2)["prediction"] * 0.01)

    assert_sign(found, "covariate", "prediction")


def test_triage_is_read_as_it_was_written():
    found = judged(city=part(0.3, "Chur", "city"))

    assert Triage.parse(found.document()) == found


@pytest.mark.parametrize("offset", [9, -14])
def test_whole_degrees_that_rise_are_no_offset(offset):
    """Values that were never seen lie on the same whole degrees: the world has moved there."""
    random = np.random.default_rng(7)

    def weather(mean, count):
        temp = random.normal(mean, 8, count).round()
        return {**rows(2, count), "temp": temp, "humid": random.normal(60 + mean, 9, count)}

    baseline, current = profile(weather(50, 20_000)), profile(weather(50 + offset, ROWS))

    found = triage(compare(baseline, current, DriftSettings()), baseline, current)

    assert found.kind == "shift"
