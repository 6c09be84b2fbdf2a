"""
What can go wrong in a job, as sentences for the owner of the data.

`__main__` turns them into exit codes: RefusedError 3, every other error 1.
"""


class JobError(Exception):
    """The job cannot go on; the text says what happened and the next step."""


class GoneError(JobError):
    """An object version does not exist any more."""


class RefusedError(JobError):
    """The dataset as a whole cannot be trained on; more or better data is the next step."""


class ReadError(JobError):
    """
    One file cannot be read without changing what it says; it is left out and named.

    The parts are for records and pages, `str()` is the whole sentence. Rules have the names that
    the control plane's preflight gives to the same findings.

    Args:
        reason: What was found, a clause with the place in it, without a full stop.
        rule: A stable snake_case name; people filter by it.
        next_step: What the data's owner does about it, a clause too.
        row: Where: the line of a text file, the row of a Parquet file, both counted from 1; None
            when it is the file as a whole.
        column: The column's name, when it is one column's matter.
    """

    def __init__(
        self,
        reason: str,
        *,
        rule: str,
        next_step: str,
        row: int | None = None,
        column: str | None = None,
    ) -> None:
        super().__init__(f"{reason}; {next_step}.")
        self.rule = rule
        self.reason = _sentence(reason)
        self.next_step = _sentence(next_step)
        self.row = row
        self.column = column


class ValueRefusedError(JobError):
    """A cell does not hold what its column must hold; the text begins after the column's name."""


def _sentence(clause: str) -> str:
    return f"{clause[0].upper()}{clause[1:]}."
