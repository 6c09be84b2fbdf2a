import pytest

from tidemill.pipeline.expressions import Join, JsonGet, Parameter, Property, to_json


def test_a_parameter_is_declared_with_its_default_only_if_it_has_one():
    assert Parameter("RunId").declaration() == {"Name": "RunId", "Type": "String"}
    assert Parameter("Minimum", "Float", 0.0).declaration() == {
        "Name": "Minimum",
        "Type": "Float",
        "DefaultValue": 0.0,
    }


@pytest.mark.parametrize(
    ("expression", "json"),
    [
        (Parameter("RunId"), {"Get": "Parameters.RunId"}),
        (Property("Train", "ModelArtifacts.S3"), {"Get": "Steps.Train.ModelArtifacts.S3"}),
        (
            Join(("s3://b", Parameter("RunId")), on="/"),
            {"Std:Join": {"On": "/", "Values": ["s3://b", {"Get": "Parameters.RunId"}]}},
        ),
        (
            JsonGet("Evaluate", "Evaluation", "metric.value"),
            {
                "Std:JsonGet": {
                    "PropertyFile": {"Get": "Steps.Evaluate.PropertyFiles.Evaluation"},
                    "Path": "metric.value",
                }
            },
        ),
    ],
)
def test_expressions_have_the_json_of_pipeline_definitions(expression, json):
    assert to_json({"key": [expression, ("plain", 1)]}) == {"key": [json, ["plain", 1]]}
