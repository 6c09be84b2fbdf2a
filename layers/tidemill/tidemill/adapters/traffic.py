"""Captured traffic in S3: which files there are, and which of them a partial profile covers."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tidemill.adapters.lake import Lake
from tidemill.domain.admission import ObjectVersion
from tidemill.domain.watch import Partial, captured_at, hours, window_of, window_seconds
from tidemill.spec.compiled import Spec
from tidemill.times import iso, seconds


@dataclass(frozen=True, slots=True)
class Profiled:
    """A partial, how many rows it has, and where its profile and its events are."""

    partial: Partial
    rows: int
    profile: str
    events: str
    tally: dict[str, Any]


class Traffic:
    """The captured files of a stack's endpoints, in the lake; nothing here is changed."""

    def __init__(self, lake: Lake, bucket: str) -> None:
        self._lake = lake
        self._bucket = bucket

    def captured(
        self, ref: str, endpoint: str, variant: str, begin: float, end: float
    ) -> list[ObjectVersion]:
        """
        Return the files whose key's time is in `[begin, end)`.

        Args:
            ref: The model.
            endpoint: Its endpoint's name.
            variant: The variant's.
            begin: Seconds since 1970, as is *end*.
            end: Exclusive.
        """
        found = []
        for hour in hours(begin, end):
            for item in self._versions(f"capture/{ref}/{endpoint}/{variant}/{hour}/"):
                at = captured_at(item.key)
                if at is not None and begin <= at < end:
                    found.append(item)
        return found

    def partials(self, ref: str, begin: float, *, version: int, every: int) -> list[Profiled]:
        """Return the partials of a version's windows of that length, from *begin* on."""
        prefix = f"watch/{ref}/partials/"
        names = [
            key
            for key in self._lake.keys(self._bucket, prefix, after=f"{prefix}{iso(begin)}")
            if key.endswith(".json")
        ]
        found = []
        texts = self._lake.texts(f"s3://{self._bucket}/{key}" for key in names)
        for key, text in zip(names, texts, strict=True):
            if text is None:
                continue
            profiled = _profiled(json.loads(text), f"s3://{self._bucket}/{key}")
            if (profiled.partial.version, profiled.partial.every) == (version, every):
                found.append(profiled)
        return found

    def write_plan(
        self,
        spec: Spec,
        watch: str,
        number: int,
        *,
        version: int,
        model: str,
        objects: tuple[ObjectVersion, ...],
        counted: Mapping[float, Sequence[str]],
    ) -> str:
        """
        Write the plan of one part of a look, and return its URI.

        *counted* are the partials of each window, by id, whose events do not count again.
        """
        document = plan_document(spec, self._bucket, version=version, model=model, objects=objects)
        document["counted"] = {str(start): list(some) for start, some in counted.items()}
        uri = f"{plans_prefix(self._bucket, spec.ref, watch)}/{number}/plan.json"
        self._lake.put_json(uri, document)
        return uri

    def _versions(self, prefix: str) -> Iterator[ObjectVersion]:
        after = None
        while True:
            page, after = self._lake.versions(self._bucket, prefix, after)
            for item in page:
                yield ObjectVersion(
                    item.bucket, item.key, item.version_id, item.etag, item.size or 0,
                    seconds(item.at), "",
                )  # fmt: skip
            if after is None:
                return


def plan_document(
    spec: Spec, bucket: str, *, version: int, model: str, objects: tuple[ObjectVersion, ...]
) -> dict[str, Any]:
    """
    Return plan.json of what a job is to profile.

    Args:
        spec: The model.
        bucket: The lake's.
        version: The one in service.
        model: The URI of its archive.
        objects: The captured files.
    """
    every = window_seconds(spec.watch.every_seconds)
    return {
        "version": 1,
        "spec": json.loads(spec.to_json()),
        "every": every,
        "champion": {"version": version},
        "model": model,
        "results": results_prefix(bucket, spec.ref),
        "objects": [
            {
                "uri": item.uri,
                "version_id": item.version_id,
                "etag": item.etag,
                "size": item.size,
                "window": window_of(captured_at(item.key) or item.uploaded, every),
            }
            for item in objects
        ],
    }


def results_prefix(bucket: str, ref: str) -> str:
    """Return where all that a model's watch writes is; *bucket* is the lake's."""
    return f"s3://{bucket}/watch/{ref}"


def plans_prefix(bucket: str, ref: str, watch: str) -> str:
    """Return where the plans of one look are."""
    return f"{results_prefix(bucket, ref)}/plans/{watch}"


def window_prefix(bucket: str, ref: str, start: float) -> str:
    """Return where what a window came to is."""
    return f"{results_prefix(bucket, ref)}/windows/{iso(start)}"


def _profiled(document: dict[str, Any], uri: str) -> Profiled:
    partial = Partial(
        document["id"],
        float(document["window"]),
        int(document["every"]),
        int(document["model_version"]),
        frozenset((key, version) for key, version in document["covers"]),
    )
    stem = uri.removesuffix(".json")
    return Profiled(
        partial,
        int(document["rows"]),
        f"{stem}.profile.json.gz",
        f"{stem}.events",
        document.get("tally", {}),
    )
