"""The contracts in force: one per model, a document in S3 that State points to."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tidemill.adapters.entries import Entry
from tidemill.adapters.items import ConditionFailedError, transact, values
from tidemill.adapters.lake import Lake
from tidemill.adapters.ledger import Ledger
from tidemill.adapters.state import CONTRACT, State
from tidemill.spec.compiled import Spec

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef


@dataclass(frozen=True, slots=True)
class Frozen:
    """
    A contract in force.

    *reads* and *rules* name the parts of the spec that it rests on, *deliveries* those in which
    the files came that it was inferred from.
    """

    digest: str
    uri: str
    reads: str
    rules: str
    deliveries: tuple[str, ...] = ()

    def fits(self, spec: Spec) -> bool:
        """Say whether it was made under all that this spec says of data and columns."""
        return self.serves(spec) and self.rules == rules_of(spec)

    def serves(self, spec: Spec) -> bool:
        """Say whether files are still read alike, and for the same end."""
        return self.reads == reads_of(spec)


class DataContracts:
    """Reads and freezes contracts; the documents stay, the newest is in force."""

    def __init__(self, state: State, ledger: Ledger) -> None:
        self._state = state
        self._ledger = ledger

    def find(self, ref: str) -> Frozen | None:
        """Return the contract in force, or None before the first good delivery."""
        item = self._state.get(ref, CONTRACT)
        if not item:
            return None
        deliveries = tuple(item.get("deliveries", ()))
        return Frozen(item["digest"], item["uri"], item["reads"], item["rules"], deliveries)

    def uri_for(self, spec: Spec) -> str:
        """Return where the contract is that serves *spec*; empty when none does."""
        held = self.find(spec.ref)
        return held.uri if held and held.serves(spec) else ""

    def judging(self, spec: Spec) -> str | None:
        """Return where the contract is that files of *spec* are judged by now; None without one."""
        held = self.find(spec.ref)
        return held.uri if held and held.fits(spec) else None

    def freeze(
        self,
        spec: Spec,
        document: str,
        lake: Lake,
        bucket: str,
        *,
        held: Frozen | None,
        deliveries: Sequence[str],
        why: str,
        now: float,
        act: str = "freeze",
        facts: Mapping[str, Any] | None = None,
        also: "Sequence[TransactWriteItemTypeDef]" = (),
    ) -> Frozen:
        """
        Put a contract in force in place of *held*.

        Args:
            spec: The spec that it was inferred under.
            document: Its canonical JSON.
            lake: Where documents are written.
            bucket: The artifact bucket.
            held: What was in force when it was inferred.
            deliveries: In which the files came that it was inferred from.
            why: A sentence.
            now: Seconds since 1970.
            act: What the ledger calls it.
            facts: What the ledger keeps besides.
            also: What is to be written with it, or not at all.

        Returns:
            What is in force now: another one when somebody was faster, or *also* was.
        """
        digest = digest_of(document)
        uri = f"s3://{bucket}/contracts/{spec.ref}/{digest}/contract.json"
        known_in = tuple(dict.fromkeys(deliveries))
        frozen = Frozen(digest, uri, reads_of(spec), rules_of(spec), known_in)
        lake.put_text(uri, document)
        known = {"digest": digest, "uri": uri, "before": held.digest if held else None}
        entry = Entry(
            spec.ref,
            f"contract#{digest}#{round(now * 1000)}",
            now,
            "contract",
            digest,
            act,
            why,
            {**known, **(facts or {})},
        )
        item = {
            "digest": digest,
            "uri": uri,
            "reads": frozen.reads,
            "rules": frozen.rules,
            "deliveries": known_in,
            "at": now,
        }
        put = self._state.put(spec.ref, CONTRACT, item)
        if held is None:
            put["Put"]["ConditionExpression"] = "attribute_not_exists(digest)"
        else:
            put["Put"]["ConditionExpression"] = "digest = :digest"
            put["Put"]["ExpressionAttributeValues"] = values(digest=held.digest)
        try:
            transact(self._state.client, [put, self._ledger.put(entry), *also])
        except ConditionFailedError:
            return self.find(spec.ref) or frozen
        return frozen


def digest_of(document: str) -> str:
    """Return what a contract is found by."""
    return hashlib.sha256(document.encode()).hexdigest()[:16]


def reads_of(spec: Spec) -> str:
    """Return a digest of what decides how files are read, and for what."""
    data = spec.data
    return _digest(
        data.format, data.target, data.id, data.timestamp, data.exclude, spec.train.problem
    )


def rules_of(spec: Spec) -> str:
    """Return a digest of what the spec itself demands of columns."""
    return _digest(json.loads(spec.to_json())["check"]["columns"])


def _digest(*parts: object) -> str:
    text = json.dumps(parts, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
