"""Preflight sees two ends and the reader all: what the one refuses the other must not read."""

import csv
import gzip
import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidemill.domain.finding import Finding
from tidemill.domain.preflight import SAMPLE_BYTES, Sample, inspect
from tidemill.spec.compiled import Data
from tidemill_jobs import reader
from tidemill_jobs.errors import ReadError
from tidemill_jobs.packed import zstd

NAMES = ("a", "b", "late")
#: Preflight knows the spec's columns, the reader does not.
OF_THE_SPEC = {"target_missing"}
cells = st.none() | st.text(st.characters(codec="utf-8"), max_size=6) | st.integers()
rows = st.lists(st.tuples(cells, cells, cells), min_size=1, max_size=6)
junk = st.sampled_from(
    [b"", b",", b"\t", b'"', b"\n", b"\r", b"\xff", b"\0", b"{", b"}", b"[", b":"]
)


def separated(table, delimiter):
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter).writerows([NAMES, *table])
    return text.getvalue().encode()


def written(table, form):
    if form == "jsonl":
        objects = [dict(zip(NAMES, row, strict=True)) for row in table]
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in objects).encode()
    return separated(table, "," if form == "csv" else "\t")


PACKED = {"": bytes, ".gz": gzip.compress, ".zst": zstd.compress}


@settings(max_examples=300)
@given(
    table=rows,
    form=st.sampled_from(["csv", "tsv", "jsonl"]),
    packing=st.sampled_from(list(PACKED)),
    data=st.data(),
)
def test_what_preflight_refuses_the_reader_refuses(tmp_path_factory, table, form, packing, data):
    content = written(table, form)
    for _ in range(data.draw(st.integers(0, 2))):
        at = data.draw(st.integers(0, len(content)))
        content = content[:at] + data.draw(junk) + content[at + data.draw(st.integers(0, 2)) :]
    body = PACKED[packing](content)
    if data.draw(st.integers(0, 3)) == 0:
        body = body[: data.draw(st.integers(0, len(body)))]
    name = f"f.{form}{packing}"
    spec = Data(format=form, target="late", id=None, timestamp=None, exclude=())
    found = inspect(Sample(name, len(body), body[:SAMPLE_BYTES], body[-SAMPLE_BYTES:]), spec)
    if not isinstance(found, Finding) or found.rule in OF_THE_SPEC:
        return
    path = tmp_path_factory.mktemp("object") / "object"
    path.write_bytes(body)

    with pytest.raises(ReadError):
        reader.read(path, name, form)
