"""The specs in force: one per model, as compiled JSON."""

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from tidemill.adapters.items import transact, values
from tidemill.adapters.state import ALARMS, MODELS, SPEC, State
from tidemill.errors import NotFoundError
from tidemill.spec.compiled import Spec

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

    from tidemill.adapters.entries import Entry
    from tidemill.adapters.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Applied:
    """
    A spec in force.

    *digest* is what it had when it was applied; a later Tidemill may compute another. *at* is
    when, in seconds since 1970; *code* is the digest of what is learned by it.
    """

    spec: Spec
    digest: str
    at: float
    code: str


class Specs:
    """Reads and replaces specs."""

    def __init__(self, state: State) -> None:
        self._state = state

    def find(self, ref: str) -> Spec | None:
        """Return the model's spec, or None when nobody applied one."""
        item = self._state.get(ref, SPEC)
        return _parsed(item["spec"]) if item else None

    def in_force(self, ref: str) -> Applied | None:
        """Return the model's spec as it was applied, or None."""
        item = self._state.get(ref, SPEC)
        if item is None:
            return None
        spec = _parsed(item["spec"])
        return Applied(spec, item["digest"], item["applied_at"], item.get("code", ""))

    def unchanged(self, ref: str, digest: str) -> "TransactWriteItemTypeDef":
        """Return the condition that the spec is in force that was applied as *digest*."""
        return {
            "ConditionCheck": {
                "TableName": self._state.table,
                "Key": self._state.key(ref, SPEC),
                "ConditionExpression": "digest = :digest",
                "ExpressionAttributeValues": values(digest=digest),
            }
        }

    def get(self, ref: str) -> Spec:
        """
        Return the model's spec.

        Raises:
            NotFoundError: Nobody applied one.
        """
        spec = self.find(ref)
        if spec is None:
            raise NotFoundError(f"there is no model {ref}; `tidemill models` lists what there is")
        return spec

    def replace(
        self,
        spec: Spec,
        at: float,
        ledger: "Ledger",
        entry: "Entry",
        *,
        code: str = "",
        over: Applied | Literal["anything"] | None = "anything",
        also: "Sequence[TransactWriteItemTypeDef]" = (),
    ) -> None:
        """
        Put *spec* in force, and its ledger entry with it.

        Args:
            spec: What was applied.
            at: When, in seconds since 1970.
            ledger: Where the entry goes.
            entry: What it says.
            code: The digest of what is learned by it.
            over: What it replaces: what was read as in force, or None for nothing.
            also: What is written with it.

        Raises:
            ConditionFailedError: What is in force is not what it replaces any more.
        """
        state = self._state
        known = {"digest": spec.digest, "applied_at": at}
        place = state.put(spec.ref, SPEC, {"spec": spec.to_json(), "code": code, **known})
        held: tuple[str, ...] = ()
        if over is None:
            place["Put"]["ConditionExpression"] = "attribute_not_exists(digest)"
        elif over != "anything":
            place["Put"]["ConditionExpression"] = "digest = :digest AND applied_at = :at"
            place["Put"]["ExpressionAttributeValues"] = values(digest=over.digest, at=over.at)
            held = over.spec.triggers.alarms
        transact(
            state.client,
            [
                place,
                state.put(MODELS, spec.ref, known),
                ledger.put(entry),
                *self._named(spec.ref, held, spec.triggers.alarms),
                *also,
            ],
        )

    def remove(
        self,
        ref: str,
        ledger: "Ledger",
        entry: "Entry",
        also: "Sequence[TransactWriteItemTypeDef]" = (),
    ) -> None:
        """
        Take the model's spec out of force; what happened stays in the ledger.

        Raises:
            ConditionFailedError: A condition of *also* does not hold.
        """
        state = self._state
        spec = self.find(ref)
        transact(
            state.client,
            [
                state.delete(ref, SPEC),
                state.delete(MODELS, ref),
                ledger.put(entry),
                *self._named(ref, spec.triggers.alarms if spec else (), ()),
                *also,
            ],
        )

    def naming(self, alarm: str) -> list[str]:
        """Return the models whose spec names that CloudWatch alarm, as `project/model`."""
        found = self._state.under(ALARMS, f"{alarm}#")
        return [item["model"] for item in found if item["alarm"] == alarm]

    def _named(
        self, ref: str, before: "Sequence[str]", now: "Sequence[str]"
    ) -> "Iterator[TransactWriteItemTypeDef]":
        """Return the writes that let an alarm's name find the model, and no other's any more."""
        for alarm in sorted(set(before) - set(now)):
            yield self._state.delete(ALARMS, f"{alarm}#{ref}")
        for alarm in now:
            yield self._state.put(ALARMS, f"{alarm}#{ref}", {"alarm": alarm, "model": ref})

    def refs(self) -> list[str]:
        """Return every model that has a spec, as `project/model`, in order."""
        return [item["fact"] for item in self._state.under(MODELS)]

    def applied(self, ref: str) -> dict[str, Any] | None:
        """Return `{"digest", "applied_at"}` of the spec in force, or None."""
        item = self._state.get(MODELS, ref)
        return item and {"digest": item["digest"], "applied_at": item["applied_at"]}


@lru_cache(maxsize=64)
def _parsed(text: str) -> Spec:
    # A batch of uploads reads the same few specs, half a millisecond to parse each time.
    return Spec.parse(json.loads(text))
