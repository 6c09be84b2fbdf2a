import asyncio

import pytest

from tidemill_local.engine.request_kinds import RequestHead


def head(method="POST", path="/", body=b"", query=b"", **headers):
    scope = {
        "method": method, "path": path, "query_string": query,
        "headers": [(name.replace("_", "-").encode(), value.encode())
                    for name, value in headers.items()],
    }  # fmt: skip
    found = RequestHead.of(scope)
    found.body += body
    return found


@pytest.mark.parametrize(
    ("service", "request_head", "changes"),
    [
        ("dynamodb", head(x_amz_target="DynamoDB_20120810.PutItem"), False),
        ("dynamodb", head(x_amz_target="DynamoDB_20120810.CreateTable"), True),
        ("dynamodb", head(x_amz_target="DynamoDB_20120810.DescribeTable"), False),
        ("sqs", head(x_amz_target="AmazonSQS.SendMessage"), False),
        ("sqs", head(x_amz_target="AmazonSQS.CreateQueue"), True),
        ("states", head(x_amz_target="AWSStepFunctions.StartExecution"), False),
        ("states", head(x_amz_target="AWSStepFunctions.CreateStateMachine"), True),
        ("events", head(x_amz_target="AWSEvents.PutEvents"), False),
        ("events", head(x_amz_target="AWSEvents.PutRule"), True),
        ("iam", head(body=b"Action=CreateRole&RoleName=r"), True),
        ("iam", head(body=b"Version=1&Action=GetRole"), False),
        ("sns", head(query=b"Action=CreateTopic"), True),
        ("sts", head(body=b"Action=AssumeRole"), False),
        ("lambda", head(path="/2015-03-31/functions"), True),
        ("lambda", head(path="/2015-03-31/functions/f/invocations"), False),
        ("lambda", head("GET", "/2015-03-31/functions/f"), False),
        ("scheduler", head("PUT", "/schedules/s"), True),
        ("s3", head("PUT", "/bucket"), True),
        ("s3", head("PUT", "/bucket", query=b"versioning"), True),
        ("s3", head("PUT", "/bucket/key"), False),
        ("s3", head("POST", "/bucket", query=b"delete"), False),
        ("s3", head("GET", "/bucket"), False),
    ],
)
def test_what_only_a_snapshot_keeps(service, request_head, changes):
    assert request_head.changes_snapshots(service) is changes


def test_the_body_is_seen_while_it_passes_by():
    found = head()
    parts = [b"x=" + b"1" * 10 + b"&Act", b"ion=CreateTopic", b"&Name=" + b"z" * 10_000]

    async def receive():
        return {"type": "http.request", "body": parts.pop(0)}

    async def read():
        watched = found.watching(receive)
        return [(await watched())["body"] for _ in range(3)]

    bodies = asyncio.run(read())

    assert bodies[1] == b"ion=CreateTopic"
    assert found.action == "CreateTopic"
    assert len(found.body) == 4096
