"""The compiled part of a profile, beside what numpy and Python say of the same numbers."""

import math
import platform
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tidemill_jobs import kernel
from tidemill_jobs.kernel import library
from tidemill_jobs.profile.distinct import HIGHEST

LARGEST = 3.4e38
FACTORS = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
SHAPES = st.integers(1, 40) | st.just(1_029)  # beyond a block, too
FLOATS = arrays.arrays(np.float64, SHAPES, elements=st.floats())
NUMBERS = arrays.arrays(np.float64, SHAPES, elements=st.floats(-1e9, 1e9))
WHOLES = arrays.arrays(np.int64, SHAPES, elements=st.integers(-(2**63), 2**63 - 1))
ROWS = arrays.arrays(
    np.float64,
    st.integers(1, 3).map(lambda times: times * kernel.SIDE * kernel.ROW),
    elements=st.floats(allow_nan=False),
)
ON_LINUX = platform.system() == "Linux"


def mixed(number: int) -> int:
    for shift, factor in zip((30, 27), FACTORS, strict=True):
        number = (number ^ (number >> shift)) * factor % 2**64
    return number


def hashed(values, salt=0, limit=HIGHEST):
    return kernel.hashes(values, salt, limit, np.empty(len(values), np.uint64)).tolist()


@given(FLOATS)
def test_a_look_finds_what_numpy_finds(values):
    seen = kernel.look(values, LARGEST)
    known = values[~np.isnan(values)]

    assert seen.low == (known.min() if len(known) else math.inf)
    assert seen.high == (known.max() if len(known) else -math.inf)
    assert seen.strange == np.count_nonzero(~(np.abs(values) <= LARGEST))
    finite = known[np.abs(known) < 2.0**63]
    assert seen.wholes == np.count_nonzero(finite == np.rint(finite))


@given(NUMBERS)
def test_sums_are_as_good_as_exact(values):
    seen = kernel.look(values, LARGEST)
    mean = float(values.mean())

    assert seen.total == pytest.approx(math.fsum(values), abs=1e-13 * np.abs(values).sum())
    assert seen.squares == pytest.approx(math.fsum(values * values), rel=1e-13)
    away = math.fsum((values - mean) ** 2)
    assert kernel.deviations(values, mean) == pytest.approx(away, rel=1e-13)


@given(WHOLES)
def test_the_sum_of_whole_numbers_is_exact(values):
    seen = kernel.look_at_wholes(values)

    assert (seen.low, seen.high, seen.total) == (values.min(), values.max(), sum(values.tolist()))
    assert seen.squares == pytest.approx(math.fsum(values.astype(np.float64) ** 2), rel=1e-13)
    assert seen.wholes == len(values)


@given(FLOATS, st.integers(0, 2**64 - 1))
def test_floats_are_hashed_by_their_bits(values, salt):
    bits = np.where(values == 0, 0.0, values).view(np.uint64).tolist()

    # A signalling NaN turns quiet; a profile hashes none.
    known = [number for number, value in enumerate(values) if not math.isnan(value)]
    found = hashed(values, salt)
    assert [found[at] for at in known] == [mixed(bits[at] ^ salt) for at in known]


@given(WHOLES, st.integers(0, 2**64 - 1))
def test_whole_numbers_hash_as_the_doubles_that_hold_them(values, salt):
    def expected(value: int) -> int:
        if abs(value) <= 2**53:
            return mixed(int(np.float64(value).view(np.uint64)) ^ salt)
        return mixed(value % 2**64 ^ salt ^ 1)

    assert hashed(values, salt) == [expected(value) for value in values.tolist()]


@given(NUMBERS, st.integers(0, 2**64 - 1))
def test_hashes_above_the_limit_are_left_out(values, limit):
    kept = [found for found in hashed(values) if found <= limit]

    assert hashed(values, limit=np.uint64(limit)) == kept


@pytest.mark.parametrize("values", [np.ones(3, np.int32), np.ones(6)[::2]])
def test_what_cannot_be_hashed_is_refused(values):
    with pytest.raises(TypeError, match="are not hashed"):
        hashed(values)


@given(ROWS, st.sampled_from([2, 4, 8, 64]), st.integers(0, 2**64 - 1))
def test_of_each_row_every_so_manyth_stays(values, step, start):
    per_row = 2**61 + 12_345
    found = kernel.thin(values, step, start=start, per_row=per_row, out=np.empty(len(values)))

    blocks = values.reshape(-1, kernel.ROW, kernel.SIDE)
    rows = np.sort(np.swapaxes(blocks, 1, 2).reshape(-1, kernel.ROW), axis=1)
    firsts = [(start + number * per_row) % 2**64 * step >> 64 for number in range(len(rows))]
    expected = [row[first::step] for row, first in zip(rows, firsts, strict=True)]
    assert np.array_equal(found, np.concatenate(expected))


def test_what_stays_may_be_written_over_what_was_read():
    values = np.random.default_rng(1).normal(size=2_048)
    apart = kernel.thin(values, 4, start=0, per_row=5, out=np.empty(512))

    assert np.array_equal(kernel.thin(values, 4, start=0, per_row=5, out=values), apart)


@pytest.mark.skipif(not ON_LINUX, reason="macOS has one library for each processor")
@pytest.mark.parametrize("size", [1, 7, 1_023, 1_031, 50_001])
def test_processors_with_and_without_avx2_find_the_same_bits(monkeypatch, size):
    """A baseline made on one machine is compared with windows of another."""
    values = np.random.default_rng(size).normal(size=size) * 1e5
    wholes = values.astype(np.int64)

    def found():
        rows = np.tile(values, 512)[: 2 * kernel.SIDE * kernel.ROW]
        return (
            kernel.look(values, LARGEST),
            kernel.look_at_wholes(wholes),
            kernel.deviations(values, 3.0),
            hashed(values),
            hashed(wholes),
            kernel.thin(rows, 4, start=9, per_row=7, out=np.empty(len(rows))).tolist(),
        )

    own = found()
    name = library.own_name()
    for other in Path(kernel.__file__).parent.glob(f"{name.removesuffix('.so')[:12]}*.so"):
        monkeypatch.setattr(kernel, "_LIBRARY", library.load(kernel._FUNCTIONS, other.name))
        assert found() == own, other.name


def test_a_machine_that_it_was_not_compiled_for_says_so():
    with pytest.raises(ImportError, match=r"plan9-mips\.so.*`make kernel` compiles it"):
        library.load(kernel._FUNCTIONS, "plan9-mips.so")


def test_a_library_older_than_its_source_says_so():
    with pytest.raises(ImportError, match=r"tomorrow.*`make kernel` compiles it"):
        library.load({"tomorrow": (None, ())})
