"""Which quarantined files are looked at again."""

import pytest

from tidemill.domain.second_look import MOST_BYTES, is_worth_it, not_looked_at


@pytest.mark.parametrize(
    ("key", "size", "row", "worth"),
    [
        ("a.csv", 10, 3, True),
        ("a.csv", MOST_BYTES, 3, True),
        ("a.csv", MOST_BYTES + 1, 3, False),
        ("a.csv.gz", MOST_BYTES // 8 + 1, 3, False),
        ("a.csv", 10, None, False),
    ],
)
def test_small_files_with_a_bad_row_are_worth_it(key, size, row, worth):
    assert is_worth_it(key, size, row) is worth


def test_the_note_gives_size_as_the_reason_where_it_is_one():
    assert not_looked_at("a.csv", 10) == "Only the first place that was found is known."
    assert "more than 128 MiB" in not_looked_at("a.csv", MOST_BYTES + 1)
