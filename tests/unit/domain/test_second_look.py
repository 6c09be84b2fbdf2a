"""Which quarantined files are looked at again."""

import pytest

from tidemill.domain.second_look import MOST_BYTES, is_small, is_worth_it, not_looked_at


@pytest.mark.parametrize(
    ("key", "size", "small"),
    [
        ("a.csv", 10, True),
        ("a.csv", MOST_BYTES, True),
        ("a.csv", MOST_BYTES + 1, False),
        ("a.csv.gz", MOST_BYTES // 8 + 1, False),
    ],
)
def test_small_files_are_read_again_by_a_function(key, size, small):
    assert is_small(key, size) is small


def test_files_with_a_bad_row_are_worth_it():
    assert is_worth_it(3)
    assert not is_worth_it(None), "it is the file as a whole"


def test_the_note_gives_size_as_the_reason_where_it_is_one():
    assert not_looked_at("a.csv", 10) == "Only the first place that was found is known."
    assert "more than 128 MiB" in not_looked_at("a.csv", MOST_BYTES + 1)
