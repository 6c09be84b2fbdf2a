"""A kill -9 loses nothing that a client was told."""

import concurrent.futures
import json
import time

from local_cloud import (
    create_function,
    create_queue,
    create_state_machine,
    receive,
    run_state_machine,
    subscribe,
    wait_until,
)
from tidemill_local.processes import ProcessIdentity, descendants

WAIT = {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 600, "End": True}}}


def create_table(cloud, name="facts"):
    cloud.client("dynamodb").create_table(
        TableName=name,
        KeySchema=[
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "N"},
            {"AttributeName": "kind", "AttributeType": "S"},
        ],
        GlobalSecondaryIndexes=[{
            "IndexName": "by-kind",
            "KeySchema": [{"AttributeName": "kind", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "ALL"},
        }],
        BillingMode="PAY_PER_REQUEST",
    )  # fmt: skip


def item(pk, sk, **more):
    return {
        "pk": {"S": pk},
        "sk": {"N": str(sk)},
        "kind": {"S": "odd" if sk % 2 else "even"},
    } | more


def killed_and_restarted(cloud):
    cloud.kill()
    return cloud.start()


def test_every_item_that_was_written_is_there(own_cloud):
    table = own_cloud.client("dynamodb")
    create_table(own_cloud)
    for sk in range(50):
        table.put_item(TableName="facts", Item=item("a", sk))
    table.update_item(
        TableName="facts", Key={"pk": {"S": "a"}, "sk": {"N": "7"}},
        UpdateExpression="SET verdict = :v", ExpressionAttributeValues={":v": {"S": "accept"}},
    )  # fmt: skip
    table.transact_write_items(TransactItems=[
        {"Put": {"TableName": "facts", "Item": item("b", 1, blob={"B": b"\x00\xff"})}},
        {"Delete": {"TableName": "facts", "Key": {"pk": {"S": "a"}, "sk": {"N": "0"}}}},
    ])  # fmt: skip

    killed_and_restarted(own_cloud)

    rows = table.query(
        TableName="facts", KeyConditionExpression="pk = :p",
        ExpressionAttributeValues={":p": {"S": "a"}},
    )["Items"]  # fmt: skip
    assert [int(row["sk"]["N"]) for row in rows] == list(range(1, 50))
    assert rows[6]["verdict"] == {"S": "accept"}
    odd = table.query(
        TableName="facts", IndexName="by-kind", KeyConditionExpression="kind = :k",
        ExpressionAttributeValues={":k": {"S": "odd"}},
    )  # fmt: skip
    assert odd["Count"] == 26
    blob = table.get_item(TableName="facts", Key={"pk": {"S": "b"}, "sk": {"N": "1"}})
    assert blob["Item"]["blob"]["B"] == b"\x00\xff"


def test_a_dropped_table_comes_back_empty(own_cloud):
    table = own_cloud.client("dynamodb")
    create_table(own_cloud)
    table.put_item(TableName="facts", Item=item("a", 1))
    table.delete_table(TableName="facts")
    create_table(own_cloud)

    killed_and_restarted(own_cloud)

    assert table.scan(TableName="facts")["Count"] == 0


def test_a_message_is_received_although_it_was_in_flight(own_cloud):
    sqs = own_cloud.client("sqs")
    url, _ = create_queue(own_cloud, "deliveries", VisibilityTimeout="600")
    for body in ("deleted", "in flight", "untouched"):
        sqs.send_message(QueueUrl=url, MessageBody=body)
    first = sqs.receive_message(QueueUrl=url)["Messages"][0]
    sqs.delete_message(QueueUrl=url, ReceiptHandle=first["ReceiptHandle"])
    sqs.receive_message(QueueUrl=url)

    killed_and_restarted(own_cloud)

    assert [each["Body"] for each in receive(own_cloud, url, 2)] == ["in flight", "untouched"]


def test_an_object_keeps_its_versions_and_its_bucket_its_settings(own_cloud):
    s3 = own_cloud.client("s3")
    s3.create_bucket(Bucket="lake")
    s3.put_bucket_versioning(Bucket="lake", VersioningConfiguration={"Status": "Enabled"})
    s3.put_bucket_notification_configuration(
        Bucket="lake", NotificationConfiguration={"EventBridgeConfiguration": {}}
    )
    versions = [
        s3.put_object(Bucket="lake", Key="raw/x", Body=body)["VersionId"] for body in (b"1", b"2")
    ]

    killed_and_restarted(own_cloud)

    found = [
        s3.get_object(Bucket="lake", Key="raw/x", VersionId=version)["Body"].read()
        for version in versions
    ]
    assert found == [b"1", b"2"]
    assert s3.get_bucket_versioning(Bucket="lake")["Status"] == "Enabled"
    settings = s3.get_bucket_notification_configuration(Bucket="lake")
    assert "EventBridgeConfiguration" in settings


def test_a_running_execution_has_failed_and_its_rule_hears_it(own_cloud):
    client = own_cloud.client("stepfunctions")
    machine = create_state_machine(own_cloud, "waits", WAIT)
    done = run_state_machine(
        own_cloud,
        create_state_machine(
            own_cloud, "ends", {"StartAt": "S", "States": {"S": {"Type": "Succeed"}}}
        ),
        {"kept": True},
    )
    pattern = {"source": ["aws.states"], "detail": {"status": ["FAILED"]}}
    url, _ = subscribe(own_cloud, "failures", pattern)
    started = client.start_execution(stateMachineArn=machine, name="run-1", input='{"a": 1}')

    killed_and_restarted(own_cloud)

    execution = client.describe_execution(executionArn=started["executionArn"])
    assert (execution["status"], execution["error"]) == ("FAILED", "LocalCloudStopped")
    assert "can be started again" in execution["cause"]
    detail = json.loads(receive(own_cloud, url)[0]["Body"])["detail"]
    assert (detail["name"], detail["error"]) == ("run-1", "LocalCloudStopped")
    history = client.get_execution_history(executionArn=started["executionArn"])["events"]
    assert history[0]["type"] == "ExecutionStarted"
    assert history[-1]["type"] == "ExecutionFailed"
    kept = client.describe_execution(executionArn=done["executionArn"])
    assert (kept["status"], kept["output"]) == ("SUCCEEDED", '{"kept": true}')


def test_what_the_control_plane_promised_is_there(own_cloud):
    layer = b"PK\x05\x06" + b"\x00" * 18  # an empty archive
    own_cloud.client("lambda").publish_layer_version(LayerName="l", Content={"ZipFile": layer})
    create_function(own_cloud, "kept", "def handler(event, context):\n    return 1")
    own_cloud.client("events").put_rule(Name="r", EventPattern='{"source": ["x"]}')
    own_cloud.client("scheduler").create_schedule(
        Name="s", ScheduleExpression="rate(1 day)", FlexibleTimeWindow={"Mode": "OFF"},
        Target={"Arn": "arn:aws:sqs:us-east-1:000000000000:q", "RoleArn": "arn:aws:iam::0:role/r"},
    )  # fmt: skip
    own_cloud.client("iam").create_role(RoleName="jobs", AssumeRolePolicyDocument="{}")

    killed_and_restarted(own_cloud)

    answer = own_cloud.client("lambda").invoke(FunctionName="kept")
    assert json.loads(answer["Payload"].read()) == 1
    assert own_cloud.client("lambda").list_layers()["Layers"][0]["LayerName"] == "l"
    assert own_cloud.client("events").describe_rule(Name="r")["State"] == "ENABLED"
    assert own_cloud.client("scheduler").get_schedule(Name="s")["State"] == "ENABLED"
    assert own_cloud.client("iam").get_role(RoleName="jobs")["Role"]["RoleName"] == "jobs"


def test_an_accepted_asynchronous_invocation_runs_after_all(own_cloud):
    create_table(own_cloud)
    code = """
import boto3, os, time
def handler(event, context):
    time.sleep(1.5)
    item = {"pk": {"S": "async"}, "sk": {"N": str(event["n"])}, "kind": {"S": "x"}}
    boto3.client("dynamodb").put_item(TableName="facts", Item=item)
"""
    create_function(own_cloud, "later", code, Timeout=20)
    own_cloud.client("lambda").invoke(
        FunctionName="later", InvocationType="Event", Payload=b'{"n": 5}'
    )

    killed_and_restarted(own_cloud)

    wait_until(lambda: own_cloud.client("dynamodb").scan(TableName="facts")["Count"])


def test_a_table_s_stream_is_followed_from_where_a_kill_stopped_it(own_cloud):
    table = own_cloud.client("dynamodb")
    url, _ = create_queue(own_cloud, "changes")
    created = table.create_table(
        TableName="ledger", BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )  # fmt: skip
    code = f"""
import boto3
sqs = boto3.client("sqs")
def handler(event, context):
    for record in event["Records"]:
        key = record["dynamodb"]["Keys"]["pk"]["S"]
        sqs.send_message(QueueUrl={url!r}, MessageBody=key)
"""
    create_function(own_cloud, "follows", code)
    own_cloud.client("lambda").create_event_source_mapping(
        FunctionName="follows", StartingPosition="LATEST",
        EventSourceArn=created["TableDescription"]["LatestStreamArn"],
    )  # fmt: skip
    for key in ("before-1", "before-2"):
        table.put_item(TableName="ledger", Item={"pk": {"S": key}})
    receive(own_cloud, url, 2)

    table.put_item(TableName="ledger", Item={"pk": {"S": "told"}})
    receive(own_cloud, url)
    table.put_item(TableName="ledger", Item={"pk": {"S": "not told"}})
    killed_and_restarted(own_cloud)
    table.put_item(TableName="ledger", Item={"pk": {"S": "after"}})

    told = [message["Body"] for message in receive(own_cloud, url, 2)]
    assert told[-2:] == ["not told", "after"]


def test_writes_that_were_answered_survive_a_kill_in_the_middle_of_many(own_cloud):
    create_table(own_cloud)
    url, _ = create_queue(own_cloud, "storm")
    answered = []

    def write(sk):
        own_cloud.client("dynamodb").put_item(TableName="facts", Item=item("storm", sk))
        own_cloud.client("sqs").send_message(QueueUrl=url, MessageBody=str(sk))
        answered.append(sk)

    own_cloud.client("dynamodb"), own_cloud.client("sqs")
    with concurrent.futures.ThreadPoolExecutor(8) as writers:
        writes = [writers.submit(write, sk) for sk in range(2000)]
        wait_until(lambda: len(answered) > 200)
        own_cloud.kill()
        for write_ in writes:
            write_.cancel()
    told = list(answered)
    own_cloud.start()

    found = {
        int(row["sk"]["N"])
        for page in own_cloud.client("dynamodb").get_paginator("scan").paginate(TableName="facts")
        for row in page["Items"]
    }
    assert set(told) <= found
    bodies = {int(each["Body"]) for each in receive(own_cloud, url, len(told), seconds=60)}
    assert set(told) <= bodies


def test_a_killed_engine_leaves_no_processes_and_no_temporary_files(own_cloud):
    code = "import time\ndef handler(event, context):\n    time.sleep(20)"
    create_function(own_cloud, "sleeps", code, Timeout=30)
    own_cloud.client("lambda").invoke(FunctionName="sleeps", InvocationType="Event")
    listed = own_cloud.state / "children.json"
    wait_until(lambda: listed.exists() and json.loads(listed.read_text()))
    children = [ProcessIdentity(**child) for child in json.loads(listed.read_text())]
    (own_cloud.state / "tmp" / "left-behind").mkdir()

    killed_and_restarted(own_cloud)

    assert not [child for child in children if child.is_alive()]
    assert not (own_cloud.state / "tmp" / "left-behind").exists()


def test_stopping_ends_every_child(own_cloud):
    code = "import time\ndef handler(event, context):\n    time.sleep(20)"
    create_function(own_cloud, "sleeps", code, Timeout=30)
    own_cloud.client("lambda").invoke(FunctionName="sleeps", InvocationType="Event")

    running = wait_until(lambda: descendants(own_cloud.pid))
    started = time.monotonic()
    own_cloud.stop()

    assert time.monotonic() - started < 10
    assert not [child for child in running if child.is_alive()]


def test_a_deployed_stack_s_sweep_runs_at_every_start(own_cloud):
    create_table(own_cloud)
    code = """
import boto3, time
def handler(event, context):
    item = {"pk": {"S": "swept"}, "sk": {"N": str(time.time_ns())}, "kind": {"S": "x"}}
    boto3.client("dynamodb").put_item(TableName="facts", Item=item)
"""
    create_function(own_cloud, "sweep-up", code)
    template = {
        "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
        "Outputs": {"SweepFunctionName": {"Value": "sweep-up"}},
    }
    client = own_cloud.client("cloudformation")
    client.create_stack(StackName="tidemill", TemplateBody=json.dumps(template))
    wait_until(lambda: stack_status(client) == "CREATE_COMPLETE")

    for turn in (1, 2):
        killed_and_restarted(own_cloud)
        wait_until(lambda turn=turn: swept(own_cloud) == turn)


def stack_status(client):
    return client.describe_stacks(StackName="tidemill")["Stacks"][0]["StackStatus"]


def swept(cloud):
    return cloud.client("dynamodb").scan(TableName="facts")["Count"]
