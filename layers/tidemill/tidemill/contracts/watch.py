"""The watch: what starts a look at an endpoint's traffic, and its functions."""

from dataclasses import dataclass
from typing import Any, Final, Self

from tidemill.contracts.models import Failure, ModelRef
from tidemill.contracts.uploads import ObjectCreated
from tidemill.errors import InvalidInputError
from tidemill.shape import Contract

_PLACES: Final = 4  # of watch/<project>/<model>/monitor/…, after the zone


@dataclass(frozen=True, slots=True)
class StartWatch(ModelRef):
    """What a model's watch schedule hands to `functions/start_watch`; *at* is ISO 8601."""

    at: str

    @classmethod
    def of_event(cls, event: Any) -> Self:
        """
        Read what Scheduler hands on, or S3's event of what a MonitoringSchedule's job left.

        Raises:
            InvalidInputError: It is neither.
        """
        if not isinstance(event, dict) or "detail" not in event:
            return cls.parse(event)
        created = ObjectCreated.of_event(event)
        zone, *place = created.key.split("/", 4)
        if zone != "watch" or len(place) < _PLACES or place[2] != "monitor":
            raise InvalidInputError(f"{created.key} is no report of a monitoring schedule")
        return cls(place[0], place[1], created.at)


@dataclass(frozen=True, slots=True)
class RequestWatch(ModelRef):
    """Input of `functions/request_watch`: a person wants a look now."""

    id: str = ""  # the same for every attempt of one request


@dataclass(frozen=True, slots=True)
class WatchRef(ModelRef):
    """
    Input of the watch machine, and of its functions: *watch* is the execution's name.

    A look that a person *asked* for takes in the window that goes on.
    """

    watch: str
    asked: bool


@dataclass(frozen=True, slots=True)
class ProfileTraffic(Contract):
    """Input of `functions/profile_traffic`: the URI of one part's plan."""

    plan: str


@dataclass(frozen=True, slots=True)
class ConcludeWatch(WatchRef):
    """Input of `functions/conclude_watch`: the URI of the look's plan."""

    plan: str


@dataclass(frozen=True, slots=True)
class CloseWatch(WatchRef):
    """Input of `functions/close_watch`."""

    failure: Failure
