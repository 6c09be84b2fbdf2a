"""Predictions and labels, as few words as a test needs."""

import polars as pl

from tidemill_jobs.truth.columns import PREDICTIONS, TRUTH


def predictions(*rows):
    """Each: event id, inference id, row, time, prediction, probability."""
    return pl.DataFrame(list(rows), schema=PREDICTIONS, orient="row")


def label(id_, value, *, kind="id", row=None, time=100.0, uploaded=200.0, upload="u", line=0):
    return (kind, id_, row, value, time, uploaded, upload, line)


def truth(*labels):
    return pl.DataFrame(list(labels), schema=TRUTH, orient="row")
