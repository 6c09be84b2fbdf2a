"""
Errors that cross a process boundary.

Step Functions sees only the class name, as the error name in `Retry` and `Catch`. Renaming a
class here is therefore a change to `statemachines/`; a test keeps the two in step.

    TidemillError
    ├── InvalidInputError          the caller sent something no retry can fix
    ├── ConfigurationError         the deployment is wrong
    ├── NotFoundError              no such project, model, version or run
    ├── BreakingChangeError        an apply that existing versions forbid
    ├── ApplyBusyError             another apply or delete of the model is under way
    ├── NothingToTrainError        a run whose dataset holds no accepted upload
    ├── RefusedError               the dataset as a whole cannot be trained on
    ├── OutOfRoomError             a data function's memory or disk does not hold the data
    ├── RolloutBusyError           another rollout of the model is under way: retried
    ├── EndpointFailedError        SageMaker could not bring the endpoint up, or rolled it back
    ├── PipelineFailedError        the SageMaker pipeline ended otherwise than Succeeded
    └── SmokeTestError             the endpoint answers, but not what the version answered
"""


class TidemillError(Exception):
    """Base of every error this project raises on purpose."""


class InvalidInputError(TidemillError):
    """The caller sent something no retry can fix; the message names the field."""


class ConfigurationError(TidemillError):
    """The deployment is wrong: a setting is missing or malformed."""


class NotFoundError(TidemillError):
    """No such project, model, version or run; the message says how to list what there is."""


class BreakingChangeError(TidemillError):
    """An apply would change what existing versions of the model rest on."""


class ApplyBusyError(TidemillError):
    """Another apply or delete of this model is under way; try again when it is over."""


class NothingToTrainError(TidemillError):
    """A run was started, but its model has no accepted upload."""


class RefusedError(TidemillError):
    """The dataset as a whole cannot be trained on; more or better data is the next step."""


class OutOfRoomError(TidemillError):
    """A data function's memory, disk or time is too little for the data; a job's is not."""


#: How a data function ends that the data was too much for: AWS's names for a Lambda that took too
#: long or was killed, Step Functions' own deadline, and ours. All go on as a Processing job.
RAN_OUT = (
    "Lambda.Unknown",
    "OutOfRoomError",
    "Runtime.ExitError",
    "Runtime.OutOfMemory",
    "Sandbox.Timedout",
    "States.Timeout",
)


class RolloutBusyError(TidemillError):
    """
    Another rollout of this model is under way.

    Retryable from the same step: `statemachines/rollout.asl.json` waits its turn.
    """


class EndpointFailedError(TidemillError):
    """SageMaker could not bring the endpoint up as asked, or went back to the old configuration."""


class PipelineFailedError(TidemillError):
    """The SageMaker pipeline ended otherwise than Succeeded."""


class SmokeTestError(TidemillError):
    """The endpoint's answers to the smoke rows differ from those at evaluation."""
