"""Watching a model or a run until it has ended: a line per change, or one live line."""

import sys
import time
from collections.abc import Callable, Sequence
from typing import Protocol

import click

from tidemill.adapters.runs import GOING
from tidemill_cli.output import is_terminal, named, put_live, span
from tidemill_cli.stack import Stack
from tidemill_cli.standing import Judgement, Open, Standing

#: Often at first, when people look; seldom later, when jobs take hours and calls are counted.
OFTEN_SECONDS, SELDOM_SECONDS, OFTEN_FOR_SECONDS = 1.0, 5.0, 120.0


class Watched(Protocol):
    """Something that goes on, and ends."""

    ref: str

    def open(self, now: float) -> list[Open]:
        """Return what has not ended; nothing when all has."""

    def judgement(self) -> Judgement:
        """Say how it ended."""

    def asides(self) -> list[str]:
        """Return what waits for a person beside it."""


class WatchedModel:
    """Everything that goes on with a model."""

    def __init__(self, stack: Stack, ref: str) -> None:
        self.ref = ref
        self._standing = Standing(stack, ref)

    def open(self, now: float) -> list[Open]:
        """Return all that is open."""
        return self._standing.open(now)

    def judgement(self) -> Judgement:
        """Judge by what came last."""
        return self._standing.judgement()

    def asides(self) -> list[str]:
        """Return what waits for a person."""
        return self._standing.asides()


class WatchedRun:
    """One run, and the rollout of its version."""

    def __init__(self, stack: Stack, ref: str, run: str) -> None:
        self.ref = ref
        self._run = run
        self._stores = stack.stores
        self._standing = Standing(stack, ref)

    def open(self, now: float) -> list[Open]:
        """Return the run, or its version's rollout."""
        record = self._stores.runs.get(self.ref, self._run)
        of_version = f"version {record.get('version')}"
        going = record["status"] in GOING
        return [
            item
            for item in self._standing.open(now, uploads=0)
            if (going and item.subject == self._run)
            or (item.kind == "rollout" and item.subject == of_version)
        ]

    def asides(self) -> list[str]:
        """Return what waits for a person."""
        return self._standing.asides()

    def judgement(self) -> Judgement:
        """Judge by this run; one that waits for a person's approval went well."""
        record = self._stores.runs.get(self.ref, self._run)
        if record["status"] != "succeeded":
            return Judgement(False, f"{self._run} {record['status']}: {record.get('reason', '')}")
        return self._standing.service_of(record, waiting_is_good=True)


class Screen:
    """Where progress is shown: on stderr, so that stdout holds only the answer."""

    def __init__(self, *, quiet: bool = False, live: bool | None = None) -> None:
        self._quiet = quiet
        self._live = is_terminal() if live is None else live
        self._told: dict[tuple[str, str], str] = {}

    def show(self, items: Sequence[Open], now: float) -> None:
        """Show what is open; without a terminal only what changed since it was shown last."""
        if self._quiet:
            return
        if self._live and items:
            text = "; ".join(f"{item.subject}: {item.said}" for item in items)
            since = min(item.since for item in items)
            width = max(20, _columns() - 1)
            put_live(f"{span(now - since):>9}  {text}"[:width])
            return
        for item in items:
            # "closes in 9 s" is no change after "closes in 10 s".
            told = f"{item.state} {item.said if item.kind != 'delivery' else ''}"
            if self._told.get((item.kind, item.subject)) != told:
                self._told[item.kind, item.subject] = told
                click.echo(
                    f"{time.strftime('%H:%M:%S', time.localtime(now))}  "
                    f"{named(item.kind, item.subject)}: {item.said} ({span(now - item.since)})",
                    err=True,
                )

    def close(self) -> None:
        """Leave a clean line behind."""
        if self._live and not self._quiet:
            put_live()


def watch(
    watched: Watched,
    screen: Screen,
    *,
    timeout: float | None,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> Judgement:
    """
    Look until nothing is open, and say how it ended.

    Args:
        watched: What to look at.
        screen: Where to show it.
        timeout: Seconds after which to give up with a sentence; None for never.
        clock: Seconds since 1970.
        sleep: Waits so many seconds.
    """
    began = clock()
    try:
        while items := watched.open(clock()):
            now = clock()
            screen.show(items, now)
            passed = now - began
            if timeout is not None and passed >= timeout:
                still = "; ".join(
                    f"{named(item.kind, item.subject)}: {item.said}" for item in items
                )
                return Judgement(False, f"still open after {span(passed)}: {still}")
            pause = OFTEN_SECONDS if passed < OFTEN_FOR_SECONDS else SELDOM_SECONDS
            sleep(pause if timeout is None else min(pause, max(0.05, timeout - passed)))
    finally:
        screen.close()
    return watched.judgement()


def _columns() -> int:
    import shutil  # noqa: PLC0415  # only for a live terminal

    return shutil.get_terminal_size(fallback=(80, 24)).columns if sys.stderr.isatty() else 80
