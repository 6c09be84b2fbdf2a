"""What a delivery's check comes to: verdicts of its uploads, and the trigger that follows."""

from tidemill.adapters.bus import Queue
from tidemill.adapters.checks import DONE, Checked
from tidemill.adapters.stores import Stores
from tidemill.contracts import CheckRef
from tidemill.errors import NotFoundError


class Conclusions:
    """Safe to repeat: what was concluded stays."""

    def __init__(self, stores: Stores, triggers: Queue) -> None:
        self._stores = stores
        self._triggers = triggers

    def draw(self, request: CheckRef, now: float) -> Checked:
        """
        Conclude the check of a delivery, and have the trigger decided that follows.

        Raises:
            NotFoundError: There is no such delivery, or it is still open.
        """
        record = self._stores.checks.find(request.ref, request.delivery)
        if record is None:
            raise NotFoundError(f"{request.ref} has no closed delivery {request.delivery}")
        if record["stands"] == DONE:
            checked = Checked(record["check"], record["accepted"], record["rows"])
        else:
            accepted = len(self._stores.ledger.accepted_in(request.ref, request.delivery))
            files = f"{accepted} file{'s' if accepted != 1 else ''}"
            checked = Checked(f"{record['reason']}; {files} accepted", accepted)
            self._stores.checks.finish(request.ref, request.delivery, checked, now)
        self._triggers.send({"project": request.project, "model": request.model})
        return checked
