"""Every expression and condition of a pipeline definition, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill_local.sagemaker.pipelines.expressions import (
    ExpressionError,
    Scope,
    evaluate,
    holds,
    parse_reference,
    path_segments,
    references,
    walk,
)

DOCUMENT = {
    "metric": {"value": 0.91, "name": "auc"},
    "rows": [{"n": 1}, {"n": 2}],
    "odd.key": {"a b": 3},
}


def read_property_file(step, name):
    assert (step, name) == ("Evaluate", "Evaluation")
    return DOCUMENT


def read_json(uri):
    assert uri == "s3://b/runs/r1/evaluation.json"
    return DOCUMENT


SCOPE = Scope(
    parameters={"RunId": "r1", "Minimum": 0.8, "Trees": 40, "Force": True},
    execution={"PipelineName": "demo"},
    steps={
        "Train": {"ModelArtifacts": {"S3ModelArtifacts": "s3://b/m/model.tar.gz"}},
        "Prepare": {
            "ProcessingOutputConfig": {
                "Outputs": {"train": {"S3Output": {"S3Uri": "s3://b/train"}}}
            }
        },
    },
    property_file=read_property_file,
    read_json=read_json,
)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ({"Get": "Parameters.RunId"}, "r1"),
        ({"Get": "Parameters.Trees"}, 40),
        ({"Get": "Execution.PipelineName"}, "demo"),
        ({"Get": "Steps.Train.ModelArtifacts.S3ModelArtifacts"}, "s3://b/m/model.tar.gz"),
        (
            {"Get": "Steps.Prepare.ProcessingOutputConfig.Outputs['train'].S3Output.S3Uri"},
            "s3://b/train",
        ),
        (
            {"Std:Join": {"On": "/", "Values": ["s3:/", "b", {"Get": "Parameters.RunId"}]}},
            "s3://b/r1",
        ),
        ({"Std:Join": {"On": " ", "Values": ["n", 1, 0.5, True]}}, "n 1 0.5 true"),
        ({"Std:Join": {"Values": ["a", "b"]}}, "ab"),
        (
            {
                "Std:Join": {
                    "On": "-",
                    "Values": [{"Std:Join": {"On": ".", "Values": ["a", "b"]}}, "c"],
                }
            },
            "a.b-c",
        ),
        (
            {
                "Std:JsonGet": {
                    "PropertyFile": {"Get": "Steps.Evaluate.PropertyFiles.Evaluation"},
                    "Path": "metric.value",
                }
            },
            0.91,
        ),
        (
            {
                "Std:JsonGet": {
                    "S3Uri": {
                        "Std:Join": {
                            "On": "/",
                            "Values": [
                                "s3://b/runs",
                                {"Get": "Parameters.RunId"},
                                "evaluation.json",
                            ],
                        }
                    },
                    "Path": "$.rows[1].n",
                }
            },
            2,
        ),
        (
            {"nested": [{"deep": {"Get": "Parameters.Minimum"}}, "literal"]},
            {"nested": [{"deep": 0.8}, "literal"]},
        ),
        # An object with more keys than one is a literal, whatever they are called.
        ({"Get": "x", "other": 1}, {"Get": "x", "other": 1}),
    ],
)
def test_expression_stands_for_its_value(expression, value):
    assert evaluate(expression, SCOPE) == value


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ({"Get": "Parameters.Missing"}, "Parameters.Missing is undefined"),
        ({"Get": "Execution.Nope"}, "Execution.Nope is undefined"),
        ({"Get": "Steps.Absent.X"}, "Steps.Absent is undefined"),
        ({"Get": "Steps.Train.ModelArtifacts.Nope"}, "no 'Nope'"),
        ({"Get": "Nowhere.X"}, "Get takes Parameters"),
        ({"Get": 7}, "Get takes Parameters"),
        ({"Get": "Parameters."}, "Get takes Parameters"),
        (
            {"Std:Join": {"On": "/", "Values": [{"Get": "Steps.Train.ModelArtifacts"}]}},
            "takes strings",
        ),
        ({"Std:Join": ["a"]}, "Std:Join needs"),
        ({"Std:Join": {"On": 1, "Values": []}}, "Std:Join needs"),
        ({"Std:JsonGet": {"Path": "a"}}, "Std:JsonGet needs"),
        (
            {"Std:JsonGet": {"PropertyFile": {"Get": "Steps.Evaluate.Other"}, "Path": "a"}},
            "does not name a property file",
        ),
        (
            {
                "Std:JsonGet": {
                    "PropertyFile": {"Get": "Steps.Evaluate.PropertyFiles.Evaluation"},
                    "Path": "metric.missing",
                }
            },
            "no 'missing'",
        ),
    ],
)
def test_expression_that_cannot_be_evaluated_says_why(expression, says):
    with pytest.raises(ExpressionError, match=says):
        evaluate(expression, SCOPE)


def test_scope_without_readers_refuses_files():
    with pytest.raises(ExpressionError, match="cannot be read here"):
        evaluate({"Std:JsonGet": {"S3Uri": "s3://b/k", "Path": "a"}}, Scope())
    property_file = {"Get": "Steps.E.PropertyFiles.P"}
    with pytest.raises(ExpressionError, match="cannot be read here"):
        evaluate({"Std:JsonGet": {"PropertyFile": property_file, "Path": "a"}}, Scope())


def test_with_execution_adds_variables():
    scope = SCOPE.with_execution(TrainingJobName="job")

    assert evaluate({"Get": "Execution.TrainingJobName"}, scope) == "job"
    assert evaluate({"Get": "Execution.PipelineName"}, scope) == "demo"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metric.value", 0.91),
        ("rows[0].n", 1),
        ("['odd.key']['a b']", 3),
        ('["odd.key"]["a b"]', 3),
        ("metric['name']", "auc"),
    ],
)
def test_path(path, value):
    assert walk(DOCUMENT, path) == value


@pytest.mark.parametrize(
    "path", ["", ".a", "a..b", "a[", "a['x]", "a b", "a.", "rows[9]", "metric[0]", "rows.n"]
)
def test_path_that_leads_nowhere(path):
    with pytest.raises(ExpressionError):
        walk(DOCUMENT, path)


@given(st.lists(st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True), min_size=1))
def test_dotted_and_quoted_paths_mean_the_same(names):
    assert path_segments(".".join(names)) == names
    assert path_segments("".join(f"['{name}']" for name in names)) == names


def test_references_are_found_everywhere():
    value = {
        "a": [{"Get": "Parameters.P"}],
        "b": {"Std:Join": {"On": "", "Values": [{"Get": "Steps.S.x"}]}},
        "c": {"Std:JsonGet": {"PropertyFile": {"Get": "Steps.E.PropertyFiles.F"}, "Path": "p"}},
    }

    assert [(r.kind, r.name) for r in references(value)] == [
        ("Parameters", "P"),
        ("Steps", "S"),
        ("Steps", "E"),
    ]
    assert parse_reference("Steps.S.a.b").path == "a.b"


def binary(kind, left, right):
    return {"Type": kind, "LeftValue": left, "RightValue": right}


@pytest.mark.parametrize(
    ("condition", "outcome"),
    [
        (binary("Equals", "a", "a"), True),
        (binary("Equals", "a", "b"), False),
        (binary("Equals", True, {"Get": "Parameters.Force"}), True),
        (binary("Equals", 40, {"Get": "Parameters.Trees"}), True),
        (binary("GreaterThan", 2, 1), True),
        (binary("GreaterThan", 1, 1.0), False),
        (binary("GreaterThanOrEqualTo", 1, 1.0), True),
        (binary("GreaterThanOrEqualTo", 0.79, {"Get": "Parameters.Minimum"}), False),
        (binary("LessThan", 1, 2), True),
        (binary("LessThan", 2, 2), False),
        (binary("LessThanOrEqualTo", 2, 2), True),
        (binary("LessThanOrEqualTo", 3, 2), False),
        (binary("LessThan", "2026-01-01", "2026-02-01"), True),
        ({"Type": "In", "QueryValue": {"Get": "Parameters.RunId"}, "Values": ["r0", "r1"]}, True),
        ({"Type": "In", "QueryValue": "r9", "Values": ["r0", "r1"]}, False),
        ({"Type": "In", "QueryValue": True, "Values": [1]}, False),
        ({"Type": "Not", "Expression": binary("Equals", 1, 2)}, True),
        ({"Type": "Not", "Condition": binary("Equals", 1, 1)}, False),
        ({"Type": "Or", "Conditions": [binary("Equals", 1, 2), binary("Equals", 1, 1)]}, True),
        ({"Type": "Or", "Conditions": [binary("Equals", 1, 2), binary("Equals", 1, 3)]}, False),
    ],
)
def test_condition(condition, outcome):
    assert holds([condition], SCOPE) is outcome


def test_conditions_are_joined_by_and():
    yes, no = binary("Equals", 1, 1), binary("Equals", 1, 2)

    assert holds([yes, yes], SCOPE)
    assert not holds([yes, no], SCOPE)


@pytest.mark.parametrize(
    ("condition", "says"),
    [
        (binary("Equals", 1, "1"), "one type"),
        (binary("Equals", 1, 1.0), "Integer.*Float"),
        (binary("Equals", True, 1), "Boolean"),
        (binary("GreaterThan", "1", 1), "two numbers or two strings"),
        (binary("LessThan", True, 2), "two numbers or two strings"),
        (binary("LessThan", None, 2), "two numbers or two strings"),
        (binary("Matches", 1, 1), "cannot read condition"),
        ({"Type": "In", "QueryValue": 1}, "cannot read condition"),
        ("nonsense", "cannot read condition"),
    ],
)
def test_condition_that_cannot_be_decided_says_why(condition, says):
    with pytest.raises(ExpressionError, match=says):
        holds([condition], SCOPE)
