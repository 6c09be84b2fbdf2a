"""Unpack gzip and Zstandard files into a bounded number of bytes."""

import gzip
import sys
import zlib
from pathlib import Path
from typing import Final

from tidemill_jobs.errors import ReadError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

CHUNK: Final = 1_048_576
RATIO: Final = 200  # text packs 3 to 30 times; a gigabyte of zeros 1,000 times and more
FREE: Final = 64 * 1_048_576  # bytes that any small file may unpack to
GZIP_MAGIC: Final = b"\x1f\x8b"
ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"
SKIPPABLE: Final = b"\x2a\x4d\x18"  # after one byte 0x50 to 0x5f: a frame without content
ENDINGS: Final = (".gz", ".zst")


def unpack(path: Path, name: str, most: int | None = None) -> Path:
    """
    Unpack a file whose name ends in .gz or .zst beside itself; any other is returned as it is.

    Raises:
        ReadError: It is not packed so, damaged, cut short, or unpacks to more than tables do, or
            than *most* bytes.
    """
    with path.open("rb") as file:
        head = file.read(4)
    if name.endswith(".gz"):
        if not head.startswith(GZIP_MAGIC):
            raise _not_packed("gzip", head)
        return _copy(path, gzip.open(path), "gzip", most)
    if name.endswith(".zst"):
        if head != ZSTD_MAGIC and head[1:] != SKIPPABLE:
            raise _not_packed("zstd", head)
        return _copy(path, zstd.open(path), "zstd", most)
    return path


def _copy(path: Path, source: gzip.GzipFile | zstd.ZstdFile, kind: str, most: int | None) -> Path:
    target = path.with_name(f"{path.name}.unpacked")
    limit = max(FREE, path.stat().st_size * RATIO)
    size = 0
    try:
        with source as packed, target.open("wb") as file:
            while chunk := packed.read(CHUNK):
                size += file.write(chunk)
                if most is not None and size > most:
                    raise ReadError(
                        f"the file unpacks to more than {most:,} bytes",
                        rule="too_large",
                        next_step="upload it in parts",
                    )
                if size > limit:
                    raise ReadError(
                        f"the file unpacks to more than {RATIO} times its size, which tables do "
                        "not",
                        rule="unpack_ratio",
                        next_step="upload it unpacked if it is meant to be so",
                    )
    except EOFError as exc:
        raise ReadError(
            f"the {kind} file ends too early",
            rule=f"corrupt_{kind}",
            next_step="pack and upload it again",
        ) from exc
    except (gzip.BadGzipFile, zlib.error, zstd.ZstdError) as exc:
        raise ReadError(
            f"the {kind} file is damaged ({exc})",
            rule=f"corrupt_{kind}",
            next_step="pack and upload it again",
        ) from exc
    return target


def _not_packed(kind: str, head: bytes) -> ReadError:
    return ReadError(
        f"the file's name says {kind}, but it begins with {head.hex(' ') or 'nothing'}",
        rule=f"not_{kind}",
        next_step=f"upload it under its own name, or pack it with {kind}",
    )
