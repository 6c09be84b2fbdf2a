"""Split, filter, join, assemble: nothing of a file is lost or out of order on the way."""

import csv
import io
import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill_local.sagemaker.transform.filters import Filter
from tidemill_local.sagemaker.transform.records import (
    CSV,
    JSON,
    JSON_LINES,
    DataError,
    Rules,
    batches,
    result,
)

LINES = st.lists(st.binary(max_size=12).map(lambda b: b.replace(b"\n", b" ")), max_size=20)
FIELDS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=5)
SCALARS = st.none() | st.booleans() | st.integers() | FIELDS


def sent(content, rules):
    return list(batches(io.BytesIO(content), rules))


def transformed(content, rules, model):
    return b"".join(result(batch, model(batch.body), rules) for batch in sent(content, rules))


@given(LINES, st.booleans(), st.integers(12, 60))
def test_multi_record_requests_laid_end_to_end_are_the_file(lines, ended, limit):
    content = b"\n".join(lines) + (b"\n" if ended else b"")
    found = sent(content, Rules(by_line=True, max_bytes=limit))

    assert b"".join(batch.body for batch in found) == content
    assert all(len(batch.body.removesuffix(b"\n")) <= limit for batch in found)
    assert b"".join(line for batch in found for line in batch.records) == content


@given(LINES, st.integers(12, 60))
def test_requests_are_as_full_as_they_may_be(lines, limit):
    found = sent(b"\n".join(lines), Rules(by_line=True, max_bytes=limit))

    for batch, following in pairwise(found):
        more = batch.body + following.records[0].removesuffix(b"\n")
        assert len(more) > limit


@given(LINES, st.booleans())
def test_single_records_are_the_lines(lines, ended):
    lines = [line.rstrip(b"\r") for line in lines]
    content = b"".join(line + b"\n" for line in lines)
    if not ended and lines and lines[-1]:
        content = content.removesuffix(b"\n")

    assert [batch.body for batch in sent(content, Rules(by_line=True, single=True))] == lines


@given(LINES, st.booleans(), st.integers(12, 60))
def test_an_echo_gives_the_file_back(lines, single, limit):
    content = b"".join(line.replace(b"\r", b" ") + b"\n" for line in lines)
    rules = Rules(by_line=True, single=single, max_bytes=limit, end_lines=True)

    assert transformed(content, rules, lambda body: body) == content


@given(
    st.lists(st.lists(FIELDS, min_size=1, max_size=4), max_size=12), st.booleans(), st.booleans()
)
def test_each_row_of_csv_is_joined_with_its_own_answer(rows, single, ended):
    rows = [[str(number), *row] for number, row in enumerate(rows)]
    content = b"".join(csv_line(row) for row in rows)
    rules = Rules(
        by_line=True,
        single=single,
        max_bytes=200,
        end_lines=True,
        join=True,
        given=Filter("$[0]"),
        media_type=CSV,
    )

    def model(body):  # twice the number, which is all that it gets
        answers = [str(2 * int(line)) for line in body.decode().splitlines()]
        return ("\n".join(answers) + ("\n" if ended else "")).encode()

    expected = b"".join(csv_line([*row, str(2 * int(row[0]))]) for row in rows)
    assert transformed(content, rules, model) == expected


@given(st.lists(st.dictionaries(FIELDS, SCALARS, max_size=3), max_size=10), st.booleans())
def test_each_json_line_is_joined_with_its_own_answer(records, single):
    records = [{**record, "n": number} for number, record in enumerate(records)]
    content = "".join(json.dumps(record) + "\n" for record in records).encode()
    rules = Rules(
        by_line=True,
        single=single,
        end_lines=True,
        join=True,
        given=Filter("$.n"),
        kept=Filter("$['n','SageMakerOutput']"),
        media_type=JSON_LINES,
    )

    def model(body):
        return b"\n".join(json.dumps({"of": int(n)}).encode() for n in body.split())

    stored = transformed(content, rules, model).splitlines()
    assert [json.loads(line) for line in stored] == [
        {"n": number, "SageMakerOutput": {"of": number}} for number in range(len(records))
    ]


def csv_line(row):
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(row)
    return text.getvalue().encode()


def test_a_json_document_is_one_record_of_many_lines():
    rules = Rules(join=True, media_type=JSON, kept=Filter("$['key','SageMakerOutput']"))
    (batch,) = sent(b'{\n "key": 1,\n "other": 2\n}', rules)

    stored = result(batch, b'{\n "label": 1\n}\n', rules)

    assert json.loads(stored) == {"key": 1, "SageMakerOutput": {"label": 1}}


def test_what_is_no_object_is_put_into_one():
    rules = Rules(by_line=True, end_lines=True, join=True, media_type=JSON_LINES)

    stored = transformed(b"[1,2]\n[3,4]\n", rules, lambda _: b"5\n6\n")

    assert [json.loads(line) for line in stored.splitlines()] == [
        {"SageMakerInput": [1, 2], "SageMakerOutput": 5},
        {"SageMakerInput": [3, 4], "SageMakerOutput": 6},
    ]


def test_a_file_that_is_not_split_is_one_request():
    content = b"a\nb\n"

    assert [batch.body for batch in sent(content, Rules(max_bytes=4))] == [content]
    assert [batch.body for batch in sent(b"", Rules(max_bytes=4))] == [b""]
    assert sent(b"", Rules(by_line=True)) == []


def test_answers_are_laid_end_to_end_unless_lines_are_asked_for():
    content = b"a\nb\n"

    def plain(body):
        return b"<" + body.strip() + b">"

    assert transformed(content, Rules(by_line=True, single=True), plain) == b"<a><b>"
    lines = Rules(by_line=True, single=True, end_lines=True)
    assert transformed(content, lines, plain) == b"<a>\n<b>\n"


@pytest.mark.parametrize(
    ("content", "rules"),
    [
        (b"12345", Rules(max_bytes=4)),
        (b"1234\n", Rules(max_bytes=4)),
        (b"123456789", Rules(max_bytes=4)),
        (b"1234\n12345\n", Rules(by_line=True, max_bytes=4)),
        (b"1" * 1000, Rules(by_line=True, max_bytes=4)),
        (b"1" * 1000, Rules(by_line=True, max_bytes=4, given=Filter("$[0]"), media_type=CSV)),
    ],
)
def test_a_record_that_is_too_large_is_refused(content, rules):
    with pytest.raises(DataError, match="Too much data for max payload size"):
        sent(content, rules)


def test_a_filter_may_make_a_record_small_enough():
    rules = Rules(by_line=True, max_bytes=4, given=Filter("$[0]"), media_type=CSV)

    assert [batch.body for batch in sent(b"1,23456\n2,34567\n", rules)] == [b"1\n2\n"]


@pytest.mark.parametrize(
    ("content", "answer", "media", "why"),
    [
        (b"1\n2\n", b"1\n", CSV, "answered 1 records to 2"),
        (b"1\n", b"1\n2\n", CSV, "answered 2 records to 1"),
        (b"1\n", b"", CSV, "answered 0 records to 1"),
        (b"{}\n", b"nonsense\n", JSON_LINES, "a record is not application/jsonlines"),
        (b"{\n", b"{}\n", JSON_LINES, "a record is not application/jsonlines"),
        (b"\xff\n", b"1\n", CSV, "a record is not text/csv"),
        (b'"1\n', b"1\n", CSV, "a record is not text/csv"),
    ],
)
def test_answers_that_cannot_be_joined_are_refused(content, answer, media, why):
    rules = Rules(by_line=True, join=True, end_lines=True, media_type=media)

    with pytest.raises(DataError, match=why):
        transformed(content, rules, lambda _: answer)
