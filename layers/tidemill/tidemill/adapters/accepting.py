"""A person makes an upload the contract: it is widened, and what keeps it now is released."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from tidemill.adapters.data_contracts import Frozen, digest_of
from tidemill.adapters.facts import FactsStore
from tidemill.adapters.lake import Lake
from tidemill.adapters.last_words import LastWord
from tidemill.adapters.releasing import CHUNK, Act, Releasing, Usable, must_say_why
from tidemill.adapters.rules import Rules, infer_again
from tidemill.adapters.stores import Stores
from tidemill.contracts.uploads import AcceptContract
from tidemill.domain.check import Judged
from tidemill.domain.trigger import Trigger
from tidemill.errors import ApplyBusyError, InvalidInputError, NotFoundError
from tidemill.spec.compiled import Spec

#: Uploads that are set aside are judged again so many in one call; the answer says where it ended.
LOOKED_AT = 200
_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Accepted:
    """
    What came of it.

    Args:
        digest: The contract in force.
        before: The one before; None when there was none, the same when nothing had to change.
        differences: What changed, a sentence each.
        consequences: What follows for other files and for versions, a sentence each.
        released: The keys of what was set aside and is used now.
        next: Where to go on (`AcceptContract.after`); empty at the end.
    """

    digest: str
    before: str | None
    differences: tuple[str, ...] = ()
    consequences: tuple[str, ...] = ()
    released: tuple[str, ...] = ()
    next: str = ""


@dataclass(frozen=True, slots=True)
class _Step:
    """A contract that is to be put in force, and what is said of it."""

    held: Frozen | None
    document: str | None  # None: what is held stays
    differences: tuple[str, ...]
    consequences: tuple[str, ...]
    deliveries: tuple[str, ...] = ()  # in which the files came that it rests on so far


class Accepting:
    """Safe to repeat and to be killed: a file widens a contract once, and is released once."""

    def __init__(
        self, stores: Stores, lake: Lake, releasing: Releasing, *, rules: Rules, bucket: str
    ) -> None:
        self._stores = stores
        self._lake = lake
        self._releasing = releasing
        self._rules = rules
        self._bucket = bucket
        self._store = FactsStore(lake, bucket)

    def accept(self, request: AcceptContract, now: float) -> Accepted:
        """
        Widen the contract by an upload; release it, and others that keep the contract then.

        Raises:
            NotFoundError: There is no such model or upload, or no check has read it.
            InvalidInputError: It cannot be the contract; the message says why, and what to do.
            ApplyBusyError: Others changed the contract all the time; try again.
        """
        must_say_why(request)
        spec = self._stores.specs.get(request.ref)
        act = Act(request.why, request.by, now)
        if request.after:
            frozen = self._stores.data_contracts.find(spec.ref)
            if frozen is None:
                raise InvalidInputError(f"{spec.ref} has no contract; begin without `after`")
            return self._others(spec, Accepted(frozen.digest, frozen.digest), request, act)
        for _ in range(_ATTEMPTS):
            accepted = self._freeze(spec, request, act)
            if accepted is not None:
                return self._others(spec, accepted, request, act)
        raise ApplyBusyError(f"others change the contract of {spec.ref} as well; try again")

    def _freeze(self, spec: Spec, request: AcceptContract, act: Act) -> Accepted | None:
        """Put the wider contract in force with the upload's release; None when others did."""
        word = self._releasing.find(request)
        text = self._facts(spec, word)
        step = self._widened(spec, text)
        usable = _usable(word, self._judged(spec, step, text))
        is_aside = word.entry["verdict"] == "quarantine"
        releases = self._releasing.writes(spec.ref, [usable], act) if is_aside else []
        if step.document is None:
            assert step.held is not None  # noqa: S101  # else there is a document
            if releases:
                self._releasing.write(spec.ref, [usable], act)
            self._releasing.follow_up(spec.ref, [word.version])
            keys = (word.version.key,) * is_aside
            return Accepted(step.held.digest, step.held.digest, released=keys)
        digest = digest_of(step.document)
        name = word.version.key.rpartition("/")[2]
        why = f"{act.by} accepted {name} as the contract: {act.why}"
        # An upload that is in use already has no release, and so no trigger of its own.
        trigger = Trigger(f"contract-{_short(digest, word)}", "data", act.now, why)
        frozen = self._stores.data_contracts.freeze(
            spec, step.document, self._lake, self._bucket,
            held=step.held, deliveries=(*step.deliveries, *_delivery(word)), why=why,
            now=act.now, act="accept",
            facts={
                "after": digest,
                "key": word.version.key,
                "version_id": word.version.version_id,
                "by": act.by,
                "differences": step.differences,
                "consequences": step.consequences,
            },
            also=releases or [self._stores.triggers.put(spec.ref, trigger)],
        )  # fmt: skip
        landed = self._stores.data_contracts.find(spec.ref)
        if frozen.digest != digest or landed is None or landed.digest != digest:
            return None
        self._releasing.follow_up(spec.ref, [word.version])
        return Accepted(
            digest,
            step.held.digest if step.held else None,
            step.differences,
            step.consequences,
            (word.version.key,) * is_aside,
        )

    def _facts(self, spec: Spec, word: LastWord) -> str:
        (text,) = self._releasing.facts_of(spec.ref, [word])
        if text is None:
            raise NotFoundError(
                f"{word.version.key} has not been read by a check, so it can be no contract; its "
                f"verdict is {word.entry['verdict']}: {word.entry['reason']}"
            )
        return text

    def _widened(self, spec: Spec, text: str) -> _Step:
        held = self._stores.data_contracts.find(spec.ref)
        if held is None or not held.serves(spec):
            document, why = self._rules.infer(spec.to_json(), [text])
            if document is None:
                raise InvalidInputError(why)
            return _Step(held, document, (f"The contract is new: {why}.",), ())
        base: str | None = self._lake.get_text(held.uri)
        is_restated = not held.fits(spec)
        if is_restated:
            base, why = infer_again(self._rules, self._lake, self._store, spec, held)
            if base is None:
                raise InvalidInputError(why)
        assert base is not None  # noqa: S101  # as just seen
        found = self._rules.widen(spec.to_json(), base, text)
        if "refused" in found:
            raise InvalidInputError(found["refused"])
        document = found["contract"] or (base if is_restated else None)
        return _Step(
            held,
            document,
            (*found["differences"], *["It follows check.columns of the spec."] * is_restated),
            (*found["consequences"], *self._in_service(spec, found["consequences"])),
            held.deliveries,
        )

    def _in_service(self, spec: Spec, consequences: Sequence[str]) -> list[str]:
        champion = self._stores.champions.find(spec.ref) if consequences else None
        if not champion:
            return []
        version = f"Version {champion['version']} in service"
        return [f"{version} answers as it did, until one that learned by this takes its place."]

    def _judged(self, spec: Spec, step: _Step, text: str) -> Judged:
        """Judge the upload itself; widened by it, the contract lets it in."""
        document = step.document
        if document is None:
            assert step.held is not None  # noqa: S101  # else there is a document
            document = self._lake.get_text(step.held.uri)
        return Judged(**self._rules.judge_by(spec.to_json(), document, "")(text))

    def _others(
        self, spec: Spec, accepted: Accepted, request: AcceptContract, act: Act
    ) -> Accepted:
        """Release what was set aside by a check and keeps the contract now, a part at a time."""
        aside = sorted(
            (
                word
                for word in self._stores.ledger.last_words(spec.ref)
                if word.entry["verdict"] == "quarantine" and _place(word) > request.after
            ),
            key=_place,
        )
        looked_at = aside[:LOOKED_AT]
        frozen = self._stores.data_contracts.find(spec.ref)
        released = list(accepted.released)
        if looked_at and frozen is not None:
            document = self._lake.get_text(frozen.uri)
            judge = self._rules.judge_by(spec.to_json(), document, "")
            texts = zip(looked_at, self._releasing.facts_of(spec.ref, looked_at), strict=True)
            judged = ((word, Judged(**judge(text))) for word, text in texts if text is not None)
            good = (_usable(word, one) for word, one in judged if one.verdict != "quarantine")
            while some := list(islice(good, CHUNK)):
                self._releasing.write(spec.ref, some, act)
                versions = [usable.word.version for usable in some]
                self._releasing.follow_up(spec.ref, versions)
                released += [version.key for version in versions]
        return Accepted(
            accepted.digest,
            accepted.before,
            accepted.differences,
            accepted.consequences,
            tuple(released),
            _place(looked_at[-1]) if len(aside) > LOOKED_AT else "",
        )


def _usable(word: LastWord, judged: Judged) -> Usable:
    return Usable(word, judged.rows - judged.bad_rows, judged.sha256)


def _delivery(word: LastWord) -> tuple[str, ...]:
    delivery = word.facts.get("delivery")
    return (delivery,) if delivery else ()


def _place(word: LastWord) -> str:
    """Return what orders uploads; an entry's key says of which object version it is."""
    return str(word.entry["entry"])


def _short(digest: str, word: LastWord) -> str:
    return hashlib.sha256(f"{digest} {_place(word)}".encode()).hexdigest()[:16]
