"""
From a truth file to the labels that are kept of it, for whoever holds files: a path in, a path out.

This is what `functions/record_truth` calls; it needs polars and nothing else of the jobs'.
"""

from pathlib import Path
from typing import Any

from tidemill_jobs import packed
from tidemill_jobs.errors import ReadError
from tidemill_jobs.truth.files import read_truth


def record(
    path: Path,
    name: str,
    part: Path,
    *,
    upload: str,
    uploaded: float,
    target: str,
    most: int,
) -> dict[str, Any]:
    """
    Read a truth file and write its labels to *part*, as Parquet (`columns.TRUTH`).

    Args:
        path: The object version's bytes.
        name: The object's name.
        part: Where the labels go; the same file gives the same labels.
        upload: What names the object version.
        uploaded: When it was uploaded, in seconds since 1970.
        target: The model's target.
        most: So many bytes may it have unpacked.

    Returns:
        `{"verdict": {"name", "reason", …}, "facts": {…}}`; a file that cannot be read has the
        verdict `quarantine`, and nothing is written.
    """
    try:
        unpacked = packed.unpack(path, name, most)
        bare = name.removesuffix(".gz").removesuffix(".zst") if unpacked != path else name
        file = read_truth(unpacked, bare, upload=upload, uploaded=uploaded, target=target)
    except ReadError as exc:
        verdict = {
            "name": "quarantine",
            "reason": exc.reason,
            "rule": exc.rule,
            "next_step": exc.next_step,
            "row": exc.row,
            "column": exc.column,
        }
        return {"verdict": verdict, "facts": {}}
    file.frame.write_parquet(part, compression="zstd", statistics=False)
    facts = {
        "lines": file.rows,
        "labels": file.frame.height,
        "left_out": dict(file.left_out),
        "early": file.early,
    }
    return {"verdict": {"name": "accept", "reason": file.sentence()}, "facts": facts}
