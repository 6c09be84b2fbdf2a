"""How a delivery is divided into what Lambdas read and what a job reads."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.domain.admission import ObjectVersion
from tidemill.domain.check import (
    BATCH_BYTES,
    BATCH_FILES,
    LARGEST_SCALE,
    MOST_BATCHES,
    Pass,
    execution_name,
    next_attempt_at,
    plan,
)
from tidemill.domain.size import MIB, SMALL_BYTES


def files(count, size=1000, ending="csv"):
    return [
        ObjectVersion("lake", f"raw/p/m/{n}.{ending}", "v", "e", size, 1.0, "1")
        for n in range(count)
    ]


def shape(objects):
    """Return how many files each part has, and whether it is small."""
    return [(len(part.objects), part.small) for part in plan(objects)]


def test_nothing_is_no_part():
    assert plan([]) == []


def test_a_few_files_are_one_part_in_their_order():
    few = files(3)
    (part,) = plan(few)
    assert part.small
    assert part.objects == tuple(few)


def test_a_batch_is_full_by_its_number_of_files():
    assert shape(files(BATCH_FILES)) == [(BATCH_FILES, True)]
    assert shape(files(BATCH_FILES + 1)) == [(BATCH_FILES, True), (1, True)]


def test_a_batch_is_full_by_its_bytes():
    assert shape(files(9, SMALL_BYTES)) == [(4, True), (4, True), (1, True)]


def test_a_file_that_a_lambda_cannot_hold_is_a_job_s():
    assert shape(files(1, SMALL_BYTES)) == [(1, True)]
    assert shape(files(1, SMALL_BYTES + 1)) == [(1, False)]
    assert shape([*files(2), *files(3, 10 * BATCH_BYTES)]) == [(2, True), (3, False)]


def test_what_counts_is_the_size_unpacked():
    assert shape(files(1, SMALL_BYTES // 8, "csv.gz")) == [(1, True)]
    assert shape(files(1, SMALL_BYTES // 8 + 1, "csv.gz")) == [(1, False)]


def test_batches_grow_before_a_job_is_needed():
    most = MOST_BATCHES * BATCH_FILES
    assert shape(files(most)) == [(BATCH_FILES, True)] * MOST_BATCHES
    grown = shape(files(most + 1))
    assert all(small for _, small in grown)
    assert {count for count, _ in grown[:-1]} == {2 * BATCH_FILES}


def test_a_hundred_thousand_files_need_no_job():
    many = shape(files(100_000))
    assert len(many) <= MOST_BATCHES
    assert sum(count for count, _ in many) == 100_000
    assert all(small for _, small in many)


def test_what_is_beyond_the_largest_batches_is_one_job_s():
    most = MOST_BATCHES * LARGEST_SCALE * BATCH_FILES
    parts = shape(files(most + 5))
    assert parts[:-1] == [(LARGEST_SCALE * BATCH_FILES, True)] * MOST_BATCHES
    assert parts[-1] == (5, False)


SIZES = st.sampled_from([0, 1, MIB, 100 * MIB, SMALL_BYTES, SMALL_BYTES + 1, 10 * BATCH_BYTES])


@given(st.lists(st.tuples(SIZES, st.sampled_from(["csv", "csv.gz", "parquet"])), max_size=200))
def test_every_file_is_in_exactly_one_part(drawn):
    objects = [
        ObjectVersion("lake", f"raw/p/m/{n}.{ending}", "v", "e", size, 1.0, "1")
        for n, (size, ending) in enumerate(drawn)
    ]
    parts = plan(objects)
    counted = Counter(item.key for part in parts for item in part.objects)
    assert counted == Counter(item.key for item in objects)
    assert len(parts) <= MOST_BATCHES + 1
    assert [part.small for part in parts] == sorted((p.small for p in parts), reverse=True)
    assert all(part.objects for part in parts)


@pytest.mark.parametrize(("attempt", "pause"), [(1, 60), (2, 300), (3, 1800), (4, None), (9, None)])
def test_after_the_fourth_attempt_a_person_decides(attempt, pause):
    assert next_attempt_at(attempt, 1000.0) == (1000.0 + pause if pause else None)


def test_each_attempt_has_a_name_of_its_own():
    assert [execution_name("d-1", attempt) for attempt in (1, 2, 5)] == ["d-1", "d-1-r2", "d-1-r5"]


@pytest.mark.parametrize(
    ("name", "sha256"), [("a1" * 16, "00ff" * 16), ("ff" * 16, ""), ("other", "ab")]
)
def test_what_passed_is_read_as_it_was_written(name, sha256):
    one = Pass(name, 7, sha256)
    assert Pass.parse(one.to_text()) == one
    assert Pass.parse(f"{name} 7 {sha256}") == one, "as it was written until 2026-11"


def test_a_thousand_that_passed_are_70_kb():
    assert len(Pass("a1" * 16, 1000, "0f" * 32).to_text()) == 71
