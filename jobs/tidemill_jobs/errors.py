"""
What can go wrong in a job, as sentences for the owner of the data.

`__main__` turns them into exit codes: RefusedError 3, every other error 1.
"""


class JobError(Exception):
    """The job cannot go on; the text says what happened and the next step."""


class RefusedError(JobError):
    """The dataset as a whole cannot be trained on; more or better data is the next step."""


class ReadError(JobError):
    """One file cannot be read without changing what it says; it is left out and named."""


class ValueRefusedError(JobError):
    """A cell does not hold what its column must hold; the text begins after the column's name."""
