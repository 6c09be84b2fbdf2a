"""Error names cross from Python to ASL as strings; hold the two together."""

import pytest

from tidemill import errors

from .asl_model import MACHINES, load, states

STATES = {
    "States.ALL",
    "States.BranchFailed",
    "States.DataLimitExceeded",
    "States.ExceedToleratedFailureThreshold",
    "States.HeartbeatTimeout",
    "States.ItemReaderFailed",
    "States.Permissions",
    "States.QueryEvaluationError",
    "States.ResultWriterFailed",
    "States.TaskFailed",
    "States.Timeout",
}
SERVICES = (
    "DynamoDB.", "EventBridge.", "Lambda.", "Runtime.", "S3.", "SageMaker.", "Sandbox.", "Sfn.",
    "Sns.", "Sqs.",
)  # fmt: skip
OURS = {
    name: error
    for name, error in vars(errors).items()
    if isinstance(error, type) and issubclass(error, Exception)
}
ONLY_RAN_OUT = set(errors.RAN_OUT) - STATES
EACH = pytest.mark.parametrize("path", MACHINES, ids=lambda path: path.name)


def named(path):
    return {
        error
        for _, state in states(load(path))
        for rule in (*state.get("Retry", []), *state.get("Catch", []))
        for error in rule["ErrorEquals"]
    }


@EACH
def test_every_error_name_is_a_class_of_ours_or_an_aws_name(path):
    assert named(path), "a workflow that handles no error"
    aws = {name for name in named(path) if name in STATES or name.startswith(SERVICES)}
    assert named(path) - aws - OURS.keys() == set()


@EACH
def test_no_base_class_is_named(path):
    """Step Functions compares names, so a base class stands for none of its subclasses."""
    bases = {name for name in named(path) & OURS.keys() if OURS[name].__subclasses__()}
    assert bases == set()


@EACH
def test_a_function_that_ran_out_goes_on_elsewhere(path):
    """Whoever catches one of Lambda's names for it catches all of them, and in that order."""
    for name, state in states(load(path)):
        for rule in state.get("Catch", []):
            if set(rule["ErrorEquals"]) & ONLY_RAN_OUT:
                assert tuple(rule["ErrorEquals"]) == errors.RAN_OUT, name
