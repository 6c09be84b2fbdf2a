"""NannyML's distances of pairs of samples, by its calculator: JSON on standard output."""

import json
import sys

import nannyml
import numpy as np
import pandas as pd
from pairs import samples

NUMBERS = ["kolmogorov_smirnov", "jensen_shannon", "wasserstein"]
CATEGORIES = ["chi2", "jensen_shannon", "l_infinity"]
#: 0.13 looks for it beside the methods, and only when they are named; without, it estimates from
#: 10,000 cells of equal width.
EXACT = {"kolmogorov_smirnov": {}, "wasserstein": {}, "calculation_method": "exact"}


def distances(was: pd.DataFrame, now: pd.DataFrame) -> dict[str, dict]:
    categories = [name for name in was if was[name].dtype.kind != "f"]
    calculator = nannyml.UnivariateDriftCalculator(
        column_names=list(was),
        treat_as_categorical=categories,
        continuous_methods=NUMBERS,
        categorical_methods=CATEGORIES,
        chunk_number=1,
        computation_params=EXACT,
    )
    calculator.fit(was)
    table = calculator.calculate(now).filter(period="analysis").to_df()
    found: dict[str, dict] = {}
    for name, methods in calculator._column_to_models_mapping.items():
        found[name] = {
            one.column_name: float(table[name, one.column_name, "value"].iloc[0]) for one in methods
        }
        for one in methods:
            if getattr(one, "calculation_method", "exact") != "exact":
                raise SystemExit(f"NannyML estimated {one.column_name} of {name}")
            if one.column_name == "jensen_shannon" and name not in categories:
                values = now[name].dropna()
                shares = np.histogram(values, one._bins)[0] / len(values)
                found[name]["edges"] = one._bins.tolist()
                found[name]["shares"] = [one._reference_proba_in_bins.tolist(), shares.tolist()]
            if one.column_name == "chi2":
                found[name]["chi2_p"] = float(one._p_value)
    return found


if __name__ == "__main__":
    told = [distances(*samples(path)) for path in sys.argv[1:]]
    sys.stdout.write(json.dumps({"version": nannyml.__version__, "pairs": told}))
