"""
The first good delivery: which of its files are good, and the contract that they give.

Good is what Prepare would use: files that can be read, that have the columns which most rows
have, and whose cells are what nine tenths of their column are.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tidemill_jobs.contract.document import Contract
from tidemill_jobs.contract.facts import Facts
from tidemill_jobs.contract.infer import infer
from tidemill_jobs.contract.judge import judge
from tidemill_jobs.errors import RefusedError
from tidemill_jobs.spec import Spec


@dataclass(frozen=True, slots=True)
class NoContract:
    """Why no file of a delivery can be what later ones are held against: a sentence."""

    reason: str


def infer_first(files: Sequence[Facts], spec: Spec) -> Contract | NoContract:
    """
    Return the contract of a delivery's good files, given the facts of all of its files.

    Bad files must not widen it: what the contract of all would quarantine is left out, and the
    contract inferred anew, until all that is left keeps it.
    """
    roles = {name for name in (spec.target, spec.id, spec.timestamp) if name is not None}
    good = [
        file
        for file in files
        if file.status == "read" and roles <= {column.name for column in file.columns}
    ]
    while good:
        try:
            contract = infer(good, spec)
        except RefusedError as exc:
            return NoContract(f"{str(exc)[0].upper()}{str(exc)[1:]}")
        kept = [file for file in good if judge(file, contract, spec.check).verdict != "quarantine"]
        if len(kept) == len(good):
            return contract
        if not kept:
            said = judge(good[0], contract, spec.check)
            return NoContract(_none(good[0], said.reason, said.next_step, len(files)))
        good = kept
    if not files:
        return NoContract("The delivery has no file; upload one.")
    lacking = next((file for file in files if file.status == "read"), files[0])
    if lacking.status == "read":
        missing = min(roles - {column.name for column in lacking.columns})
        reason = f"There is no column '{missing}'."
        return NoContract(_none(lacking, reason, "Add the column, or correct data.", len(files)))
    return NoContract(_none(lacking, lacking.reason or "", lacking.next_step or "", len(files)))


def _none(file: Facts, reason: str, next_step: str | None, files: int) -> str:
    count = "The only file" if files == 1 else f"None of the {files:,} files"
    verb = f", {file.name}, is not good" if files == 1 else f" is good; {file.name}"
    return f"{count}{verb}: {reason} {next_step or ''}".rstrip()
