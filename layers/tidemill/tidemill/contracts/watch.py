"""The watch: what starts a look at an endpoint's traffic, and its functions."""

from dataclasses import dataclass

from tidemill.contracts.models import Failure, ModelRef
from tidemill.shape import Contract


@dataclass(frozen=True, slots=True)
class StartWatch(ModelRef):
    """What a model's watch schedule hands to `functions/start_watch`; *at* is ISO 8601."""

    at: str


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
