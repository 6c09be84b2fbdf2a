"""
What a data owner gets about a file that was set aside: one JSON document, one page.

The page is a single file without script or anything fetched, so that it can be mailed and opened
from a bucket. Every word of the upload (its name, columns, cells) is escaped: a cell is data.
The table's roles are written out, because a narrow page stacks its rows and would lose them.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from html import escape
from typing import Any

from tidemill_jobs.contract.findings import Finding
from tidemill_jobs.contract.judge import Judgement
from tidemill_jobs.contract.rows import BadRow, RowReport

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
STYLE = """
:root{color-scheme:light dark;--ink:#1b1f24;--soft:#57606a;--line:#d0d7de;--page:#fff;--box:#f6f8fa;
--mark:#ffe3e0;--marked:#82071e}
@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--soft:#9198a1;--line:#3d444d;--page:#0d1117;
--box:#151b23;--mark:#5d1a1d;--marked:#ffdcd7}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:70rem;padding:1.5rem 1rem 4rem;background:var(--page);color:var(--ink);
font:1rem/1.5 system-ui,sans-serif}
h1{font-size:1.5rem;line-height:1.25;margin:0 0 .5rem;overflow-wrap:anywhere}
h2{font-size:1.15rem;margin:2rem 0 .5rem}
p{margin:.5rem 0;max-width:46rem;overflow-wrap:anywhere}
.next{background:var(--box);border-left:.3rem solid var(--marked);padding:.75rem 1rem}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1rem;margin:1rem 0}
dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}
.wide{overflow-x:auto;border:1px solid var(--line);border-radius:.4rem}
.wide:focus-visible{outline:.15rem solid var(--marked)}
table{border-collapse:collapse;width:100%}
th,td{text-align:left;vertical-align:top;padding:.4rem .75rem;border-bottom:1px solid var(--line)}
thead th{background:var(--box)}
tbody tr:last-child>*{border-bottom:0}
tbody th{font-variant-numeric:tabular-nums;font-weight:400;white-space:nowrap}
mark{background:var(--mark);color:var(--marked);padding:.05rem .25rem;border-radius:.2rem}
code{font:.9em ui-monospace,monospace;overflow-wrap:anywhere;white-space:pre-wrap}
.soft{color:var(--soft)}
@media(max-width:40rem){
table,tbody,tr,th,td{display:block;width:auto}thead{position:absolute;clip-path:inset(50%);
height:1px;width:1px;overflow:hidden}
tr{padding:.5rem 0;border-bottom:1px solid var(--line)}tbody tr:last-child{border-bottom:0}
th,td{border:0;padding:.1rem .75rem}
td[data-of]::before{content:attr(data-of) ": ";color:var(--soft)}
dl{grid-template-columns:1fr;gap:0}dd{margin-bottom:.5rem}}
"""


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
            f"<h1>{_text(title)}</h1>",
            f"<p>{_text(judgement.reason)}</p>",
            _next(judgement),
            _about(upload, judgement, rows),
            _findings(judgement),
            _rows(rows),
        )
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; style-src '
        "'unsafe-inline'\">"
        f"<title>{_text(title)}</title><style>{STYLE}</style></head>"
        f"<body><main>{body}</main></body></html>\n"
    )


def _next(judgement: Judgement) -> str:
    if not judgement.next_step:
        return ""
    kept = (
        " The file stays where it is, and no model learns from it until it is released."
        if judgement.verdict == "quarantine"
        else ""
    )
    return (
        f'<div class="next"><strong>What to do</strong><p>{_text(judgement.next_step)}</p>'
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
    return "<dl>" + "".join(f"<dt>{_text(a)}</dt><dd>{_text(b)}</dd>" for a, b in told) + "</dl>"


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
    return f"<strong>{_text(_rule(finding.rule))}</strong>{weight}: {_text(finding.reason)}"


def _rows(rows: RowReport) -> str:
    note = f'<p class="soft">{_text(rows.note)}</p>' if rows.note else ""
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
        f'<p class="soft">{_text(shown)} {unit}s are counted from 1.</p>{note}'
        '<div class="wide" role="region" aria-labelledby="rows" tabindex="0"><table role="table">'
        f'<thead role="rowgroup"><tr role="row">{head}</tr></thead>'
        f'<tbody role="rowgroup">{body}</tbody></table></div>'
    )


def _lines(rows: Iterable[BadRow], unit: str) -> Iterable[str]:
    for one in rows:
        column = f"<code>{_text(one.column)}</code>" if one.column else ""
        value = f"<mark><code>{_text(one.value)}</code></mark>" if one.value is not None else ""
        cells = (
            _cell(_text(_rule(one.rule))),
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
        return f"<code>{_text(before)}<mark>{_text(cell)}</mark>{_text(after)}</code>"
    whole = f"<code>{_text(one.raw)}</code>"
    return whole if one.column else f"<mark>{whole}</mark>"


def _rule(rule: str | None) -> str:
    if rule is None:
        return ""
    return RULES.get(rule) or rule.replace("_", " ").capitalize()


def _text(text: str) -> str:
    """Escape; and show control characters, which could turn the page's direction or end a line."""
    shown = "".join(
        char if char.isprintable() or char in "\n\t" else f"\\u{ord(char):04x}" for char in text
    )
    return escape(shown, quote=True)
