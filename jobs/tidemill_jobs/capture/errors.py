"""Why a captured line is not read."""

from typing import Literal, get_args

Reason = Literal[
    "not_json",  # truncated, or no JSON at all
    "line_too_long",
    "other_layout",  # JSON, but no event of SageMaker's data capture
    "no_time",
    "clock_jump",  # a time far from the hour under whose key it lies
    "duplicate",  # an event id that was there before
    "smoke",  # a rollout's own questions
    "no_input",
    "content_type",  # an image, say
    "binary",  # base64 of what is no text
    "malformed",  # the input is not of the type that it says it is of
    "nested",  # objects or lists where cells should be
    "other_columns",  # another number of cells, or names of another schema
    "no_rows",
]
REASONS: tuple[Reason, ...] = get_args(Reason)

AnswerReason = Literal[
    "no_output",
    "content_type",
    "binary",
    "malformed",
    "other_rows",  # another number of predictions than of rows
    "no_prediction",  # neither score nor label of this problem
]


class UnreadableError(Exception):
    """A line, or its answer, is not read; the text says what was found."""

    def __init__(self, reason: str, found: str) -> None:
        super().__init__(found)
        self.reason = reason
