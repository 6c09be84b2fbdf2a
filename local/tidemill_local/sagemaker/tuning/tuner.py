"""
What goes on while a tuning job runs: a thread that launches training jobs and looks at them.

All it knows is in the records: which training jobs it launched and with which values (written
before each is created), what became of them. So a tuning job goes on after a crash: training jobs
that the crash ended are launched again with the same values.
"""

import logging
import secrets
import time
from typing import Any

from tidemill_local.sagemaker.context import Context
from tidemill_local.sagemaker.errors import ServiceError
from tidemill_local.sagemaker.events import announce
from tidemill_local.sagemaker.followers import Follower, Followers
from tidemill_local.sagemaker.jobs.epochs import WATCHED
from tidemill_local.sagemaker.jobs.runnable import short_reason
from tidemill_local.sagemaker.jobs.training import create_training_job
from tidemill_local.sagemaker.operations import call, on_stop
from tidemill_local.sagemaker.tuning import hyperband, rules
from tidemill_local.sagemaker.tuning.bayesian import Trial, suggest
from tidemill_local.sagemaker.tuning.search import Values, at_random, combinations, from_grid
from tidemill_local.sagemaker.tuning.trials import (
    KIND,
    TRAINING,
    TRIALS,
    Definition,
    Launched,
    definitions,
    described,
    launched,
    parents,
    resources,
)

logger = logging.getLogger(__name__)

_FAILURE = "_Failure"  # in the record: why there is no sense in going on
SEED = "_Seed"  # in the record: RandomSeed, or one drawn at the start
_LOOK_SECONDS = 0.25  # between two looks at what no record tells: the clock, the service's end
_PASSED_ON = (
    "AlgorithmSpecification",
    "RoleArn",
    "InputDataConfig",
    "OutputDataConfig",
    "StoppingCondition",
    "VpcConfig",
    "EnableNetworkIsolation",
    "EnableInterContainerTrafficEncryption",
    "EnableManagedSpotTraining",
    "RetryStrategy",
    "Environment",
)


class _Tuner(Follower):
    def fail(self, reason: str) -> None:
        """End the tuning job."""
        self._conclude("Failed", reason)

    def step(self) -> bool:
        """Do what is to be done now, or wait for something to happen; return whether it is over."""
        body = self.context.store.get(KIND, self.name)
        if body is None:
            return True
        trials = launched(self.context, body)
        running = [trial for trial in trials if trial.running and trial.job]
        stopping = body["HyperParameterTuningJobStatus"] == "Stopping"
        if stopping or self._finished(body, trials):
            if not running:
                self._end(body, trials)
                return True
            for trial in running:
                self._stop(trial)
        elif self._launch(body, trials):
            return False
        elif not running:
            self._end(body, trials)
            return True
        else:
            self._stop_early(body, trials)
        self._wait(body, running)
        return False

    def _finished(self, body: dict[str, Any], trials: list[Launched]) -> bool:
        """Whether nothing more is to run, by the criteria of the request."""
        config = body["HyperParameterTuningJobConfig"]
        seconds = config["ResourceLimits"].get("MaxRuntimeInSeconds")
        if seconds is not None and time.time() >= body["CreationTime"] + seconds:
            return True
        if _FAILURE in body:
            return True
        due = _due(trials)
        ended = [t for t in trials if not t.running and not t.retried and t is not due]
        failed = sum(trial.status == "Failed" for trial in ended)
        if rules.hopeless(failed, len(ended) - failed, _most(body)):
            return True
        if len(ended) >= rules.GIVES_UP_AFTER and not any(
            trial.objective is not None for trial in ended
        ):
            return True
        values = [trial.objective for trial in ended if trial.objective is not None]
        if not values:
            return False
        minimize = trials[0].definition.minimize
        criteria = config.get("TuningJobCompletionCriteria", {})
        target = criteria.get("TargetObjectiveMetricValue")
        best = min(values) if minimize else max(values)
        if target is not None and (best == target or rules.better(best, target, minimize=minimize)):
            return True
        patience = criteria.get("BestObjectiveNotImproving", {}).get(
            "MaxNumberOfTrainingJobsNotImproving"
        )
        worse = rules.not_improving(values, minimize=minimize)
        return patience is not None and worse >= patience

    def _launch(self, body: dict[str, Any], trials: list[Launched]) -> bool:
        """Launch one training job if one is due; return whether it did."""
        for trial in trials:
            if not trial.job:  # a crash came between the record and the job
                self._create(body, trial)
                return True
        limits = body["HyperParameterTuningJobConfig"]["ResourceLimits"]
        if sum(trial.running for trial in trials) >= limits["MaxParallelTrainingJobs"]:
            return False
        again = _due(trials)
        if again is not None:
            self._add(trials, definitions(body).index(again.definition), again.values, again)
            return True
        counted = sum(not trial.retried for trial in trials)
        if counted >= _most(body):
            return False
        known = definitions(body)
        turn = counted % len(known)
        own = [trial for trial in trials if trial.definition == known[turn]]
        values = self._propose(body, known[turn], own, counted // len(known))
        self._add(trials, turn, values)
        return True

    def _propose(
        self, body: dict[str, Any], definition: Definition, trials: list[Launched], number: int
    ) -> Values:
        strategy = body["HyperParameterTuningJobConfig"]["Strategy"]
        if strategy == "Grid":
            return from_grid(definition.ranges, number)
        seed = f"{body[SEED]}/{definition.name}/{len(trials)}"
        if strategy in {"Random", "Hyperband"}:
            return at_random(definition.ranges, [trial.values for trial in trials], seed)
        return suggest(
            definition.ranges,
            self._known(body, trials),
            minimize=definition.minimize,
            seed=seed,
        )

    def _known(self, body: dict[str, Any], trials: list[Launched]) -> list[Trial]:
        """
        Return what the search may learn from: these training jobs, and those of the parents.

        Objectives of other data are not of the same size: with TransferLearning each tuning job's
        are told as distances from their mean.
        """
        own = [trial.known() for trial in trials if not trial.retried]
        transfer = body.get("WarmStartConfig", {}).get("WarmStartType") == "TransferLearning"
        groups = [own]
        for parent in parents(self.context, body):
            theirs = launched(self.context, parent)
            known = [t for t in theirs if t.objective is not None]
            groups += [[Trial(t.job["HyperParameters"], t.objective) for t in known]]
        if transfer:
            groups = [_standardized(group) for group in groups]
        return [trial for group in groups for trial in group]

    def _add(
        self,
        trials: list[Launched],
        definition: int,
        values: Values,
        replaces: Launched | None = None,
    ) -> None:
        """Record the next training job, then create it."""
        name = f"{self.name}-{len(trials) + 1:03d}-{secrets.token_hex(4)}"

        def change(record: dict[str, Any]) -> None:
            known = record.setdefault(TRIALS, [])
            if replaces is not None:
                known[trials.index(replaces)]["Retried"] = True
            known.append({"Name": name, "Definition": definition, "Values": values})

        record = self.context.store.edit(KIND, self.name, change)
        self._create(record, launched(self.context, record)[-1])

    def _create(self, body: dict[str, Any], trial: Launched) -> None:
        try:
            create_training_job(self.context, _request(self.context, body, trial))
        except ServiceError as error:
            reason = f"{trial.name} could not be created: {error.code}: {error.message}"
            self.context.store.update(KIND, self.name, **{_FAILURE: reason})

    def _stop(self, trial: Launched) -> None:
        if trial.status != "InProgress" or not trial.job:
            return
        try:
            call(self.context, "StopTrainingJob", {"TrainingJobName": trial.name})
        except ServiceError as error:
            logger.debug("%s ended before it could be stopped: %s", trial.name, error)

    def _stop_early(self, body: dict[str, Any], trials: list[Launched]) -> None:
        """Stop the training jobs that do worse than others did, epoch by epoch."""
        if _is_hyperband(body):
            for definition in definitions(body):
                self._stop_at_rungs(body, [t for t in trials if t.definition == definition])
        if not _stops_early(body):
            return
        ended = [t for t in trials if not t.running and t.objective is not None]
        earlier = [trial.epochs for trial in ended]
        for trial in trials:
            minimize = trial.definition.minimize
            if trial.running and rules.unpromising(trial.epochs, earlier, minimize=minimize):
                self._stop(trial)

    def _stop_at_rungs(self, body: dict[str, Any], trials: list[Launched]) -> None:
        """Stop what Hyperband gives up, and what goes beyond MaxResource."""
        bracket: dict[int, list[list[float]]] = {}
        for number, trial in enumerate(trials):
            config, definition = body["HyperParameterTuningJobConfig"], trial.definition
            epochs = hyperband.resources(config, definition.body)
            rung = hyperband.first_rung(number, epochs)
            earlier = bracket.setdefault(rung, [])
            worse = hyperband.unpromising(
                trial.epochs, earlier, rung, most=epochs.most, minimize=definition.minimize
            )
            if trial.running and (worse or len(trial.epochs) > epochs.most):
                self._stop(trial)
            earlier.append(trial.epochs)

    def _wait(self, body: dict[str, Any], running: list[Launched]) -> None:
        """Wait for the end of a training job, for a change of the record, or a moment."""
        store, before = self.context.store, body["HyperParameterTuningJobStatus"]
        seen = {trial.name: trial.status for trial in running}

        def changed(record: dict[str, Any] | None) -> bool:
            if record is None or record["HyperParameterTuningJobStatus"] != before:
                return True
            return any(
                (store.get(TRAINING, name) or {}).get("TrainingJobStatus") != status
                for name, status in seen.items()
            )

        store.wait_for(KIND, self.name, changed, _LOOK_SECONDS)

    def _end(self, body: dict[str, Any], trials: list[Launched]) -> None:
        if body["HyperParameterTuningJobStatus"] == "Stopping":
            self._conclude("Stopped")
            return
        if _FAILURE in body:
            self._conclude("Failed", body[_FAILURE])
            return
        counted = [trial for trial in trials if not trial.retried]
        ended = [trial for trial in counted if trial.status != "Failed"]
        if counted and not ended:
            self._conclude(
                "Failed",
                f"No training job succeeded after {len(counted)} attempts. Please take a look at "
                "the training job failures to get more details.",
            )
        elif counted and not any(trial.objective is not None for trial in ended):
            self._conclude(
                "Failed",
                f"No objective metrics found after running {len(counted)} training jobs. Please "
                "ensure that the custom algorithm is emitting the objective metric as defined by "
                "the regular expression provided.",
            )
        else:
            self._conclude("Completed")

    def _conclude(self, status: str, reason: str | None = None) -> None:
        store = self.context.store

        def change(record: dict[str, Any]) -> None:
            created = [t for t in record.get(TRIALS, []) if store.get(TRAINING, t["Name"])]
            record[TRIALS] = created
            record["HyperParameterTuningJobStatus"] = status
            record["HyperParameterTuningEndTime"] = time.time()
            record["FailureReason"] = reason and short_reason(reason)

        body = store.edit(KIND, self.name, change)
        announce(self.context, KIND, described(self.context, body))


class Tuners(Followers):
    """The tuning jobs that run; a part of the context."""

    follower = _Tuner
    title = "tuning"


@on_stop
def close_tuners(context: Context) -> None:
    """End every tuning job's thread, before the training jobs end."""
    context.part(Tuners).close()


def _due(trials: list[Launched]) -> Launched | None:
    """
    Return the first training job that an internal error ended and whose values may try once more.

    One with a RetryStrategy has tried again itself.
    """
    again = [trial.values for trial in trials if trial.retried]
    for trial in trials:
        itself = trial.retried or "RetryStrategy" in trial.definition.body
        if trial.retryable and not itself and trial.values not in again:
            return trial
    return None


def _most(body: dict[str, Any]) -> float:
    """Return how many training jobs there may be at the most."""
    config = body["HyperParameterTuningJobConfig"]
    if config["Strategy"] == "Grid":
        return sum(combinations(definition.ranges) for definition in definitions(body))
    most: float = config["ResourceLimits"].get("MaxNumberOfTrainingJobs", float("inf"))
    return most


def _stops_early(body: dict[str, Any]) -> bool:
    config = body["HyperParameterTuningJobConfig"]
    return bool(config.get("TrainingJobEarlyStoppingType") == "Auto")


def _is_hyperband(body: dict[str, Any]) -> bool:
    return bool(body["HyperParameterTuningJobConfig"]["Strategy"] == "Hyperband")


def _request(context: Context, body: dict[str, Any], trial: Launched) -> dict[str, Any]:
    """Return the training job's request; what is not of the API rides along into its record."""
    definition = trial.definition.body
    request = {field: definition[field] for field in _PASSED_ON if field in definition}
    statics = definition.get("StaticHyperParameters", {})
    request |= {
        "TrainingJobName": trial.name,
        "TuningJobArn": body["HyperParameterTuningJobArn"],
        "HyperParameters": statics | trial.values,
        "ResourceConfig": resources(definition),
        "Tags": context.store.tags(body["HyperParameterTuningJobArn"]),
    }
    if _stops_early(body) or _is_hyperband(body):
        request[WATCHED] = trial.definition.metric
    checkpoints = definition.get("CheckpointConfig")
    if checkpoints is not None:  # each has its own, or they would read each other's
        uri = f"{checkpoints['S3Uri'].rstrip('/')}/{trial.name}"
        request["CheckpointConfig"] = checkpoints | {"S3Uri": uri}
    return request


def _standardized(trials: list[Trial]) -> list[Trial]:
    values = [trial.objective for trial in trials if trial.objective is not None]
    scores = iter(rules.comparable(values))
    return [
        trial if trial.objective is None else Trial(trial.values, next(scores), trial.failed)
        for trial in trials
    ]
