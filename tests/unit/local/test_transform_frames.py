"""RecordIO and TFRecord: files are cut where their records end, and nowhere else."""

import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill_local.sagemaker.transform.records import DataError, Rules, batches

MAGIC = struct.pack("<I", 0xCED7230A)
PAYLOADS = st.lists(st.binary(max_size=20), max_size=8)


def part(flag, data):
    return MAGIC + struct.pack("<I", flag << 29 | len(data)) + data + bytes(-len(data) % 4)


def tfrecord(data):
    return struct.pack("<Q", len(data)) + b"crc1" + data + b"crc2"


KINDS = {"RecordIO": lambda data: part(0, data), "TFRecord": tfrecord}


def sent(content, kind, **rules):
    return list(batches(io.BytesIO(content), Rules(framed=kind, **rules)))


@pytest.mark.parametrize("kind", KINDS)
@given(payloads=PAYLOADS)
def test_alone_a_record_goes_without_its_frame(kind, payloads):
    content = b"".join(map(KINDS[kind], payloads))

    assert [batch.body for batch in sent(content, kind, single=True)] == payloads


@pytest.mark.parametrize("kind", KINDS)
@given(payloads=PAYLOADS, limit=st.integers(40, 90))
def test_several_go_as_they_are_and_lose_nothing(kind, payloads, limit):
    content = b"".join(map(KINDS[kind], payloads))
    found = sent(content, kind, max_bytes=limit)

    assert b"".join(batch.body for batch in found) == content
    assert all(len(batch.body) <= limit for batch in found)


def test_a_record_that_holds_the_magic_number_is_put_together_again():
    content = part(1, b"begins ") + part(2, b" goes on ") + part(3, b" ends") + part(0, b"next")

    first, second = sent(content, "RecordIO", single=True)

    assert first.body == b"begins " + MAGIC + b" goes on " + MAGIC + b" ends"
    assert second.body == b"next"


@pytest.mark.parametrize(
    ("kind", "content", "why"),
    [
        ("RecordIO", b"1,2\n3,4\n", "has no magic number"),
        ("RecordIO", part(0, b"whole")[:-3], "ends in the middle of a record"),
        ("RecordIO", part(1, b"the rest is missing"), "ends in the middle of a record"),
        ("RecordIO", b"1", "ends in the middle of a record"),
        ("TFRecord", tfrecord(b"whole")[:-1], "ends in the middle of a record"),
        ("TFRecord", b"nonsense in many words", "beyond the 100 allowed"),
        ("TFRecord", tfrecord(b"x" * 101), "Too much data|beyond the 100 allowed"),
    ],
)
def test_a_file_of_another_kind_is_not_cut_at_random(kind, content, why):
    with pytest.raises(DataError, match=why):
        sent(content, kind, max_bytes=100)
