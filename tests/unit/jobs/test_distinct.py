import numpy as np
import pytest

from tidemill_jobs.profile.batch import Batch
from tidemill_jobs.profile.distinct import Distinct, K, hash_batch

BATCH = 50_000


def least(values: np.ndarray) -> list[int]:
    """Return the K least hashes, as one pass over all values finds them."""
    return np.unique(hash_batch(Batch.of_floats(values)))[:K].tolist()


@pytest.mark.parametrize("different", [3_000, 9_000, 10**9])
def test_batches_leave_the_least_hashes_of_all(different):
    values = np.random.default_rng(1).integers(-different, different, 6 * BATCH) / 2
    values[0] = 0.0
    sketch = Distinct()
    for start in range(0, len(values), BATCH):
        batch = Batch.of_floats(values[start : start + BATCH])
        sketch = sketch.add(hash_batch(batch))

    assert sketch.hashes.tolist() == least(values)


def test_a_number_hashes_alike_whatever_it_came_as():
    wholes = np.array([-3, 0, 7, 2**53])
    floats = np.array([-3.0, -0.0, 7.0, 2.0**53])
    above = np.array([7.0, 2.0**53])

    hashed = hash_batch(Batch.of_floats(floats)).tolist()
    assert hashed == hash_batch(Batch(wholes, -3, 2**53)).tolist()
    assert hashed[2:] == hash_batch(Batch.of_floats(above)).tolist()


def test_the_callers_numbers_are_left_as_they_are():
    values = np.array([1.0, 2.0, 3.0])
    hash_batch(Batch.of_floats(values), salt=5)

    assert values.tolist() == [1.0, 2.0, 3.0]
