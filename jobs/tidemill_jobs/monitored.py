"""
A model of ours that a SageMaker MonitoringSchedule looks at, instead of the watch's own schedule.

What the schedule's job read becomes a partial like those of `watch`, so that the next look at the
model finds nothing left to read and decides as ever. plan.json is the watch's own, without objects,
and says since when the version is in service.
"""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from tidemill_jobs.capture.schema import Schema
from tidemill_jobs.capture.tally import Tally
from tidemill_jobs.drift import DriftSettings
from tidemill_jobs.errors import JobError
from tidemill_jobs.lake import Lake, ObjectVersion
from tidemill_jobs.watch import (
    COVERS,
    Plan,
    Seen,
    covers_of,
    iso,
    partial_id,
    schema_of,
    write_partial,
)

log = logging.getLogger(__name__)

MARKER: Final = "monitored.json"  # among a job's reports: the event of it starts the next look


@dataclass(frozen=True, slots=True)
class Read:
    """What a job read, and from which files."""

    seen: Seen
    tally: Tally
    files: Sequence[Path]


@dataclass(frozen=True, slots=True)
class Monitored:
    """The model, and where its partials go."""

    plan: Plan
    schema: Schema
    since: float  # when the version came into service, in seconds since 1970
    traffic: str  # where its captured files are, without a trailing slash
    lake: Lake
    work: Path

    @classmethod
    def find(cls, uri: str, lake: Lake, work: Path) -> Self:
        """
        Read the plan, and the features of the version in service.

        Raises:
            JobError: One of them is not there, or is something else.
        """
        text = lake.find_text(uri)
        if text is None:
            raise JobError(f"{uri} is gone; apply the model's spec again.")
        plan = Plan.parse(text)
        try:
            document = json.loads(text)
            since, traffic = float(document["champion"]["since"]), str(document["traffic"])
        except (KeyError, TypeError, ValueError) as exc:
            raise JobError(f"{uri} is no plan of a monitoring schedule ({exc!r}).") from exc
        return cls(plan, schema_of(plan, lake, work), since, traffic.rstrip("/"), lake, work)

    @property
    def settings(self) -> DriftSettings:
        """How the spec wants drift judged."""
        return DriftSettings.of(self.plan.spec.get("watch", {}).get("drift", {}))

    def write(self, read: Read, source: Path, start: float, end: float) -> bool:
        """
        Write the partial of a period, if the period is one window of the version in service.

        Args:
            read: What was read.
            source: The folder that stands for where captured files are.
            start: The period's, in seconds since 1970, as *end*.
            end: Exclusive.

        Returns:
            False when there is none: the next look reads the traffic itself.

        Raises:
            JobError: S3 cannot be reached, or refuses.
        """
        if start % self.plan.every or end - start != self.plan.every or start < self.since:
            log.info("the period is no whole window of the version in service")
            return False
        objects = self._objects(read.files, source)
        if objects is None:
            log.warning("captured files changed while they were read")
            return False
        name = f"{iso(start)}/{partial_id(objects)}"
        covers = f"{self.plan.results}/partials/{name}.{COVERS}"
        if objects and self.lake.find_text(covers) is None:
            write_partial(self.plan, self.lake, self.work, name, read.seen)
            document = covers_of(self.plan, start, objects, read.tally)
            self.lake.put_text(json.dumps(document, separators=(",", ":")), covers)
        return True

    def _objects(self, files: Sequence[Path], source: Path) -> list[ObjectVersion] | None:
        """Return the versions that were read; None when one is another one now."""
        places = {path.relative_to(source).as_posix(): path for path in files}
        folders = sorted({place.rpartition("/")[0] for place in places})
        newest: dict[str, ObjectVersion] = {}
        for folder in folders:
            newest |= self.lake.newest(f"{self.traffic}/{folder}/")
        found = []
        for place, path in places.items():
            version = newest.get(f"{self.traffic}/{place}")
            if version is None or version.size != path.stat().st_size:
                return None
            found.append(version)
        return found
