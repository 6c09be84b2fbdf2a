"""Redacted columns: comparable, and not to be guessed or read as anything else."""

import re

from hypothesis import given
from hypothesis import strategies as st

from tidemill_jobs.features import Column, Features, Target
from tidemill_jobs.redaction import Redaction
from tidemill_jobs.values import NUMBER, is_missing

FEATURES = Features(
    problem="binary",
    target=Target("late", (False, True)),
    header=("id", "left", "wind", "night", "origin"),
    columns=(
        Column("left", "time", ("left:hour",), ("hour",)),
        Column("wind", "number", ("wind",)),
        Column("night", "boolean", ("night",)),
        Column("origin", "category", ("origin",), categories=("Oslo",)),
    ),
    dropped=(),
    notes=(),
)
ALL = dict.fromkeys(("id", "left", "wind", "night", "origin"), "hash")


def redaction(key=b"k" * 32, **rules):
    return Redaction.of(FEATURES, rules or ALL, key)


def test_hashed_dropped_and_unknown_columns():
    row = {"id": "x1", "wind": "7", "origin": "Oslo", "name": "Ada", "left": "2026-01-01"}

    written = redaction(id="drop", origin="hash").row(row)

    assert list(written) == ["wind", "origin", "left"]
    assert (written["wind"], written["left"]) == ("7", "2026-01-01")
    assert re.fullmatch("h[0-9a-f]{16}", written["origin"])


def test_one_value_has_one_hash_however_it_is_written():
    cell = redaction().cell

    assert len({cell("wind", value) for value in (7, 7.0, "7", " 7.0", "7e0")}) == 1
    assert cell("wind", 0.0) == cell("wind", "-0")
    assert cell("night", True) == cell("night", "TRUE")
    assert cell("left", "2026-01-01T02:00+02:00") == cell("left", "2026-01-01T00:00:00Z")
    assert cell("id", 7) == cell("id", "7")
    assert cell("origin", "07") != cell("origin", "7")


def test_columns_and_keys_give_other_hashes():
    assert redaction().cell("origin", "Oslo") != redaction().cell("id", "Oslo")
    assert redaction().cell("origin", "Oslo") != redaction(b"other").cell("origin", "Oslo")
    assert redaction().cell("origin", "Oslo") == redaction().cell("origin", "Oslo")


def test_missing_stays_missing():
    cell = redaction().cell

    assert [cell("wind", value) for value in (None, "", "NA", float("nan"))] == [None] * 4
    assert cell("origin", "NA") is not None
    assert cell("origin", " ") is None


def test_the_key_is_not_shown():
    assert "k" * 32 not in repr(redaction())


@given(st.text() | st.integers() | st.floats() | st.booleans() | st.none())
def test_a_hash_is_never_a_number_nor_missing(value):
    for column in ALL:
        said = redaction().cell(column, value)
        assert said is None or not (is_missing(said) or re.match(NUMBER, said))
