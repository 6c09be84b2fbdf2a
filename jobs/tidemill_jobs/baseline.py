"""
A version's baseline: what its own training rows were, and what it answered on held-out ones.

Prepare profiles the training rows as an endpoint is asked them: the columns that the model reads,
in the user's own cells, before they become features. Evaluate adds the answers, as a feature
called `prediction`. What the endpoint is asked later is compared with both.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Self

import polars as pl

from tidemill_jobs import schema
from tidemill_jobs.container import find, read_document
from tidemill_jobs.drift.findings import DriftSettings
from tidemill_jobs.errors import JobError
from tidemill_jobs.features import Features
from tidemill_jobs.monitor import constraints, monitoring_config, statistics, to_text
from tidemill_jobs.profile import FILE_NAME, Profile, Profiler

STATISTICS: Final = "statistics.json"
CONSTRAINTS: Final = "constraints.json"
FILES: Final = (FILE_NAME, STATISTICS, CONSTRAINTS)
PREDICTION: Final = "prediction"


@dataclass(frozen=True, slots=True)
class Baseline:
    """A profile, and the `monitoring_config` that its constraints carry."""

    profile: Profile
    monitoring: Mapping[str, Any]

    @classmethod
    def read(cls, folder: Path) -> Self:
        """
        Read the files that `files` gave, from anywhere below *folder*.

        Raises:
            JobError: One is missing or damaged.
        """
        profile = Profile.loads(find(folder, FILE_NAME)[0].read_bytes())
        try:
            monitoring = json.loads(read_document(folder, CONSTRAINTS))["monitoring_config"]
        except (KeyError, TypeError, ValueError) as exc:
            raise JobError(
                f"{CONSTRAINTS} of the baseline is damaged ({exc!r}); start a new run."
            ) from exc
        return cls(profile, monitoring)

    def files(self) -> dict[str, bytes]:
        """Return the baseline's files by name: our profile, and Model Monitor's two."""
        return {
            FILE_NAME: self.profile.dumps(),
            STATISTICS: to_text(statistics(self.profile)).encode(),
            CONSTRAINTS: to_text(constraints(self.profile, self.monitoring)).encode(),
        }

    def with_answers(self, answers: pl.Series) -> Self:
        """
        Return the baseline with the model's answers on held-out rows as a further feature.

        Args:
            answers: Scores, or in a multiclass problem labels: what an answer in CSV is.
        """
        name = prediction_feature(self.profile.columns)
        profiler = Profiler({name: "category" if answers.dtype == pl.String else "number"})
        profiler.add(answers.alias(name).to_frame())
        columns = {**self.profile.columns, **profiler.profile().columns}
        return replace(self, profile=replace(self.profile, columns=columns))


def of_inputs(profile: Profile, features: Features, watch: Mapping[str, Any]) -> Baseline:
    """
    Return the baseline of the columns that the model reads.

    Args:
        profile: Of the training rows, and of these columns at least, but for redacted ones.
        features: What Prepare fitted.
        watch: The compiled spec's `watch`: how later traffic will be judged.
    """
    dropped = watch.get("capture", {}).get("redact", {}).keys() - profile.columns.keys()
    columns = {name: profile.column(name) for name in features.names if name not in dropped}
    settings = DriftSettings.of(watch.get("drift", {}))
    monitoring = monitoring_config(settings, emits_metrics=watch.get("metrics") != "none")
    return Baseline(replace(profile, columns=columns), monitoring)


def as_asked(
    raw: pl.DataFrame, typed: pl.DataFrame, kinds: Mapping[str, str], chosen: pl.Series
) -> pl.DataFrame:
    """
    Return the input columns as they are profiled: values as the user's cells say them.

    Numbers, booleans and times have been read from the cells already, and reading them again would
    double what a profile costs. Of what is neither (text, and what will be hashed) it is the cells.

    Args:
        raw: The rows in the user's own cells.
        typed: The same rows, by `schema.typed`.
        kinds: What each input is; any other word stands for its cells.
        chosen: Which rows, as booleans.
    """
    columns = []
    for name, kind in kinds.items():
        read = kind in ("number", "boolean", "time")
        column = (typed if read else raw)[name].filter(chosen)
        if kind == "time":
            column = (column * schema.MICROSECONDS).cast(pl.Datetime("us"))
        columns.append(column)
    return pl.DataFrame(columns)


def prediction_feature(names: Collection[str]) -> str:
    """Return the name of the answers' feature: one that no input has."""
    name = PREDICTION
    while name in names:
        name += "_"
    return name
