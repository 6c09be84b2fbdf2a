"""What must be known of a model to read its captured traffic."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from tidemill_jobs.features import Features, class_name
from tidemill_jobs.spec import Problem
from tidemill_jobs.values import Kind


@dataclass(frozen=True, slots=True)
class Schema:
    """
    The columns and the classes of a model.

    Args:
        names: The columns that the model reads, in its order.
        header: The uploads' columns without target and excluded ones, in their order: what a row
            without names may be, besides *names*.
        problem: What is predicted.
        classes: As text, in the order of the model's outputs; empty for a regression.
        ignored: Further columns that a row may have and nobody looks at: ids, times, the target.
        kinds: What *names* are to the model: a category may hold cells that look like numbers.
        dropped: Columns that are left out before traffic is written; nobody misses them.
        hashes: Columns whose values are hashed before traffic is written.
    """

    names: tuple[str, ...]
    header: tuple[str, ...]
    problem: Problem
    classes: tuple[str, ...] = ()
    ignored: frozenset[str] = frozenset()
    kinds: Mapping[str, Kind] = field(default_factory=dict)
    dropped: frozenset[str] = frozenset()
    hashes: frozenset[str] = frozenset()
    wanted: frozenset[str] = field(init=False, repr=False, compare=False)  # names but for dropped

    def __post_init__(self) -> None:
        object.__setattr__(self, "wanted", frozenset(self.names) - self.dropped)

    @classmethod
    def of(cls, features: Features, ignored: Collection[str] = ()) -> Self:
        """Return the schema of a model by its features.json."""
        return cls(
            names=features.names,
            header=features.header,
            problem=features.problem,
            classes=tuple(class_name(value) for value in features.target.classes),
            ignored=frozenset({features.target.name, *features.header, *ignored}),
            kinds={column.name: column.kind for column in features.columns},
        )

    def without(self, dropped: Collection[str]) -> Self:
        """
        Return the schema of traffic from which columns were dropped before it was written.

        What was written before that still has them; whoever profiles it withholds them.
        """
        return replace(self, dropped=frozenset(dropped))

    def hashed(self, names: Collection[str]) -> Self:
        """Return the schema of traffic in which these columns are hashes: texts, whatever else."""
        hashes: dict[str, Kind] = {name: "category" for name in names if name in self.kinds}
        return replace(self, kinds={**self.kinds, **hashes}, hashes=frozenset(names))

    def document(self) -> dict[str, Any]:
        """Return plain JSON; `parse` reads it."""
        return {
            "names": list(self.names),
            "header": list(self.header),
            "problem": self.problem,
            "classes": list(self.classes),
            "ignored": sorted(self.ignored),
            "kinds": dict(self.kinds),
            "dropped": sorted(self.dropped),
            "hashes": sorted(self.hashes),
        }

    @classmethod
    def parse(cls, document: dict[str, Any]) -> Self:
        """Read what `document` returned."""
        return cls(
            names=tuple(document["names"]),
            header=tuple(document["header"]),
            problem=document["problem"],
            classes=tuple(document["classes"]),
            ignored=frozenset(document["ignored"]),
            kinds=document.get("kinds", {}),
            dropped=frozenset(document["dropped"]),
            hashes=frozenset(document.get("hashes", ())),
        )
