"""
The pages that people get: one file each, without script or anything fetched.

So that a page can be mailed, and opened from a bucket, on a phone, offline. What is said of data is
escaped: a column's name or a cell is data too. Colours are for light and dark, and never the only
sign of anything.
"""

from html import escape

_STYLE = """
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


def page(title: str, body: str, style: str = "") -> str:
    """
    Return a whole page.

    Args:
        title: As text.
        body: What is in it, as HTML.
        style: What CSS it needs beside that of every page.
    """
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; style-src '
        "'unsafe-inline'\">"
        f"<title>{text(title)}</title><style>{_STYLE}{style}</style></head>"
        f"<body><main>{body}</main></body></html>\n"
    )


def text(told: str) -> str:
    """Escape; and show control characters, which could turn the page's direction or end a line."""
    shown = "".join(
        char if char.isprintable() or char in "\n\t" else f"\\u{ord(char):04x}" for char in told
    )
    return escape(shown, quote=True)


def facts(told: list[tuple[str, str]]) -> str:
    """Return what is told of a page's subject, as pairs of words and text, in a list."""
    return "<dl>" + "".join(f"<dt>{text(a)}</dt><dd>{text(b)}</dd>" for a, b in told) + "</dl>"
