"""Reads pairs of samples as both oracles' environments can: with pandas, and without ours."""

import numpy as np
import pandas as pd


def samples(path: str) -> list[pd.DataFrame]:
    """Return what was, and what is now."""
    with np.load(path) as arrays:
        return [
            pd.DataFrame(
                {
                    name.removeprefix(side): arrays[name]
                    for name in arrays.files
                    if name.startswith(side)
                }
            )
            for side in ("was/", "now/")
        ]
