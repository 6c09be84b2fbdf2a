"""The JSONPath of DataProcessing, with the developer guide's own examples."""

import pytest

from tidemill_local.sagemaker.transform.filters import Filter, FilterError

ROW = ["a", "b", "c", "d", "e", "f", "g"]
RECORD = {"id": 7, "features": [1, 2, 3], "SageMakerOutput": {"label": 1}, "n": {"x": 1, "y": 2}}


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("$", ROW),
        ("$[1:]", ROW[1:]),
        ("$[1:4]", ["b", "c", "d", "e"]),  # "the second through fifth columns"
        ("$[:5]", ["a", "b", "c", "d", "e", "f"]),  # "the first through the sixth column"
        ("$[5:]", ["f", "g"]),
        ("$[:-1]", ROW),
        ("$[:-2]", ROW[:-1]),
        ("$[-2:]", ["f", "g"]),
        ("$[0,5:]", ["a", "f", "g"]),
        ("$[0, -1]", ["a", "g"]),
        ("$[1]", "b"),
        ("$[-1]", "g"),
        ("$[*]", ROW),
        ("$[5:2]", []),
        ("$[9:]", []),
        ("$[:-9]", []),
    ],
)
def test_places_of_a_row(expression, found):
    assert Filter(expression).select(ROW) == found


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("$", RECORD),
        ("$.features", [1, 2, 3]),
        ("$['features']", [1, 2, 3]),
        ('$["features"][0]', 1),
        ("$.features[1:]", [2, 3]),
        ("$['id','SageMakerOutput']", {"id": 7, "SageMakerOutput": {"label": 1}}),
        ("$.n.['y','x']", {"y": 2, "x": 1}),
        ("$.n.*", [1, 2]),
        ("$.SageMakerOutput.label", 1),
    ],
)
def test_names_of_an_object(expression, found):
    assert Filter(expression).select(RECORD) == found


def test_what_follows_several_elements_is_asked_of_each():
    people = {"people": [{"name": "a", "ages": [1, 2]}, {"name": "b", "ages": [3]}]}

    assert Filter("$.people[*].name").select(people) == ["a", "b"]
    assert Filter("$.people[*].ages[*]").select(people) == [1, 2, 3]
    assert Filter("$.people[0:1]['name']").select(people) == ["a", "b"]


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "features",
        "$features",
        "$.",
        "$..a",
        "$[",
        "$[]",
        "$[a]",
        "$[1:2:3]",
        "$[1,]",
        "$[1",
        "$['a",
        "$['a',]",
        "$['a' 'b']",
        "$['a','b'].c",
        "$[?(@.a)]",
        "$.a b",
    ],
)
def test_what_is_not_of_the_subset_is_refused(expression):
    with pytest.raises(FilterError):
        Filter(expression)


@pytest.mark.parametrize(
    ("expression", "record", "why"),
    [
        ("$[7]", ROW, "no element 7 among 7"),
        ("$[-8]", ROW, "no element -8 among 7"),
        ("$.id", ROW, "a list has no 'id'"),
        ("$.nothing", RECORD, "there is no 'nothing'"),
        ("$[0]", RECORD, "an? object has no element 0"),
        ("$.id.*", RECORD, "a int has no elements"),
    ],
)
def test_a_record_that_lacks_it_is_told(expression, record, why):
    with pytest.raises(FilterError, match=why):
        Filter(expression).select(record)
