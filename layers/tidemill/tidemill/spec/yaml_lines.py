"""
YAML with line numbers: what a file says, and where it says it.

Only the plain part of YAML 1.1 is read: mappings, lists, scalars, anchors and merge keys. What
YAML turns into something else than it looks like (`no`, `010`, `1:30`, `2026-01-01`) is kept
apart, so that a message can show the text as it was written. Duplicate keys are findings.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from tidemill.spec.errors import Finding, SpecError

Path = tuple[str | int, ...]

MAX_CHARACTERS = 64_000
MAX_DEPTH = 10
MAX_NODES = 5_000  # after aliases are expanded

_TAG = "tag:yaml.org,2002:"
_BOOLEANS = yaml.SafeLoader.bool_values
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9_]{0,30})")
_FLOAT = re.compile(r"[-+]?(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)?")
# YAML 1.1 reads 1e-3 as text, because it has no dot.
_EXPONENT = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+")
_SPECIAL = re.compile(r"([-+]?)\.(inf|nan)", re.IGNORECASE)
# "\ud800" in quotes: a surrogate, which no encoding takes.
_HALF_CHARACTER = re.compile(r"[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """A scalar that YAML does not read as it looks; `reads_as` says as what."""

    text: str
    reads_as: str


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value stands, and how it was written."""

    key_line: int
    line: int
    text: str | None  # of a scalar


@dataclass(frozen=True, slots=True)
class Document:
    """A file's mapping, and the origin of each value by its path."""

    value: dict[str, Any]
    origins: dict[Path, Origin]
    findings: tuple[Finding, ...]  # duplicate keys and the like: the rest could be read


def load(text: str | bytes, source: str) -> Document:
    """
    Read one mapping.

    Args:
        text: The file's content; bytes must be UTF-8.
        source: The file's name, for the findings.

    Raises:
        SpecError: The file is no YAML mapping of a reasonable size.
    """
    if isinstance(text, bytes):
        text = _decode(text, source)
    if len(text) > MAX_CHARACTERS:
        raise _refused(
            source,
            1,
            f"the file has {len(text):,} characters, and a spec has {MAX_CHARACTERS:,} at most; "
            "is this a data file? Name the model.yaml instead",
        )
    root = _compose(text, source)
    if root is None:
        raise _refused(source, 1, "the file is empty; begin with `project: <name of the project>`")
    if not isinstance(root, yaml.MappingNode):
        raise _refused(
            source,
            root.start_mark.line + 1,
            "a spec is made of `key: value` lines; begin with `project: <name of the project>`",
        )
    reader = _Reader(source)
    value = reader.mapping(root, ())
    return Document(value, reader.origins, tuple(reader.findings))


def _refused(source: str, line: int, message: str) -> SpecError:
    return SpecError([Finding(line, message, source)])


def _decode(content: bytes, source: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = content.count(b"\n", 0, exc.start) + 1
        raise _refused(source, line, "the file is not UTF-8 text; save it as UTF-8") from exc


def _compose(text: str, source: str) -> yaml.Node | None:
    try:
        _check_depth(text, source)
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.reader.ReaderError as exc:
        line = text.count("\n", 0, exc.position) + 1
        code = exc.character if isinstance(exc.character, int) else ord(exc.character)
        said = f"the character U+{code:04X} may not stand in YAML; remove it"
        raise _refused(source, line, said) from exc
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        raise _refused(source, mark.line + 1 if mark else 1, _syntax(exc)) from exc
    except (ValueError, OverflowError) as exc:
        # PyYAML lets chr() and int() speak for themselves: "\UFFFFFFFF", %YAML 1.<5000 digits>.
        said = f"this is not valid YAML ({exc}); check escapes such as \\U and lines with %"
        raise _refused(source, 1, said) from exc


def _check_depth(text: str, source: str) -> None:
    """Refuse deep nesting before anything recursive sees it."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            said = f"more than {MAX_DEPTH} levels of nesting; a spec needs four: remove brackets"
            mark = event.start_mark
            raise _refused(source, mark.line + 1 if mark else 1, said)


def _syntax(error: yaml.MarkedYAMLError) -> str:
    problem = str(error.problem or error.context)
    if "'\\t'" in problem:
        return "a tab is used as indentation; YAML takes spaces only: replace it"
    if "mapping values are not allowed" in problem:
        return "a second `: ` on this line; put a value that contains one in quotes"
    if "but found another document" in problem:
        return "a second document begins here; one file describes one model: remove `---`"
    if "undefined alias" in problem:
        return f"this is not valid YAML: {problem}; define the anchor above this line"
    return f"this is not valid YAML: {problem}; check indentation, brackets and quotes here"


@dataclass(slots=True)
class _Reader:
    """Turns nodes into values; remembers origins, counts nodes, collects findings."""

    source: str
    origins: dict[Path, Origin] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    _nodes: int = 0
    _open: set[int] = field(default_factory=set)

    def mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        value: dict[str, Any] = {}
        lines: dict[str, int] = {}
        for key_node, value_node, merged in self._pairs(node):
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                self._find(line, "a key must be a plain word; remove the brackets or `?`")
                continue
            key = self._text(key_node)
            if key in value:
                if not merged:
                    below = f" under {dotted(path)}" if path else ""
                    self._find(
                        line,
                        f"key '{key}' appears twice{below} (first on line {lines[key]}); "
                        "remove one of them",
                    )
                continue
            lines[key] = line
            value[key] = self._value(value_node, (*path, key), line)
        return value

    def _pairs(self, node: yaml.MappingNode) -> Iterator[tuple[yaml.Node, yaml.Node, bool]]:
        """Yield a mapping's own pairs, then those it merges with `<<`: its own come first."""
        merges = []
        for key_node, value_node in node.value:
            if key_node.tag == f"{_TAG}merge":
                merges.append(value_node)
            else:
                yield key_node, value_node, False
        for merge in merges:
            for other in merge.value if isinstance(merge, yaml.SequenceNode) else [merge]:
                if not isinstance(other, yaml.MappingNode):
                    line = other.start_mark.line + 1
                    self._find(line, "`<<` merges mappings only; name an anchored one, as *base")
                    continue
                self._enter(other)
                for key_node, value_node, _ in self._pairs(other):
                    yield key_node, value_node, True
                self._open.discard(id(other))

    def _value(self, node: yaml.Node, path: Path, key_line: int) -> Any:
        line = node.start_mark.line + 1
        text = node.value if isinstance(node, yaml.ScalarNode) else None
        self.origins[path] = Origin(key_line, line, text)
        self._enter(node)
        try:
            if isinstance(node, yaml.ScalarNode):
                return self._scalar(node)
            if node.tag not in (f"{_TAG}map", f"{_TAG}seq"):
                return self._tagged(node)
            if isinstance(node, yaml.MappingNode):
                return self.mapping(node, path)
            return [self._value(item, (*path, at), line) for at, item in enumerate(node.value)]
        finally:
            self._open.discard(id(node))

    def _enter(self, node: yaml.Node) -> None:
        line = node.start_mark.line + 1
        self._nodes += 1
        if self._nodes > MAX_NODES:
            said = f"the file unfolds to more than {MAX_NODES:,} values; use fewer aliases (*name)"
            raise _refused(self.source, line, said)
        if id(node) in self._open:
            said = "the anchor here contains itself; write the values out"
            raise _refused(self.source, line, said)
        self._open.add(id(node))

    def _text(self, node: yaml.ScalarNode) -> str:
        text: str = node.value
        if _HALF_CHARACTER.search(text):
            said = "an escape here names half a character; write the character itself"
            raise _refused(self.source, node.start_mark.line + 1, said)
        return text

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        text = self._text(node)
        match node.tag.removeprefix(_TAG):
            case "str" | "value" | "merge":
                exponent = node.style is None and _EXPONENT.fullmatch(text)
                return float(text) if exponent else text
            case "null":
                return None
            case "bool":
                return _BOOLEANS.get(text.lower(), Ambiguous(text, "a truth value"))
            case "int" | "float":
                return _number(text)
            case "timestamp":
                return Ambiguous(text, "a date")
            case _:
                return self._tagged(node)

    def _tagged(self, node: yaml.Node) -> Ambiguous:
        self._find(node.start_mark.line + 1, f"the tag {node.tag} means nothing here; remove it")
        return Ambiguous(str(node.tag), "a tagged value")

    def _find(self, line: int, message: str) -> None:
        self.findings.append(Finding(line, message, self.source))


def _number(text: str) -> float | Ambiguous:
    if special := _SPECIAL.fullmatch(text):
        return float("".join(special.groups()))
    if _INTEGER.fullmatch(text):
        return int(text.replace("_", ""))
    # A leading zero means octal in YAML 1.1; a colon, base 60.
    if _FLOAT.fullmatch(text) and ("." in text or not text.lstrip("+-").startswith("0")):
        return float(text.replace("_", ""))
    return Ambiguous(text, "a number in another notation")


def dotted(path: Path) -> str:
    """Return a path as people write it: `data.exclude[1]`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text
