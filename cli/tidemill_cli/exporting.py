"""Exporting ledgers: a file per model and month, the same bytes each time it is written whole."""

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tidemill.adapters.chain import Chain
from tidemill.adapters.items import unmarshal
from tidemill.domain.chain import canonical, digest
from tidemill.times import seconds
from tidemill_cli.failures import MalformedError

#: A month is whole when it has been over for so long: clocks differ, and writes take their time.
SETTLED_SECONDS = 3600.0
_NOTES, _LINKS = "export.json", "links.jsonl"
_COLUMNS = (
    "model", "entry", "at", "kind", "subject", "verdict", "reason", "facts", "expires", "sha256",
)  # fmt: skip
_BLOCK = 1 << 20


class Export:
    """
    Writes `<folder>/<project>/<model>/<yyyy-mm>.<kind>`, `links.jsonl` and `export.json` there.

    `export.json` says of each file how many entries it has, its sha256, and whether its month was
    over when it was written; such a file is not written again.
    """

    def __init__(self, chain: Chain, folder: Path, kind: str) -> None:
        if kind == "parquet":
            _polars()  # before anything is read
        self._chain = chain
        self._folder = folder
        self._kind = kind

    def write(self, model: str, now: float) -> Iterator[dict[str, Any]]:
        """
        Write what is not there yet of *model*, at *now* (seconds since 1970).

        Yields:
            For each month its file, its entries, and whether it was written now.
        """
        place = self._folder / model
        oldest = self._chain.made_between(model, 0.0, now + SETTLED_SECONDS, 1)
        if not oldest:
            return
        place.mkdir(parents=True, exist_ok=True)
        notes = _noted(place)
        for month, after in _months(seconds(oldest[0][1]), now):
            path = place / f"{month}.{self._kind}"
            held = notes.get(path.name)
            if held and held["complete"] and path.exists():
                yield _row(model, path, held, written=False)
                continue
            count = self._write_month(model, month, path)
            if count == 0:
                continue
            notes[path.name] = {
                "entries": count,
                "sha256": _sha256(path),
                "complete": now > after + SETTLED_SECONDS,
            }
            _replace(place / _NOTES, json.dumps(notes, indent=2, sort_keys=True) + "\n")
            yield _row(model, path, notes[path.name], written=True)
        links = self._chain.items(model, links=True)
        _replace(place / _LINKS, "".join(f"{canonical(item)}\n" for item in links))

    def _write_month(self, model: str, month: str, path: Path) -> int:
        lines = path.with_name(f"{path.name}.part")
        count = 0
        with lines.open("w", encoding="utf-8") as out:
            for item in self._chain.of_month(model, month):
                out.write(json.dumps(_plain(item), ensure_ascii=False, separators=(",", ":")))
                out.write("\n")
                count += 1
        if count and self._kind == "parquet":
            packed = path.with_name(f"{path.name}.packed")
            _pack(lines, packed)
            packed.replace(path)
            lines.unlink()
        elif count:
            lines.replace(path)
        else:
            lines.unlink()
        return count


def _plain(item: dict[str, Any]) -> dict[str, Any]:
    held = unmarshal(item)
    facts = json.dumps(held.get("facts", {}), ensure_ascii=False, sort_keys=True, default=sorted)
    at = str(held.get("at", "")).partition("#")[0]
    plain = {**held, "at": at, "facts": facts, "sha256": digest(item)}
    return {name: plain.get(name) for name in _COLUMNS}


def _pack(lines: Path, packed: Path) -> None:
    """Turn lines of JSON into Parquet, in pieces: a month need not fit into memory."""
    polars = _polars()
    kinds = {name: polars.Int64 if name == "expires" else polars.String for name in _COLUMNS}
    time = polars.col("at").str.to_datetime("%Y-%m-%dT%H:%M:%S%.3fZ", time_unit="ms")
    frame = polars.scan_ndjson(lines, schema=kinds)
    frame.with_columns(time.dt.replace_time_zone("UTC")).sink_parquet(packed, compression="zstd")


def _polars() -> Any:
    try:
        import polars as pl  # noqa: PLC0415  # large, and not everybody's
    except ImportError:
        raise MalformedError(
            "Parquet needs polars, which is not installed here: pip install 'tidemill[jobs]', "
            "or write lines of JSON with --format jsonl"
        ) from None
    return pl


def _months(first: float, last: float) -> Iterator[tuple[str, float]]:
    """Yield `2026-11` and when it is over (seconds since 1970), from *first* to *last*."""
    moment = datetime.fromtimestamp(first, UTC)
    year, month = moment.year, moment.month
    while (began := datetime(year, month, 1, tzinfo=UTC)).timestamp() <= last + SETTLED_SECONDS:
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)  # noqa: PLR2004  # of a year
        yield f"{began:%Y-%m}", datetime(year, month, 1, tzinfo=UTC).timestamp()


def _noted(place: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads((place / _NOTES).read_text())
    except (OSError, ValueError):
        return {}
    return found


def _replace(path: Path, text: str) -> None:
    part = path.with_name(f"{path.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def _sha256(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            found.update(block)
    return found.hexdigest()


def _row(model: str, path: Path, noted: dict[str, Any], *, written: bool) -> dict[str, Any]:
    return {
        "model": model,
        "file": str(path),
        "entries": noted["entries"],
        "sha256": noted["sha256"],
        "complete": noted["complete"],
        "written": written,
    }
