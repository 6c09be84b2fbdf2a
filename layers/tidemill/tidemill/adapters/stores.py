"""Everything kept in the two tables, wired once."""

from typing import TYPE_CHECKING, Protocol, Self

from tidemill.adapters.champions import Champions
from tidemill.adapters.checks import Checks
from tidemill.adapters.data_contracts import DataContracts
from tidemill.adapters.deliveries import Deliveries
from tidemill.adapters.leases import Leases
from tidemill.adapters.ledger import Ledger
from tidemill.adapters.runs import Runs
from tidemill.adapters.specs import Specs
from tidemill.adapters.standings import Standings
from tidemill.adapters.state import State
from tidemill.adapters.triggers import Triggers
from tidemill.adapters.watches import Watches

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class Tables(Protocol):
    """The settings of every function that has both tables."""

    @property
    def state_table(self) -> str:
        """Its name."""

    @property
    def ledger_table(self) -> str:
        """Its name."""

    @property
    def ledger_retention_days(self) -> str:
        """How long entries that nothing rests on are kept; "0" is for ever."""


class Stores:
    """
    The owners of facts, by name.

    Args:
        client: Of DynamoDB.
        state_table: Its name.
        ledger_table: Its name.
        ledger_days: How long entries that nothing rests on are kept; "0" is for ever.
    """

    def __init__(
        self,
        client: "DynamoDBClient",
        *,
        state_table: str,
        ledger_table: str,
        ledger_days: str = "0",
    ) -> None:
        self.state = State(client, state_table)
        self.ledger = Ledger(client, ledger_table, days=int(ledger_days))
        self.specs = Specs(self.state)
        self.data_contracts = DataContracts(self.state, self.ledger)
        self.leases = Leases(self.state)
        self.triggers = Triggers(self.state, self.ledger)
        self.checks = Checks(self.state, self.ledger, self.triggers)
        self.deliveries = Deliveries(self.state, self.ledger, self.checks)
        self.standings = Standings(self.state)
        self.runs = Runs(self.state, self.ledger, self.leases, self.triggers, self.standings)
        self.champions = Champions(self.state, self.ledger)
        self.watches = Watches(self.state, self.ledger)

    @classmethod
    def of(cls, client: "DynamoDBClient", tables: Tables) -> Self:
        """Wire a function's stores as its settings say."""
        return cls(
            client,
            state_table=tables.state_table,
            ledger_table=tables.ledger_table,
            ledger_days=tables.ledger_retention_days,
        )
