"""The resource types that our template needs, deployed the way SAM hands them on."""

import json

import pytest

from local_cloud import ROLE, archive, wait_until

POLICY = {
    "Version": "2012-10-17",
    "Statement": [{
        "Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage", "Resource": "*",
    }],
}  # fmt: skip
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{
        "Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }],
}  # fmt: skip


def arn_of(name):
    return {"Fn::GetAtt": [name, "Arn"]}


RESOURCES = {
    "Key": {"Type": "AWS::KMS::Key", "Properties": {"KeyPolicy": POLICY}},
    "Role": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": TRUST}},
    "Logs": {"Type": "AWS::Logs::LogGroup", "Properties": {"RetentionInDays": 30}},
    "Bus": {"Type": "AWS::Events::EventBus", "Properties": {"Name": "tidemill-types"}},
    "Dead": {"Type": "AWS::SQS::Queue"},
    "Queue": {
        "Type": "AWS::SQS::Queue",
        "Properties": {
            "RedrivePolicy": {"deadLetterTargetArn": arn_of("Dead"), "maxReceiveCount": 5}
        },
    },
    "QueuePolicy": {
        "Type": "AWS::SQS::QueuePolicy",
        "Properties": {"Queues": [{"Ref": "Queue"}], "PolicyDocument": POLICY},
    },
    "Rule": {
        "Type": "AWS::Events::Rule",
        "Properties": {
            "EventBusName": {"Ref": "Bus"},
            "EventPattern": {"source": ["tidemill"]},
            "Targets": [{
                "Id": "queue", "Arn": arn_of("Queue"),
                "DeadLetterConfig": {"Arn": arn_of("Dead")},
                "RetryPolicy": {"MaximumRetryAttempts": 3, "MaximumEventAgeInSeconds": 600},
            }],
        },
    },
    "Lake": {
        "Type": "AWS::S3::Bucket",
        "Properties": {
            "VersioningConfiguration": {"Status": "Enabled"},
            "NotificationConfiguration": {
                "EventBridgeConfiguration": {"EventBridgeEnabled": True}
            },
            "LifecycleConfiguration": {
                "Rules": [{"Id": "tidy", "Status": "Enabled", "Prefix": "prepared/",
                           "ExpirationInDays": 30}]
            },
            "PublicAccessBlockConfiguration": {
                "BlockPublicAcls": True, "BlockPublicPolicy": True,
                "IgnorePublicAcls": True, "RestrictPublicBuckets": True,
            },
        },
    },
    "LakePolicy": {
        "Type": "AWS::S3::BucketPolicy",
        "Properties": {"Bucket": {"Ref": "Lake"}, "PolicyDocument": POLICY},
    },
    "Table": {
        "Type": "AWS::DynamoDB::Table",
        "Properties": {
            "BillingMode": "PAY_PER_REQUEST",
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
            "AttributeDefinitions": [
                {"AttributeName": "pk", "AttributeType": "S"},
                {"AttributeName": "kind", "AttributeType": "S"},
            ],
            "GlobalSecondaryIndexes": [{
                "IndexName": "by-kind",
                "KeySchema": [{"AttributeName": "kind", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"},
            }],
            "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
            "SSESpecification": {
                "SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": arn_of("Key"),
            },
            "TimeToLiveSpecification": {"AttributeName": "expires", "Enabled": True},
        },
    },
    "Function": {
        "Type": "AWS::Lambda::Function",
        "Properties": {
            "Runtime": "python3.13", "Handler": "app.handler", "Role": arn_of("Role"),
            "Code": {"S3Bucket": "deployments", "S3Key": "code.zip"},
        },
    },
    "FunctionEvents": {
        "Type": "AWS::Lambda::EventInvokeConfig",
        "Properties": {
            "FunctionName": {"Ref": "Function"}, "Qualifier": "$LATEST",
            "MaximumRetryAttempts": 0,
            "DestinationConfig": {"OnFailure": {"Destination": arn_of("Dead")}},
        },
    },
    "FunctionSource": {
        "Type": "AWS::Lambda::EventSourceMapping",
        "Properties": {
            "FunctionName": {"Ref": "Function"}, "EventSourceArn": arn_of("Queue"),
            "BatchSize": 10, "MaximumBatchingWindowInSeconds": 1,
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
        },
    },
    "Machine": {
        "Type": "AWS::StepFunctions::StateMachine",
        "Properties": {
            "RoleArn": arn_of("Role"),
            "DefinitionString": json.dumps(
                {"StartAt": "S", "States": {"S": {"Type": "Succeed"}}}
            ),
            "LoggingConfiguration": {
                "Level": "ERROR", "IncludeExecutionData": False,
                "Destinations": [
                    {"CloudWatchLogsLogGroup": {"LogGroupArn": arn_of("Logs")}}
                ],
            },
        },
    },
    "MachineVersion": {
        "Type": "AWS::StepFunctions::StateMachineVersion",
        "Properties": {"StateMachineArn": {"Ref": "Machine"}},
    },
    "MachineAlias": {
        "Type": "AWS::StepFunctions::StateMachineAlias",
        "Properties": {
            "Name": "live",
            "DeploymentPreference": {
                "Type": "ALL_AT_ONCE", "StateMachineVersionArn": {"Ref": "MachineVersion"},
            },
        },
    },
    "Schedule": {
        "Type": "AWS::Scheduler::Schedule",
        "Properties": {
            "ScheduleExpression": "rate(1 day)", "FlexibleTimeWindow": {"Mode": "OFF"},
            "Target": {
                "Arn": arn_of("Queue"), "RoleArn": arn_of("Role"),
                "DeadLetterConfig": {"Arn": arn_of("Dead")},
            },
        },
    },
    "Alarm": {
        "Type": "AWS::CloudWatch::Alarm",
        "Properties": {
            "Namespace": "N", "MetricName": "M", "Statistic": "Sum", "Period": 60,
            "EvaluationPeriods": 1, "Threshold": 1, "AlarmName": "types-alarm",
            "ComparisonOperator": "GreaterThanThreshold",
        },
    },
    "Composite": {
        "Type": "AWS::CloudWatch::CompositeAlarm",
        "Properties": {"AlarmName": "types-all", "AlarmRule": "ALARM(types-alarm)"},
        "DependsOn": "Alarm",
    },
    "Archive": {
        "Type": "AWS::Events::Archive",
        "Properties": {"SourceArn": arn_of("Bus"), "RetentionDays": 7},
    },
    "Scaling": {
        "Type": "AWS::ApplicationAutoScaling::ScalableTarget",
        "Properties": {"MinCapacity": 1, "MaxCapacity": 2},
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def stack(cloud):
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="deployments")
    code = archive({"app.py": "def handler(event, context):\n    return {}"})
    s3.put_object(Bucket="deployments", Key="code.zip", Body=code)
    outputs = {name: {"Value": {"Ref": name}} for name in ("Table", "Machine", "Lake", "Dead")}
    outputs["AliasArn"] = {"Value": arn_of("MachineAlias")}
    client = cloud.client("cloudformation")
    client.create_stack(
        StackName="types",
        TemplateBody=json.dumps({"Resources": RESOURCES, "Outputs": outputs}),
        Capabilities=["CAPABILITY_IAM"],
        RoleARN=ROLE,
    )

    def settled():
        found = client.describe_stacks(StackName="types")["Stacks"][0]
        return None if found["StackStatus"].endswith("_IN_PROGRESS") else found

    return wait_until(settled, 60)


def output(stack, name):
    return next(each["OutputValue"] for each in stack["Outputs"] if each["OutputKey"] == name)


def test_the_stack_deploys(cloud, stack):
    events = cloud.client("cloudformation").describe_stack_events(StackName="types")
    failed = [
        (event["LogicalResourceId"], event.get("ResourceStatusReason"))
        for event in events["StackEvents"]
        if "FAILED" in event["ResourceStatus"]
    ]

    assert failed == []
    assert stack["StackStatus"] == "CREATE_COMPLETE"


def test_a_table_keeps_its_protections(cloud, stack):
    client = cloud.client("dynamodb")
    name = output(stack, "Table")

    backups = client.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
    recovery = backups["PointInTimeRecoveryDescription"]
    assert recovery["PointInTimeRecoveryStatus"] == "ENABLED"
    assert client.describe_table(TableName=name)["Table"]["SSEDescription"]["SSEType"] == "KMS"
    expiry = client.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    assert expiry == {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires"}


def test_an_alias_starts_its_machine(cloud, stack):
    client = cloud.client("stepfunctions")

    started = client.start_execution(stateMachineArn=output(stack, "AliasArn"))

    wait_until(
        lambda: (
            client.describe_execution(executionArn=started["executionArn"])["status"] == "SUCCEEDED"
        )
    )


def test_a_rule_of_the_stack_reaches_its_queue(cloud, stack):
    logs = cloud.client("logs")
    entry = {
        "Source": "tidemill", "DetailType": "T", "Detail": "{}", "EventBusName": "tidemill-types",
    }  # fmt: skip
    cloud.client("events").put_events(Entries=[entry])
    resources = cloud.client("cloudformation").describe_stack_resources(StackName="types")
    function = next(
        each["PhysicalResourceId"]
        for each in resources["StackResources"]
        if each["LogicalResourceId"] == "Function"
    )

    def invoked():
        groups = logs.describe_log_groups(logGroupNamePrefix=f"/aws/lambda/{function}")
        return groups["logGroups"]

    wait_until(invoked)


def test_the_stack_is_deleted(cloud, stack):
    client = cloud.client("cloudformation")
    client.delete_stack(StackName="types")

    def gone():
        summaries = client.list_stacks(StackStatusFilter=["DELETE_COMPLETE", "DELETE_FAILED"])
        return summaries["StackSummaries"]

    assert wait_until(gone, 30)[0]["StackStatus"] == "DELETE_COMPLETE"
    assert "types-alarm" not in str(cloud.client("cloudwatch").describe_alarms()["MetricAlarms"])
