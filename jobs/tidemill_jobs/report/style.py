"""How the report looks, beside what every page has; on screen, on a phone and on paper."""

from tidemill_jobs.report import pictures

STYLE = (
    pictures.STYLE
    + """
.lead{background:var(--box);border-left:.3rem solid var(--soft);padding:.25rem 1rem;margin:1rem 0}
.lead.found,.lead.held{border-color:var(--marked)}
.lead dl{grid-template-columns:10rem 1fr;gap:.5rem 1rem;margin:.5rem 0}
.lead dd p{margin:0}
.lead ul{margin:.25rem 0;padding-left:1.2rem}
.legend{display:flex;flex-wrap:wrap;gap:.25rem 1.25rem;list-style:none;margin:.5rem 0;padding:0}
.legend svg{display:inline-block;width:1.6em;height:1em;vertical-align:-.15em}
.legend code{overflow-wrap:anywhere}
.chart{max-width:36rem;margin:.5rem 0}
.grid{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,22rem),1fr));gap:1rem;
align-items:start}
.f{border:1px solid var(--line);border-radius:.4rem;padding:0 .75rem;break-inside:avoid}
.f[open]{padding-bottom:.75rem}
summary{cursor:pointer;padding:.5rem 0;overflow-wrap:anywhere}
.f>summary{display:grid;grid-template-columns:1fr auto;gap:.1rem .75rem;align-items:baseline}
.f>summary::before{content:none}
.f>summary .g{grid-column:1/-1;height:.5rem}
.f .state{white-space:nowrap;color:var(--soft)}
.f .far{color:var(--marked);font-weight:600}
.rest{display:grid;gap:.25rem}
.rest .f{border-width:0 0 1px;border-radius:0}
.bars{display:grid;gap:.3rem}
.bars>div{display:grid;grid-template-columns:minmax(3rem,30%) 1fr 8rem;gap:.5rem;align-items:center;
font-size:.85rem}
.bars>div>:last-child{text-align:right;font-variant-numeric:tabular-nums;color:var(--soft)}
.bars svg{height:.9rem}
.f .soft{font-size:.85rem}
.nums{display:table;width:auto;min-width:min(100%,16rem);font-size:.85rem;margin-top:.5rem}
.nums thead,.nums tbody{position:static;clip-path:none;height:auto;width:auto}
.nums thead{display:table-header-group}.nums tbody{display:table-row-group}
.nums tr{display:table-row}.nums th,.nums td{display:table-cell;padding:.1rem .5rem;
font-variant-numeric:tabular-nums}
.nums td,.nums thead th:not(:first-child){text-align:right}
.nums thead th{background:none;font-weight:400;color:var(--soft)}
.pairs>div{display:grid;grid-template-columns:minmax(4rem,30%) 1fr 8rem;gap:.5rem;
align-items:center;padding:.15rem 0;overflow-wrap:anywhere}
.pairs>div>:last-child{text-align:right;font-variant-numeric:tabular-nums;color:var(--soft)}
@media(max-width:40rem){.lead dl{grid-template-columns:1fr;gap:0}
.bars>div,.pairs>div{grid-template-columns:1fr auto}
.bars>div svg,.pairs>div svg{grid-column:1/-1;grid-row:2}}
@media print{body{max-width:none;padding:0;font-size:.85rem}.lead,.f{break-inside:avoid}
h2,.legend{break-after:avoid}
details::details-content{content-visibility:visible;display:block}.rest{display:none}
*{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
"""
)
