"""Reading the compiled spec: what is wrong with a document is named by its field."""

import copy
import json

import pytest

from tidemill.spec.compile import compile_spec
from tidemill.spec.compiled import MalformedSpecError, Spec


@pytest.fixture
def document(full):
    return json.loads(compile_spec(full).to_json())


def changed(document, path, value):
    """Return *document* with the value at the dotted *path* replaced; `...` takes it away."""
    whole = copy.deepcopy(document)
    *way, last = path.split(".")
    place = whole
    for step in way:
        place = place[step]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return whole


@pytest.mark.parametrize(
    "path",
    ["version", "project", "data", "delivery.marker", "data.target", "train.compute.volume_gb"],
)
def test_a_field_that_is_missing_is_named(document, path):
    with pytest.raises(MalformedSpecError, match=rf"^{path} is missing"):
        Spec.parse(changed(document, path, ...))


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("model", 7, "model must be a text, not 7"),
        ("model", None, "model must be a text, not None"),
        ("data", "csv", "data must be an object, not 'csv'"),
        ("data", None, "data must be an object, not None"),
        (
            "data.format",
            "xlsx",
            "data.format must be 'csv' or 'tsv' or 'parquet' or 'jsonl', not 'xlsx'",
        ),
        (
            "data.format",
            ["csv"],
            "data.format must be 'csv' or 'tsv' or 'parquet' or 'jsonl', not ['csv']",
        ),
        ("data.id", 7, "data.id must be a text or null, not 7"),
        ("data.exclude", "late", "data.exclude must be a list, not 'late'"),
        ("data.exclude", None, "data.exclude must be a list, not None"),
        ("data.exclude", ["a", 7], "data.exclude[1] must be a text, not 7"),
        ("delivery.quiet_seconds", "30", "delivery.quiet_seconds must be a whole number, not '30'"),
        ("delivery.quiet_seconds", 0.5, "delivery.quiet_seconds must be a whole number, not 0.5"),
        ("deploy.count", True, "deploy.count must be a whole number, not True"),
        ("prepare.test", "0.1", "prepare.test must be a number, not '0.1'"),
        ("prepare.test", None, "prepare.test must be a number, not None"),
        ("prepare.test", False, "prepare.test must be a number, not False"),
        ("train.hyperparameters", [], "train.hyperparameters must be an object, not []"),
        (
            "train.hyperparameters",
            {"eta": 0.1},
            "train.hyperparameters.eta must be a text, not 0.1",
        ),
        ("train.compute", 3, "train.compute must be an object, not 3"),
    ],
)
def test_a_field_of_another_type_is_named(document, path, value, said):
    with pytest.raises(MalformedSpecError) as caught:
        Spec.parse(changed(document, path, value))
    assert str(caught.value) == said


@pytest.mark.parametrize("document", [None, "a spec", [], 7])
def test_what_is_no_object_is_no_spec(document):
    with pytest.raises(MalformedSpecError, match="the spec must be an object"):
        Spec.parse(document)


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e999", "1" + "0" * 400])
def test_what_is_larger_than_any_number_is_none(document, number):
    with pytest.raises(MalformedSpecError, match=r"evaluate\.minimum must be a number"):
        Spec.parse(changed(document, "evaluate.minimum", json.loads(number)))


def test_a_long_value_is_not_repeated_whole(document):
    with pytest.raises(MalformedSpecError) as caught:
        Spec.parse(changed(document, "data.format", "x" * 5_000))
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("version", [0, 2, "1", None, True, [1]])
def test_another_version_is_said_before_what_differs_in_it(document, version):
    """A newer writer may well have moved other fields: that is not what is wrong."""
    moved = changed(changed(document, "data", ...), "version", version)
    with pytest.raises(MalformedSpecError, match="this Tidemill reads 1"):
        Spec.parse(moved)


@pytest.mark.parametrize("path", ["check", "triggers", "data.binary", "prepare.window"])
def test_what_an_older_writer_did_not_know_has_its_default(smallest, path):
    spec = compile_spec(smallest)
    document = json.loads(spec.to_json())

    assert Spec.parse(changed(document, path, ...)) == spec


def test_what_a_newer_writer_added_is_left_out(document):
    more = changed(changed(document, "note", "x"), "data.note", "y")
    assert Spec.parse(more) == Spec.parse(document)


def test_a_number_that_lost_its_fraction_on_the_way_is_the_same(document):
    spec = Spec.parse(changed(document, "evaluate.minimum", 1))
    assert spec.digest == Spec.parse(changed(document, "evaluate.minimum", 1.0)).digest


def test_it_is_a_value_error_to_those_who_do_not_care_which():
    assert issubclass(MalformedSpecError, ValueError)
