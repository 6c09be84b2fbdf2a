"""
What a look at an endpoint's traffic reads: windows, how late files may be, what is covered.

A window is `[n * every, (n + 1) * every)` in seconds since 1970 (UTC). Files belong to the window
of the time in their key, which is that of their first line: SageMaker's data capture starts a file
every few seconds to minutes, so a window's edge is as sharp as that.
"""

import hashlib
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tidemill.domain.admission import ObjectVersion
from tidemill.domain.drift import LATE_WINDOWS, History
from tidemill.spec.compiled import Drift, Watch
from tidemill.times import iso

HOUR, DAY = 3_600.0, 86_400.0
#: After a window's end the capture of its last seconds may take so long to reach S3.
SETTLING_SECONDS = 120
#: A look that is so late was missed.
OVERDUE_SECONDS = 900.0
#: SageMaker starts a schedule's job up to 20 minutes after its hour, and the job takes its time.
MONITORED_SECONDS = 2_700.0
_KEY = re.compile(r"/(\d{4})/(\d\d)/(\d\d)/(\d\d)/(?:(\d\d)-(\d\d)-(\d{3})-)?[^/]*$")


@dataclass(frozen=True, slots=True)
class Partial:
    """A profile of some files of a window that was written: which object versions it covers."""

    id: str
    window: float
    every: int  # seconds of the window
    version: int  # of the model, which answered
    covers: frozenset[tuple[str, str]]  # key and version id


def window_seconds(every: int) -> int:
    """Return how long windows are: also of a model that is only looked at when a person asks."""
    return every or int(HOUR)


def window_of(at: float, every: int) -> float:
    """Return the start of the window that *at* lies in."""
    return math.floor(at / every) * float(every)


def lateness(every: int) -> float:
    """Return how long after its window a file may come and still be looked at, in seconds."""
    return min(DAY, LATE_WINDOWS * float(every))


def reach(
    every: int, settings: Drift, *, watermark: float | None, since: float, now: float, asked: bool
) -> tuple[float, float]:
    """
    Return the first window that a look concludes, and where it ends.

    Args:
        every: Seconds of a window.
        settings: How many windows a verdict takes.
        watermark: The first window that no look has concluded for good; None before the first.
        since: When the version in service came there: its windows begin then.
        now: When the look is.
        asked: A person asked for it: then it takes the window in that goes on.
    """
    running = window_of(now, every)
    first = window_of(since, every)
    kept = running - (settings.of + LATE_WINDOWS) * float(every)
    begin = max(first, kept, first if watermark is None else watermark)
    return min(begin, running), running + every if asked else running


def captured_at(key: str) -> float | None:
    """Return the time in a capture file's key; None when it names none."""
    found = _KEY.search(key)
    if found is None:
        return None
    year, month, day, hour, minute, second, milli = (int(part or 0) for part in found.groups())
    try:
        at = datetime(year, month, day, hour, minute, second, 1_000 * milli, tzinfo=UTC)
    except ValueError:
        return None
    return at.timestamp()


def hours(begin: float, end: float) -> Iterator[str]:
    """Yield `yyyy/mm/dd/hh` of every hour that `[begin, end)` touches."""
    at = datetime.fromtimestamp(window_of(begin, int(HOUR)), UTC)
    while at.timestamp() < end:
        yield f"{at:%Y/%m/%d/%H}"
        at += timedelta(hours=1)


def chosen(partials: Sequence[Partial]) -> list[Partial]:
    """
    Return partials of a window that cover no file twice, the same whoever asks.

    Two looks at once may have profiled some files both: the larger one counts, and what only the
    other covers is uncovered: the next look reads it.
    """
    taken: list[Partial] = []
    covered: set[tuple[str, str]] = set()
    for one in sorted(partials, key=lambda one: (-len(one.covers), one.id)):
        if covered.isdisjoint(one.covers):
            taken.append(one)
            covered |= one.covers
    return taken


def counted(partials: Sequence[Partial]) -> dict[float, list[Partial]]:
    """Return the partials that count, by their window."""
    by_window: dict[float, list[Partial]] = {}
    for one in partials:
        by_window.setdefault(one.window, []).append(one)
    return {window: chosen(some) for window, some in by_window.items()}


def uncovered(objects: Sequence[ObjectVersion], partials: Sequence[Partial]) -> list[ObjectVersion]:
    """Return the files that no chosen partial covers; of each key its newest version."""
    newest: dict[str, ObjectVersion] = {}
    for item in objects:
        held = newest.get(item.key)
        if held is None or item.uploaded >= held.uploaded:
            newest[item.key] = item
    covered = {name for some in counted(partials).values() for one in some for name in one.covers}
    return [item for item in newest.values() if (item.key, item.version_id) not in covered]


def digest(partials: Sequence[Partial]) -> str:
    """Return what tells whether a window was concluded from these partials; empty of none."""
    if not partials:
        return ""
    text = "\n".join(sorted(one.id for one in partials))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def patience(watch: Watch) -> float:
    """Return how many seconds late a look may be that somebody else's clock starts."""
    return MONITORED_SECONDS if watch.backend == "sagemaker" else OVERDUE_SECONDS


def stamp(at: float) -> str:
    """Return `20261121t170000`, for names."""
    return iso(at)[:19].replace("-", "").replace(":", "").lower()


def is_silent(history: History, settings: Drift) -> bool:
    """Say whether no traffic came in as many windows as a verdict looks at."""
    last = history.windows[-settings.of :]
    return len(last) == settings.of and not any(window.rows for window in last)
