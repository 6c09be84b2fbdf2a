"""
Leases: one run, one rollout, and one apply or delete, per model at a time.

A lease carries a fencing token that only grows, and expires by itself, so that a workflow that
died without a word does not hold its model for ever.
"""

from typing import TYPE_CHECKING, Literal

from tidemill.adapters.items import ConditionFailedError, transact, values
from tidemill.adapters.state import LEASE, State
from tidemill.domain.trigger import Lease

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

Name = Literal["run", "rollout", "apply"]
_NEVER = 0


class Leases:
    """Reads, takes and frees leases."""

    def __init__(self, state: State) -> None:
        self._state = state

    def read(self, ref: str, name: Name) -> Lease | None:
        """Return the lease, also when it has expired or is free (holder empty), or None."""
        item = self._state.get(ref, LEASE + name)
        return Lease(item["holder"], item["fence"], item["expires_at"]) if item else None

    def take(
        self,
        ref: str,
        name: Name,
        *,
        holder: str,
        held: Lease | None,
        now: float,
        seconds: float,
    ) -> "TransactWriteItemTypeDef":
        """
        Return the write that gives the lease to *holder* for so many *seconds*.

        It holds only if the lease is still as *held* was read, and free, expired or already ours.
        """
        document = {
            "holder": holder,
            "fence": (held.fence if held else 0) + 1,
            "expires_at": now + seconds,
        }
        write = self._state.put(ref, LEASE + name, document)
        if held is None:
            write["Put"]["ConditionExpression"] = "attribute_not_exists(fence)"
        else:
            write["Put"]["ConditionExpression"] = (
                "fence = :fence AND (expires_at <= :now OR holder = :holder)"
            )
            write["Put"]["ExpressionAttributeValues"] = values(
                fence=held.fence, now=now, holder=holder
            )
        return write

    def acquire(self, ref: str, name: Name, *, holder: str, now: float, seconds: float) -> bool:
        """Take the lease alone, outside a transaction; False when another holds it."""
        held = self.read(ref, name)
        try:
            write = self.take(ref, name, holder=holder, held=held, now=now, seconds=seconds)
            transact(self._state.client, [write])
        except ConditionFailedError:
            return False
        return True

    def release(self, ref: str, name: Name, holder: str) -> bool:
        """Free the lease if *holder* has it; False when it went to another meanwhile."""
        client = self._state.client
        try:
            client.update_item(
                TableName=self._state.table,
                Key=self._state.key(ref, LEASE + name),
                UpdateExpression="SET expires_at = :never, holder = :nobody",
                ConditionExpression="holder = :holder",
                ExpressionAttributeValues=values(never=_NEVER, nobody="", holder=holder),
            )
        except client.exceptions.ConditionalCheckFailedException:
            return False
        return True
