import pytest

from tidemill.domain.placement import place


@pytest.mark.parametrize(
    ("key", "ref", "name"),
    [
        ("raw/flights/delay/a.csv", "flights/delay", "a.csv"),
        ("raw/flights/delay/2026/11/a b.csv", "flights/delay", "2026/11/a b.csv"),
        ("raw/a1/b-2/c", "a1/b-2", "c"),
        ("raw/flights/delay//a.csv", "flights/delay", "/a.csv"),
    ],
)
def test_a_key_below_a_model_is_its(key, ref, name):
    placement = place(key)
    assert (placement.ref, placement.name) == (ref, name)


@pytest.mark.parametrize(
    "key",
    [
        "raw/flights/delay/",
        "raw/flights/delay/folder/",
        "raw/flights/delay",
        "raw/flights/a.csv",
        "raw//delay/a.csv",
        "raw/Flights/delay/a.csv",
        "raw/flights/de--lay/a.csv",
        "raw/flights/-delay/a.csv",
        "raw/flights/delay-/a.csv",
        "prepared/flights/delay/a.csv",
        "RAW/flights/delay/a.csv",
        "/raw/flights/delay/a.csv",
        "a.csv",
        "",
    ],
)
def test_any_other_key_is_nobody_s(key):
    assert place(key) is None
