"""Pipelines whose steps turn to the engine's Lambda and SQS."""

import json
import uuid

from local_cloud import ROLE, create_function, create_queue, receive, wait_until

COUNT = """
def handler(event, context):
    if event["rows"] < 0:
        raise ValueError("no such table")
    return {"double": 2 * event["rows"], "name": context.function_name}
"""


def outputs(**kinds):
    return [{"OutputName": name, "OutputType": kind} for name, kind in kinds.items()]


def test_a_pipeline_asks_a_queue_and_invokes_a_function(cloud):
    sagemaker = cloud.client("sagemaker")
    url, _ = create_queue(cloud, f"callbacks-{uuid.uuid4().hex[:8]}")
    arn = create_function(cloud, "pipeline-count", COUNT, Timeout=30)
    answered = {"Get": "Steps.Ask.OutputParameters['rows']"}
    definition = {
        "Version": "2020-12-01",
        "Steps": [
            {
                "Name": "Ask",
                "Type": "Callback",
                "SqsQueueUrl": url,
                "Arguments": {"pipeline": {"Get": "Execution.PipelineName"}},
                "OutputParameters": outputs(rows="Integer"),
            },
            {
                "Name": "Count",
                "Type": "Lambda",
                "FunctionArn": arn,
                "Arguments": {"rows": answered},
                "OutputParameters": outputs(double="Integer", name="String"),
            },
        ],
    }
    name = f"pipeline-{uuid.uuid4().hex[:8]}"
    sagemaker.create_pipeline(
        PipelineName=name, PipelineDefinition=json.dumps(definition), RoleArn=ROLE
    )

    def run(rows):
        run = sagemaker.start_pipeline_execution(PipelineName=name)["PipelineExecutionArn"]
        message = json.loads(receive(cloud, url)[0]["Body"])
        assert message["arguments"] == {"pipeline": name}
        assert message["pipelineExecutionArn"] == run
        sagemaker.send_pipeline_execution_step_success(
            CallbackToken=message["token"],
            OutputParameters=[{"Name": "rows", "Value": rows}],
        )

        def ended():
            found = sagemaker.describe_pipeline_execution(PipelineExecutionArn=run)
            status = found["PipelineExecutionStatus"]
            return status if status in {"Succeeded", "Failed"} else None

        status = wait_until(ended, 60)
        steps = sagemaker.list_pipeline_execution_steps(PipelineExecutionArn=run)
        return status, steps["PipelineExecutionSteps"][0]

    status, count = run("21")
    assert status == "Succeeded", count
    parameters = count["Metadata"]["Lambda"]["OutputParameters"]
    assert parameters == [
        {"Name": "double", "Value": "42"},
        {"Name": "name", "Value": "pipeline-count"},
    ]
    status, count = run("-1")
    assert status == "Failed"
    assert "ValueError: no such table" in count["FailureReason"]
