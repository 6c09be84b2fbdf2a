"""Whatever is done to a valid file: a spec, or findings; never another exception."""

import json
import re

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tidemill.spec.compile import compile_spec
from tidemill.spec.compiled import Spec
from tidemill.spec.diff import diff
from tidemill.spec.errors import SpecError

from .conftest import FULL

BREAK = re.compile("\r\n|[\r\n\x85\u2028\u2029]")  # YAML's
LINES = FULL.splitlines()
VALUES = st.one_of(
    st.sampled_from(
        ["no", "1:30", "010", "~", "", "[]", "{}", "[{}]", "*x", "&x", "!!int x", "!y", "1e999"]
    ),
    st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=12),
    st.integers().map(str),
    st.floats().map(str),
)


@st.composite
def rewritten_lines(draw):
    """Give some keys other values, drop and repeat lines, change indentation."""
    lines = list(LINES)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(lines) - 1))
        match draw(st.sampled_from(["value", "drop", "repeat", "indent", "swap"])):
            case "value":
                lines[at] = f"{lines[at].partition(':')[0]}: {draw(VALUES)}"
            case "drop" if len(lines) > 1:
                del lines[at]
            case "repeat":
                lines.insert(at, lines[at])
            case "indent":
                lines[at] = draw(st.sampled_from(["  ", "\t", " "])) + lines[at]
            case _:
                other = draw(st.integers(0, len(lines) - 1))
                lines[at], lines[other] = lines[other], lines[at]
    return "\n".join(lines)


@st.composite
def cut_characters(draw):
    """Replace a slice anywhere with any text."""
    start = draw(st.integers(0, len(FULL)))
    stop = draw(st.integers(start, min(len(FULL), start + 20)))
    return FULL[:start] + draw(st.text(max_size=8)) + FULL[stop:]


def compiled_or_refused(text):
    try:
        return compile_spec(text)
    except SpecError as exc:
        return exc


def check(text):
    spec = compiled_or_refused(text)
    if isinstance(spec, SpecError):
        lines = len(BREAK.split(text if isinstance(text, str) else text.decode(errors="replace")))
        assert spec.findings
        assert all(1 <= finding.line <= lines for finding in spec.findings)
        assert "cannot be so" not in str(spec)  # an error of pydantic's without a sentence
        return
    assert Spec.parse(json.loads(spec.to_json())) == spec
    assert compile_spec(text).to_json() == spec.to_json()
    assert diff(spec, spec) == []


@settings(max_examples=300)
@given(rewritten_lines())
def test_rewritten_lines_compile_or_are_findings(text):
    check(text)


@settings(max_examples=300)
@given(cut_characters())
@example('project: "\\ud800"')
def test_cut_characters_compile_or_are_findings(text):
    check(text)


@settings(max_examples=100)
@given(st.binary(max_size=60))
def test_bytes_are_findings(content):
    check(content)
