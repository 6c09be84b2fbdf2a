"""A tuning job's training jobs: what is known of each, and what is asked of the next."""

from dataclasses import dataclass
from typing import Any

from tidemill_local.sagemaker.context import Context
from tidemill_local.sagemaker.jobs.epochs import EPOCHS
from tidemill_local.sagemaker.tuning import rules
from tidemill_local.sagemaker.tuning.bayesian import Trial
from tidemill_local.sagemaker.tuning.search import Parameter, Values, parameters

KIND = "HyperParameterTuningJob"
TRAINING = "TrainingJob"
TRIALS = "_Trials"  # in the record: the training jobs launched, written before each is created
_RUNNING = frozenset({"InProgress", "Stopping"})
_INTERNAL = "InternalServerError"


@dataclass(frozen=True)
class Definition:
    """One TrainingJobDefinition, with its objective and ranges wherever the request has them."""

    body: dict[str, Any]
    metric: str
    minimize: bool
    ranges: list[Parameter]

    @property
    def name(self) -> str | None:
        """DefinitionName."""
        return self.body.get("DefinitionName")

    @property
    def hyperparameters(self) -> set[str]:
        """The names of all its hyperparameters, tuned or not."""
        return {p.name for p in self.ranges} | set(self.body.get("StaticHyperParameters", {}))


@dataclass(frozen=True)
class Launched:
    """
    One training job of a tuning job.

    Attributes:
        name: Its name.
        values: The hyperparameters that were chosen for it.
        definition: Which definition it is of.
        job: Its record; empty when a crash came before it was created.
        retried: It failed for no fault of its own, and another one took its place.
    """

    name: str
    values: Values
    definition: Definition
    job: dict[str, Any]
    retried: bool

    @property
    def status(self) -> str:
        """TrainingJobStatus; InProgress of one that is not there yet."""
        return str(self.job.get("TrainingJobStatus", "InProgress"))

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.status in _RUNNING

    @property
    def objective(self) -> float | None:
        """The objective's last value, of one that ended."""
        if self.running or self.status == "Failed":
            return None
        return rules.objective_value(self.job, self.definition.metric)

    @property
    def epochs(self) -> list[float]:
        """The objective after each epoch so far, of one that is followed."""
        return list(self.job.get(EPOCHS, []))

    @property
    def retryable(self) -> bool:
        """Whether it failed by an error of the service's."""
        reason = str(self.job.get("FailureReason", ""))
        return self.status == "Failed" and reason.startswith(_INTERNAL)

    def known(self) -> Trial:
        """Return what a search may learn from it."""
        failed = not self.running and self.objective is None
        return Trial(self.values, self.objective, failed)

    def summary(self, tuning_job: str) -> dict[str, Any]:
        """Return it as ListTrainingJobsForHyperParameterTuningJob shows it."""
        fields = ("TrainingJobArn", "CreationTime", "TrainingStartTime", "TrainingEndTime")
        shown = {field: self.job.get(field) for field in (*fields, "FailureReason")}
        objective = self.objective
        if objective is not None:
            shown["FinalHyperParameterTuningJobObjectiveMetric"] = {
                "Type": "Minimize" if self.definition.minimize else "Maximize",
                "MetricName": self.definition.metric,
                "Value": objective,
            }
        return shown | {
            "TrainingJobDefinitionName": self.definition.name,
            "TrainingJobName": self.name,
            "TuningJobName": tuning_job,
            "TrainingJobStatus": self.status,
            "TunedHyperParameters": self.values,
            "ObjectiveStatus": self._objective_status(),
        }

    def _objective_status(self) -> str:
        if self.running:
            return "Pending"
        return "Failed" if self.objective is None else "Succeeded"


def definitions(body: dict[str, Any]) -> list[Definition]:
    """
    Return the training job definitions of a request or record.

    Raises:
        RangeError: Ranges that cannot be searched.
    """
    config = body["HyperParameterTuningJobConfig"]
    given = body.get("TrainingJobDefinitions") or [body["TrainingJobDefinition"]]
    found = []
    for definition in given:
        objective = definition.get("TuningObjective") or config["HyperParameterTuningJobObjective"]
        ranges = definition.get("HyperParameterRanges") or config.get("ParameterRanges", {})
        found.append(
            Definition(
                definition,
                objective["MetricName"],
                objective["Type"] == "Minimize",
                parameters(ranges),
            )
        )
    return found


def resources(definition: dict[str, Any]) -> dict[str, Any]:
    """Return the ResourceConfig of a definition's training jobs."""
    if "ResourceConfig" in definition:
        given: dict[str, Any] = definition["ResourceConfig"]
        return given
    config = definition["HyperParameterTuningResourceConfig"]
    first = config.get("InstanceConfigs", [config])[0]
    fields = ("InstanceType", "InstanceCount", "VolumeSizeInGB")
    return {field: first[field] for field in fields if field in first}


def launched(context: Context, body: dict[str, Any]) -> list[Launched]:
    """Return the training jobs of a tuning job's record, in the order of their launch."""
    known = definitions(body)
    return [
        Launched(
            trial["Name"],
            trial["Values"],
            known[trial["Definition"]],
            context.store.get(TRAINING, trial["Name"]) or {},
            trial.get("Retried", False),
        )
        for trial in body.get(TRIALS, [])
    ]


def best(trials: list[Launched]) -> Launched | None:
    """Return the completed training job with the best objective, the first of equals."""
    found: Launched | None = None
    for trial in trials:
        if trial.status != "Completed" or trial.objective is None:
            continue
        than = None if found is None else found.objective
        if than is None or rules.better(trial.objective, than, minimize=trial.definition.minimize):
            found = trial
    return found


def described(context: Context, body: dict[str, Any]) -> dict[str, Any]:
    """Return a record with what its training jobs make of it: counters, the best one."""
    trials = launched(context, body)
    name = body["HyperParameterTuningJobName"]
    statuses = [trial.status for trial in trials]
    failed = [trial for trial in trials if trial.status == "Failed"]
    retryable = sum(trial.retryable for trial in failed)
    objectives = [trial.summary(name)["ObjectiveStatus"] for trial in trials]
    end = body.get("HyperParameterTuningEndTime", body["LastModifiedTime"])
    seconds = [_seconds(trial.job, end) for trial in trials]
    added: dict[str, Any] = {
        "TrainingJobStatusCounters": {
            "Completed": statuses.count("Completed"),
            "InProgress": sum(status in _RUNNING for status in statuses),
            "RetryableError": retryable,
            "NonRetryableError": len(failed) - retryable,
            "Stopped": statuses.count("Stopped"),
        },
        "ObjectiveStatusCounters": {
            status: objectives.count(status) for status in ("Succeeded", "Pending", "Failed")
        },
        "ConsumedResources": {"RuntimeInSeconds": round(sum(seconds))},
    }
    winner = best(trials)
    if winner is not None:
        added["BestTrainingJob"] = winner.summary(name)
    values = [trial.objective for trial in trials if trial.objective is not None]
    if values:
        minimize = trials[0].definition.minimize
        count = rules.not_improving(values, minimize=minimize)
        added["TuningJobCompletionDetails"] = {"NumberOfTrainingJobsObjectiveNotImproving": count}
    overall = _overall_best(context, body, winner)
    if overall is not None:
        added["OverallBestTrainingJob"] = overall
    return body | added


def parents(context: Context, body: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the records of the tuning jobs that a warm start builds on, those that are there."""
    config = body.get("WarmStartConfig", {})
    names = [
        p["HyperParameterTuningJobName"] for p in config.get("ParentHyperParameterTuningJobs", [])
    ]
    found = [context.store.get(KIND, name) for name in names]
    return [record for record in found if record is not None]


def _overall_best(
    context: Context, body: dict[str, Any], own: Launched | None
) -> dict[str, Any] | None:
    if body.get("WarmStartConfig", {}).get("WarmStartType") != "IdenticalDataAndAlgorithm":
        return None
    candidates = [] if own is None else [(own, body)]
    for parent in parents(context, body):
        theirs = best(launched(context, parent))
        if theirs is not None:
            candidates.append((theirs, parent))
    winner = best([trial for trial, _ in candidates])
    for trial, record in candidates:
        if trial is winner:
            return trial.summary(record["HyperParameterTuningJobName"])
    return None


def _seconds(job: dict[str, Any], until: float) -> float:
    start = job.get("TrainingStartTime")
    return 0.0 if start is None else max(0.0, job.get("TrainingEndTime", until) - start)
