"""Search: every operator, nested filters, expressions in expressions, order and pages."""

import pytest

from tidemill_local.sagemaker import operations
from tidemill_local.sagemaker.search_filters import matches, sortable

from .test_lineage import refused

ACCOUNT = "arn:aws:sagemaker:us-east-1:000000000000"


@pytest.fixture(scope="module")
def context(shared_cloud):
    """A service that knows five training jobs, an experiment and two groups."""
    context = shared_cloud.service.context
    for number in range(5):
        name = f"job-{number}"
        body = {
            "TrainingJobName": name,
            "TrainingJobArn": f"{ACCOUNT}:training-job/{name}",
            "TrainingJobStatus": "Failed" if number == 3 else "Completed",
            "CreationTime": 1_790_000_000.0 + number,
            "LastModifiedTime": 1_790_000_100.0 - number,
            "HyperParameters": {"depth": str(number * 5), "kind": "tree"},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
            "FinalMetricDataList": [
                {"MetricName": "auc", "Value": 0.5 + number / 10, "Timestamp": 1_790_000_050.0}
            ],
            "InputDataConfig": [
                {
                    "ChannelName": channel,
                    "ContentType": kind,
                    "DataSource": {"S3DataSource": {"S3Uri": uri}},
                }
                for channel, kind, uri in (
                    ("train", "text/csv", f"s3://lake/{number}"),
                    ("test", "text/plain", "s3://other/x"),
                )
            ],
        }
        tags = [{"Key": "team", "Value": "red" if number % 2 else "blue"}]
        context.store.insert("TrainingJob", name, body, tags)
    call = operations.call
    call(context, "CreateExperiment", {"ExperimentName": "trees"})
    call(context, "CreateTrial", {"TrialName": "first", "ExperimentName": "trees"})
    source = {"Parameters": {"alpha": {"NumberValue": 0.5}, "how": {"StringValue": "fast"}}}
    call(context, "CreateTrialComponent", {"TrialComponentName": "step", **source})
    call(context, "AssociateTrialComponent", {"TrialComponentName": "step", "TrialName": "first"})
    for name in ("flights", "boats"):
        call(context, "CreateModelPackageGroup", {"ModelPackageGroupName": name})
    return context


def search(context, resource="TrainingJob", **request):
    return operations.call(context, "Search", {"Resource": resource, **request})


def jobs(answer):
    return [int(each["TrainingJob"]["TrainingJobName"][-1]) for each in answer["Results"]]


def where(name, operator=None, value=None):
    condition = {"Name": name, "Operator": operator, "Value": value}
    return {key: value for key, value in condition.items() if value is not None}


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        (where("TrainingJobName", "Equals", "job-2"), [2]),
        (where("TrainingJobName", None, "job-2"), [2]),
        (where("TrainingJobStatus", "NotEquals", "Completed"), [3]),
        (where("TrainingJobName", "Contains", "-4"), [4]),
        (where("TrainingJobName", "In", "job-0, job-4,job-9"), [0, 4]),
        (where("Metrics.auc", "GreaterThan", "0.7"), [3, 4]),
        (where("Metrics.auc", "GreaterThanOrEqualTo", "0.7"), [2, 3, 4]),
        (where("HyperParameters.depth", "LessThan", "10"), [0, 1]),
        (where("HyperParameters.depth", "LessThanOrEqualTo", "10"), [0, 1, 2]),
        (where("HyperParameters.seed", "Exists"), []),
        (where("HyperParameters.seed", "NotExists"), [0, 1, 2, 3, 4]),
        (where("Tags.team", "Equals", "red"), [1, 3]),
        (where("Tags.owner", "NotEquals", "ann"), [0, 1, 2, 3, 4]),
        (where("ResourceConfig.InstanceCount", "Equals", "1"), [0, 1, 2, 3, 4]),
        (where("CreationTime", "LessThan", "2026-09-21T14:13:22"), [0, 1]),
        (where("InputDataConfig.DataSource.S3DataSource.S3Uri", "Equals", "s3://lake/1"), [1]),
    ],
)
def test_an_operator_finds_what_it_says(context, condition, found):
    answer = search(context, SearchExpression={"Filters": [condition]})

    assert sorted(jobs(answer)) == found
    assert answer["TotalHits"] == {"Value": len(found), "Relation": "EqualTo"}


def test_expressions_combine_and_nest(context):
    red = {"Filters": [where("Tags.team", "Equals", "red")]}
    best = {"Filters": [where("Metrics.auc", "GreaterThan", "0.85")]}
    either = {"SubExpressions": [red, best], "Operator": "Or"}
    assert sorted(jobs(search(context, SearchExpression=either))) == [1, 3, 4]
    both = {"SubExpressions": [either], "Filters": [where("TrainingJobStatus", None, "Completed")]}
    assert sorted(jobs(search(context, SearchExpression=both))) == [1, 4]


def test_a_nested_filter_wants_all_of_one_element(context):
    def found(content_type, uri):
        filters = [
            where("InputDataConfig.ContentType", "Equals", content_type),
            where("DataSource.S3DataSource.S3Uri", "Contains", uri),
        ]
        nested = {"NestedPropertyName": "InputDataConfig", "Filters": filters}
        return sorted(jobs(search(context, SearchExpression={"NestedFilters": [nested]})))

    assert found("text/csv", "lake/2") == [2]
    assert found("text/plain", "lake/2") == [], "the two are true of different channels"


@pytest.mark.parametrize(
    ("request_part", "found"),
    [
        ({}, [0, 1, 2, 3, 4]),
        ({"SortOrder": "Ascending"}, [4, 3, 2, 1, 0]),
        ({"SortBy": "Metrics.auc"}, [4, 3, 2, 1, 0]),
        ({"SortBy": "TrainingJobName", "SortOrder": "Ascending"}, [0, 1, 2, 3, 4]),
    ],
)
def test_what_is_found_is_sorted_and_paged(context, request_part, found):
    pages, token = [], {}
    while True:
        answer = search(context, MaxResults=2, **request_part, **token)
        pages += jobs(answer)
        assert answer["TotalHits"]["Value"] == 5
        if "NextToken" not in answer:
            break
        token = {"NextToken": answer["NextToken"]}
    assert pages == found


def test_experiments_are_found_with_their_parents(context):
    half = {"Filters": [where("Parameters.alpha", "LessThan", "0.6")]}
    (part,) = search(context, "ExperimentTrialComponent", SearchExpression=half)["Results"]
    component = part["TrialComponent"]
    assert component["Parents"] == [{"TrialName": "first", "ExperimentName": "trees"}]
    of_trees = {"Filters": [where("Parents.ExperimentName", "Equals", "trees")]}
    assert search(context, "ExperimentTrialComponent", SearchExpression=of_trees)["Results"]
    (trial,) = search(context, "ExperimentTrial")["Results"]
    assert trial["Trial"]["TrialComponentSummaries"][0]["TrialComponentName"] == "step"
    (experiment,) = search(context, "Experiment")["Results"]
    assert experiment["Experiment"]["ExperimentName"] == "trees"
    groups = search(context, "ModelPackageGroup", SortBy="ModelPackageGroupName")["Results"]
    names = [each["ModelPackageGroup"]["ModelPackageGroupName"] for each in groups]
    assert names == ["flights", "boats"]
    for resource in ("Pipeline", "PipelineExecution", "Endpoint", "ModelPackage"):
        assert search(context, resource)["Results"] == []


@pytest.mark.parametrize(
    ("request_part", "says"),
    [
        ({"SortBy": "Nonsense"}, "Unknown property name: Nonsense"),
        ({"SearchExpression": {"Filters": [where("Nonsense.x", "Exists")]}}, "Nonsense.x"),
        ({"SearchExpression": {"Operator": "And"}}, "SearchExpression needs Filters"),
        ({"SearchExpression": {"Filters": [where("TrainingJobName", "Equals")]}}, "needs Value"),
        ({"SearchExpression": {"Filters": [where("RoleArn", "Exists", "x")]}}, "takes no Value"),
        (
            {"SearchExpression": {"Filters": [where("TrainingJobName", "LessThan", "1")]}},
            "LessThan is not supported for TrainingJobName, which is a text",
        ),
        (
            {"SearchExpression": {"Filters": [where("CreationTime", "LessThan", "noon")]}},
            "CreationTime cannot be compared with 'noon'",
        ),
        ({"SearchExpression": {"Filters": [where("RoleArn", "Exists")] * 20,
                               "SubExpressions": [{"Filters": [where("RoleArn", "Exists")]}]}},
         "has 21 conditions"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_refused(context, request_part, says):
    refused("ValidationException", says, search, context, **request_part)


def test_other_resources_are_refused_by_name(context):
    refused("ValidationException", "cannot search for Image;", search, context, "Image")
    suggest = {"Resource": "Image"}
    refused(
        "ValidationException", "cannot search for Image", operations.call, context,
        "GetSearchSuggestions", suggest,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("hint", "found"),
    [
        ("HyperParam", ["HyperParameters.depth", "HyperParameters.kind"]),
        ("trainingjobst", ["TrainingJobStatus"]),
        ("Tags.", ["Tags.team"]),
        ("Nonsense", []),
    ],
)
def test_properties_are_suggested(context, hint, found):
    query = {"PropertyNameQuery": {"PropertyNameHint": hint}}
    request = {"Resource": "TrainingJob", "SuggestionQuery": query}
    answer = operations.call(context, "GetSearchSuggestions", request)
    assert [each["PropertyName"] for each in answer["PropertyNameSuggestions"]] == found


def test_numbers_sort_as_numbers_before_texts_and_after_nothing():
    ordered = [None, -10.5, -1, 0, 0.25, 3, 20, "", "a", "b"]
    assert sorted(ordered, key=sortable) == ordered


def test_a_name_with_dots_is_one_property():
    document = {"Parameters": {"SageMaker.InstanceType": "ml.m5.large"}}
    condition = where("Parameters.SageMaker.InstanceType", "Contains", "m5")
    assert matches({"Filters": [condition]}, document)
