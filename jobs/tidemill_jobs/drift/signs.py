"""What triage looks for: signs of a broken upstream, and signs of a world that changed."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal, get_args

TRIAGE_FILE_NAME: Final = "triage.json"

#: The data is wrong, not the world: a model trained on it would learn the fault.
BrokenSign = Literal[
    "missing_column",
    "renamed_column",
    "swapped_columns",
    "another_type",
    "nulls",
    "scale",
    "offset",
    "out_of_range",
    "frozen",
    "stuck_value",
    "spelling",
    "recoded",
    "placeholder",
]
ShiftSign = Literal[
    "new_level",
    "mix",
    "covariate",
    "missingness",
]
Name = BrokenSign | ShiftSign
BROKEN: Final[frozenset[str]] = frozenset(get_args(BrokenSign))
Kind = Literal["none", "broken_upstream", "shift"]


@dataclass(frozen=True, slots=True)
class Sign:
    """One sign, the feature that shows it, and a sentence for the owner of the data."""

    sign: Name
    feature: str
    sentence: str

    @property
    def broken(self) -> bool:
        """Whether it speaks of a broken upstream."""
        return self.sign in BROKEN


@dataclass(frozen=True, slots=True)
class Triage:
    """
    What the findings of a comparison mean.

    Attributes:
        kind: `none` without findings; `broken_upstream` as soon as one sign speaks of it, whatever
            else moved; else `shift`.
        signs: Those of a broken upstream first, the farthest features first.
        reason: A sentence that names features.
    """

    kind: Kind
    signs: tuple[Sign, ...]
    reason: str

    @property
    def broken(self) -> dict[str, str]:
        """What is broken: a sentence by feature."""
        return {sign.feature: sign.sentence for sign in reversed(self.signs) if sign.broken}

    def document(self) -> dict[str, Any]:
        """Return it as JSON."""
        return asdict(self)

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> "Triage":
        """Read what `document` returned."""
        signs = tuple(Sign(**sign) for sign in document["signs"])
        return cls(document["kind"], signs, document["reason"])
