"""
What a data owner gets about a file that was set aside: one JSON document, one page.

Every word of the upload (its name, columns, cells) is escaped: a cell is data.
The table's roles are written out, because a narrow page stacks its rows and would lose them.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from tidemill_jobs.contract.findings import Finding
from tidemill_jobs.contract.judge import Judgement
from tidemill_jobs.contract.rows import BadRow, RowReport
from tidemill_jobs.page import facts, page, text

FINDINGS = 20  # on the page; the JSON document has them all

#: The rules' names in a person's words; any other is told by its own.
RULES = {
    "bad_encoding": "Not UTF-8",
    "column_empty": "Column is empty",
    "column_missing": "Column is missing",
    "incomplete": "Too many missing cells",
    "new_column": "New column",
    "out_of_range": "Out of range",
    "ragged_row": "Wrong number of cells",
    "repeated_key": "Key comes twice",
    "target_empty": "Target is empty",
    "too_many_bad_rows": "Too many bad rows",
    "unbalanced_quote": "Quote out of place",
    "unknown_class": "Unknown class",
    "unknown_value": "Unknown value",
    "values_replaced": "Values replaced",
    "wrong_type": "Wrong type",
}
VERDICTS = {
    "quarantine": "was set aside",
    "warn": "is used, with warnings",
    "accept": "is accepted",
}


@dataclass(frozen=True, slots=True)
class Upload:
    """Which file it is about."""

    uri: str
    version_id: str
    model: str  # project/model
    uploaded: str  # ISO 8601
    size: int  # bytes


def to_document(upload: Upload, judgement: Judgement, rows: RowReport) -> dict[str, Any]:
    """Return the report as JSON holds it."""
    return {
        "version": 1,
        "upload": asdict(upload),
        "judgement": asdict(judgement),
        "bad": rows.document(),
    }


def to_json(upload: Upload, judgement: Judgement, rows: RowReport) -> str:
    """Return the JSON document."""
    return json.dumps(to_document(upload, judgement, rows), ensure_ascii=False, indent=1)


def to_html(upload: Upload, judgement: Judgement, rows: RowReport) -> str:
    """Return the page."""
    name = upload.uri.rsplit("/", 1)[-1]
    title = f"{name} {VERDICTS[judgement.verdict]}"
    body = "".join(
        (
            f"<h1>{text(title)}</h1>",
            f"<p>{text(judgement.reason)}</p>",
            _next(judgement),
            _about(upload, judgement, rows),
            _findings(judgement),
            _rows(rows),
        )
    )
    return page(title, body)


def _next(judgement: Judgement) -> str:
    if not judgement.next_step:
        return ""
    kept = (
        " The file stays where it is, and no model learns from it until it is released."
        if judgement.verdict == "quarantine"
        else ""
    )
    return (
        f'<div class="next"><strong>What to do</strong><p>{text(judgement.next_step)}</p>'
        f'<p class="soft">Then upload the file again.{kept}</p></div>'
    )


def _about(upload: Upload, judgement: Judgement, rows: RowReport) -> str:
    told = [
        ("Model", upload.model),
        ("File", upload.uri),
        ("Version", upload.version_id),
        ("Uploaded", upload.uploaded),
        ("Size", f"{upload.size:,} bytes"),
        (
            "Rule",
            f"{_rule(judgement.rule)} ({judgement.rule})" if judgement.rule else "none broken",
        ),
        ("Rows", f"{judgement.rows:,}" if judgement.rows else "not known: the file cannot be read"),
        ("Bad rows", f"{rows.bad_rows:,}" + ("" if rows.complete else " known")),
    ]
    return facts(told)


def _findings(judgement: Judgement) -> str:
    if judgement.found <= 1:
        return ""
    shown = judgement.findings[:FINDINGS]
    more = judgement.found - len(shown)
    items = "".join(f"<li>{_finding(one)}</li>" for one in shown)
    rest = f'<p class="soft">And {more:,} more.</p>' if more else ""
    return f"<h2>All that was found</h2><ul>{items}</ul>{rest}"


def _finding(finding: Finding) -> str:
    weight = {"drift": " (a warning)", "remark": " (a remark)"}.get(finding.weight, "")
    return f"<strong>{text(_rule(finding.rule))}</strong>{weight}: {text(finding.reason)}"


def _rows(rows: RowReport) -> str:
    note = f'<p class="soft">{text(rows.note)}</p>' if rows.note else ""
    if not rows.rows:
        return note
    total = sum(rows.rules.values())
    cells = f"{total:,} bad cell{'' if total == 1 else 's'}"
    shown = f"The first {len(rows.rows):,} of {cells}." if total > len(rows.rows) else f"{cells}."
    unit = rows.unit.capitalize()
    titles = (unit, "Rule", "Column", "Cell", "The row")
    head = "".join(f'<th role="columnheader" scope="col">{title}</th>' for title in titles)
    body = "".join(_lines(rows.rows, rows.unit))
    return (
        '<h2 id="rows">Where it is</h2>'
        f'<p class="soft">{text(shown)} {unit}s are counted from 1.</p>{note}'
        '<div class="wide" role="region" aria-labelledby="rows" tabindex="0"><table role="table">'
        f'<thead role="rowgroup"><tr role="row">{head}</tr></thead>'
        f'<tbody role="rowgroup">{body}</tbody></table></div>'
    )


def _lines(rows: Iterable[BadRow], unit: str) -> Iterable[str]:
    for one in rows:
        column = f"<code>{text(one.column)}</code>" if one.column else ""
        value = f"<mark><code>{text(one.value)}</code></mark>" if one.value is not None else ""
        cells = (
            _cell(text(_rule(one.rule))),
            _cell(column, "Column"),
            _cell(value, "Cell"),
            _cell(_marked(one)),
        )
        place = f'<th role="rowheader" scope="row">{unit} {one.row:,}</th>'
        yield f'<tr role="row">{place}{"".join(cells)}</tr>'


def _cell(html: str, title: str = "") -> str:
    """Return a cell; on a narrow page, where rows are stacked, its title stands before it."""
    named = f' data-of="{title}"' if title and html else ""
    return f'<td role="cell"{named}>{html}</td>'


def _marked(one: BadRow) -> str:
    """Return the row as it stands in the file, with the cell marked."""
    if not one.raw:
        return ""
    if one.at:
        start, end = one.at
        before, cell, after = one.raw[:start], one.raw[start:end], one.raw[end:]
        return f"<code>{text(before)}<mark>{text(cell)}</mark>{text(after)}</code>"
    whole = f"<code>{text(one.raw)}</code>"
    return whole if one.column else f"<mark>{whole}</mark>"


def _rule(rule: str | None) -> str:
    if rule is None:
        return ""
    return RULES.get(rule) or rule.replace("_", " ").capitalize()
