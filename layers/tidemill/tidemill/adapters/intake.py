"""
Uploads from their events to their verdicts, a batch at a time.

Reads of S3 and of the ledger's keys run side by side; then each model's accepted uploads join its
open delivery in one write. What fails, fails alone: its message comes again.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any

from tidemill.adapters.bus import Bus, Queue
from tidemill.adapters.entries import UNPLACED
from tidemill.adapters.gathering import Answer, Gathering
from tidemill.adapters.judging import Case, Judging, Outcome
from tidemill.adapters.lake import Lake
from tidemill.adapters.quarantine import Quarantine
from tidemill.adapters.stores import Stores
from tidemill.contracts.uploads import ObjectCreated
from tidemill.domain.placement import place
from tidemill.spec.compiled import Spec

#: How a function is applied to many: `map`, or an executor's, which does it side by side.
Each = Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]


class Intake:
    """Safe to repeat: an upload that has a verdict keeps it."""

    def __init__(
        self, stores: Stores, lake: Lake, deliveries: Queue, bus: Bus, *, each: Each = map
    ) -> None:
        self._specs = stores.specs
        quarantine = Quarantine(lake, bus)
        self._judging = Judging(stores.ledger, lake, quarantine)
        self._gathering = Gathering(stores, deliveries, quarantine)
        self.each = each

    def admit(self, uploads: Sequence[ObjectCreated], now: float) -> list[Answer]:
        """
        Judge *uploads* at *now* (seconds since 1970).

        Returns:
            For each, in order: its verdict's name, or why it has none yet.
        """
        once = {upload.identity: upload for upload in uploads}  # some events come twice
        specs = self._specs_of(once.values())
        cases = _cases(once.values(), specs)
        judged: dict[str, list[Outcome]] = defaultdict(list)
        for case, outcomes in zip(
            cases, self.each(lambda case: self._judging.judge(case, now), cases), strict=True
        ):
            judged[case.ref] += outcomes
        written = self.each(
            lambda ref: self._gathering.gather(ref, _in_force(specs.get(ref)), judged[ref], now),
            judged,
        )
        answers = dict(chain.from_iterable(answers.items() for answers in written))
        return [_answer(upload, answers, specs) for upload in uploads]

    def _specs_of(self, uploads: Iterable[ObjectCreated]) -> dict[str, Spec | Exception | None]:
        """Read each model's spec once a batch."""
        refs = sorted({placed.ref for upload in uploads if (placed := place(upload.key))})
        return dict(zip(refs, self.each(self._spec, refs), strict=True))

    def _spec(self, ref: str) -> Spec | Exception | None:
        try:
            return self._specs.find(ref)
        except Exception as error:  # noqa: BLE001  # one broken model must not hold up the others
            return error


def _cases(
    uploads: Iterable[ObjectCreated], specs: dict[str, Spec | Exception | None]
) -> list[Case]:
    """Group the uploads by model and key; those whose spec could not be read are left out."""
    grouped: dict[tuple[str, str], list[ObjectCreated]] = defaultdict(list)
    for upload in uploads:
        placed = place(upload.key)
        spec = specs[placed.ref] if placed else None
        if not isinstance(spec, Exception):
            grouped[spec.ref if spec else UNPLACED, upload.key].append(upload)
    return [
        Case(ref, _in_force(specs.get(ref)), tuple(group)) for (ref, _), group in grouped.items()
    ]


def _in_force(spec: Spec | Exception | None) -> Spec | None:
    return spec if isinstance(spec, Spec) else None


def _answer(
    upload: ObjectCreated,
    answers: dict[tuple[str, str, str], Answer],
    specs: dict[str, Spec | Exception | None],
) -> Answer:
    found = answers.get(upload.identity)
    if found is not None:
        return found
    placed = place(upload.key)
    error = specs.get(placed.ref) if placed else None
    return error if isinstance(error, Exception) else LookupError(f"no verdict on {upload.key}")
