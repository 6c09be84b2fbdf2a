"""Our emitter writes what the SDK writes of the same pipeline, but for what is said here."""

import json

import pytest

from .conftest import ROOT

OURS = ROOT / "tests" / "unit" / "pipeline" / "flights-delay.json"  # a unit test keeps it so
REGISTER = "Steps/2/Arguments/IfSteps/0/Arguments"
NOTHING = "nothing"
#: (ours, the SDK's) by place.
DIFFERENCES = {
    # Runs are kept in the ledger; what the SDK writes puts each in an experiment besides.
    "PipelineExperimentConfig": (NOTHING, {
        "ExperimentName": {"Get": "Execution.PipelineName"},
        "TrialName": {"Get": "Execution.PipelineExecutionId"},
    }),
    "MlflowConfig": (NOTHING, None),
    # SageMaker's own default, which we say.
    "Steps/0/Arguments/EnableManagedSpotTraining": (False, NOTHING),
    # SageMaker's own defaults, which the SDK says; and variables for scripts: we have none.
    f"{REGISTER}/SkipModelValidation": (NOTHING, "None"),
    f"{REGISTER}/ModelMetrics/Bias": (NOTHING, {}),
    f"{REGISTER}/ModelMetrics/Explainability": (NOTHING, {}),
    f"{REGISTER}/InferenceSpecification/Containers/0/Environment": (NOTHING, {
        "SAGEMAKER_PROGRAM": "",
        "SAGEMAKER_SUBMIT_DIRECTORY": "",
        "SAGEMAKER_CONTAINER_LOG_LEVEL": "20",
        "SAGEMAKER_REGION": "us-east-1",
    }),
}  # fmt: skip


def differences(ours, theirs, place=""):
    """Return what differs between two documents, by place; the order of keys does not count."""
    if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        ours, theirs = dict(enumerate(ours)), dict(enumerate(theirs))
    if not (isinstance(ours, dict) and isinstance(theirs, dict)):
        same = ours == theirs and type(ours) is type(theirs)
        return {} if same else {place: (ours, theirs)}
    found = {}
    for key in ours.keys() | theirs.keys():
        where = f"{place}/{key}" if place else str(key)
        found |= differences(ours.get(key, NOTHING), theirs.get(key, NOTHING), where)
    return found


@pytest.mark.program("definition")
def test_our_definition_is_the_sdks(told):
    assert differences(json.loads(OURS.read_text()), told) == DIFFERENCES
