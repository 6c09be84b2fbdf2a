"""
How each model's watch stands: one item with its last windows, and the findings it told.

Looks may overlap: every write holds only if the item is still as it was read.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, Self

from tidemill.adapters.entries import Entry
from tidemill.adapters.ledger import Ledger
from tidemill.adapters.revisions import write_unless_changed
from tidemill.adapters.state import WATCH, State
from tidemill.domain.check import next_attempt_at
from tidemill.domain.drift import Carried, History, Told, Verdict, Window

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

Stands = Literal["looking", "looked", "failed"]
_ATTEMPTS = 10


@dataclass(frozen=True, slots=True)
class Begun:
    """A look that goes on since *at*; a person may have *asked* for it."""

    at: float
    asked: bool = False


@dataclass(frozen=True, slots=True)
class Watched:
    """
    A model's watch.

    Times are in seconds since 1970. *version* is the one that its windows are about, *every* their
    length in seconds. *digests* say which partial profiles a window was concluded from. *unsaid*
    are findings of which nobody may have heard yet. *begun* are the looks that go on.
    """

    revision: int = 0
    stands: Stands = "looked"
    begun: dict[str, Begun] = field(default_factory=dict)  # by their execution's name
    version: int | None = None
    every: int = 0
    history: History = field(default_factory=History)
    told: tuple[Told, ...] = ()
    unsaid: tuple[str, ...] = ()
    digests: dict[str, str] = field(default_factory=dict)  # a window's start (ISO 8601) → digest
    watermark: float | None = None
    looked_at: float | None = None
    concluded: str = ""  # the look that came to its end last
    verdict: Verdict = "no_traffic"
    reason: str = ""
    failures: int = 0  # since the last look that came to its end
    again_at: float | None = None

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> Self:
        """Read the item."""
        known = {name: item[name] for name in cls.__slots__ if name in item}
        history = known.get("history", {})
        known["history"] = History(
            since=history.get("since", 0.0),
            windows=tuple(
                Window(**one | {"between": tuple(one.get("between", ()))})
                for one in history.get("windows", ())
            ),
            carried={
                name: Carried(tuple(one.get("said", ())), one.get("since"))
                for name, one in history.get("carried", {}).items()
            },
            forgotten=history.get("forgotten", 0.0),
        )
        known["told"] = tuple(
            Told(**one | {"features": tuple(one["features"])}) for one in known.get("told", ())
        )
        known["begun"] = {name: Begun(**one) for name, one in known.get("begun", {}).items()}
        known["unsaid"] = tuple(known.get("unsaid", ()))
        return cls(**known)


class Watches:
    """Reads and writes the item `watch`."""

    def __init__(self, state: State, ledger: Ledger) -> None:
        self._state = state
        self._ledger = ledger

    def read(self, ref: str) -> Watched:
        """Return how the model's watch stands; one that never looked stands at nothing."""
        return Watched.of(self._state.get(ref, WATCH) or {})

    def change(
        self,
        ref: str,
        change: Callable[[Watched], tuple[Watched, Sequence[Entry]] | None],
    ) -> Watched:
        """
        Change how a watch stands, with ledger entries; anew when somebody else was faster.

        Args:
            ref: The model.
            change: Is given how it stands, and returns how it is to stand and what the ledger is to
                say; None to leave it. Entries that there are already stay as they are.

        Returns:
            How it stands now.

        Raises:
            TimeoutError: Others were faster every time; try again.
        """
        for _ in range(_ATTEMPTS):
            before = self.read(ref)
            wanted = change(before)
            if wanted is None:
                return before
            after = replace(wanted[0], revision=before.revision + 1)
            if write_unless_changed(
                self._state,
                self._ledger,
                ref,
                WATCH,
                asdict(after),
                before=before.revision,
                entries=wanted[1],
            ):
                return after
        raise TimeoutError(f"the watch of {ref} changed {_ATTEMPTS} times; try again")

    def fail(self, ref: str, watch: str, reason: str, now: float) -> bool:
        """
        Write that a look failed, and when the next one may be tried before its time.

        Also of one that concluded its windows and failed at what comes after.

        Returns:
            False when its end was written before.
        """
        failed = False

        def end(held: Watched) -> tuple[Watched, Sequence[Entry]] | None:
            nonlocal failed
            failed = watch in held.begun or watch == held.concluded
            if not failed:
                return None
            again_at = next_attempt_at(held.failures + 1, now)
            facts = {"watch": watch, "again_at": again_at}
            entry = Entry(
                ref, f"watch#{watch}#failed", now, "watch", watch, "failed", reason, facts
            )
            after = replace(
                without(held, watch),
                stands="failed",
                concluded="" if watch == held.concluded else held.concluded,
                failures=held.failures + 1,
                again_at=again_at,
                reason=reason,
            )
            return after, [entry]

        self.change(ref, end)
        return failed

    def forget(self, ref: str) -> "TransactWriteItemTypeDef":
        """Return the write that removes all of it: a model that comes again begins anew."""
        return self._state.delete(ref, WATCH)


def without(held: Watched, watch: str) -> Watched:
    """Return how a watch stands when that look does not go on."""
    return replace(held, begun={name: one for name, one in held.begun.items() if name != watch})
