import pytest

from tidemill.spec.errors import SpecError
from tidemill.spec.yaml_lines import (
    MAX_CHARACTERS,
    MAX_DEPTH,
    MAX_NODES,
    Ambiguous,
    Origin,
    dotted,
    load,
)


def refusal(text):
    with pytest.raises(SpecError) as caught:
        load(text, "model.yaml")
    return str(caught.value)


def test_values_keep_their_lines_and_their_text():
    document = load("a: 1\nb:\n  - x\n  -\n    y\n", "model.yaml")

    assert document.value == {"a": 1, "b": ["x", "y"]}
    assert document.origins["a",] == Origin(key_line=1, line=1, text="1")
    assert document.origins["b",] == Origin(key_line=2, line=3, text=None)
    assert document.origins["b", 1].line == 5


def test_windows_line_ends_and_a_byte_order_mark_are_read():
    document = load(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n", "model.yaml")

    assert document.value == {"a": 1, "b": 2}
    assert document.origins["b",].line == 2


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("no", False),
        ("On", True),
        ("~", None),
        ("", None),
        ("1_000", 1000),
        ("-5", -5),
        ("0.5", 0.5),
        ("1e-3", 0.001),
        ("1.5e+3", 1500.0),
        ("'1e-3'", "1e-3"),
        ("'no'", "no"),
        ("!!str 5", "5"),
        ("-.inf", float("-inf")),
        ("münchen", "münchen"),
        ("=", "="),
    ],
)
def test_a_scalar_is_what_it_looks_like(written, value):
    assert load(f"key: {written}\n", "model.yaml").value == {"key": value}


@pytest.mark.parametrize(
    ("written", "reads_as"),
    [
        ("010", "a number in another notation"),
        ("0x1F", "a number in another notation"),
        ("1:30", "a number in another notation"),
        ("190:20:30.15", "a number in another notation"),
        ("2026-11-20", "a date"),
        ("2026-99-99", "a date"),
    ],
)
def test_what_yaml_reads_otherwise_than_it_looks_is_kept_apart(written, reads_as):
    assert load(f"key: {written}\n", "model.yaml").value == {"key": Ambiguous(written, reads_as)}


@pytest.mark.parametrize("written", ["!!int x", "!!float 1.x", "!!bool maybe"])
def test_a_tag_that_does_not_fit_its_value_is_kept_apart(written):
    assert isinstance(load(f"key: {written}\n", "model.yaml").value["key"], Ambiguous)


def test_anchors_and_merge_keys_are_followed():
    text = "base: &b {x: 1, y: 2}\none: {<<: *b, y: 3}\ntwo: {<<: [*b, {z: 4}]}\nthree: *b\n"

    document = load(text, "model.yaml")

    assert document.value["one"] == {"y": 3, "x": 1}
    assert document.value["two"] == {"x": 1, "y": 2, "z": 4}
    assert document.value["three"] == {"x": 1, "y": 2}
    assert document.findings == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "a: 1\nb: {c: 1,\n c: 2}",
            "model.yaml:3: key 'c' appears twice under b (first on line 2)",
        ),
        ("a: 1\na: 2", "model.yaml:2: key 'a' appears twice (first on line 1)"),
        ("? [x]\n: 1", "model.yaml:1: a key must be a plain word"),
        ("a: 1\nb: !env HOME", "model.yaml:2: the tag !env means nothing here"),
        ("a: !!set {x}", "model.yaml:1: the tag tag:yaml.org,2002:set means nothing here"),
        ("a: {<<: 5}", "model.yaml:1: `<<` merges mappings only"),
    ],
)
def test_what_can_be_skipped_is_a_finding(text, said):
    findings = load(text, "model.yaml").findings

    assert [str(finding)[: len(said)] for finding in findings] == [said]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "model.yaml:1: the file is empty; begin with"),
        ("# only a comment\n", "model.yaml:1: the file is empty; begin with"),
        ("\n- a\n", "model.yaml:2: a spec is made of `key: value` lines"),
        ("just words", "model.yaml:1: a spec is made of `key: value` lines"),
        ("a:\n\tb: 1", "model.yaml:2: a tab is used as indentation"),
        ("a: b: c", "model.yaml:1: a second `: ` on this line"),
        ("a: 1\n---\nb: 2", "model.yaml:2: a second document begins here"),
        ("a: *gone", "model.yaml:1: this is not valid YAML: found undefined alias"),
        ("a: [1, 2", "model.yaml:1: this is not valid YAML"),
        ("a: 1\nb: \x00", "model.yaml:2: the character U+0000 may not stand in YAML"),
        ('a: "\\UFFFFFFFF"', "model.yaml:1: this is not valid YAML ("),
        ('a: "\\ud800"', "model.yaml:1: an escape here names half a character"),
        ('"\\ud800": a', "model.yaml:1: an escape here names half a character"),
        (f"%YAML 1.{'1' * 5000}\n---\na: 1", "model.yaml:1: this is not valid YAML ("),
        (b"a: 1\nb: \xfc", "model.yaml:2: the file is not UTF-8 text"),
        ("a: &a [*a]", "model.yaml:1: the anchor here contains itself"),
        ("a: &a {<<: *a}", "model.yaml:1: the anchor here contains itself"),
        (f"a: {'[' * 5000}", f"model.yaml:1: more than {MAX_DEPTH} levels of nesting"),
        ("a: x\n" * MAX_CHARACTERS, "model.yaml:1: the file has "),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_with_its_line(text, said):
    assert refusal(text).startswith(said)


def test_a_bomb_of_aliases_is_refused_before_it_unfolds():
    layers = ["l0: &l0 [x, x, x, x, x, x, x, x, x, x]"]
    layers += [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]" for n in range(1, 9)]

    assert f"unfolds to more than {MAX_NODES:,} values" in refusal("\n".join(layers))


def test_a_path_reads_as_people_write_it():
    assert dotted(("data", "exclude", 1)) == "data.exclude[1]"
