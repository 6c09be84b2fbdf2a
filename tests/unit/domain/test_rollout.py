import pytest

from tidemill.domain.rollout import differing_row, plan


def endpoint(status):
    return {"EndpointStatus": status}


@pytest.mark.parametrize(
    ("live", "champion", "action"),
    [
        (None, None, "create"),
        (None, 3, "create"),
        (endpoint("Deleting"), 2, "create"),
        (endpoint("Failed"), 3, "replace"),
        (endpoint("InService"), 3, "none"),
        (endpoint("Updating"), 3, "update"),
        (endpoint("InService"), 2, "update"),
        (endpoint("UpdateRollbackFailed"), 3, "update"),
    ],
)
def test_what_is_there_says_what_to_do(live, champion, action):
    assert plan(live, champion, 3).action == action


def test_the_reason_names_whose_place_it_takes():
    assert plan(endpoint("InService"), 2, 3).reason == "version 3 takes the place of version 2"
    assert "never verified" in plan(endpoint("InService"), None, 3).reason


@pytest.mark.parametrize(
    ("expected", "answered", "row"),
    [
        ([], [], None),
        ([0.5], [0.5], None),
        ([0.5], [0.500009], None),
        ([0.5], [0.50002], 0),
        ([1000.0], [1000.009], None),
        ([1000.0], [1000.02], 0),
        ([1, 2], [1.0, 2.0], None),
        (["a", "b"], ["a", "c"], 1),
        ([True], [1], None),
        ([True], [0.999999], 0),
        ([1, 2], [1], 1),
        ([1], [1, 2], 1),
        ([float("nan")], [0.5], 0),
        ([None], [None], None),
        ([[0.1, 0.9]], [[0.1, 0.9000001]], None),
        ([[0.1, 0.9]], [[0.1]], 0),
        ([{"label": "a", "p": 0.5}], [{"label": "a", "p": 0.5}], None),
        ([{"label": "a", "p": 0.5}], [{"label": "a", "p": 0.6}], 0),
        ([{"label": "a"}], [{"label": "a", "p": 0.6}], 0),
        ([1], ["1"], 0),
    ],
)
def test_answers_are_compared_row_by_row(expected, answered, row):
    assert differing_row(expected, answered) == row
