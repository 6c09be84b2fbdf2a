"""What the local SageMaker remembers: records and tags in one SQLite file that survives kill -9."""

import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

Body = dict[str, Any]
Tag = dict[str, str]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS records (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    arn TEXT,
    body TEXT NOT NULL,
    UNIQUE (kind, name)
);
CREATE INDEX IF NOT EXISTS records_by_arn ON records (arn);
CREATE TABLE IF NOT EXISTS tags (arn TEXT PRIMARY KEY, body TEXT NOT NULL);
"""


def without_tags(request: Body) -> Body:
    """Return what of a request goes into a record's body: tags are kept beside it."""
    return {field: value for field, value in request.items() if field != "Tags"}


class DuplicateRecordError(Exception):
    """A record of this kind and name exists already."""

    def __init__(self, kind: str, name: str, body: Body) -> None:
        super().__init__(f"{kind} {name!r} exists already")
        self.body = body


class MissingRecordError(Exception):
    """No record of this kind and name exists."""

    def __init__(self, kind: str, name: str) -> None:
        super().__init__(f"there is no {kind} {name!r}")


class Store:
    """
    Records keyed by kind and name, whose bodies are JSON documents in the API's own shape.

    A kind is the resource's name in the API (`TrainingJob`, `Endpoint`), so that its ARN is found
    in the body under `<kind>Arn`. Keys that the API does not know may ride along: answers are
    shaped by the service model, which drops them. Times are epoch seconds.

    Every write is one transaction and durable when the call returns (WAL, synchronous=FULL).
    Safe to use from any thread.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._changed = threading.Condition(threading.RLock())
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.execute("PRAGMA busy_timeout=5000")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file; further calls fail."""
        with self._changed:
            self._db.close()

    def insert(self, kind: str, name: str, body: Body, tags: Iterable[Tag] = ()) -> Body:
        """
        Add a record; CreationTime and LastModifiedTime are set unless *body* brings them.

        Raises:
            DuplicateRecordError: The name is taken; the record that holds it is in `.body`.
        """
        now = time.time()
        body = {"CreationTime": now, "LastModifiedTime": now} | body
        arn = _arn(kind, body)
        with self._writing():
            existing = self.get(kind, name)
            if existing is not None:
                raise DuplicateRecordError(kind, name, existing)
            self._db.execute(
                "INSERT INTO records (kind, name, arn, body) VALUES (?, ?, ?, ?)",
                (kind, name, arn, json.dumps(body)),
            )
            if arn is not None:
                self._write_tags(arn, {tag["Key"]: tag["Value"] for tag in tags})
        return body

    def get(self, kind: str, name: str) -> Body | None:
        """Return a copy of the record's body, or None."""
        with self._changed:
            row = self._db.execute(
                "SELECT body FROM records WHERE kind = ? AND name = ?", (kind, name)
            ).fetchone()
        return None if row is None else cast("Body", json.loads(row[0]))

    def update(self, kind: str, name: str, **changes: Any) -> Body:
        """
        Set fields and LastModifiedTime, and return the new body; a field set to None is removed.

        Raises:
            MissingRecordError: No such record.
        """
        return self.edit(kind, name, lambda body: body.update(changes))

    def edit(self, kind: str, name: str, change: Callable[[Body], None]) -> Body:
        """
        Let *change* alter the body in place, in one transaction; what it raises undoes everything.

        This is how a write is made conditional: look at the body, raise when it is not as expected.

        Raises:
            MissingRecordError: No such record.
        """
        with self._writing():
            body = self._existing(kind, name)
            body["LastModifiedTime"] = time.time()
            change(body)
            body = {field: value for field, value in body.items() if value is not None}
            self._db.execute(
                "UPDATE records SET body = ? WHERE kind = ? AND name = ?",
                (json.dumps(body), kind, name),
            )
        return body

    def delete(self, kind: str, name: str) -> None:
        """
        Remove the record and its tags.

        Raises:
            MissingRecordError: No such record.
        """
        with self._writing():
            body = self._existing(kind, name)
            self._db.execute("DELETE FROM records WHERE kind = ? AND name = ?", (kind, name))
            arn = _arn(kind, body)
            if arn is not None:
                self._write_tags(arn, {})

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make the writes of a block one: all of them are kept, or none when it raises."""
        with self._writing():
            yield

    def delete_all(self, kind: str) -> None:
        """Remove every record of a kind without ARNs; none is no error."""
        with self._writing():
            self._db.execute("DELETE FROM records WHERE kind = ?", (kind,))

    def named_rows(self, kind: str) -> list[tuple[str, Body]]:
        """Return name and body of every record of a kind, oldest first."""
        with self._changed:
            found = self._db.execute(
                "SELECT name, body FROM records WHERE kind = ? ORDER BY sequence", (kind,)
            ).fetchall()
        return [(name, json.loads(body)) for name, body in found]

    def rows(self, kind: str) -> list[Body]:
        """Return every body of a kind, oldest first."""
        with self._changed:
            found = self._db.execute(
                "SELECT body FROM records WHERE kind = ? ORDER BY sequence", (kind,)
            ).fetchall()
        return [json.loads(row[0]) for row in found]

    def find_arn(self, arn: str) -> tuple[str, str] | None:
        """Return kind and name of the record with this ARN (any letter case), or None."""
        with self._changed:
            row = self._db.execute(
                "SELECT kind, name FROM records WHERE arn = ?", (arn.lower(),)
            ).fetchone()
        return None if row is None else (row[0], row[1])

    def wait_for(
        self, kind: str, name: str, ready: Callable[[Body | None], bool], timeout: float
    ) -> Body | None:
        """
        Wait until *ready* holds of the record, or *timeout* seconds; return the body as it is then.

        A deleted or missing record is None, both to *ready* and to the caller.
        """
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                body = self.get(kind, name)
                left = deadline - time.monotonic()
                if ready(body) or left <= 0:
                    return body
                self._changed.wait(left)

    def tags(self, arn: str) -> list[Tag]:
        """Return the tags in the API's shape, sorted by key."""
        return [{"Key": key, "Value": value} for key, value in sorted(self.tag_map(arn).items())]

    def tag_map(self, arn: str) -> dict[str, str]:
        """Return the tags as events carry them: a map from key to value."""
        with self._changed:
            row = self._db.execute("SELECT body FROM tags WHERE arn = ?", (arn.lower(),)).fetchone()
        return {} if row is None else cast("dict[str, str]", json.loads(row[0]))

    def add_tags(self, arn: str, tags: Iterable[Tag]) -> list[Tag]:
        """Add tags, or replace those of the same key; return all of them."""
        with self._writing():
            added = {tag["Key"]: tag["Value"] for tag in tags}
            self._write_tags(arn, self.tag_map(arn) | added)
        return self.tags(arn)

    def remove_tags(self, arn: str, keys: Iterable[str]) -> None:
        """Remove the tags of these keys; a key that is not there does no harm."""
        with self._writing():
            gone = set(keys)
            kept = {key: value for key, value in self.tag_map(arn).items() if key not in gone}
            self._write_tags(arn, kept)

    def _existing(self, kind: str, name: str) -> Body:
        body = self.get(kind, name)
        if body is None:
            raise MissingRecordError(kind, name)
        return body

    def _write_tags(self, arn: str, tags: dict[str, str]) -> None:
        if tags:
            self._db.execute(
                "INSERT OR REPLACE INTO tags (arn, body) VALUES (?, ?)",
                (arn.lower(), json.dumps(tags)),
            )
        else:
            self._db.execute("DELETE FROM tags WHERE arn = ?", (arn.lower(),))

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """One transaction by one thread; those who wait for a record wake when it commits."""
        with self._changed:
            if self._db.in_transaction:  # an edit that writes elsewhere belongs to the outer one
                yield
                return
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")
            self._changed.notify_all()


def _arn(kind: str, body: Body) -> str | None:
    """ARNs are looked up in lower case: some operations return them so, callers keep either."""
    arn = body.get(f"{kind}Arn")
    return arn.lower() if isinstance(arn, str) else None
