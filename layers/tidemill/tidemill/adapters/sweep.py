"""The sweep: its parts in one round, each whatever becomes of the others."""

from collections.abc import Callable
from typing import Any, Protocol, Self

from tidemill.adapters.anchors import Anchors
from tidemill.adapters.bus import Bus, Queue
from tidemill.adapters.chain import Chain
from tidemill.adapters.checking import Checking
from tidemill.adapters.closing import Closing
from tidemill.adapters.endpoints import Endpoints
from tidemill.adapters.jobs import Jobs
from tidemill.adapters.lake import Lake
from tidemill.adapters.late_links import LateLinks
from tidemill.adapters.measures import count
from tidemill.adapters.parking import Parking
from tidemill.adapters.reconciliation import Queues, Reconciliation
from tidemill.adapters.stores import Stores, Tables
from tidemill.adapters.watching import Watching
from tidemill.adapters.workflows import Workflows


class Swept(Tables, Protocol):
    """What the settings of whoever sweeps say: all that there is to look after."""

    @property
    def lake_bucket(self) -> str:
        """Its name."""

    @property
    def anchor_bucket(self) -> str:
        """Where the ledger's chain heads are."""

    @property
    def intake_queue_url(self) -> str:
        """Where uploads go that were missed."""

    @property
    def truth_queue_url(self) -> str:
        """Where truth files go that were missed."""

    @property
    def delivery_queue_url(self) -> str:
        """Where open deliveries wait."""

    @property
    def trigger_queue_url(self) -> str:
        """Where models go that have something to decide."""

    @property
    def check_arn(self) -> str:
        """The machine that checks deliveries."""

    @property
    def retrain_arn(self) -> str:
        """The machine of runs."""

    @property
    def rollout_arn(self) -> str:
        """The machine of rollouts."""

    @property
    def watch_arn(self) -> str:
        """The machine of looks at traffic."""

    @property
    def bus_name(self) -> str:
        """Where it is told what has ended."""


class Sweep:
    """Finds what events missed, and sets going again what stopped."""

    def __init__(
        self,
        reconciliation: Reconciliation,
        parking: Parking,
        watching: Watching,
        late: LateLinks,
        *,
        bucket: str,
        stack: str,
    ) -> None:
        self._reconciliation = reconciliation
        self._parking = parking
        self._watching = watching
        self._late = late
        self._bucket = bucket
        self._stack = stack

    @classmethod
    def of(cls, client: Callable[[Any], Any], swept: Swept) -> Self:
        """
        Wire a function's sweep as its settings say.

        Args:
            client: `boto3.client`, or what makes clients like it.
            swept: The settings.
        """
        dynamodb, s3, sqs, sagemaker, states = map(
            client, ("dynamodb", "s3", "sqs", "sagemaker", "stepfunctions")
        )
        stores = Stores.of(dynamodb, swept)
        triggers = Queue(sqs, swept.trigger_queue_url)
        reconciliation = Reconciliation(
            stores,
            Lake(s3),
            Queues(
                intake=Queue(sqs, swept.intake_queue_url),
                truth=Queue(sqs, swept.truth_queue_url),
                deliveries=Queue(sqs, swept.delivery_queue_url),
                triggers=triggers,
            ),
            checking=Checking(stores, Workflows(states, swept.check_arn)),
            retrain=Workflows(states, swept.retrain_arn),
            rollout=Workflows(states, swept.rollout_arn),
            closing=Closing(stores, triggers, Bus(client("events"), swept.bus_name)),
        )
        parking = Parking(stores.state, states, Jobs(sagemaker), Endpoints(sagemaker))
        late = LateLinks(
            stores, Chain(dynamodb, swept.ledger_table), Anchors(s3, swept.anchor_bucket)
        )
        watching = Watching(stores, Workflows(states, swept.watch_arn))
        return cls(
            reconciliation,
            parking,
            watching,
            late,
            bucket=swept.lake_bucket,
            stack=swept.bus_name,  # the bus has the stack's name
        )

    def run(
        self, now: float, on_failure: Callable[[str, Exception], None]
    ) -> tuple[dict[str, int], list[str]]:
        """
        Do every part; what one cannot mend does not keep the others from mending.

        Args:
            now: Seconds since 1970.
            on_failure: Called at once with the name of a part that failed, and its error.

        Returns:
            How many differences each part found, and the names of those that failed.
        """
        reconciliation = self._reconciliation
        parts: dict[str, Callable[[], int]] = {
            "answered": self._parking.settle,
            "settled": lambda: reconciliation.executions(now),
            "armed": lambda: reconciliation.deliveries(now),
            "checked": lambda: reconciliation.checks(now),
            "watched": lambda: self._watch(now),
            "woken": lambda: reconciliation.triggers(now),
            "chained": lambda: self._late.sweep(now),
            "missed": lambda: reconciliation.uploads(self._bucket, now),
            "truth": lambda: reconciliation.truth(self._bucket, now),
        }
        found: dict[str, int] = {}
        failed: list[str] = []
        for name, part in parts.items():
            try:
                found[name] = part()
            except Exception as error:  # noqa: BLE001  # whatever it is, the caller hears of it
                failed.append(name)
                on_failure(name, error)
        return found, failed

    def _watch(self, now: float) -> int:
        """Mend the watches; alarms go by how many are in no good state."""
        found = self._watching.sweep(now)
        count("WatchesStopped", found.stopped, stack=self._stack)
        count("WatchesWithoutTraffic", found.silent, stack=self._stack)
        return found.mended
