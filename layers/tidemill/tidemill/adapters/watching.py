"""The workflow of a look at an endpoint's traffic: the clock, people and the sweep start it."""

from dataclasses import dataclass, replace

from tidemill.adapters.stores import Stores
from tidemill.adapters.watches import Begun, without
from tidemill.adapters.workflows import Workflows
from tidemill.domain.failure import interrupted
from tidemill.domain.watch import is_silent, patience, stamp, window_of
from tidemill.errors import InvalidInputError
from tidemill.names import watch_name
from tidemill.spec.compiled import Spec

#: A look that was noted may be so young without an execution: whoever noted it is about to start.
STARTING_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Rounds:
    """What a sweep of all watches found: how many it mended, and how many are in no good state."""

    mended: int = 0
    stopped: int = 0  # no look came to its end for too long
    silent: int = 0  # no traffic in any of the last windows


class Watching:
    """Safe to repeat: an execution has its name from its window, or from a person's request."""

    def __init__(self, stores: Stores, workflow: Workflows) -> None:
        self._stores = stores
        self._workflow = workflow

    def start(self, ref: str, now: float) -> str | None:
        """
        Start the look of the window that goes on, which concludes those before it.

        Returns:
            The execution's name; None when there is nothing to look at: no spec, no watch, or
            no version in service.
        """
        spec = self._stores.specs.find(ref)
        if spec is None or not spec.watch.every_seconds or not self._stores.champions.find(ref):
            return None
        failures = self._stores.watches.read(ref).failures
        name = f"w-{stamp(window_of(now, spec.watch.every_seconds))}"
        return self._begin(spec, f"{name}-r{failures}" if failures else name, now, asked=False)

    def ask(self, ref: str, request: str, now: float) -> str:
        """
        Start a look because a person asks for it; return the execution's name.

        Args:
            ref: The model.
            request: The same for every attempt of one request: it starts one look.
            now: Seconds since 1970.

        Raises:
            NotFoundError: The model has no spec.
            InvalidInputError: There is no traffic to look at.
        """
        spec = self._stores.specs.get(ref)
        if not self._stores.champions.find(ref):
            raise InvalidInputError(
                f"no version of {ref} is in service, so there is no traffic; "
                f"`tidemill versions {ref}` lists what there is"
            )
        if not spec.watch.capture.percent:
            raise InvalidInputError(
                "watch.capture.percent is 0, so no traffic is kept; raise it in model.yaml, apply "
                "it, and roll a version out"
            )
        return self._begin(spec, f"a-{request}", now, asked=True)

    def sweep(self, now: float) -> Rounds:
        """Record looks that died in silence, and start those that were missed or are due again."""
        rounds, errors = Rounds(), []
        for ref in self._stores.specs.refs():
            try:
                found = self._sweep(ref, now)
            except Exception as error:  # noqa: BLE001  # raised below, after the others' turn
                error.add_note(f"of {ref}")
                errors.append(error)
            else:
                rounds = Rounds(
                    rounds.mended + found.mended,
                    rounds.stopped + found.stopped,
                    rounds.silent + found.silent,
                )
        if errors:
            raise ExceptionGroup(f"{len(errors)} watches could not be swept", errors)
        return rounds

    def _sweep(self, ref: str, now: float) -> Rounds:
        spec, champion = self._stores.specs.find(ref), self._stores.champions.find(ref)
        mended = sum(
            self._mend(ref, name, one, now)
            for name, one in self._stores.watches.read(ref).begun.items()
        )
        if spec is None or champion is None or not spec.watch.every_seconds:
            return Rounds(mended)
        held = self._stores.watches.read(ref)
        every, late = spec.watch.every_seconds, patience(spec.watch)
        since = max(held.looked_at or 0.0, champion["since"])
        due = since + every + late
        if held.again_at is not None:
            due = min(due, held.again_at)
        if due <= now and not held.begun:
            mended += self.start(ref, now) is not None
        return Rounds(
            mended,
            stopped=int(since + 2 * every + 2 * late <= now),
            silent=int(is_silent(held.history, spec.watch.drift)),
        )

    def _mend(self, ref: str, name: str, begun: Begun, now: float) -> bool:
        """Go on with a look that nobody started, or record one whose workflow is over."""
        described = self._workflow.find(name)
        if described is None:
            if begun.at > now - STARTING_SECONDS:
                return False
            self._workflow.start(name, _input(ref, name, asked=begun.asked))
            return True
        if described["status"] == "RUNNING":
            return False
        if described["status"] == "SUCCEEDED":  # it was started again after its end
            self._stores.watches.change(ref, lambda held: (without(held, name), []))
            return True
        reason = interrupted(
            described["status"], described.get("error") or "", described.get("cause") or ""
        )
        return self._stores.watches.fail(ref, name, reason, now)

    def _begin(self, spec: Spec, what: str, now: float, *, asked: bool) -> str:
        """Note the look, then start it: what died in between is found by the sweep."""
        name = watch_name(spec.project, spec.model, what)
        if self._workflow.find(name) is None:
            begun = Begun(now, asked)
            self._stores.watches.change(
                spec.ref,
                lambda held: (
                    None
                    if name in held.begun
                    else (replace(held, stands="looking", begun={**held.begun, name: begun}), [])
                ),
            )
            self._workflow.start(name, _input(spec.ref, name, asked=asked))
        return name


def _input(ref: str, name: str, *, asked: bool) -> dict[str, object]:
    project, _, model = ref.partition("/")
    return {"project": project, "model": model, "watch": name, "asked": asked}
