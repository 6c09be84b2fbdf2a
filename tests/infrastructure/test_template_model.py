"""The readers that these tests rest on find what is wrong in a template that is wrong."""

import pytest

from . import asl_model
from .template_model import OPAQUE, cycle, lint, load, references, resolve, statements, translate
from .test_event_patterns import events
from .test_policies import wildcards

RING = """
Transform: AWS::Serverless-2016-10-31
Resources:
  F:
    Type: AWS::Serverless::Function
    Properties:
      Handler: app.handler
      Runtime: python3.13
      CodeUri: functions/f
      Environment: {Variables: {MACHINE: !Ref M}}
  M:
    Type: AWS::Serverless::StateMachine
    Properties:
      Role: arn:aws:iam::123456789012:role/r
      DefinitionUri: statemachines/m.asl.json
      DefinitionSubstitutions: {FunctionArn: !GetAtt F.Arn}
"""


def test_a_ring_through_sam_resources_is_found():
    template = load(RING)
    assert lint(template) == []  # which is why cycle() exists
    assert set(cycle(translate(template))) == {"F", "M"}
    template["Resources"]["F"]["Properties"].pop("Environment")
    assert cycle(translate(template)) is None


def test_depends_on_is_an_edge():
    one = {"Type": "T", "DependsOn": "B"}
    assert cycle({"Resources": {"A": one, "B": {"Type": "T", "DependsOn": ["A"]}}})
    assert cycle({"Resources": {"A": one, "B": {"Type": "T"}}}) is None


@pytest.mark.parametrize(
    ("node", "names"),
    [
        ({"Ref": "A"}, {"A"}),
        ({"Fn::GetAtt": ["A", "Arn"]}, {"A"}),
        ({"Fn::GetAtt": "A.Arn"}, {"A"}),
        ({"Fn::Sub": "x/${A.Arn}/${!Literal}/${B}"}, {"A", "B"}),
        ({"Fn::Sub": ["${A}-${own}", {"own": {"Ref": "C"}}]}, {"A", "C"}),
        ({"x": [{"Ref": "A"}, {"y": {"Ref": "B"}}], "Name": "C"}, {"A", "B"}),
    ],
)
def test_every_way_to_refer_is_followed(node, names):
    assert set(references(node)) == names


def test_intrinsics_are_resolved_as_far_as_a_template_can():
    template = {"Parameters": {"Days": {"Default": 30}}, "Resources": {}}
    node = {
        "a": {"Fn::Sub": "${AWS::StackName}--${Days}"},
        "b": [{"Ref": "Bucket"}, {"Fn::GetAtt": ["Bucket", "Arn"]}],
        "c": {"Fn::Join": ["-", ["x", {"Ref": "AWS::Region"}]]},
        "d": {"Fn::If": ["Prod", 1, 2]},
        "e": {"Fn::Sub": ["${own}", {"own": {"Ref": "Days"}}]},
    }
    assert resolve(node, template) == {
        "a": "tidemill--30",
        "b": [OPAQUE, OPAQUE],
        "c": "x-us-east-1",
        "d": 1,
        "e": "30",
    }


def policy(resource, action="s3:GetObject"):
    body = {"Sid": "S", "Effect": "Allow", "Action": action, "Resource": resource}
    properties = {"Policies": [{"Statement": [body]}]}
    return {"Resources": {"Lake": {"Type": "T", "Properties": properties}}}


@pytest.mark.parametrize(
    "resource",
    [
        "*",
        "arn:aws:s3:::*",
        {"Fn::Sub": "arn:${AWS::Partition}:s3:::${AWS::AccountId}-*"},
        {"Fn::Sub": "arn:aws:s3:::*${AWS::StackName}"},
        {"Fn::Sub": "arn:aws:s3:::${Parameter}/*"},
        {"Fn::Join": ["", ["arn:aws:s3:::", "*"]]},
        [{"Fn::GetAtt": ["Lake", "Arn"]}, "*"],
    ],
)
def test_a_wide_resource_is_found(resource):
    assert wildcards(policy(resource)).keys() == {("Lake", "S")}


@pytest.mark.parametrize(
    "resource",
    [
        {"Fn::GetAtt": ["Lake", "Arn"]},
        {"Fn::Sub": "${Lake.Arn}/raw/*"},
        {"Fn::Sub": "arn:aws:sagemaker:::endpoint/${AWS::StackName}--*"},
        "arn:aws:s3:::one-bucket",
    ],
)
def test_a_resource_of_the_stack_is_not_wide(resource):
    assert wildcards(policy(resource)) == {}
    assert wildcards(policy(resource, "s3:Get*")) == {("Lake", "S"): ["s3:Get*"]}


def test_statements_are_found_wherever_they_stand():
    template = load(
        """
        Resources:
          Role:
            Type: AWS::IAM::Role
            Properties:
              AssumeRolePolicyDocument: {Statement: [{Sid: trust, Effect: Allow}]}
              Policies: [{PolicyDocument: {Statement: {Sid: role, Effect: Allow}}}]
          Function:
            Type: AWS::Serverless::Function
            Properties: {Policies: [AManagedOne, {Statement: [{Sid: own, Effect: Allow}]}]}
          Bucket: {Type: AWS::S3::Bucket}
          Policy:
            Type: AWS::S3::BucketPolicy
            Properties: {PolicyDocument: {Statement: [{Sid: bucket, Effect: Deny}]}}
          BusPolicy:
            Type: AWS::Events::EventBusPolicy
            Properties: {Statement: {Sid: bus, Effect: Allow}}
        """
    )
    found = {(s.owner, s.sid) for s in statements(template)}
    assert found == {
        ("Role", "trust"),
        ("Role", "role"),
        ("Function", "own"),
        ("Policy", "bucket"),
        ("BusPolicy", "bus"),
    }


def test_events_are_found_within_queue_records():
    event = {"source": "aws.s3", "detail-type": "Object Created"}
    assert list(events(event)) == [event]
    assert list(events({"Records": [{"body": '{"detail-type": "x"}'}, {"body": "{}"}]})) == [
        {"detail-type": "x"}
    ]


MACHINE = {
    "StartAt": "A",
    "States": {
        "A": {
            "Type": "Task",
            "Arguments": "{% $exists($states.input.x) ? $map($given, function($v) { $v }) : 0 %}",
            "Assign": {"a": 1, "given": 2},
            "Catch": [{"ErrorEquals": ["States.ALL"], "Assign": {"e": 1}, "Next": "C"}],
            "Next": "B",
        },
        "B": {
            "Type": "Map",
            "ItemProcessor": {
                "StartAt": "I",
                "States": {"I": {"Type": "Pass", "Output": "{% $a & $b & '$c' %}", "End": True}},
            },
            "Next": "C",
        },
        "C": {"Type": "Fail", "Cause": "{% ($x := $e; $x & $given) %}"},
        "Lost": {"Type": "Succeed"},
    },
}


def test_a_variable_that_one_way_leaves_unset_is_found():
    assert asl_model.unset(MACHINE) == {"A": {"given"}, "I": {"b"}, "C": {"e", "given"}}


def test_states_are_found_on_every_level_and_by_every_arrow():
    outer, inner = asl_model.blocks(MACHINE)
    assert inner.within == (MACHINE["States"]["B"],)
    assert asl_model.reached(outer.states, ["A"]) == {"A", "B", "C"}
    assert asl_model.targets({"Choices": [{"Next": "x"}], "Default": "y"}) == {"x", "y"}
    assert asl_model.catches_all(MACHINE["States"]["A"])
    assert not asl_model.catches_all({"Catch": [{"ErrorEquals": ["Own"], "Next": "x"}]})
