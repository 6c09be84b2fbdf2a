"""What is wrong with a model.yaml: every finding at once, each with its line."""

from collections.abc import Iterable
from dataclasses import dataclass

from tidemill.errors import InvalidInputError


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One thing to correct; the message says what is wrong and what to do."""

    line: int  # counted from 1
    message: str
    source: str  # the file's name, as the user gave it

    def __str__(self) -> str:
        return f"{self.source}:{self.line}: {self.message}"


class SpecError(InvalidInputError):
    """
    The spec cannot be compiled; `findings` are in line order.

    Not retryable: somebody has to correct the file.
    """

    def __init__(self, findings: Iterable[Finding]) -> None:
        self.findings = tuple(sorted(set(findings)))
        super().__init__("\n".join(map(str, self.findings)))
