"""
What is small enough for a Lambda, judged by the bytes that its rows would take as plain text.

An estimate: it picks the cheaper place, and a Lambda that runs out all the same goes on as a job.
"""

from collections.abc import Iterable

from tidemill.domain.admission import ObjectVersion

MIB = 1_048_576

SMALL_BYTES = 256 * MIB
"""
What a data function of 3,008 MB takes on: Prepare of one CSV peaks at 7 times its size beside
90 MB of its own (measured with 64 and 256 MB), and reads 2 to 4 MB a second on one processor, so
that memory and Lambda's 15 minutes are both left with room.
"""

#: How much larger text of rows is than its file; tables of few distinct values compress better.
_GROWTH = {".gz": 8, ".zst": 8, ".parquet": 8}


def text_bytes(key: str, size: int) -> int:
    """
    Estimate how many bytes an upload's rows take as plain text.

    Args:
        key: Its ending says how it is compressed; `.csv`, `.tsv` and `.jsonl` are not.
        size: Bytes as stored.
    """
    ending = key[key.rfind(".") :].lower() if "." in key else ""
    return size * _GROWTH.get(ending, 1)


def total_text_bytes(versions: Iterable[ObjectVersion]) -> int:
    """Estimate how many bytes the rows of all these uploads take as plain text."""
    return sum(text_bytes(version.key, version.size) for version in versions)
