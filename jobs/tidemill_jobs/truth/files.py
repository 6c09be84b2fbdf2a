"""
Read one truth file: which prediction was meant, and what really happened.

CSV, TSV, Parquet and JSON Lines with a column that names the prediction (`id`, `inference_id` or
`event_id`; `row` where a request had several), `label`, and `time` if it is known when the label
was. SageMaker's ground truth lines (`groundTruthData`) are understood too.

A line that cannot be used is left out and counted; a file of which nothing can be used is refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import polars as pl

from tidemill_jobs import reader
from tidemill_jobs.errors import ReadError
from tidemill_jobs.spec import Format
from tidemill_jobs.truth import lines, moments
from tidemill_jobs.truth.columns import KINDS, TRUTH, as_text
from tidemill_jobs.values import BLANK

Reason = Literal["no_id", "no_label", "wrong_row", "wrong_time", "unreadable_line"]
#: Why a line was left out, as people read it.
REASONS: Final[Mapping[Reason, str]] = {
    "no_id": "without an id",
    "no_label": "without a label",
    "wrong_row": "whose row is no whole number from 0",
    "wrong_time": "whose time cannot be read",
    "unreadable_line": "that are no JSON object",
}

FORMATS: Final[Mapping[str, Format]] = {
    ".csv": "csv", ".tsv": "tsv", ".jsonl": "jsonl", ".json": "jsonl", ".ndjson": "jsonl",
    ".parquet": "parquet",
}  # fmt: skip
_COLUMNS: Final = {
    "id": "id",
    "inferenceid": "inference_id",
    "eventid": "event_id",
    "row": "row",
    "label": "label",
    "time": "time",
}


@dataclass(frozen=True, slots=True)
class TruthFile:
    """
    What a file says.

    Args:
        frame: Its lines as `columns.TRUTH`; every id and label is there.
        rows: How many lines it has, also those left out.
        left_out: How many were left out, by reason.
        early: How many labels were known only after the file was uploaded, if their time is
            believed; they count as known at the upload, or they could never be corrected.
    """

    frame: pl.DataFrame
    rows: int
    left_out: Mapping[Reason, int]
    early: int

    def sentence(self) -> str:
        """Return how many labels there are, and what was left out."""
        said = f"{_lines(self.frame.height)} of truth"
        out = [f"{n:,} {REASONS[reason]}" for reason, n in self.left_out.items() if n]
        if out:
            said += f"; left out: {', '.join(out)}"
        return said


def read_truth(
    path: Path, name: str, *, upload: str, uploaded: float, target: str | None = None
) -> TruthFile:
    """
    Read a file.

    Args:
        path: The local file; one whose name ends in .gz or .zst is unpacked beside it.
        name: The object's name; its ending says what it is.
        upload: What names the object version.
        uploaded: When it was uploaded, in seconds since 1970.
        target: The model's target: a column of that name is taken as `label` too.

    Raises:
        ReadError: The file cannot be read, names no prediction or no label, or has no usable line.
    """
    form = format_of(name)
    if form == "jsonl":
        raw, rows, unreadable = lines.read(path, name, target)
        names = _names(raw.columns, None)
    else:
        raw, unreadable = reader.read(path, name, form, _unread(path, form, target)).frame, 0
        rows = raw.height
        names = _names(raw.columns, target)
    return _checked(raw, names, rows=rows, unreadable=unreadable, upload=upload, uploaded=uploaded)


def format_of(name: str) -> Format:
    """
    Return what a file is by its name.

    Raises:
        ReadError: Its ending says nothing that is known.
    """
    bare = name.lower().removesuffix(".gz").removesuffix(".zst")
    found = FORMATS.get(bare[bare.rfind(".") :] if "." in bare else "")
    if found is None:
        raise ReadError(
            f"the name {name} does not say what the file is",
            rule="unknown_format",
            next_step="name it .csv, .tsv, .jsonl or .parquet (also .gz or .zst) and upload it "
            "again",
        )
    return found


def _unread(path: Path, form: Format, target: str | None) -> list[str]:
    """Return the columns of a Parquet file that nobody reads: they may hold anything."""
    if form != "parquet":
        return []
    try:
        columns = pl.read_parquet_schema(path)
    except (pl.exceptions.PolarsError, OSError):
        return []  # the reader says what is wrong with it
    return [name for name in columns if _ours(name) is None and name != target]


def _ours(column: str) -> str | None:
    return _COLUMNS.get(column.strip(BLANK).lower().replace("_", ""))


def _names(columns: list[str], target: str | None) -> dict[str, str]:
    """Return which of a file's columns is which of ours."""
    names: dict[str, str] = {}
    for column in columns:
        ours = _ours(column)
        if ours is not None:
            names.setdefault(ours, column)
    if "label" not in names and target is not None and target in columns:
        names["label"] = target
    shown = ", ".join(columns[:8]) or "none"
    if not names.keys() & set(KINDS):
        raise ReadError(
            f"no column says which prediction is meant (the columns are {shown})",
            rule="no_id_column",
            next_step="add a column id with the inference id, or the event id where none was given",
        )
    if "label" not in names:
        also = f" or {target}" if target else ""
        raise ReadError(
            f"no column says what happened (the columns are {shown})",
            rule="no_label_column",
            next_step=f"add a column label{also}",
        )
    return names


def _checked(
    raw: pl.DataFrame,
    names: Mapping[str, str],
    *,
    rows: int,
    unreadable: int,
    upload: str,
    uploaded: float,
) -> TruthFile:
    frame = raw.select(
        *(_text(raw, names[kind]).alias(kind) for kind in KINDS if kind in names),
        _text(raw, names["label"]).alias("label"),
        *(pl.col(names[name]).alias(name) for name in ("row", "time") if name in names),
    ).with_row_index("line")
    row = _row_of(frame, "row") if "row" in names else pl.repeat(None, frame.height, eager=True)
    time = moments.seconds(frame["time"]) if "time" in names else None
    known = [kind for kind in ("inference_id", "event_id", "id") if kind in names]
    frame = frame.with_columns(
        pl.coalesce(pl.when(pl.col(kind).is_not_null()).then(pl.lit(kind)) for kind in known).alias(
            "kind"
        ),
        pl.coalesce(known).alias("key"),
        row.cast(pl.Int64).alias("number"),
        (time if time is not None else pl.repeat(None, frame.height, eager=True))
        .cast(pl.Float64)
        .alias("known_at"),
    )
    wrong: dict[Reason, pl.Expr] = {
        "no_id": pl.col("key").is_null(),
        "no_label": pl.col("label").is_null(),
    }
    if "row" in names:
        wrong["wrong_row"] = pl.col("row").is_not_null() & pl.col("number").is_null()
    if "time" in names:
        wrong["wrong_time"] = pl.col("time").is_not_null() & pl.col("known_at").is_null()
    left_out: dict[Reason, int] = {"unreadable_line": unreadable} if unreadable else {}
    for reason, test in wrong.items():
        kept = frame.filter(~test)
        if kept.height < frame.height:
            left_out[reason] = frame.height - kept.height
        frame = kept
    if not frame.height:
        _refuse(rows, left_out)
    early = frame.filter(pl.col("known_at") > uploaded).height
    table = frame.select(
        "kind",
        pl.col("key").alias("id"),
        pl.col("number").alias("row"),
        "label",
        pl.min_horizontal(pl.col("known_at").fill_null(uploaded), pl.lit(uploaded)).alias("time"),
        pl.lit(uploaded).alias("uploaded"),
        pl.lit(upload).alias("upload"),
        "line",
    ).cast(TRUTH)  # type: ignore[arg-type]  # polars takes instances too
    return TruthFile(table, rows, left_out, early)


def _refuse(rows: int, left_out: Mapping[Reason, int]) -> None:
    said = ", ".join(f"{count:,} {REASONS[reason]}" for reason, count in left_out.items())
    raise ReadError(
        f"none of its {_lines(rows)} can be used ({said})" if rows else "the file has no lines",
        rule="no_usable_line",
        next_step="give each line an id and a label and upload it again",
    )


def _text(raw: pl.DataFrame, name: str) -> pl.Expr:
    """Return a column as text without blanks around it; null where nothing is left."""
    text = as_text(raw.schema[name], name).str.strip_chars(BLANK)
    return pl.when(text != "").then(text)


def _row_of(frame: pl.DataFrame, name: str) -> pl.Series:
    text = frame.select(as_text(frame.schema[name], name)).to_series().str.strip_chars(BLANK)
    number = text.cast(pl.Int64, strict=False)
    return number.set(number < 0, None)


def _lines(count: int) -> str:
    return "1 line" if count == 1 else f"{count:,} lines"
