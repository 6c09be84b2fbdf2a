"""
Look at the first and last bytes of an upload before anything reads it whole.

Readers guess, and guess silently: a short row becomes nulls, a semicolon one wide column, UTF-16
a garbage header. So nothing is guessed here either: what is not plainly a table of the spec's
format is refused with the rule, what was found, and what to do.
"""

import codecs
from dataclasses import dataclass
from typing import Final

from tidemill.domain import column_names, csv_head, jsonl_head, zstd_head
from tidemill.domain.finding import Finding, NeedMore, shown
from tidemill.domain.gzip_head import Content, unpack
from tidemill.domain.parquet_footer import Column, ParquetError, read_footer
from tidemill.domain.signatures import (
    GZIP,
    JSON,
    PARQUET,
    PARQUET_ENCRYPTED,
    identify,
    wide_encoding,
)
from tidemill.spec.compiled import Data, Format

__all__ = ["SAMPLE_BYTES", "Finding", "NeedMore", "Sample", "inspect", "looked_at", "reads_tail"]

SAMPLE_BYTES: Final = 64 * 2**10
"""How much of an object's beginning and end the caller reads; objects that fit are judged whole."""

_PARQUETS = (PARQUET, PARQUET_ENCRYPTED)
_SHOWN_BYTES = 8
_NO_TABLE = ("target_missing", "header_too_long", "unbalanced_quote", "line_endings")


@dataclass(frozen=True, slots=True)
class Sample:
    """The two ends of an object version as stored; the two overlap when it is short."""

    key: str
    size: int  # bytes
    head: bytes  # its first SAMPLE_BYTES
    tail: bytes  # its last SAMPLE_BYTES, or as many as NeedMore asked for


def reads_tail(head: bytes) -> bool:
    """Say whether the decision on an object that begins with *head* needs its end, too."""
    return head.startswith((GZIP, *_PARQUETS))


def inspect(sample: Sample, data: Data) -> Finding | NeedMore | None:
    """
    Judge an upload by its two ends.

    Returns:
        None when nothing speaks against reading it, the first rule broken, or how many last bytes
        the decision needs (only for Parquet with a long footer). Whatever the bytes, nothing is
        raised.
    """
    head = sample.head[:SAMPLE_BYTES]
    if not sample.size or not head:
        return Finding(
            "empty",
            "The file is empty (0 bytes).",
            "Export the table again and upload it once it holds data.",
        )
    finding = _misnamed(sample.key, head)
    if finding is not None:
        return finding
    if zstd_head.is_zstd(head):
        return zstd_head.judge(head, sample.size)
    content = _opened(sample, head)
    if isinstance(content, Finding):
        return content
    if data.format == "parquet":
        return _parquet(sample, content, data, packed=head.startswith(GZIP))
    if not content.head:
        return Finding(
            "empty",
            "The file is gzip and unpacks to nothing.",
            "Pack the table again and upload it once it holds data.",
        )
    return _lines(content, data) if data.format == "jsonl" else _separated(content, data)


def looked_at(key: str, form: Format) -> str:
    """Say, as a clause, what `inspect` has seen of an upload in which it finds nothing wrong."""
    if key.endswith(".zst"):
        return "packed with Zstandard: its content is read at check"
    if form == "parquet" and key.endswith(".gz"):
        return "Parquet packed with gzip: its content is read at check"
    return f"the first {SAMPLE_BYTES // 1024} KiB look as they should"


def _misnamed(key: str, head: bytes) -> Finding | None:
    """Hold the name's ending against the bytes: what is packed is unpacked by its name."""
    packed = {"gzip": head.startswith(GZIP), "zstd": zstd_head.is_zstd(head)}
    for name, ending in _ENDINGS.items():
        if key.endswith(ending) and not packed[name]:
            kind = identify(head)
            return Finding(
                f"not_{name}",
                f"The file's name ends with {ending}, but it is "
                f"{kind.name if kind else f'no {_PACKERS[name]}'}: "
                f"it begins with {_hex(head)} where {_PACKERS[name]} has {_BEGINS[name]}.",
                f"Upload it under its own name, or pack it with {_PACKERS[name]}.",
            )
    for name, is_packed in packed.items():
        ending = _ENDINGS[name]
        if is_packed and not key.endswith(ending):
            return Finding(
                f"{name}_without_suffix",
                f"The file is {_PACKERS[name]}, but its name does not end with {ending}, "
                "so it would not be unpacked.",
                f"Upload it under a name that ends with {ending}, or unpacked.",
            )
    return None


_ENDINGS = {"gzip": ".gz", "zstd": ".zst"}
_PACKERS = {"gzip": "gzip", "zstd": "Zstandard"}
_BEGINS = {"gzip": GZIP.hex(" "), "zstd": zstd_head.MAGIC.hex(" ")}


def _opened(sample: Sample, head: bytes) -> Content | Finding:
    if head.startswith(GZIP):
        return unpack(head, sample.tail, sample.size, SAMPLE_BYTES)
    return Content(head, whole=len(head) >= sample.size)


def _separated(content: Content, data: Data) -> Finding | None:
    text = _text(content, data)
    if isinstance(text, Finding):
        return _foreign(content.head, data) or text
    finding = csv_head.judge(text, data, whole=content.whole)
    if finding is not None and finding.rule in _NO_TABLE:
        return _foreign(content.head, data) or finding
    return finding


def _lines(content: Content, data: Data) -> Finding | None:
    text = _text(content, data)
    if isinstance(text, Finding):
        return _foreign(content.head, data) or text
    if text.strip() and not text.lstrip().startswith(("{", "[")):
        return _foreign(content.head, data) or _mismatch(_some_text(text), data)
    return jsonl_head.judge(text, data, whole=content.whole)


def _some_text(text: str) -> str:
    first = next(iter(text.splitlines()), "")
    return f"text (its first line is {shown(first)})"


def _text(content: Content, data: Data) -> str | Finding:
    head = content.head
    wide = wide_encoding(head)
    if wide is not None:
        return Finding(
            "wide_encoding",
            f"The file's text is encoded as {wide}; UTF-8 is read.",
            "Save or export it as UTF-8 (in Excel: CSV UTF-8), and upload again.",
        )
    if b"\0" in head:
        at = head.index(b"\0")
        return Finding(
            "nul_bytes",
            f"Byte {at + 1} of the file is NUL, which no text holds, "
            "so it is a binary file or a damaged one.",
            f"Export the table again as {_FORMATS[data.format]}, "
            "and look whether its last copy was cut short.",
        )
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head, final=content.whole)
    except UnicodeDecodeError as error:
        return _misencoded(head, error.start)
    return text.removeprefix("\ufeff")


def _misencoded(head: bytes, at: int) -> Finding:
    byte = head[at : at + 1]
    guess = byte.decode("cp1252", "replace")
    likely = f" (in Windows-1252 it would be {shown(guess)})" if guess.isalpha() else ""
    line = head.count(b"\n", 0, at) + 1
    return Finding(
        "bad_encoding",
        f"Line {line} is not UTF-8: byte {at + 1} of the file is 0x{byte.hex()}{likely}.",
        "Save or export the file as UTF-8, and upload again.",
        row=line,
    )


def _foreign(head: bytes, data: Data) -> Finding | None:
    if head.startswith(_PARQUETS):
        return _mismatch("Parquet", data)
    kind = identify(head)
    if kind is None or (kind is JSON and data.format == "jsonl"):
        return None
    return Finding("not_a_table", f"The file is {kind.name}, not a table.", kind.next_step)


def _mismatch(found: str, data: Data) -> Finding:
    return Finding(
        "format_mismatch",
        f"The file holds {found}, and the spec expects {_FORMATS[data.format]}.",
        f"Upload {_FORMATS[data.format]}, or change data.format in model.yaml "
        "if all uploads of this model are otherwise.",
    )


_FORMATS = {
    "csv": "CSV",
    "tsv": "TSV (tab-separated text)",
    "parquet": "Parquet",
    "jsonl": "JSON Lines",
}


def _parquet(
    sample: Sample, content: Content, data: Data, *, packed: bool
) -> Finding | NeedMore | None:
    if not content.head.startswith(_PARQUETS):
        return _not_parquet(content, data)
    if packed:
        return None  # its footer is at the end of what only unpacking shows
    try:
        footer = read_footer(sample.tail, sample.size)
    except ParquetError as error:
        return Finding(
            error.rule,
            f"The file begins as Parquet, but {error}.",
            _PARQUET_STEPS[error.rule],
        )
    if isinstance(footer, NeedMore):
        return footer
    finding = column_names.judge([column.name for column in footer.columns], data)
    return finding or _nested(footer.columns, data) or _rows(footer.rows)


_PARQUET_STEPS = {
    "truncated_parquet": "Upload the file again, and only when its writer has closed it.",
    "damaged_parquet": "Write the file again, check that a reader opens it, and upload it.",
    "encrypted_parquet": "Upload it without Parquet encryption; the bucket encrypts it at rest.",
    "parquet_footer_too_large": "Write it with fewer, larger row groups, or as several files.",
}


def _not_parquet(content: Content, data: Data) -> Finding:
    foreign = _foreign(content.head, data)
    if foreign is not None:
        return foreign
    text = _text(content, data)
    if isinstance(text, str):
        return _mismatch(_some_text(text), data)
    return _mismatch(f"something else (it begins with {_hex(content.head)}, not with PAR1)", data)


def _nested(columns: tuple[Column, ...], data: Data) -> Finding | None:
    roles = {data.target: "target", data.id: "id", data.timestamp: "timestamp"}
    column = next((column for column in columns if column.nested and column.name in roles), None)
    if column is None:
        return None
    return Finding(
        "nested_column",
        f"The column {shown(column.name)}, the spec's {roles[column.name]}, "
        "holds lists or structs instead of one value per row.",
        "Write the value itself into a column of its own, and upload again.",
        column=column.name,
    )


def _rows(rows: int) -> Finding | None:
    if rows:
        return None
    return Finding(
        "header_only",
        "The file has columns and no rows.",
        "Export the table again, and upload it when it has rows.",
    )


def _hex(head: bytes) -> str:
    return head[:_SHOWN_BYTES].hex(" ")
