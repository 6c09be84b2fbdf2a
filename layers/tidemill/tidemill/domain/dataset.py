"""What a run trains on: an immutable list of object versions, named by its hash."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tidemill.domain.admission import ObjectVersion
from tidemill.spec.compiled import Window


@dataclass(frozen=True, slots=True)
class Dataset:
    """Object versions in key order."""

    project: str
    model: str
    objects: tuple[ObjectVersion, ...]

    @property
    def hash(self) -> str:
        """
        The first 16 hex digits of the SHA-256 over keys and versions.

        What a person released is read otherwise, so a dataset with it is another.
        """
        listed = [
            (item.uri, item.version_id, *(["released"] if item.released else []))
            for item in self.objects
        ]
        return hashlib.sha256(json.dumps(listed).encode()).hexdigest()[:16]

    @property
    def bytes(self) -> int:
        """The objects' sizes as stored, summed."""
        return sum(item.size for item in self.objects)

    @property
    def rows(self) -> int | None:
        """The objects' data rows, summed; None when one of them was not checked."""
        counted = [item.rows for item in self.objects if item.rows is not None]
        return sum(counted) if len(counted) == len(self.objects) else None

    def to_document(self) -> dict[str, Any]:
        """Return the JSON document that Prepare reads."""
        return {
            "version": 1,
            "project": self.project,
            "model": self.model,
            "hash": self.hash,
            "objects": [
                {
                    "uri": item.uri,
                    "version_id": item.version_id,
                    "etag": item.etag,
                    "size": item.size,
                    "uploaded": item.uploaded,
                    **({"released": True} if item.released else {}),
                }
                for item in self.objects
            ],
        }


@dataclass(frozen=True, slots=True)
class Arrival:
    """An accepted upload, and the delivery it came in; their ids sort by when they were opened."""

    version: ObjectVersion
    delivery: str


def within(window: Window, arrivals: Iterable[Arrival], now: float) -> tuple[ObjectVersion, ...]:
    """
    Return what a dataset takes: the newest version of each key, as far as the window reaches.

    An older version never stands in for a newer one that the window leaves out.

    Args:
        window: Empty takes all.
        arrivals: Every accepted upload of the model.
        now: When the run began, in seconds since 1970; a repeated call must say the same.
    """
    listed = list(arrivals)
    took = newest_of_each_key(arrival.version for arrival in listed)
    if window.deliveries is not None:
        last = set(sorted({arrival.delivery for arrival in listed})[-window.deliveries :])
        inside = {
            (arrival.version.key, arrival.version.version_id)
            for arrival in listed
            if arrival.delivery in last
        }
        took = tuple(item for item in took if (item.key, item.version_id) in inside)
    if window.age_seconds is not None:
        took = tuple(item for item in took if item.uploaded >= now - window.age_seconds)
    return without_copies(took)


def newest_of_each_key(accepted: Iterable[ObjectVersion]) -> tuple[ObjectVersion, ...]:
    """Keep the newest version of each key, in key order; S3's sequencer breaks ties of time."""
    newest: dict[str, ObjectVersion] = {}
    for item in accepted:
        held = newest.get(item.key)
        if held is None or age(item) > age(held):
            newest[item.key] = item
    return tuple(newest[key] for key in sorted(newest))


def without_copies(objects: Iterable[ObjectVersion]) -> tuple[ObjectVersion, ...]:
    """Keep the oldest of those with the same bytes, as far as checks have read them; in order."""
    listed = tuple(objects)
    first: dict[tuple[str, int], ObjectVersion] = {}
    for item in sorted(listed, key=age):
        if item.sha256:
            first.setdefault((item.sha256, item.size), item)
    return tuple(
        item for item in listed if not item.sha256 or first[item.sha256, item.size] is item
    )


def age(item: ObjectVersion) -> tuple[float, str, str]:
    """Return what orders the versions of one key; S3's times are of whole seconds."""
    # Sequencers are hex of varying width; S3 says: pad the shorter with zeros before comparing.
    return item.uploaded, item.sequencer.rjust(64, "0"), item.version_id
