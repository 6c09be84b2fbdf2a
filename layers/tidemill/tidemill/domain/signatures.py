"""Tell by the first bytes what a file is, when it is no table of ours."""

import codecs
from dataclasses import dataclass
from typing import Final

GZIP: Final = b"\x1f\x8b"
PARQUET: Final = b"PAR1"
PARQUET_ENCRYPTED: Final = b"PARE"

_SHEET = "Save the sheet as CSV (UTF-8, comma-separated) and upload that."
_ARCHIVE = "Unpack it and upload each table on its own; only gzip and Zstandard are read packed."
_EXPORT = "Export the table in the spec's format (data.format in model.yaml) and upload that."
_STRAY = "Upload the table itself; this file is best kept outside the model's prefix."


@dataclass(frozen=True, slots=True)
class Kind:
    """What a file is, with its article, and what its owner may do about it."""

    name: str
    next_step: str


# (offset, bytes, kind); the first match wins, so the narrower come first
_SIGNATURES: Final = (
    (0, b"\x89PNG\r\n\x1a\n", Kind("a PNG image", _STRAY)),
    (0, b"\xff\xd8\xff", Kind("a JPEG image", _STRAY)),
    (0, b"GIF8", Kind("a GIF image", _STRAY)),
    (0, b"%PDF-", Kind("a PDF document", _STRAY)),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Kind("an old Excel or Word document", _SHEET)),
    (0, b"BZh", Kind("a bzip2 archive", _ARCHIVE)),
    (0, b"\xfd7zXZ\0", Kind("an xz archive", _ARCHIVE)),
    (0, b"\x28\xb5\x2f\xfd", Kind("a Zstandard archive", _ARCHIVE)),
    (0, b"\x04\x22\x4d\x18", Kind("an LZ4 archive", _ARCHIVE)),
    (0, b"\xff\x06\0\0sNaPpY", Kind("a Snappy archive", _ARCHIVE)),
    (0, b"7z\xbc\xaf\x27\x1c", Kind("a 7-Zip archive", _ARCHIVE)),
    (0, b"Rar!\x1a\x07", Kind("a RAR archive", _ARCHIVE)),
    (257, b"ustar", Kind("a tar archive", _ARCHIVE)),
    (0, GZIP, Kind("gzip", _ARCHIVE)),
    (0, PARQUET, Kind("Parquet", _EXPORT)),
    (0, PARQUET_ENCRYPTED, Kind("encrypted Parquet", _EXPORT)),
    (0, b"ORC", Kind("an ORC file", _EXPORT)),
    (0, b"Obj\x01", Kind("an Avro file", _EXPORT)),
    (0, b"ARROW1", Kind("an Arrow file", _EXPORT)),
    (0, b"FEA1", Kind("a Feather file", _EXPORT)),
    (0, b"SQLite format 3\0", Kind("an SQLite database", _EXPORT)),
    (0, b"\x89HDF\r\n\x1a\n", Kind("an HDF5 file", _EXPORT)),
    (0, b"\x93NUMPY", Kind("a NumPy array", _EXPORT)),
    (0, b"\x7fELF", Kind("a program", _STRAY)),
)
JSON: Final = Kind("JSON", _EXPORT)
_ZIPS = (b"PK\x03\x04", b"PK\x05\x06")
_WORKBOOK_PARTS = (b"xl/", b"[Content_Types].xml")
_MARKUP = (b"<!", b"<?", b"<h", b"<H")

_BOMS: Final = (  # UTF-32's begins with UTF-16's
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)
_WIDE: Final = (
    ("utf-32-le", "UTF-32"),
    ("utf-32-be", "UTF-32"),
    ("utf-16-le", "UTF-16"),
    ("utf-16-be", "UTF-16"),
)
# Commas, digits and line ends make up more than this of any table, in every script; a stray NUL
# in UTF-8 text, read as UTF-16, gives far less.
_ASCII_SHARE = 0.2


def identify(head: bytes) -> Kind | None:
    """
    Name what *head* begins.

    Some signatures are plain letters that a CSV header may begin with too: ask only about bytes
    that are no text, or about text that failed as a table.
    """
    if head.startswith(_ZIPS):
        if any(part in head for part in _WORKBOOK_PARTS):
            return Kind("an Excel workbook or another Office document", _SHEET)
        return Kind("a zip archive", _ARCHIVE)
    for offset, magic, kind in _SIGNATURES:
        if head.startswith(magic, offset):
            return kind
    text = head.removeprefix(codecs.BOM_UTF8).lstrip()
    if text.startswith((b"{", b"[")):
        return JSON
    if text.startswith(_MARKUP):
        return Kind("an HTML or XML document", _EXPORT)
    return None


def wide_encoding(head: bytes) -> str | None:
    """Return `UTF-16` or `UTF-32` for text so encoded, with a byte order mark or without one."""
    for bom, name in _BOMS:
        if head.startswith(bom):
            return name
    if b"\0" not in head:
        return None
    return next((name for codec, name in _WIDE if _reads_as(codec, head)), None)


def _reads_as(codec: str, head: bytes) -> bool:
    try:
        text = codecs.getincrementaldecoder(codec)().decode(head)
    except UnicodeDecodeError:
        return False
    plain = sum(char.isascii() for char in text)
    return (
        plain > _ASCII_SHARE * len(text)
        and "".join(text.split()).isprintable()  # a NUL or another control character is not
    )
