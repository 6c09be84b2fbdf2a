"""What a delivery's check comes to: verdicts of its uploads, and the trigger that follows."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

from tidemill.adapters.bus import Queue
from tidemill.adapters.checks import DONE, reach
from tidemill.adapters.data_contracts import Frozen
from tidemill.adapters.items import ConditionFailedError, transact
from tidemill.adapters.lake import Lake
from tidemill.adapters.last_words import LastWord
from tidemill.adapters.ledger import Entry, upload_entry
from tidemill.adapters.plans import facts_uri
from tidemill.adapters.quarantine import Quarantine
from tidemill.adapters.rules import Rules, infer_again
from tidemill.adapters.state import CONTENT
from tidemill.adapters.stores import Stores
from tidemill.contracts.uploads import CheckRef, ExplainUpload
from tidemill.domain import second_look
from tidemill.domain.admission import ObjectVersion, Verdict
from tidemill.domain.check import Checked, Judged, Tally
from tidemill.errors import NotFoundError
from tidemill.spec.compiled import Spec

#: A transaction takes 100 writes; each upload needs two.
CHUNK = 40
#: The first contract is inferred from so many files at most, evenly spread over the delivery.
INFERRED_FROM = 1000
STAGE = "check"


class Conclusions:
    """Safe to repeat: an upload that was judged keeps its verdict, and what was concluded stays."""

    def __init__(
        self,
        stores: Stores,
        lake: Lake,
        quarantine: Quarantine,
        triggers: Queue,
        *,
        rules: Rules,
        bucket: str,
    ) -> None:
        self._stores = stores
        self._lake = lake
        self._quarantine = quarantine
        self._triggers = triggers
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
        _, judged = self._stores.ledger.uploads_in(ref, request.delivery, STAGE)
        return [
            ExplainUpload(
                request.project,
                request.model,
                bucket=item.bucket,
                key=item.key,
                version_id=item.version_id,
                facts=facts_uri(self._bucket, ref, item),
                reason=reason,
                contract=held.uri if held else "",
            )
            for item, reason in islice(_worth_explaining(judged), second_look.MOST_FILES)
        ]

    def _judge_all(self, ref: str, record: dict[str, Any], now: float) -> Tally:
        spec, delivery = self._stores.specs.get(ref), record["id"]
        ledger = self._stores.ledger
        uploads, judged = ledger.uploads_in(ref, delivery, STAGE, **reach(record))
        tally = Tally()
        for entry in judged:
            tally.add(_verdict(entry), entry["facts"].get("rows", 0))
        if uploads:
            judge = self._judge_by(spec, delivery, uploads, now)
            facts = self._facts(ref, uploads)
            while some := list(islice(facts, CHUNK)):
                found = [(item, Judged(**judge(text))) for item, text in some]
                self._record(ref, delivery, found, tally, now)
        return tally

    def _judge_by(
        self, spec: Spec, delivery: str, uploads: Sequence[ObjectVersion], now: float
    ) -> Callable[[str], dict[str, Any]]:
        held = self._stores.data_contracts.find(spec.ref)
        if held is not None and held.fits(spec):
            return self._rules.judge_by(spec.to_json(), self._lake.get_text(held.uri), "")
        document, why = self._infer(spec, held, uploads)
        if document is None:
            return self._rules.judge_by(spec.to_json(), None, why)
        frozen = self._stores.data_contracts.freeze(
            spec, document, self._lake, self._bucket,
            held=held, why=f"{why}; delivery {delivery}", now=now,
        )  # fmt: skip
        return self._rules.judge_by(spec.to_json(), self._lake.get_text(frozen.uri), "")

    def _infer(
        self, spec: Spec, held: Frozen | None, uploads: Sequence[ObjectVersion]
    ) -> tuple[str | None, str]:
        """Infer from this delivery; from what was before when only the spec's rules changed."""
        if held is not None and held.serves(spec):
            return infer_again(self._rules, self._lake, self._bucket, spec, held)
        step = -(-len(uploads) // INFERRED_FROM)
        facts = (text for _, text in self._facts(spec.ref, uploads[::step]))
        return self._rules.infer(spec.to_json(), facts)

    def _facts(
        self, ref: str, uploads: Sequence[ObjectVersion]
    ) -> Iterator[tuple[ObjectVersion, str]]:
        uris = [facts_uri(self._bucket, ref, item) for item in uploads]
        for item, uri, text in zip(uploads, uris, self._lake.texts(uris), strict=True):
            if text is None:
                raise NotFoundError(f"{item.uri} was not read: {uri} is missing; it is read again")
            yield item, text

    def _record(
        self,
        ref: str,
        delivery: str,
        found: Sequence[tuple[ObjectVersion, Judged]],
        tally: Tally,
        now: float,
    ) -> None:
        """Write the verdicts of some uploads; what a quarantined one needs is done before."""
        entries: list[tuple[Entry, dict[str, str | int] | None]] = []
        copies = self._copies(ref, found)
        for item, judged in found:
            original = copies.get(item.identity)
            verdict = _told(judged, original)
            if verdict.name == "quarantine":
                self._quarantine.set_aside(ref, item, verdict)
            entry = upload_entry(ref, item, verdict, now, delivery=delivery, stage=STAGE)
            rows = (
                0 if original or judged.verdict == "quarantine" else judged.rows - judged.bad_rows
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
            }
            entries.append((replace(entry, facts=facts), _content(item, judged, original)))
            tally.add("duplicate" if original else judged.verdict, rows)
        self._write(ref, entries)

    def _copies(
        self, ref: str, found: Sequence[tuple[ObjectVersion, Judged]]
    ) -> dict[tuple[str, str, str], str]:
        """
        Return, for uploads with the bytes of another key, that key.

        Who had the bytes first is looked up in State; if it was replaced since, it does not count.
        """
        usable = [(item, j) for item, j in found if j.verdict != "quarantine" and j.sha256]
        names = sorted({CONTENT + judged.sha256 for _, judged in usable})
        stored = self._stores.state.get_many(ref, names)
        holders: dict[str, str] = {}
        for name, content in stored.items():
            newest = self._stores.ledger.newest_accepted(ref, content["key"])
            if newest is not None and newest.version_id == content["version_id"]:
                holders[name] = content["key"]
        copies: dict[tuple[str, str, str], str] = {}
        for item, judged in usable:
            key = holders.setdefault(CONTENT + judged.sha256, item.key)
            if key != item.key:
                copies[item.identity] = key
        return copies

    def _write(self, ref: str, entries: list[tuple[Entry, dict[str, str | int] | None]]) -> None:
        left = entries
        while left:
            puts = [self._stores.ledger.put(entry) for entry, _ in left]
            contents = {
                str(content["fact"]): self._stores.state.put(ref, str(content["fact"]), content)
                for _, content in left
                if content
            }
            try:
                transact(self._stores.state.client, [*puts, *contents.values()])
            except ConditionFailedError as error:  # another attempt was faster with these
                left = [item for n, item in enumerate(left) if n not in error.failed]
            else:
                return


def _content(
    item: ObjectVersion, judged: Judged, original: str | None
) -> dict[str, str | int] | None:
    if original or judged.verdict == "quarantine" or not judged.sha256:
        return None
    return {
        "fact": CONTENT + judged.sha256,
        "key": item.key,
        "version_id": item.version_id,
        "size": item.size,
    }


def _worth_explaining(judged: Sequence[dict[str, Any]]) -> Iterator[tuple[ObjectVersion, str]]:
    for entry in judged:
        if entry["verdict"] == "quarantine":
            item = LastWord(entry, entry["facts"]).version
            if second_look.is_worth_it(item.key, item.size, entry["facts"].get("row")):
                yield item, entry["reason"]


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
