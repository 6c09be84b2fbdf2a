"""The specs in force: one per model, as compiled JSON."""

import json
from typing import TYPE_CHECKING, Any

from tidemill.adapters.items import transact, values
from tidemill.adapters.state import MODELS, SPEC, State
from tidemill.errors import NotFoundError
from tidemill.spec.compiled import Spec

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

    from tidemill.adapters.ledger import Entry, Ledger


class Specs:
    """Reads and replaces specs."""

    def __init__(self, state: State) -> None:
        self._state = state

    def find(self, ref: str) -> Spec | None:
        """Return the model's spec, or None when nobody applied one."""
        item = self._state.get(ref, SPEC)
        return Spec.parse(json.loads(item["spec"])) if item else None

    def in_force(self, ref: str) -> tuple[str, Spec] | None:
        """Return the digest under which the model's spec was applied, and the spec; or None."""
        item = self._state.get(ref, SPEC)
        return (item["digest"], Spec.parse(json.loads(item["spec"]))) if item else None

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

    def replace(self, spec: Spec, at: float, ledger: "Ledger", entry: "Entry") -> None:
        """Put *spec* in force, and its ledger entry with it."""
        state = self._state
        known = {"digest": spec.digest, "applied_at": at}
        transact(
            state.client,
            [
                state.put(spec.ref, SPEC, {"spec": spec.to_json(), **known}),
                state.put(MODELS, spec.ref, known),
                ledger.put(entry),
            ],
        )

    def remove(self, ref: str, ledger: "Ledger", entry: "Entry") -> None:
        """Take the model's spec out of force; what happened stays in the ledger."""
        state = self._state
        transact(
            state.client,
            [state.delete(ref, SPEC), state.delete(MODELS, ref), ledger.put(entry)],
        )

    def refs(self) -> list[str]:
        """Return every model that has a spec, as `project/model`, in order."""
        return [item["fact"] for item in self._state.under(MODELS)]

    def applied(self, ref: str) -> dict[str, Any] | None:
        """Return `{"digest", "applied_at"}` of the spec in force, or None."""
        item = self._state.get(MODELS, ref)
        return item and {"digest": item["digest"], "applied_at": item["applied_at"]}
