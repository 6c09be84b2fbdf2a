"""
Prepared rows on disk: Float32 inputs with NaN, String inputs with null, and the target.

Written by Prepare, read by training and evaluation; the columns are named in features.json.
"""

from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tidemill_jobs.container import find
from tidemill_jobs.errors import JobError
from tidemill_jobs.features import TARGET, Features, ModelInput


def to_frame(features: Features, rows: ModelInput, target: pl.Series) -> pl.DataFrame:
    """Return model input as it is stored."""
    numbers = [
        pl.Series(name, rows.numeric[:, at], pl.Float32) for at, name in enumerate(features.numeric)
    ]
    texts = [
        pl.Series(column.inputs[0], rows.categories[:, at].tolist(), pl.String)
        for at, column in enumerate(features.categorical)
    ]
    filled = [pl.when(pl.col(text.name) != "").then(pl.col(text.name)) for text in texts]
    return pl.DataFrame([*numbers, *texts, target]).with_columns(filled)


def read_rows(folder: Path, features: Features) -> tuple[ModelInput, NDArray[np.float64]]:
    """
    Read all Parquet files below *folder*, in the order of their names.

    Returns:
        The model input, and the target: class numbers, or a regression's numbers.

    Raises:
        JobError: There is no file or no row, or the columns are not those of *features*.
    """
    try:
        frame = pl.concat([pl.read_parquet(path, glob=False) for path in find(folder, "*.parquet")])
        numeric = frame.select(features.numeric).to_numpy().astype(np.float32, order="C")
        categories = np.empty((frame.height, len(features.categorical)), object)
        for at, column in enumerate(features.categorical):
            categories[:, at] = frame[column.inputs[0]].fill_null("").to_list()
        target = frame[TARGET].cast(pl.Float64).to_numpy()
    except (pl.exceptions.PolarsError, OSError) as exc:
        raise JobError(
            f"the prepared rows in {folder.name} do not fit features.json ({exc}); start a new run."
        ) from exc
    if not frame.height:
        raise JobError(f"there are no prepared rows in {folder.name}; deliver more rows.")
    return ModelInput(numeric.reshape(frame.height, len(features.numeric)), categories), target
