"""A manifest: which files a delivery consists of, and how what arrived differs from it."""

import base64
import binascii
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tidemill.domain.admission import ObjectVersion, Verdict
from tidemill.domain.dataset import age
from tidemill.domain.finding import listed

_SHOWN = 5
_EXPECTED = (
    "a marker is an empty file, or a JSON list whose items are file names, or objects with "
    "`name` (or `key`) and, if you like, `size`, `etag`, `md5`, `sha256`"
)


@dataclass(frozen=True, slots=True)
class Named:
    """One file of a manifest; what it does not say is None. Digests are lower-case hex."""

    key: str  # the whole S3 key
    size: int | None = None  # bytes
    etag: str | None = None
    md5: str | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Manifest:
    """Where a manifest lies; a delivery of 100,000 files has one of 10 MB, so it is not stored."""

    version: ObjectVersion
    named: int  # how many files it names


def newest(manifests: Iterable[Manifest]) -> tuple[Manifest, ...]:
    """Keep the newest manifest of each folder: one that is written again replaces the other."""
    found: dict[str, Manifest] = {}
    for manifest in sorted(manifests, key=lambda manifest: age(manifest.version)):
        found[manifest.version.key] = manifest
    return tuple(found[key] for key in sorted(found))


@dataclass(frozen=True, slots=True)
class Wrong:
    """An upload that is not what its manifest says."""

    version: ObjectVersion
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Comparison:
    """How what arrived differs from the manifests; keys in order."""

    named: int
    missing: tuple[str, ...]
    extra: tuple[str, ...]
    wrong: tuple[Wrong, ...]

    def sentence(self) -> str:
        """Return the differences as the end of a sentence, empty when there are none."""
        parts = [
            f"{len(keys):,} {what}: {_few(keys)}"
            for what, keys in (
                ("missing", self.missing),
                ("not named", self.extra),
                ("not as named", [wrong.version.key for wrong in self.wrong]),
            )
            if keys
        ]
        return "; ".join(parts)


def parse(body: bytes, folder: str) -> tuple[Named, ...] | None:
    """
    Read a marker's content; an empty file is no manifest: None.

    Args:
        body: The file.
        folder: The marker's own folder, `raw/<project>/<model>/…/`: names are below it.

    Raises:
        ValueError: It is neither; the message says what is expected.
    """
    if not body.strip():
        return None
    try:
        items = json.loads(body)
    except (ValueError, RecursionError):
        items = None
    if not isinstance(items, list):
        raise ValueError(_EXPECTED)  # noqa: TRY004  # a file's content, no argument's type
    return tuple(_named(item, folder) for item in items)


def _named(item: Any, folder: str) -> Named:
    if isinstance(item, str):
        return Named(folder + item)
    if not isinstance(item, Mapping):
        raise ValueError(_EXPECTED)  # noqa: TRY004  # as above
    name, key, size = item.get("name"), item.get("key"), item.get("size")
    if isinstance(name, str):
        key = folder + name
    digests = {field: _digest(item, field) for field in ("etag", "md5", "sha256")}
    whole = isinstance(size, int) and not isinstance(size, bool)
    if not isinstance(key, str) or not (size is None or whole):
        raise ValueError(_EXPECTED)
    return Named(key, size, **digests)


def _digest(item: Mapping[str, Any], field: str) -> str | None:
    value = item.get(field)
    if value is not None and not isinstance(value, str):
        raise ValueError(_EXPECTED)
    return value.strip('"').lower() if value else None


def compare(
    manifests: Iterable[Sequence[Named]], arrived: Iterable[tuple[ObjectVersion, str]]
) -> Comparison:
    """
    Hold what arrived against what was named.

    Args:
        manifests: All of the delivery's; they count together.
        arrived: Each upload with its verdict's name. Of several versions of a key the newest
            accepted one is compared; one that was refused arrived, and is compared with nothing.
    """
    named = {item.key: item for manifest in manifests for item in manifest}
    found: dict[str, ObjectVersion | None] = {}
    for version, verdict in arrived:
        held = found.setdefault(version.key, None)
        if verdict == "accept" and (held is None or age(version) > age(held)):
            found[version.key] = version
    both = [(named[key], held) for key, held in sorted(found.items()) if held and key in named]
    wrong = [
        Wrong(version, differs) for item, version in both if (differs := _differs(item, version))
    ]
    return Comparison(
        named=len(named),
        missing=tuple(sorted(named.keys() - found.keys())),
        extra=tuple(sorted(found.keys() - named.keys())),
        wrong=tuple(wrong),
    )


def _differs(named: Named, version: ObjectVersion) -> Verdict | None:
    """Say what differs for certain. A checksum that S3 does not keep is left to the check."""
    if named.size is not None and named.size != version.size:
        return Verdict(
            "quarantine",
            f"The manifest says {named.size:,} bytes, and {version.size:,} arrived.",
            "manifest_size",
            "Upload the whole file again, or write the manifest after the file.",
        )
    known = _known(version)
    for kind in ("etag", "md5", "sha256"):
        wanted, found = getattr(named, kind), known.get(kind)
        if wanted and found and wanted != found:
            return Verdict(
                "quarantine",
                f"The manifest says {kind} {wanted}, and the file that arrived has {found}.",
                "manifest_checksum",
                "Upload the file again, or write the manifest after the file.",
            )
    return None


def _known(version: ObjectVersion) -> dict[str, str]:
    """Return the digests that S3 told, in hex."""
    known = {"etag": version.etag.lower()}
    algorithm, _, value = version.checksum.partition(":")
    if algorithm == "MD5":
        known["md5"] = value
    if algorithm == "SHA256":
        try:
            known["sha256"] = base64.b64decode(value, validate=True).hex()
        except binascii.Error:
            return known
    return known


def _few(keys: Sequence[str]) -> str:
    more = len(keys) - _SHOWN
    return listed(keys[:_SHOWN]) + (f" and {more:,} more" if more > 0 else "")
