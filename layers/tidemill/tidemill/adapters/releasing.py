"""A person has an upload used that was set aside: its release, and the trigger that follows."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tidemill.adapters.bus import Queue
from tidemill.adapters.entries import upload_entry
from tidemill.adapters.facts import FactsStore
from tidemill.adapters.items import ConditionFailedError, transact
from tidemill.adapters.judging import preflight
from tidemill.adapters.lake import Lake
from tidemill.adapters.last_words import LastWord
from tidemill.adapters.stores import Stores
from tidemill.contracts.uploads import ReleaseUpload
from tidemill.domain.admission import ObjectVersion, Verdict
from tidemill.domain.dataset import age
from tidemill.domain.preflight import SAMPLE_BYTES
from tidemill.domain.trigger import Trigger
from tidemill.errors import InvalidInputError, NotFoundError
from tidemill.spec.compiled import Spec

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

#: Releases in one transaction, which takes 100 writes.
CHUNK = 40


@dataclass(frozen=True, slots=True)
class Act:
    """Who lets uploads in, why, and when (seconds since 1970)."""

    why: str
    by: str
    now: float


@dataclass(frozen=True, slots=True)
class Usable:
    """An upload that can be read; *rows* is None, and *sha256* empty, when no check has read it."""

    word: LastWord
    rows: int | None = None
    sha256: str = ""


class Releasing:
    """Safe to repeat: an upload that was released stays so, and brings one trigger."""

    def __init__(self, stores: Stores, lake: Lake, triggers: Queue, bucket: str) -> None:
        self._stores = stores
        self._lake = lake
        self._triggers = triggers
        self._facts = FactsStore(lake, bucket)

    def release(self, request: ReleaseUpload, now: float) -> LastWord:
        """
        Release one upload; return what the ledger said of it before.

        Raises:
            NotFoundError: There is no such model, or no such upload, or it was deleted.
            InvalidInputError: It is not set aside, or cannot be read: the message says what to do.
        """
        must_say_why(request)
        spec = self._stores.specs.get(request.ref)
        word = self.find(request)
        if not word.is_released:
            if word.entry["verdict"] != "quarantine":
                raise InvalidInputError(
                    f"{request.key} is not set aside; its verdict is {word.entry['verdict']}: "
                    f"{word.entry['reason']}"
                )
            act = Act(request.why, request.by, now)
            self.write(request.ref, [self._usable(spec, word)], act)
        self.follow_up(request.ref, [word.version])
        return word

    def find(self, request: ReleaseUpload) -> LastWord:
        """
        Return what stands of the upload that is meant.

        Raises:
            NotFoundError: There is none.
        """
        words = self._stores.ledger.last_words(request.ref, request.key)
        if request.version_id:
            words = [word for word in words if word.version.version_id == request.version_id]
        if not words:
            version = f" in version {request.version_id}" if request.version_id else ""
            raise NotFoundError(
                f"{request.ref} has no upload {request.key}{version}; "
                f"`tidemill quarantine list {request.ref}` lists what is set aside"
            )
        return max(words, key=lambda word: age(word.version))

    def facts_of(self, ref: str, words: Sequence[LastWord]) -> list[str | None]:
        """Return what checks wrote down of each upload; None of one that none has read."""
        asked = [(w.facts.get("delivery"), w.version, w.facts.get("read", "")) for w in words]
        return self._facts.find(ref, asked)

    def write(self, ref: str, uploads: Sequence[Usable], act: Act) -> None:
        """Let at most CHUNK uploads in, with one trigger for all; what was let in stays so."""
        left = list(uploads)
        while left:
            try:
                transact(self._stores.state.client, self.writes(ref, left, act))
            except ConditionFailedError as error:  # somebody else was faster with these
                left = [usable for n, usable in enumerate(left) if n not in error.failed]
            else:
                return

    def writes(
        self, ref: str, uploads: Sequence[Usable], act: Act
    ) -> "list[TransactWriteItemTypeDef]":
        """Return the entry of each upload, in order, and then the trigger that follows."""
        entries = [_entry(ref, usable, act) for usable in uploads]
        rows = [usable.rows for usable in uploads]
        counted = [count for count in rows if count is not None]
        name = uploads[0].word.version.key.rpartition("/")[2]
        others = f" and {len(uploads) - 1:,} more" if len(uploads) > 1 else ""
        identity = hashlib.sha256(entries[0].key.encode()).hexdigest()[:16]
        trigger = Trigger(
            f"release-{identity}",
            "data",
            act.now,
            f"{act.by} released {name}{others}: {act.why}",
            sum(counted) if len(counted) == len(rows) else None,
        )
        return [
            *map(self._stores.ledger.put, entries),
            self._stores.triggers.put(ref, trigger),
        ]

    def follow_up(self, ref: str, versions: Sequence[ObjectVersion]) -> None:
        """Tag what was let in, and have the trigger decided."""
        for version in versions:
            self._lake.tag(version, **{"tidemill:verdict": "accept"})
        project, _, model = ref.partition("/")
        self._triggers.send({"project": project, "model": model})

    def _usable(self, spec: Spec, word: LastWord) -> Usable:
        version = word.version
        opened = self._lake.open(
            version.bucket, version.key, version.version_id, version.sequencer, SAMPLE_BYTES
        )
        if opened is None:
            raise NotFoundError(
                f"{version.key} in version {version.version_id} was deleted for good: there is "
                "nothing to release; upload the file again"
            )
        (text,) = self.facts_of(spec.ref, [word])
        facts = json.loads(text) if text is not None else None
        if facts is None or not _is_read_alike(facts["read_as"], spec):
            finding = preflight(self._lake, spec, *opened)
            if finding is not None:
                raise _unreadable(version.key, finding.reason, finding.next_step)
            return Usable(word)
        if facts["status"] != "read":
            raise _unreadable(version.key, facts["reason"], facts["next_step"])
        names = {column["name"] for column in facts["columns"]}
        for role in ("target", "id", "timestamp"):
            name = getattr(spec.data, role)
            if name and name not in names:
                reason = f"there is no column '{name}', the {role}."
                raise _unreadable(version.key, reason, f"Add it, or correct data.{role}.")
        return Usable(word, facts["rows"], facts["sha256"])


def must_say_why(request: ReleaseUpload) -> None:
    """
    Refuse an act without a reason.

    Raises:
        InvalidInputError: It has none.
    """
    if not request.why.strip():
        raise InvalidInputError("this needs a reason, for those who come later: --why")


def _entry(ref: str, usable: Usable, act: Act) -> Any:
    """Return the entry that answers the last word, and so is written once."""
    word = usable.word
    rule = word.entry["facts"].get("rule") or "a rule without a name"
    verdict = Verdict("accept", f"released by {act.by} though it failed {rule}: {act.why}")
    entry = upload_entry(
        ref, word.version, verdict, max(act.now, word.at), delivery=word.facts.get("delivery")
    )
    facts = {
        **entry.facts,
        "released": True,
        "by": act.by,
        "rows": usable.rows,
        "sha256": usable.sha256 or None,
    }
    return replace(entry, key=f"{word.entry['entry']}#release", facts=facts)


def _is_read_alike(read_as: dict[str, Any], spec: Spec) -> bool:
    return (read_as["format"], read_as["timestamp"], tuple(read_as["exclude"])) == (
        spec.data.format,
        spec.data.timestamp,
        tuple(spec.data.exclude),
    )


def _unreadable(key: str, reason: str, next_step: str) -> InvalidInputError:
    return InvalidInputError(
        f"{key} cannot be read, and a release cannot change that: {reason} {next_step} "
        "Then upload it again."
    )
