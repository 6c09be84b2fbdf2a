"""Joining predictions with their truth: whatever comes when, in whatever order."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill_jobs.truth import join
from tidemill_jobs.truth.columns import KINDS, PREDICTIONS, TRUTH, as_predictions

from .truth_tables import label, predictions, truth

ONE = predictions(("e1", "i1", 0, 1.0, "1", 0.9))


def labels(joined):
    return joined.frame.select("event_id", "row", "label").rows()


def test_a_label_finds_its_prediction_by_inference_id():
    joined = join(ONE, truth(label("i1", "0")))
    assert labels(joined) == [("e1", 0, "0")]
    assert (joined.joined, joined.waiting, joined.unknown) == (1, 0, 0)


def test_the_event_id_names_a_prediction_only_where_no_inference_id_was_given():
    assert join(ONE, truth(label("e1", "0"))).unknown == 1
    without = predictions(("e1", None, 0, 1.0, "1", 0.9))
    assert join(without, truth(label("e1", "0"))).joined == 1


def test_a_column_event_id_says_what_it_means():
    assert join(ONE, truth(label("e1", "0", kind="event_id"))).joined == 1
    assert join(ONE, truth(label("e1", "0", kind="inference_id"))).unknown == 1


def test_a_request_of_several_rows_needs_the_row():
    several = predictions(*(("e", None, n, 1.0, "1", 0.5) for n in range(3)))
    joined = join(several, truth(label("e", "0", row=2), label("e", "1"), label("e", "1", row=3)))
    assert labels(joined) == [("e", 0, None), ("e", 1, None), ("e", 2, "0")]
    assert joined.no_row == 1
    assert joined.unknown == 1  # there is no row 3


@pytest.mark.parametrize("row", [None, 0])
def test_a_request_of_one_row_does_not(row):
    assert join(ONE, truth(label("i1", "0", row=row))).joined == 1


def test_the_label_known_last_wins():
    joined = join(ONE, truth(label("i1", "0", time=20.0), label("i1", "1", time=10.0, upload="v")))
    assert labels(joined) == [("e1", 0, "0")]
    assert (joined.replaced, joined.corrected) == (1, 1)


def test_of_labels_known_at_the_same_time_the_one_uploaded_last_wins():
    joined = join(ONE, truth(label("i1", "1", uploaded=300.0), label("i1", "0", uploaded=200.0)))
    assert labels(joined) == [("e1", 0, "1")]


def test_within_a_file_the_later_line_wins():
    joined = join(ONE, truth(label("i1", "1", line=2), label("i1", "0", line=1)))
    assert labels(joined) == [("e1", 0, "1")]


def test_the_same_label_twice_is_no_correction():
    joined = join(ONE, truth(label("i1", "1"), label("i1", "1", upload="v")))
    assert (joined.joined, joined.replaced, joined.corrected) == (1, 1, 0)


def test_labels_that_name_one_prediction_in_two_ways_are_one():
    joined = join(
        ONE,
        truth(label("i1", "0", time=5.0), label("e1", "1", kind="event_id", row=0, time=6.0)),
    )
    assert labels(joined) == [("e1", 0, "1")]
    assert joined.unknown == 0


def test_a_label_that_comes_before_its_prediction_joins_when_it_is_there():
    early = truth(label("i1", "0"))
    assert join(predictions(), early).unknown == 1
    assert join(ONE, early).joined == 1


def test_a_prediction_captured_twice_counts_once():
    twice = pl.concat([ONE, ONE])
    joined = join(twice, truth(label("i1", "0")))
    assert (joined.predictions, joined.joined, joined.repeated) == (1, 1, 1)


def test_requests_that_share_an_inference_id_all_get_its_label():
    shared = predictions(("e1", "i", 0, 1.0, "1", 0.9), ("e2", "i", 0, 2.0, "0", 0.1))
    assert labels(join(shared, truth(label("i", "1")))) == [("e1", 0, "1"), ("e2", 0, "1")]


def test_predictions_that_nothing_can_name_are_left_out():
    nameless = predictions((None, None, 0, 1.0, "1", 0.9))
    assert join(nameless, truth(label("i", "1"))).predictions == 0


def test_nothing_joins_with_nothing():
    joined = join(predictions(), truth())
    assert (joined.predictions, joined.joined, joined.unknown) == (0, 0, 0)
    assert joined.known.height == 0


def test_parts_of_other_types_are_taken_as_they_are_meant():
    frame = pl.DataFrame(
        {
            "event_id": ["e"],
            "time": pl.Series([1_000]).cast(pl.Datetime("ms")),
            "prediction": [1.0],
            "row": pl.Series([0], dtype=pl.UInt32),
        }
    )
    assert as_predictions(frame).rows() == [("e", None, 0, 1.0, "1", None)]


IDS = st.sampled_from(["a", "b", "c"])
ROWS = st.sampled_from([0, 1])
SOME_PREDICTIONS = st.lists(
    st.tuples(
        IDS, st.one_of(st.none(), IDS), ROWS, st.sampled_from([1.0, 2.0]),
        st.sampled_from(["0", "1"]), st.sampled_from([0.1, 0.9]),
    ),
    max_size=8,
)  # fmt: skip
SOME_LABELS = st.lists(
    st.tuples(
        st.sampled_from(KINDS), IDS, st.one_of(st.none(), ROWS), st.sampled_from(["0", "1"]),
        st.sampled_from([1.0, 2.0]), st.sampled_from([3.0, 4.0]), st.sampled_from(["u", "v"]),
    ),
    max_size=10,
)  # fmt: skip


def _tables(made, told):
    lines = [(*one, n) for n, one in enumerate(told)]
    return predictions(*made), pl.DataFrame(lines, schema=TRUTH, orient="row")


def _facts(joined):
    return (
        joined.frame.rows(), joined.predictions, joined.joined, joined.unknown, joined.no_row,
        joined.replaced, joined.corrected, joined.repeated,
    )  # fmt: skip


@given(made=SOME_PREDICTIONS, told=SOME_LABELS, random=st.randoms())
def test_the_order_in_which_anything_came_never_matters(made, told, random):
    predicted, labelled = _tables(made, told)
    expected = _facts(join(predicted, labelled))

    mixed, shuffled = list(predicted.rows()), list(labelled.rows())
    random.shuffle(mixed)
    random.shuffle(shuffled)
    again = join(
        pl.DataFrame(mixed, schema=PREDICTIONS, orient="row"),
        pl.DataFrame(shuffled, schema=TRUTH, orient="row"),
    )

    assert _facts(again) == expected


@given(made=SOME_PREDICTIONS, told=SOME_LABELS)
def test_everything_that_came_is_counted_once(made, told):
    predicted, labelled = _tables(made, told)
    joined = join(predicted, labelled)

    assert joined.predictions + joined.repeated == predicted.height
    assert joined.joined == joined.known.height <= joined.predictions
    assert joined.replaced + joined.unknown + joined.no_row <= labelled.height
    twice = join(predicted, pl.concat([labelled, labelled]))
    assert labels(twice) == labels(joined)  # an upload that is read twice changes nothing
