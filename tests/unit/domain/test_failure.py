import json

import pytest

from tidemill.domain.failure import Outcome, explain, interrupted


def cause(**document):
    return json.dumps(document)


@pytest.mark.parametrize(
    ("state", "error", "said", "outcome"),
    [
        ("Prepare", "States.TaskFailed", cause(ExitMessage="Refused: one class only"),
         Outcome("refused", "one class only")),
        ("Prepare", "States.TaskFailed", cause(ExitMessage="no space", FailureReason="x"),
         Outcome("failed", "Prepare: no space")),
        ("Prepare", "States.TaskFailed", cause(FailureReason="CapacityError"),
         Outcome("failed", "Prepare: CapacityError")),
        ("Prepare", "States.TaskFailed",
         cause(ProcessingJobStatus="Stopped", FailureReason="by hand"),
         Outcome("stopped", "Prepare: by hand")),
        ("OpenRun", "NothingToTrainError", cause(errorMessage="f/d has no accepted upload"),
         Outcome("refused", "f/d has no accepted upload")),
        ("OpenRun", "NothingToTrainError", "f/d has none", Outcome("refused", "f/d has none")),
        ("ReadOutcome", "PipelineFailedError", cause(errorMessage="step Train: boom"),
         Outcome("failed", "ReadOutcome: step Train: boom")),
        ("AwaitPipeline", "States.Timeout", "",
         Outcome("failed", "AwaitPipeline did not end within its time limit")),
        ("StartPipeline", "SageMaker.X", "plain text",
         Outcome("failed", "StartPipeline: plain text")),
        ("StartPipeline", "SageMaker.X", "[1]", Outcome("failed", "StartPipeline: [1]")),
        ("StartPipeline", "SageMaker.X", "",
         Outcome("failed", "StartPipeline: no cause was given")),
    ],
)  # fmt: skip
def test_what_was_caught_becomes_one_sentence(state, error, said, outcome):
    assert explain(state, error, said) == outcome


def test_a_sentence_is_not_a_log():
    assert len(explain("Prepare", "X", "x" * 5000).reason) == 1000
    assert len(interrupted("FAILED", "X", "x" * 5000)) == 1000


@pytest.mark.parametrize(
    ("status", "error", "cause", "says"),
    [
        ("ABORTED", "", "not needed", "stopped by hand: not needed"),
        ("ABORTED", "", "", "stopped by hand"),
        ("TIMED_OUT", "", "", "the workflow did not end within its time limit"),
        ("FAILED", "X", "why", "X: why"),
        ("FAILED", "", "why", "why"),
        ("FAILED", "X", '{"errorMessage": "no such table", "errorType": "X"}', "X: no such table"),
        ("FAILED", "", "", "the workflow failed and gave no cause"),
    ],
)
def test_a_workflow_that_could_not_say_so_is_spoken_for(status, error, cause, says):
    assert interrupted(status, error, cause) == says


def test_a_run_that_was_interrupted_names_the_command_that_starts_it_again():
    said = interrupted("FAILED", "LocalCloudStopped", "x" * 5000, "flights/delay")
    assert said.endswith("xx; `tidemill start flights/delay --why …` starts a run again")
    assert len(said) == 1000
