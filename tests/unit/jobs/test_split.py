import random

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill_jobs import split

# By the formula in Python's integers, not by the code under test.
GOLDEN = [
    1276091889758993315,
    9312396293466122759,
    8124449768470959619,
    16483470862909855771,
    14160996385973802371,
    6247962827427560835,
]


def splits(keys, seed=7):
    return split.assign(split.hash_texts(keys, seed), validation=0.15, test=0.15)


def test_the_hash_is_frozen_because_rows_must_not_move_between_releases():
    assert split.hash_texts(["", "a", "b", "ab", "flight-17", "Ærø"], 7).tolist() == GOLDEN
    assert split.hash_texts(["a"], 8).tolist() != GOLDEN[1:2]


@given(st.lists(st.text(max_size=12), max_size=40), st.randoms())
def test_a_rows_split_depends_on_nothing_but_the_row(keys, draw):
    alone = {key: splits([key])[0] for key in keys}
    draw.shuffle(keys)
    assert [alone[key] for key in keys] == splits(keys).tolist()


def test_steps_of_hashing_do_not_show(monkeypatch):
    keys = [f"row-{number}" for number in range(1_000)]
    whole = split.hash_texts(keys, 1)
    monkeypatch.setattr(split, "ROWS", 7)
    assert (split.hash_texts(keys, 1) == whole).all()


def test_growth_moves_no_row():
    keys = [f"row-{number}" for number in range(5_000)]
    assert (splits(keys)[:1_000] == splits(keys[:1_000])).all()


@pytest.mark.parametrize("kind", ["numbers", "words", "long"])
def test_shares_are_kept_and_hashes_differ(kind):
    draw = random.Random(0)
    keys = {
        "numbers": [str(number) for number in range(40_000)],
        "words": ["".join(draw.choices("ab", k=24)) + str(n) for n in range(40_000)],
        "long": ["x" * 300 + str(number) for number in range(40_000)],
    }[kind]
    counts = np.bincount(splits(keys)) / 40_000

    assert counts == pytest.approx([0.7, 0.15, 0.15], abs=0.01)
    assert len(set(split.hash_texts(keys, 7).tolist())) == 40_000


def test_another_seed_splits_otherwise_and_another_validation_share_keeps_the_test_rows():
    keys = [str(number) for number in range(2_000)]
    assert (splits(keys, 1) != splits(keys, 2)).mean() > 0.3
    hashes = split.hash_texts(keys, 1)
    small = split.assign(hashes, validation=0.1, test=0.2) == split.TEST
    assert (small == (split.assign(hashes, validation=0.3, test=0.2) == split.TEST)).all()


def test_the_id_identifies_a_row_and_a_row_without_one_is_its_cells():
    frame = pl.DataFrame({"b": ["1", "1", "2"], "a": [None, None, "x"], "id": ["p", None, None]})

    assert split.row_keys(frame, "id") == ["p", "\x1f1\x1f", "x\x1f2\x1f"]
    assert split.row_keys(frame.select("a", "b"), None) == split.row_keys(
        frame.select("b", "a"), None
    )


def test_typed_cells_identify_a_row_without_a_librarys_number_format():
    frame = pl.DataFrame({"n": [1, 2], "f": [1.5, None], "b": [True, None]})
    assert split.row_keys(frame, None) == [
        "1\x1f4609434218613702656\x1f1",
        "\x1f9221120237041090560\x1f2",
    ]


def test_no_rows_have_no_split():
    assert splits([]).tolist() == []
