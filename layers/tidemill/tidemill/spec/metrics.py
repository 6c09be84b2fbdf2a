"""
The metrics a version can be judged by, per problem; the names are Model Monitor's.

`worst` stands for "no minimum": a version that reaches it has still to beat the trivial
predictor. An unbounded metric's worst value is a number that every store on the way can hold:
JSON has no infinity, DynamoDB's numbers end at 1e126, a 32-bit float at 3e38.
"""

from dataclasses import dataclass

from tidemill.spec.compiled import Direction, Problem

UNBOUNDED = 1e30


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric: which way is better, and its range from worst to best."""

    name: str
    direction: Direction
    worst: float
    best: float

    @property
    def low(self) -> float:
        """The range's lower end."""
        return min(self.worst, self.best)

    @property
    def high(self) -> float:
        """The range's upper end."""
        return max(self.worst, self.best)


def _share(name: str) -> Metric:
    return Metric(name, "maximize", worst=0.0, best=1.0)


def _error(name: str) -> Metric:
    return Metric(name, "minimize", worst=UNBOUNDED, best=0.0)


#: The first of each problem is the default.
METRICS: dict[Problem, tuple[Metric, ...]] = {
    "binary": (
        _share("auc"),
        _share("accuracy"),
        _share("f1"),
        _share("precision"),
        _share("recall"),
    ),
    "multiclass": (
        _share("accuracy"),
        _share("weighted_f1"),
        _share("weighted_precision"),
        _share("weighted_recall"),
    ),
    "regression": (
        _error("rmse"),
        _error("mae"),
        _error("mse"),
        Metric("r2", "maximize", worst=-UNBOUNDED, best=1.0),
    ),
}


def default_metric(problem: Problem) -> Metric:
    """Return what a problem is judged by when the spec does not say."""
    return METRICS[problem][0]


def find_metric(problem: Problem, name: str) -> Metric | None:
    """Return the problem's metric of that name, or None when it has none."""
    return next((metric for metric in METRICS[problem] if metric.name == name), None)
