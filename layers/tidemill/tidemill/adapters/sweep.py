"""The sweep: its parts in one round, each whatever becomes of the others."""

from collections.abc import Callable

from tidemill.adapters.late_links import LateLinks
from tidemill.adapters.parking import Parking
from tidemill.adapters.reconciliation import Reconciliation


class Sweep:
    """Finds what events missed, and sets going again what stopped."""

    def __init__(
        self, reconciliation: Reconciliation, parking: Parking, late: LateLinks, bucket: str
    ) -> None:
        self._reconciliation = reconciliation
        self._parking = parking
        self._late = late
        self._bucket = bucket

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
            "woken": lambda: reconciliation.triggers(now),
            "chained": lambda: self._late.sweep(now),
            "missed": lambda: reconciliation.uploads(self._bucket, now),
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
