"""What a delivery's check comes to: verdicts of its uploads, and the trigger that follows."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from tidemill.adapters.bus import Queue
from tidemill.adapters.checks import DONE, reach
from tidemill.adapters.contents import Contents, Earlier
from tidemill.adapters.data_contracts import Frozen
from tidemill.adapters.entries import upload_entry
from tidemill.adapters.facts import FactsStore, Read
from tidemill.adapters.lake import Lake
from tidemill.adapters.last_words import LastWord
from tidemill.adapters.passing import let_pass
from tidemill.adapters.quarantine import Quarantine
from tidemill.adapters.rules import Rules, infer_again
from tidemill.adapters.stores import Stores
from tidemill.contracts.uploads import CheckRef, ExplainUpload
from tidemill.domain import second_look
from tidemill.domain.admission import ObjectVersion, Verdict
from tidemill.domain.check import Checked, Judged, Pass, Tally
from tidemill.errors import NotFoundError
from tidemill.spec.compiled import Spec

#: Uploads that are judged and said at a time.
CHUNK = 100
#: Uploads of one entry: 70 KB, of 400 that an item may have.
MOST_PASSES = 1000
#: The first contract is inferred from so many files at most, evenly spread over the delivery.
INFERRED_FROM = 1000
STAGE = "check"


@dataclass(frozen=True, slots=True)
class _Delivery:
    """A delivery whose check is concluded at *now*, seconds since 1970."""

    ref: str
    id: str
    now: float


@dataclass(slots=True)
class _Bytes:
    """Which files have which bytes, by SHA-256, as far as is known."""

    earlier: Earlier  # deliveries
    firsts: dict[str, str] = field(default_factory=dict)  # the key that had them first
    own: set[str] = field(default_factory=set)  # that this delivery brought

    def bring(self, content: str, key: str) -> str:
        """Note a file of this delivery; return the key that had its bytes first."""
        if content not in self.firsts:
            self.firsts[content] = key
            self.own.add(content)
        return self.firsts[content]


class Conclusions:
    """Safe to repeat: an upload that was judged keeps its verdict, and what was concluded stays."""

    def __init__(
        self,
        stores: Stores,
        lake: Lake,
        quarantine: Quarantine,
        triggers: Queue,
        *,
        facts: FactsStore,
        rules: Rules,
        bucket: str,
    ) -> None:
        self._stores = stores
        self._lake = lake
        self._quarantine = quarantine
        self._triggers = triggers
        self._facts = facts
        self._contents = Contents(stores.state, facts)
        self._rules = rules
        self._bucket = bucket

    def draw(self, request: CheckRef, now: float) -> Checked:
        """
        Conclude the check of a delivery, and have the trigger decided that follows.

        Raises:
            NotFoundError: There is no such delivery, it is still open, or an upload has no facts.
        """
        ref, delivery = request.ref, request.delivery
        record = self._stores.checks.find(ref, delivery)
        if record is None:
            raise NotFoundError(f"{ref} has no closed delivery {delivery}")
        if record["stands"] == DONE:
            facts = {name: record[name] for name in Checked("").facts}
            checked = Checked(record["check"], **facts)
        else:
            checked = self._judge_all(ref, record, now).checked()
            self._stores.checks.finish(ref, delivery, checked, now)
        self._triggers.send({"project": request.project, "model": request.model})
        return checked

    def to_explain(self, request: CheckRef) -> list[ExplainUpload]:
        """Return the quarantined uploads of a concluded delivery that deserve a second look."""
        ref = request.ref
        record = self._stores.checks.find(ref, request.delivery)
        if record is None or not record.get("quarantined"):
            return []
        held = self._stores.data_contracts.find(ref)
        ledger = self._stores.ledger
        _, judged, _ = ledger.uploads_in(ref, request.delivery, STAGE, **reach(record))
        if sum(entry["verdict"] == "quarantine" for entry in judged) < record["quarantined"]:
            # The index lacks some that were written a moment ago.
            _, judged, _ = ledger.uploads_in(ref, request.delivery, STAGE)
        return [
            ExplainUpload(
                request.project,
                request.model,
                bucket=item.bucket,
                key=item.key,
                version_id=item.version_id,
                facts=facts,
                reason=reason,
                contract=held.uri if held else "",
            )
            for item, facts, reason in islice(_worth_explaining(judged), second_look.MOST_FILES)
        ]

    def _judge_all(self, ref: str, record: dict[str, Any], now: float) -> Tally:
        spec, delivery = self._stores.specs.get(ref), record["id"]
        ledger = self._stores.ledger
        uploads, judged, passed = ledger.uploads_in(ref, delivery, STAGE, **reach(record))
        tally = Tally()
        seen = _Bytes(self._contents.before(ref, delivery))
        for entry in judged:
            tally.add(_verdict(entry), entry["facts"].get("rows", 0))
            if entry["verdict"] == "accept" and entry["facts"].get("sha256"):
                seen.bring(entry["facts"]["sha256"], entry["facts"]["key"])
        for item, each in passed:
            tally.add("accept", each.rows)
            seen.bring(each.sha256, item.key)
        if uploads:
            judge = self._judge_by(spec, delivery, uploads, now)
            facts = self._facts.of(ref, delivery, uploads)
            found = ((read, Judged(**judge(read.text))) for read in facts)
            self._record_all(_Delivery(ref, delivery, now), found, seen, tally)
        self._contents.remember(ref, delivery, seen.own)
        return tally

    def _record_all(
        self,
        checked: _Delivery,
        judged: Iterator[tuple[Read, Judged]],
        seen: _Bytes,
        tally: Tally,
    ) -> None:
        """Write what is to be said of each upload; of those that pass it is said together."""
        ledger, passed = self._stores.ledger, list[Pass]()
        while some := list(islice(judged, CHUNK)):
            passed += self._record(checked, some, seen, tally)
            if len(passed) > MOST_PASSES - CHUNK:
                let_pass(ledger, checked.ref, checked.id, passed, checked.now)
                passed = []
        let_pass(ledger, checked.ref, checked.id, passed, checked.now)

    def _judge_by(
        self, spec: Spec, delivery: str, uploads: Sequence[ObjectVersion], now: float
    ) -> Callable[[str], dict[str, Any]]:
        held = self._stores.data_contracts.find(spec.ref)
        if held is not None and held.fits(spec):
            return self._rules.judge_by(spec.to_json(), self._lake.get_text(held.uri), "")
        document, why, deliveries = self._infer(spec, held, delivery, uploads)
        if document is None:
            return self._rules.judge_by(spec.to_json(), None, why)
        frozen = self._stores.data_contracts.freeze(
            spec, document, self._lake, self._bucket,
            held=held, deliveries=deliveries, why=f"{why}; delivery {delivery}", now=now,
        )  # fmt: skip
        return self._rules.judge_by(spec.to_json(), self._lake.get_text(frozen.uri), "")

    def _infer(
        self, spec: Spec, held: Frozen | None, delivery: str, uploads: Sequence[ObjectVersion]
    ) -> tuple[str | None, str, tuple[str, ...]]:
        """Infer from this delivery; from what was before when only the spec's rules changed."""
        if held is not None and held.serves(spec):
            again = infer_again(self._rules, self._lake, self._facts, spec, held)
            return *again, held.deliveries
        step = -(-len(uploads) // INFERRED_FROM)
        facts = (read.text for read in self._facts.of(spec.ref, delivery, uploads[::step]))
        return *self._rules.infer(spec.to_json(), facts), (delivery,)

    def _record(
        self,
        checked: _Delivery,
        found: Sequence[tuple[Read, Judged]],
        seen: _Bytes,
        tally: Tally,
    ) -> list[Pass]:
        """
        Write the verdicts of some uploads; what a quarantined one needs is done before.

        Whoever dies in between is followed by one who finds the same: what was said of others of
        this delivery is known to it, and what was not said binds nobody.

        Returns:
            Those of which nothing is to be said but that they are accepted.
        """
        copies = self._copies(checked.ref, [(read.item, judged) for read, judged in found], seen)
        passed: list[Pass] = []
        for read, judged in found:
            original = copies.get(read.item.identity)
            usable = not original and judged.verdict != "quarantine"
            rows = judged.rows - judged.bad_rows if usable else 0
            if usable and judged.is_plain:
                passed.append(Pass(read.item.id, rows, judged.sha256))
            else:
                self._say(checked, read, judged, original=original, rows=rows)
            tally.add("duplicate" if original else judged.verdict, rows)
        return passed

    def _say(
        self, checked: _Delivery, read: Read, judged: Judged, *, original: str | None, rows: int
    ) -> None:
        verdict = _told(judged, original)
        if verdict.name == "quarantine":
            self._quarantine.set_aside(checked.ref, read.item, verdict)
        entry = upload_entry(
            checked.ref, read.item, verdict, checked.now, delivery=checked.id, stage=STAGE
        )
        facts = {
            **entry.facts,
            "rows": rows,
            "bad_rows": judged.bad_rows,
            "warned": judged.verdict == "warn",
            "sha256": judged.sha256 or None,
            "row": judged.row,
            "column": judged.column,
            "same_as": original,
            "read": read.uri,
        }
        self._stores.ledger.append(replace(entry, facts=facts))

    def _copies(
        self, ref: str, found: Sequence[tuple[ObjectVersion, Judged]], seen: _Bytes
    ) -> dict[tuple[str, str, str], str]:
        """
        Return, for uploads with the bytes of another key, that key.

        A file of another delivery that had the bytes first does not count if it was replaced since.
        Of two checks that end side by side neither knows the other's: then both files count as new,
        and datasets still take one of them.
        """
        usable = [(item, j) for item, j in found if j.verdict != "quarantine" and j.sha256]
        unknown = {judged.sha256 for _, judged in usable} - seen.firsts.keys()
        for content, had in seen.earlier.who_had(unknown).items():
            for key, version in had:
                newest = self._stores.ledger.newest_accepted(ref, key)
                if newest is not None and newest.version_id == version:
                    seen.firsts[content] = key
                    break
        copies: dict[tuple[str, str, str], str] = {}
        for item, judged in usable:
            key = seen.bring(judged.sha256, item.key)
            if key != item.key:
                copies[item.identity] = key
        return copies


def _worth_explaining(
    judged: Sequence[dict[str, Any]],
) -> Iterator[tuple[ObjectVersion, str, str]]:
    for entry in judged:
        facts = entry["facts"]
        read = entry["verdict"] == "quarantine" and "read" in facts
        if read and second_look.is_worth_it(facts.get("row")):
            yield LastWord(entry, facts).version, facts["read"], entry["reason"]


def _told(judged: Judged, original: str | None) -> Verdict:
    if original:
        return Verdict("duplicate", f"the same bytes as {original}; used once")
    return Verdict(
        "quarantine" if judged.verdict == "quarantine" else "accept",
        judged.reason,
        judged.rule,
        judged.next_step,
        judged.row,
        judged.column,
    )


def _verdict(entry: dict[str, object]) -> str:
    facts = entry["facts"]
    warned = isinstance(facts, dict) and facts.get("warned")
    return "warn" if warned and entry["verdict"] == "accept" else str(entry["verdict"])
