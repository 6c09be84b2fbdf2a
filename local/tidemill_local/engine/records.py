"""What must outlive a kill -9, one row per fact, written before the client hears of it."""

import json
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

_SCHEMA = """
CREATE TABLE IF NOT EXISTS record (
    store TEXT NOT NULL, parent TEXT NOT NULL, key TEXT NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (store, parent, key)
) WITHOUT ROWID
"""


class Records:
    """
    JSON documents by (store, parent, key), such as ("items", table id, "pk|sk").

    Writes are in SQLite's log when the call returns: a killed process loses none of them, since
    the system keeps the pages; only a power cut may take the last ones.

    Args:
        path: The database file; made if missing.
        encode: `default` of `json.dumps`, for bodies that hold more than JSON knows.
    """

    def __init__(self, path: Path, encode: Callable[[Any], Any] | None = None) -> None:
        self._encode = encode
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=NORMAL")
        self._connection.execute(_SCHEMA)

    def put(self, store: str, parent: str, key: str, body: Any) -> None:
        """Write one document, replacing what was there."""
        text = json.dumps(body, default=self._encode, separators=(",", ":"))
        self._run("INSERT OR REPLACE INTO record VALUES (?, ?, ?, ?)", (store, parent, key, text))

    def delete(self, store: str, parent: str, key: str) -> bool:
        """Forget one document; say whether it was there."""
        return bool(
            self._run(
                "DELETE FROM record WHERE store = ? AND parent = ? AND key = ?",
                (store, parent, key),
            )
        )

    def clear(self, store: str, parent: str) -> None:
        """Forget all documents of one parent."""
        self._run("DELETE FROM record WHERE store = ? AND parent = ?", (store, parent))

    def keep_parents(self, store: str, parents: set[str]) -> None:
        """Forget the documents of parents that are no more, such as dropped tables."""
        with self._lock:
            known = self._connection.execute(
                "SELECT DISTINCT parent FROM record WHERE store = ?", (store,)
            ).fetchall()
        for (parent,) in known:
            if parent not in parents:
                self.clear(store, parent)

    def replace(self, store: str, parent: str, bodies: dict[str, Any]) -> None:
        """Make *bodies* all that one parent has, at once."""
        rows = [
            (store, parent, key, json.dumps(body, default=self._encode, separators=(",", ":")))
            for key, body in bodies.items()
        ]
        with self._lock:
            self._connection.execute("BEGIN")
            try:
                self._connection.execute(
                    "DELETE FROM record WHERE store = ? AND parent = ?", (store, parent)
                )
                self._connection.executemany("INSERT INTO record VALUES (?, ?, ?, ?)", rows)
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def rows(self, store: str, parent: str | None = None) -> Iterator[tuple[str, str, Any]]:
        """Yield (parent, key, body) of a store, or of one of its parents, in key order."""
        query = "SELECT parent, key, body FROM record WHERE store = ?"
        values: tuple[str, ...] = (store,)
        if parent is not None:
            query, values = f"{query} AND parent = ?", (store, parent)
        with self._lock:
            found = self._connection.execute(f"{query} ORDER BY parent, key", values).fetchall()
        for where, key, body in found:
            yield where, key, json.loads(body)

    def close(self) -> None:
        """Close the database; what was written stays."""
        with self._lock:
            self._connection.close()

    def _run(self, statement: str, values: tuple[str, ...]) -> int:
        """Return how many rows it changed."""
        with self._lock:
            return self._connection.execute(statement, values).rowcount
