"""
The hyperparameters of a training job: checked by name, type and range before anything is read.

XGBoost ignores a parameter it does not know, so `max_dept` would train another model than asked.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from tidemill_jobs.errors import JobError
from tidemill_jobs.spec import Problem

ROUNDS: Final = 300
STOP_AFTER: Final = 20  # rounds without a better validation score
INFINITY: Final = float("inf")

OBJECTIVES: Final[dict[Problem, tuple[str, ...]]] = {
    # The first is the default. Only those whose output the exported graph can form exactly.
    "binary": ("binary:logistic",),
    "multiclass": ("multi:softprob",),
    "regression": ("reg:squarederror", "reg:absoluteerror", "reg:pseudohubererror"),
}
SCORES: Final[dict[Problem, tuple[str, ...]]] = {
    "binary": ("logloss", "auc", "aucpr", "error"),
    "multiclass": ("mlogloss", "merror", "auc"),
    "regression": ("rmse", "mae", "mape", "rmsle"),
}


@dataclass(frozen=True, slots=True)
class _Number:
    low: float
    high: float = INFINITY
    whole: bool = False
    above: bool = False  # `low` itself is not allowed

    def read(self, name: str, text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        fits = self.low <= value <= self.high and not (self.above and value == self.low)
        if not fits or value == INFINITY or (self.whole and not value.is_integer()):
            kind = "a whole number" if self.whole else "a number"
            edge = "above" if self.above else "of at least"
            limit = "" if self.high == INFINITY else f" and at most {self.high:g}"
            raise JobError(
                f"hyperparameter {name} is '{text}'; write {kind} {edge} {self.low:g}{limit} "
                "under train.hyperparameters."
            )
        return int(value) if self.whole else value


@dataclass(frozen=True, slots=True)
class _Choice:
    options: tuple[str, ...]

    def read(self, name: str, text: str) -> str:
        if text not in self.options:
            raise JobError(
                f"hyperparameter {name} is '{text}'; write one of {', '.join(self.options)} "
                "under train.hyperparameters."
            )
        return text


_SHARE = _Number(0, 1, above=True)
_KNOWN: Final[dict[str, _Number | _Choice]] = {
    "alpha": _Number(0),
    "colsample_bylevel": _SHARE,
    "colsample_bynode": _SHARE,
    "colsample_bytree": _SHARE,
    "eta": _Number(0, 1, above=True),
    "gamma": _Number(0),
    "grow_policy": _Choice(("depthwise", "lossguide")),
    "huber_slope": _Number(0, above=True),
    "lambda": _Number(0),
    "max_bin": _Number(2, 65_536, whole=True),
    "max_cat_threshold": _Number(1, 256, whole=True),
    "max_cat_to_onehot": _Number(1, 256, whole=True),
    "max_delta_step": _Number(0),
    "max_depth": _Number(0, 16, whole=True),
    "max_leaves": _Number(0, 65_536, whole=True),
    "min_child_weight": _Number(0),
    "num_parallel_tree": _Number(1, 100, whole=True),
    "scale_pos_weight": _Number(0, above=True),
    "subsample": _SHARE,
    "tree_method": _Choice(("hist", "approx")),
}
_ALIASES: Final = {
    "learning_rate": "eta",
    "min_split_loss": "gamma",
    "reg_alpha": "alpha",
    "reg_lambda": "lambda",
    "n_estimators": "num_round",
    "num_boost_round": "num_round",
}
_ROUNDS = _Number(1, 10_000, whole=True)
_STOP = _Number(1, 10_000, whole=True)
_SEED = _Number(0, 2**31 - 1, whole=True)
_OWN = (
    "early_stopping_rounds",
    "eval_metric",
    "metric",
    "num_round",
    "objective",
    "problem",
    "seed",
)


@dataclass(frozen=True, slots=True)
class Parameters:
    """A checked training job: `booster` goes to XGBoost as it is."""

    problem: Problem
    metric: str
    seed: int
    rounds: int
    stop_after: int
    score: str  # what early stopping watches
    booster: Mapping[str, float | str]

    @classmethod
    def parse(cls, texts: Mapping[str, str]) -> "Parameters":
        """
        Check the job's hyperparameters; all values are strings.

        Raises:
            JobError: Names the parameter that is unknown or out of range, and what would do.
        """
        given = _resolve(texts)
        problem = _problem(given.get("problem", ""))
        objective = _Choice(OBJECTIVES[problem])
        score = _Choice(SCORES[problem])
        name = given.get("objective", OBJECTIVES[problem][0])
        default = _default_score(problem, given.get("metric", ""))
        seed = int(_SEED.read("seed", given.get("seed", "0")))
        booster = {
            key: _KNOWN[key].read(key, text) for key, text in sorted(given.items()) if key in _KNOWN
        }
        return cls(
            problem=problem,
            metric=given.get("metric", ""),
            seed=seed,
            rounds=int(_ROUNDS.read("num_round", given.get("num_round", f"{ROUNDS}"))),
            stop_after=int(
                _STOP.read(
                    "early_stopping_rounds", given.get("early_stopping_rounds", f"{STOP_AFTER}")
                )
            ),
            score=score.read("eval_metric", given.get("eval_metric", default)),
            booster={
                **booster,
                "objective": objective.read("objective", name),
                "tree_method": booster.get("tree_method", "hist"),
                "seed": seed,
            },
        )


_TUNED: Final = "_tuning_objective_metric"  # SageMaker adds it to a tuning job's training jobs


def _resolve(texts: Mapping[str, str]) -> dict[str, str]:
    known = (*_KNOWN, *_ALIASES, *_OWN)
    given: dict[str, str] = {}
    for name, text in texts.items():
        if name.startswith("sagemaker_") or name == _TUNED:  # SageMaker's own, and its SDK's
            continue
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(sorted(_KNOWN))}."
            raise JobError(f"hyperparameter {name} is none that this trainer knows; {hint}")
        resolved = _ALIASES.get(name, name)
        if resolved in given:
            raise JobError(f"hyperparameter {resolved} is given twice, also as {name}; remove one.")
        given[resolved] = text
    return given


def _problem(text: str) -> Problem:
    for problem in OBJECTIVES:
        if problem == text:
            return problem
    raise JobError(f"hyperparameter problem is '{text}'; write one of {', '.join(OBJECTIVES)}.")


def _default_score(problem: Problem, metric: str) -> str:
    """Stop by the loss, which a validation split of one class has too, or by the asked error."""
    return "mae" if problem == "regression" and metric == "mae" else SCORES[problem][0]
