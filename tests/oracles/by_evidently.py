"""Evidently's distances of pairs of samples, by its reports: JSON on standard output."""

import json
import sys

import evidently
import numpy as np
import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.legacy.calculations.stattests.utils import get_binned_data
from evidently.legacy.core import ColumnType
from evidently.metrics import ValueDrift
from pairs import samples

NUMBERS = ("psi", "jensenshannon", "wasserstein", "ks")
CATEGORIES = ("psi", "jensenshannon", "chisquare")


def cells(was: pd.Series, now: pd.Series) -> dict[str, list]:
    """Return the edges of its cells and both shares of each; nothing where values are cells."""
    if was.nunique() <= 20:
        return {}
    found = np.histogram_bin_edges(np.concatenate([was, now]), bins="sturges")
    theirs = get_binned_data(was, now, ColumnType.Numerical, 30, feel_zeroes=False)
    for side, shares in zip((was, now), theirs, strict=True):
        ours = np.histogram(side, found)[0] / len(side)
        if not np.allclose(ours, shares, rtol=0, atol=1e-12):
            raise SystemExit("Evidently's cells are not those of Sturges' rule over both samples")
    return {"edges": found.tolist(), "shares": [side.tolist() for side in theirs]}


def distances(was: pd.DataFrame, now: pd.DataFrame) -> dict[str, dict]:
    numbers = [name for name in was if was[name].dtype.kind == "f"]
    categories = [name for name in was if name not in numbers]
    asked = [(name, method) for name in numbers for method in NUMBERS]
    asked += [(name, method) for name in categories for method in CATEGORIES]
    definition = DataDefinition(numerical_columns=numbers, categorical_columns=categories)
    report = Report([ValueDrift(column=name, method=method) for name, method in asked])
    told = report.run(
        Dataset.from_pandas(now, data_definition=definition),
        Dataset.from_pandas(was, data_definition=definition),
    ).dict()["metrics"]
    found: dict[str, dict] = {name: {} for name in was}
    for (name, method), metric in zip(asked, told, strict=True):
        if (metric["config"]["column"], metric["config"]["method"]) != (name, method):
            raise SystemExit("Evidently answered in another order")
        found[name][method] = float(metric["value"])
    for name in numbers:
        found[name] |= cells(was[name].dropna(), now[name].dropna())
    return found


if __name__ == "__main__":
    told = [distances(*samples(path)) for path in sys.argv[1:]]
    sys.stdout.write(json.dumps({"version": evidently.__version__, "pairs": told}))
