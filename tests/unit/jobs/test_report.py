"""The page for a data owner: whole, plain, and not to be taken over by what a cell holds."""

import json

import pytest

from tidemill_jobs.contract.findings import Finding
from tidemill_jobs.contract.judge import Judgement
from tidemill_jobs.contract.report import Upload, to_html, to_json
from tidemill_jobs.contract.rows import BadRow, RowReport

from .html_page import Page

UPLOAD = Upload("s3://lake/raw/air/late/may.csv", "v1", "air/late", "2026-11-21T10:00:00Z", 4_200)
FINDING = Finding(
    "violation", "wrong_type", "Line 3: column 'wind' holds 'abc'.", "Correct the cell.",
    column="wind", row=3, value="abc", least=1, most=1, rows_help=True,
)  # fmt: skip


def judged(*findings, verdict="quarantine", rows=400):
    first = findings[0] if findings else None
    return Judgement(
        verdict=verdict,
        rule=first and first.rule,
        reason=first.reason if first else "The file keeps the contract: 400 rows.",
        next_step=first and first.next_step,
        row=first and first.row,
        column=first and first.column,
        rows=rows,
        bad_rows=0,
        findings=findings,
        found=len(findings),
    )


def report(*rows, rules=None, note=None):
    return RowReport(
        "line", len(rows), rules or {"wrong_type": len(rows)}, rows, note is None, note
    )


def test_the_page_says_what_which_where_and_what_next():
    bad = BadRow(3, "wrong_type", "wind", "abc", "f1,abc,Oslo", (3, 6))
    html = to_html(UPLOAD, judged(FINDING), report(bad))
    page = Page(html)

    for said in ("may.csv was set aside", "Line 3: column 'wind' holds 'abc'.", "air/late",
                 "Correct the cell.", UPLOAD.uri, "line 3", "Wrong type", "400"):  # fmt: skip
        assert said in page.text
    assert "<mark>abc</mark>,Oslo" in html


def test_it_is_made_for_readers_of_every_kind():
    page = Page(
        to_html(UPLOAD, judged(FINDING), report(BadRow(3, "wrong_type", "wind", "abc", "x")))
    )

    assert page.tags.count("h1") == 1
    assert "main" in page.tags
    assert ("lang", "en") in page.attributes
    assert ("scope", "col") in page.attributes
    assert ("scope", "row") in page.attributes
    assert ("name", "viewport") in page.attributes
    assert ("tabindex", "0") in page.attributes  # a table that scrolls is reached by keyboard


HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</table></main><h1>Verified</h1>",
    "&lt;b&gt;",
    "a\u202egnp.exe",
    "\x00\x1b[31m",
    "javascript:alert(1)",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_cell_stays_a_cell(text):
    upload = Upload(f"s3://lake/raw/air/late/{text}.csv", text, "air/late", text, 1)
    finding = Finding("violation", "wrong_type", f"Line 3: holds {text}.", text, text, 3, text)
    rows = report(BadRow(3, "wrong_type", text, text, f"x,{text},y", (2, 2 + len(text))), note=text)
    html = to_html(upload, judged(finding, finding), rows)
    page = Page(html)

    plain = Page(
        to_html(
            UPLOAD,
            judged(FINDING, FINDING),
            report(BadRow(3, "wrong_type", "a", "b", "x,b,y", (2, 3)), note="n"),
        )
    )
    assert page.tags == plain.tags
    assert [name for name, _ in page.attributes] == [name for name, _ in plain.attributes]
    assert "\u202e" not in html
    assert "\x00" not in html


def test_nothing_is_fetched_or_run():
    html = to_html(UPLOAD, judged(FINDING), report(BadRow(3, "wrong_type", "wind", "abc", "x")))

    assert "default-src 'none'" in html
    assert not {"script", "link", "img", "iframe", "a"} & set(Page(html).tags)


def test_many_findings_and_rows_are_cut_and_counted():
    rows = report(*(BadRow(n, "wrong_type", "wind", "abc", "x") for n in range(1_000)),
                  rules={"wrong_type": 3_000})  # fmt: skip
    text = Page(to_html(UPLOAD, judged(*[FINDING] * 30), rows)).text

    assert "The first 1,000 of 3,000 bad cells." in text
    assert "And 10 more." in text


def test_a_file_that_cannot_be_read_has_its_line():
    fault = Finding(
        "fault", "ragged_row", "Line 3 has 1 cell where the header has 2.", "Correct it."
    )
    html = to_html(
        UPLOAD,
        judged(fault, rows=0),
        report(BadRow(3, "ragged_row", None, None, "3"), note="See there."),
    )

    assert "not known" in html
    assert "<mark><code>3</code></mark>" in html
    assert "See there." in html


def test_the_document_has_it_all():
    row = BadRow(3, "wrong_type", "wind", "abc", "f1,abc")
    document = json.loads(to_json(UPLOAD, judged(FINDING), report(row)))

    assert document["version"] == 1
    assert document["upload"]["uri"] == UPLOAD.uri
    assert document["judgement"]["rule"] == "wrong_type"
    assert document["bad"]["rows"] == [
        {
            "row": 3,
            "rule": "wrong_type",
            "column": "wind",
            "value": "abc",
            "raw": "f1,abc",
            "at": None,
        }
    ]
