"""What a training job tells a tuning job while it runs: its objective, epoch by epoch."""

from typing import Any

from tidemill_local.sagemaker.context import Context

_KIND = "TrainingJob"
WATCHED = "_Watched"  # in a training job's record: the metric that a tuning job follows
EPOCHS = "_Epochs"  # in a training job's record: every value of it so far


class Epochs:
    """Every value of the watched metric; keeps nothing of a training job that nobody watches."""

    def __init__(self, context: Context, body: dict[str, Any]) -> None:
        self._context = context
        self._name = body.get("TrainingJobName", "")
        self._watched = body.get(WATCHED)
        self._values: list[float] = []
        self._told = 0

    def hear(self, metric: str, value: float) -> None:
        """Take a value that the training job printed."""
        if metric == self._watched:
            self._values.append(value)

    def tell(self) -> None:
        """Write what is new into the record."""
        count = len(self._values)
        if count > self._told:
            self._context.store.update(_KIND, self._name, **{EPOCHS: self._values[:count]})
            self._told = count
