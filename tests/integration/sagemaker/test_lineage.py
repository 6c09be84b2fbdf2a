"""Lineage by hand: entities, edges between them, and what a walk along the edges finds."""

import itertools
import uuid

import pytest

from tidemill_local.sagemaker import operations
from tidemill_local.sagemaker.errors import ServiceError


@pytest.fixture
def ask(shared_cloud):
    """Perform an operation as a client would; `ask("ListArtifacts", ArtifactType="x")`."""
    return lambda name, **request: operations.call(shared_cloud.service.context, name, request)


@pytest.fixture
def tag():
    """What tells this test's entities from those of others."""
    return f"t{uuid.uuid4().hex[:8]}"


def refused(code, says, call, *arguments, **request):
    with pytest.raises(ServiceError) as raised:
        call(*arguments, **request)
    assert raised.value.code == code
    assert says in raised.value.message


def artifact(ask, tag, name, kind="DataSet", **request):
    source = {"SourceUri": f"s3://{tag}/{name}"}
    return ask("CreateArtifact", Source=source, ArtifactType=kind, **request)["ArtifactArn"]


def context(ask, tag, name, kind="Endpoint"):
    source = {"SourceUri": f"arn:{name}", "SourceType": "ARN"}
    request = {"ContextName": f"{tag}-{name}", "Source": source, "ContextType": kind}
    return ask("CreateContext", **request)["ContextArn"]


def action(ask, tag, name, kind="ModelDeployment"):
    request = {"ActionName": f"{tag}-{name}", "ActionType": kind, "Status": "InProgress"}
    return ask("CreateAction", Source={"SourceUri": f"urn:{name}"}, **request)["ActionArn"]


def test_an_artifact_lives_by_its_source(ask, tag):
    properties = {"rows": "12", "owner": "ann"}
    arn = artifact(ask, tag, "raw.csv", ArtifactName="raw", Properties=properties)

    described = ask("DescribeArtifact", ArtifactArn=arn)
    assert described["Source"] == {"SourceUri": f"s3://{tag}/raw.csv"}
    assert (described["ArtifactType"], described["Properties"]) == ("DataSet", properties)
    ask(
        "UpdateArtifact",
        ArtifactArn=arn,
        ArtifactName="renamed",
        Properties={"rows": "13"},
        PropertiesToRemove=["owner"],
    )
    changed = ask("DescribeArtifact", ArtifactArn=arn)
    assert (changed["ArtifactName"], changed["Properties"]) == ("renamed", {"rows": "13"})
    assert changed["LastModifiedTime"] >= changed["CreationTime"]
    refused("ValidationException", "already exists", artifact, ask, tag, "raw.csv")
    tagged = {
        "SourceUri": f"s3://{tag}/raw.csv",
        "SourceTypes": [{"SourceIdType": "S3ETag", "Value": "e"}],
    }
    other = ask("CreateArtifact", Source=tagged, ArtifactType="DataSet")["ArtifactArn"]
    assert other != arn
    (listed, _) = ask("ListArtifacts", SourceUri=f"s3://{tag}/raw.csv")["ArtifactSummaries"]
    assert listed["ArtifactArn"] == other, "the newest comes first"

    assert ask("DeleteArtifact", Source=tagged)["ArtifactArn"] == other
    ask("DeleteArtifact", ArtifactArn=arn)
    refused("ResourceNotFound", "does not exist", ask, "DescribeArtifact", ArtifactArn=arn)
    refused("ResourceNotFound", "does not exist", ask, "DeleteArtifact", ArtifactArn=arn)
    refused("ValidationException", "Exactly one of", ask, "DeleteArtifact")


def test_contexts_and_actions_are_named(ask, tag):
    for number in range(3):
        context(ask, tag, f"c{number}", kind=f"{tag}-kind")
    arn = action(ask, tag, "Deploy")

    by_name = {"ContextType": f"{tag}-kind", "SortBy": "Name", "SortOrder": "Ascending"}
    first = ask("ListContexts", MaxResults=2, **by_name)
    rest = ask("ListContexts", MaxResults=2, NextToken=first["NextToken"], **by_name)
    names = [each["ContextName"] for page in (first, rest) for each in page["ContextSummaries"]]
    assert names == [f"{tag}-c0", f"{tag}-c1", f"{tag}-c2"]
    assert "NextToken" not in rest
    assert arn == arn.lower()
    ask("UpdateAction", ActionName=f"{tag}-Deploy", Status="Completed", Description="done")
    described = ask("DescribeAction", ActionName=f"{tag}-deploy")
    assert (described["ActionName"], described["Status"]) == (f"{tag}-Deploy", "Completed")
    assert described["Description"] == "done"
    refused("ValidationException", "already exists", context, ask, tag, "c1")
    refused("ResourceNotFound", "Context", ask, "DescribeContext", ContextName="nobody")
    refused("ResourceNotFound", "Action", ask, "UpdateAction", ActionName="nobody")
    many = {f"k{number}": "v" for number in range(30)}
    ask("UpdateContext", ContextName=f"{tag}-c0", Properties=many)
    refused(
        "ValidationException",
        "30 properties",
        ask,
        "UpdateContext",
        ContextName=f"{tag}-c0",
        Properties={"one more": "v"},
    )
    moment = described["CreationTime"]
    listed = ask("ListActions", ActionType="ModelDeployment", CreatedBefore=moment - 60)
    assert listed["ActionSummaries"] == []
    ask("DeleteAction", ActionName=f"{tag}-Deploy")


def connect(ask, *arns, kind="ContributedTo"):
    for source, destination in itertools.pairwise(arns):
        request = {"SourceArn": source, "DestinationArn": destination, "AssociationType": kind}
        ask("AddAssociation", **request)


def test_an_edge_tells_what_it_connects(ask, tag):
    data = artifact(ask, tag, "data", ArtifactName="the-data")
    deploy, endpoint = action(ask, tag, "d"), context(ask, tag, "e")
    connect(ask, data, deploy, endpoint)

    (edge,) = ask("ListAssociations", DestinationArn=deploy)["AssociationSummaries"]
    assert (edge["SourceType"], edge["SourceName"]) == ("DataSet", "the-data")
    assert (edge["DestinationType"], edge["DestinationName"]) == ("ModelDeployment", f"{tag}-d")
    assert edge["AssociationType"] == "ContributedTo"

    def count(**request):
        return len(ask("ListAssociations", SourceArn=deploy, **request)["AssociationSummaries"])

    assert count() == count(DestinationType="Endpoint") == count(DestinationType="Context") == 1
    assert count(DestinationType="Model") == count(AssociationType="Produced") == 0
    again = {"SourceArn": data, "DestinationArn": deploy}
    refused("ValidationException", "already exists", ask, "AddAssociation", **again)
    gone = data[:-4] + "0000"
    refused("ResourceNotFound", gone, ask, "AddAssociation", SourceArn=gone, DestinationArn=deploy)
    ask("DeleteAssociation", **again)
    refused("ResourceNotFound", "Association", ask, "DeleteAssociation", **again)
    ask("DeleteContext", ContextName=f"{tag}-e")
    assert count() == 0, "an edge goes with its end"


@pytest.fixture
def graph(ask, tag):
    """raw → clean → model → deploy → endpoint, and raw → other."""
    arns = {
        "raw": artifact(ask, tag, "raw"),
        "clean": artifact(ask, tag, "clean"),
        "model": artifact(ask, tag, "model", kind="Model", Properties={"auc": "0.9"}),
        "deploy": action(ask, tag, "deploy"),
        "endpoint": context(ask, tag, "endpoint"),
        "other": artifact(ask, tag, "other"),
    }
    connect(ask, *(arns[name] for name in ("raw", "clean", "model", "deploy", "endpoint")))
    connect(ask, arns["raw"], arns["other"])
    return arns


@pytest.mark.parametrize(
    ("start", "request_part", "found"),
    [
        ("model", {"Direction": "Ascendants"}, "raw clean"),
        ("model", {"Direction": "Descendants"}, "deploy endpoint"),
        ("model", {}, "raw clean deploy endpoint"),
        ("model", {"MaxDepth": 1}, "clean deploy"),
        ("raw", {"Direction": "Descendants", "MaxDepth": 2}, "clean other model"),
        ("endpoint", {"Filters": {"Types": ["DataSet"]}}, "raw clean"),
        ("endpoint", {"Filters": {"LineageTypes": ["Action", "Context"]}}, "deploy"),
        ("raw", {"Filters": {"Properties": {"auc": "0.9"}}}, "model"),
        ("raw", {"Filters": {"Properties": {"auc": "0.8"}}}, ""),
        ("raw", {"Filters": {"CreatedBefore": 1.0}}, ""),
        ("raw", {"Filters": {"ModifiedAfter": 1.0}, "MaxDepth": 1}, "clean other"),
        ("other", {"Direction": "Both"}, "raw"),
    ],
)
def test_a_walk_finds_what_led_to_it_and_what_came_of_it(ask, graph, start, request_part, found):
    answer = ask("QueryLineage", StartArns=[graph[start]], **request_part)

    names = {arn: name for name, arn in graph.items()}
    assert {names[vertex["Arn"]] for vertex in answer["Vertices"]} == set(found.split())
    shown = {graph[start], *(vertex["Arn"] for vertex in answer["Vertices"])}
    for edge in answer["Edges"]:
        assert {edge["SourceArn"], edge["DestinationArn"]} <= shown


def test_a_walk_is_paged_and_may_be_without_edges(ask, graph):
    request = {"StartArns": [graph["raw"]], "MaxResults": 2, "IncludeEdges": False}
    found, token = [], {}
    while True:
        answer = ask("QueryLineage", **request, **token)
        assert answer["Edges"] == []
        found += [vertex["Arn"] for vertex in answer["Vertices"]]
        if "NextToken" not in answer:
            break
        token = {"NextToken": answer["NextToken"]}
    assert sorted(found) == sorted(arn for name, arn in graph.items() if name != "raw")


def test_without_a_start_the_filters_say_what_is_found(ask, tag):
    arn = context(ask, tag, "alone", kind=f"{tag}-only")

    (vertex,) = ask("QueryLineage", Filters={"Types": [f"{tag}-only"]})["Vertices"]

    assert vertex == {"Arn": arn, "Type": f"{tag}-only", "LineageType": "Context"}
    refused("ValidationException", "Either StartArns or Filters", ask, "QueryLineage")
    unknown = arn.replace("alone", "gone")
    refused("ResourceNotFound", unknown, ask, "QueryLineage", StartArns=[unknown])
