"""What tuning jobs are refused for before anything is launched."""

import json

import pytest

from .model_servers import refused
from .tuning_jobs import HYPERBAND, OBJECTIVE, SCORE, Tuning, choices, numbers

IMAGE = {"TrainingImage": "any", "TrainingInputMode": "File", "MetricDefinitions": [SCORE]}
WARM = {
    "ParentHyperParameterTuningJobs": [{"HyperParameterTuningJobName": "{tuned}"}],
    "WarmStartType": "IdenticalDataAndAlgorithm",
}


@pytest.fixture(scope="module")
def tuning(shared_cloud, shared_bucket):
    return Tuning(shared_cloud, shared_bucket)


@pytest.fixture(scope="module")
def tuned(tuning):
    """A tuning job that has ended, a parent for others."""
    return tuning.run(numbers(1, 8), jobs=1, at_once=1)


def test_names_are_used_once_and_unknown_ones_are_not_found(tuning, tuned):
    name = tuned["HyperParameterTuningJobName"]
    with pytest.raises(tuning.sagemaker.exceptions.ResourceInUse, match="already exists"):
        tuning.start(HyperParameterTuningJobName=name)
    for ask in (
        tuning.sagemaker.describe_hyper_parameter_tuning_job,
        tuning.sagemaker.stop_hyper_parameter_tuning_job,
        tuning.sagemaker.list_training_jobs_for_hyper_parameter_tuning_job,
    ):
        refused(
            ask,
            "Amazon SageMaker can't find a tuning job called nobody. Type another name.",
            "ResourceNotFound",
            HyperParameterTuningJobName="nobody",
        )


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        ({"config": {"Strategy": "Hyperband"}}, "MaxResource is neither given nor told"),
        ({"config": {"StrategyConfig": HYPERBAND}}, "goes with the Hyperband strategy"),
        (
            {
                "config": {
                    "Strategy": "Hyperband",
                    "StrategyConfig": HYPERBAND,
                    "TrainingJobEarlyStoppingType": "Auto",
                }
            },
            "TrainingJobEarlyStoppingType must be Off",
        ),
        ({"config": {"Strategy": "Grid"}}, "categorical hyperparameters only"),
        (
            {"ranges": choices(c=["a", "b", "c"]), "config": {"Strategy": "Grid"}},
            "equals the number of combinations, 3",
        ),
        ({"jobs": 6}, "the provided ranges [5.0] must be equal or greater"),
        ({"jobs": None}, "needs MaxNumberOfTrainingJobs or MaxRuntimeInSeconds"),
        ({"ranges": numbers(5, 1)}, "the range of x is empty"),
        ({"ranges": numbers(1, 2, "mode")}, "static or tuned, not both: mode"),
        (
            {
                "config": {
                    "HyperParameterTuningJobObjective": OBJECTIVE | {"MetricName": "other"},
                }
            },
            "A metric is required for this hyperparameter tuning job objective",
        ),
        (
            {
                "config": {
                    "TuningJobCompletionCriteria": {
                        "ConvergenceDetected": {"CompleteOnConvergence": "Enabled"}
                    }
                }
            },
            "ConvergenceDetected is not supported",
        ),
        ({"Autotune": {"Mode": "Enabled"}}, "Autotune is not supported"),
        ({"definition": {"ResourceConfig": None}}, "one of ResourceConfig and"),
        ({"definition": {"EnableManagedSpotTraining": True}}, "Invalid MaxWaitTimeInSeconds"),
        (
            {"WarmStartConfig": WARM, "definition": {"AlgorithmSpecification": IMAGE}},
            "TrainingImage must be the parent tuning job's",
        ),
        (
            {"WarmStartConfig": WARM, "definition": {"StaticHyperParameters": {}}},
            "static plus tunable hyperparameters must remain the same",
        ),
        (
            {
                "WarmStartConfig": WARM,
                "config": {"HyperParameterTuningJobObjective": OBJECTIVE | {"Type": "Minimize"}},
            },
            "The objective metric must be the same",
        ),
    ],
)
def test_what_cannot_be_done_is_refused_at_once(tuning, tuned, request_, says):
    request = json.loads(
        json.dumps(request_).replace("{tuned}", tuned["HyperParameterTuningJobName"])
    )
    changes = request.pop("definition", {})
    definition = {k: v for k, v in tuning.definition(**changes).items() if v is not None}

    refused(tuning.start, says, TrainingJobDefinition=definition, **request)
