"""Steps that turn to the local cloud's other services: to a Lambda function, or to a queue."""

import json
import logging
from functools import cached_property
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ReadTimeoutError

from tidemill_local.sagemaker import clients
from tidemill_local.sagemaker.context import Context
from tidemill_local.sagemaker.operations import on_stop
from tidemill_local.sagemaker.pipelines import callbacks
from tidemill_local.sagemaker.pipelines.expressions import as_text, evaluate
from tidemill_local.sagemaker.pipelines.outputs import as_parameters, as_texts, read_outputs
from tidemill_local.sagemaker.pipelines.steps import (
    LOOK_SECONDS,
    Properties,
    StepError,
    StepRun,
    StepStoppedError,
)

logger = logging.getLogger(__name__)

LAMBDA_SECONDS = 600  # as long as SageMaker waits for a function


class Neighbours:
    """The clients of Lambda and SQS, made when first needed; a part of the service's context."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @cached_property
    def functions(self) -> Any:
        """Return the client of Lambda: a function is invoked once, or it could work twice."""
        patient = Config(read_timeout=LAMBDA_SECONDS, retries={"total_max_attempts": 1})
        return self._client("lambda", clients.CONFIG.merge(patient))

    @cached_property
    def queues(self) -> Any:
        """Return the client of SQS."""
        return self._client("sqs", clients.CONFIG)

    def close(self) -> None:
        """Close what was made."""
        for name in ("functions", "queues"):
            made = vars(self).pop(name, None)
            if made is not None:
                made.close()

    def _client(self, service: str, config: Config) -> Any:
        # boto3's stubs know each service by its literal name.
        session: Any = clients.session(self._context.account, self._context.region)
        return session.client(service, endpoint_url=self._context.endpoint_url, config=config)


@on_stop
def close_neighbours(context: Context) -> None:
    """Close the clients that there are."""
    context.part(Neighbours).close()


def invoke_function(run: StepRun) -> Properties:
    """
    Invoke a Lambda step's function once, and read its outputs.

    It cannot be stopped: an execution that is stopping waits for it.
    """
    scope = run.scope()
    arn = as_text(evaluate(run.step.target, scope))
    payload = json.dumps(evaluate(run.step.arguments, scope)).encode()
    run.begin_once()
    run.progress(Metadata={"Lambda": {"Arn": arn}})
    functions = run.context.part(Neighbours).functions

    def invoke() -> tuple[str, bytes]:
        answer = functions.invoke(FunctionName=arn, Payload=payload)
        with answer["Payload"] as stream:
            return answer.get("FunctionError", ""), stream.read()

    try:
        failed, body = run.outlast(invoke)
    except ReadTimeoutError as error:
        raise StepError(
            f"ClientError: the Lambda function {arn} did not answer within {LAMBDA_SECONDS} s."
        ) from error
    except (ClientError, BotoCoreError) as error:
        reason = f"ClientError: Failed to invoke the Lambda function {arn}. Error Details: {error}"
        raise StepError(reason) from error
    if failed:
        raise StepError(f"ClientError: the Lambda function {arn} failed. {_function_error(body)}")
    texts = as_texts(run.step.outputs, _json(body, arn))
    values = read_outputs(run.step.outputs, texts)
    run.note(Metadata={"Lambda": {"Arn": arn, "OutputParameters": as_parameters(texts)}})
    return {"OutputParameters": values}


def _function_error(body: bytes) -> str:
    try:
        error = json.loads(body)
        return f"{error['errorType']}: {error['errorMessage']}"
    except (ValueError, KeyError, TypeError):
        return body[:500].decode(errors="replace")


def _json(body: bytes, arn: str) -> Any:
    try:
        return json.loads(body or b"null")
    except ValueError as error:
        raise StepError(f"ClientError: {arn} answered what is not JSON: {error}") from error


def await_callback(run: StepRun) -> Properties:
    """
    Send a Callback step's message, and wait for its token to be answered, however long.

    An execution that is stopping sends a second message, and ends with its answer, as on SageMaker.
    """
    token = _ask(run)
    told = False
    while not callbacks.answered(
        body := callbacks.wait_for_answer(run.context, token, LOOK_SECONDS)
    ):
        run.check_abandoned()
        if run.stopping.is_set() and not told:
            told = True
            run.move("Stopping")
            try:
                _send(run, body, "Stopping")
            except StepError:
                logger.warning("the callback %s was not told of the stop", token, exc_info=True)
    if run.stopping.is_set():
        raise StepStoppedError
    if body["Status"] == "Failed":
        raise StepError(body["Reason"])
    texts = body["Texts"]
    values = read_outputs(run.step.outputs, texts)
    metadata = run.entry["Metadata"]["Callback"] | {"OutputParameters": as_parameters(texts)}
    run.note(Metadata={"Callback": metadata})
    return {"OutputParameters": values}


def _ask(run: StepRun) -> str:
    """Return the token of this step's callback; its message has been sent, perhaps twice."""
    token = run.entry.get("Metadata", {}).get("Callback", {}).get("CallbackToken")
    if token is None:
        run.check_end()
        scope = run.scope()
        url = as_text(evaluate(run.step.target, scope))
        arguments = evaluate(run.step.arguments, scope)
        token = callbacks.add(
            run.context,
            run.variables["PipelineExecutionArn"],
            step=run.step.name,
            outputs=run.step.outputs,
            url=url,
            arguments=arguments,
        )
        run.progress(Metadata={"Callback": {"CallbackToken": token, "SqsQueueUrl": url}})
    body = callbacks.get(run.context, token)
    if not body.get("Sent"):
        _send(run, body, "Executing")
        callbacks.note_sent(run.context, token)
    return str(token)


def _send(run: StepRun, body: dict[str, Any], status: str) -> None:
    message = {
        "token": body["CallbackToken"],
        "pipelineExecutionArn": body["PipelineExecutionArn"],
        "arguments": body["Arguments"],
        "status": status,
    }
    queues = run.context.part(Neighbours).queues
    url = body["SqsQueueUrl"]
    try:
        queues.send_message(QueueUrl=url, MessageBody=json.dumps(message))
    except (ClientError, BotoCoreError) as error:
        reason = f"ClientError: Failed to send a message to {url}. Error Details: {error}"
        raise StepError(reason) from error
