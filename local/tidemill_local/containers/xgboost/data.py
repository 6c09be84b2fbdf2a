"""Rows for XGBoost: label-first CSV without a header, libsvm, Parquet; files and request bodies."""

import csv
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import scipy.sparse
import xgboost as xgb

from tidemill_local.containers.contract import UserError

CSV, LIBSVM, PARQUET = "csv", "libsvm", "parquet"
_KINDS = {
    "csv": CSV,
    "text/csv": CSV,
    "libsvm": LIBSVM,
    "text/libsvm": LIBSVM,
    "text/x-libsvm": LIBSVM,
    "parquet": PARQUET,
    "application/x-parquet": PARQUET,
}
_SNIFFED = 512  # characters of the first line


def kind_of(content_type: str | None) -> str:
    """
    Return csv, libsvm or parquet for a ContentType; libsvm when a channel has none.

    Raises:
        UserError: It is another, or a CSV whose labels are not one column.
    """
    if content_type is None:
        return LIBSVM
    name, *options = (part.strip() for part in content_type.lower().split(";"))
    kind = _KINDS.get(name)
    if kind is None:
        raise UserError(
            f"{content_type} is not an accepted ContentType: {', '.join(_KINDS)}. "
            "(The local XGBoost reads no recordio-protobuf.)"
        )
    sizes = [option.partition("=")[2] for option in options if option.startswith("label_size")]
    if kind == CSV and sizes and sizes != ["1"]:
        raise UserError(
            f"{content_type} is not an accepted csv ContentType. "
            "Optional parameter label_size must be equal to 1"
        )
    return kind


def training_matrix(directory: Path, kind: str, *, weights: bool = False) -> Any:
    """
    Return a channel's files as one DMatrix, or None when there is no data file.

    Args:
        directory: The channel's; files whose names begin with a dot or underscore are left out.
        kind: csv, libsvm or parquet.
        weights: The CSV's second column holds the rows' weights.

    Raises:
        UserError: A file cannot be read as what it is said to be.
    """
    files = sorted(path for path in directory.rglob("*") if _is_data(path))
    if not files:
        return None
    try:
        if kind == LIBSVM:
            return _libsvm_matrix(files)
        frames = [_parquet(path) if kind == PARQUET else _csv(path) for path in files]
        table = np.vstack(frames)
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"Failed to load {kind} data with exception:\n{error}") from error
    first = 2 if weights and kind == CSV else 1
    if table.shape[1] <= first:
        raise UserError(
            f"Failed to load {kind} data with exception:\n{files[0].name} has {table.shape[1]} "
            f"column(s); the label comes first{', then the weight' if first > 1 else ''}, then "
            "the features"
        )
    weight = table[:, 1] if first > 1 else None
    return xgb.DMatrix(table[:, first:], label=table[:, 0], weight=weight)


def request_matrix(body: bytes, content_type: str | None, features: int) -> Any:
    """
    Return a request's rows as a DMatrix of features only.

    Args:
        body: UTF-8.
        content_type: text/csv or a libsvm one; text/csv when it is missing.
        features: How many the model has; libsvm rows are as wide as that.

    Raises:
        UserError: It cannot be read.
    """
    kind = kind_of(content_type or "text/csv")
    if kind == PARQUET:
        raise UserError(f"Content-type {content_type} is not supported.")
    try:
        text = body.decode().strip()
        if kind == CSV:
            return xgb.DMatrix(_numbers(io.BytesIO(text.encode()), _delimiter(text)))
        _, _, matrix = _parse_libsvm(text.splitlines(), features, labelled=False)
        return xgb.DMatrix(matrix)
    except Exception as error:
        raise UserError(
            f"Loading {kind} data failed with Exception, please ensure data is in {kind} format:\n "
            f"{type(error)}\n {error}"
        ) from error


def _is_data(path: Path) -> bool:
    return path.is_file() and not path.name.startswith((".", "_"))


def _delimiter(text: str) -> str:
    line = text.partition("\n")[0][:_SNIFFED]
    try:
        found = csv.Sniffer().sniff(line).delimiter
    except csv.Error:
        return ","  # a single column
    return "," if found.isalnum() or found in ".-+" else found


def _csv(path: Path) -> Any:
    with path.open(errors="replace") as file:
        line = file.readline(1 << 20)
    try:
        return _numbers(path, _delimiter(line))
    except pl.exceptions.PolarsError as error:
        if _starts_with_names(line):
            raise UserError(
                f"First line '{line[:50].strip()}...' of file '{path.name}' is not 'CSV' format: "
                "it seems to hold column names. SageMaker's XGBoost reads CSV without a header, "
                "the label first; write the file so."
            ) from error
        raise


def _starts_with_names(line: str) -> bool:
    cells = [cell.strip().strip('"') for cell in line.split(_delimiter(line))]
    try:
        return not [float(cell) for cell in cells if cell]
    except ValueError:
        return True


def _numbers(source: Path | io.BytesIO, delimiter: str) -> Any:
    frame = pl.read_csv(
        source, has_header=False, separator=delimiter, infer_schema=False, null_values=["", "NA"]
    )
    numbers = frame.select(pl.all().str.strip_chars().cast(pl.Float32, strict=True))
    return numbers.to_numpy()


def _parquet(path: Path) -> Any:
    return pl.read_parquet(path).select(pl.all().cast(pl.Float32)).to_numpy()


def _libsvm_matrix(files: Iterable[Path]) -> Any:
    lines: list[str] = []
    for path in files:
        lines += path.read_text(errors="replace").splitlines()
    labels, weights, matrix = _parse_libsvm(lines, 0, labelled=True)
    return xgb.DMatrix(matrix, label=labels, weight=weights)


def _parse_libsvm(
    lines: Iterable[str], features: int, *, labelled: bool
) -> tuple[list[float], list[float] | None, Any]:
    """Return labels, weights if any row has one, and a sparse matrix; indices begin at 0."""
    labels: list[float] = []
    weights: list[float] = []
    values: list[float] = []
    columns: list[int] = []
    starts = [0]
    weighted = False
    for line in lines:
        words = line.partition("#")[0].split()
        if not words:
            continue
        if labelled or ":" not in words[0]:
            label, colon, weight = words.pop(0).partition(":")
            try:
                labels.append(float(label))
                weights.append(float(weight) if colon else 1.0)
            except ValueError as error:
                raise UserError(
                    f"First line '{line[:50]}...' is not 'LIBSVM' format. Please ensure the file "
                    "is in 'LIBSVM' format."
                ) from error
            weighted = weighted or bool(colon)
        for word in words:
            index, _, value = word.partition(":")
            columns.append(int(index))
            values.append(float(value))
        starts.append(len(values))
    width = max([features, *(column + 1 for column in columns)], default=0)
    matrix = scipy.sparse.csr_matrix(
        (np.array(values, dtype=np.float32), np.array(columns, dtype=np.int32), starts),
        shape=(len(starts) - 1, width),
    )
    return labels, weights if weighted else None, matrix
