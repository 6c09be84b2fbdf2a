"""Walk the workflow definitions: blocks, arrows, and which variables are set where."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .template_model import ROOT

MACHINES = sorted((ROOT / "statemachines").glob("*.asl.json"))

_EXPRESSION = re.compile(r"\{%(.*?)%\}", re.DOTALL)
_TEXT = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|`[^`]*`")
_VARIABLE = re.compile(r"\$([A-Za-z_]\w*)(?!\w*\s*\()")
_LOCAL = re.compile(r"\$(\w+)\s*:=|function\s*\(([^)]*)\)")

State = dict[str, Any]


@dataclass(frozen=True)
class Block:
    """One level of states; a Map or Parallel holds further ones."""

    states: dict[str, State]
    start: str
    within: tuple[State, ...]  # the Map and Parallel states around it, outermost first


def load(path: Path) -> State:
    """Return the file as it lies: plain JSON, substitutions and all."""
    document: State = json.loads(path.read_text())
    return document


def blocks(machine: State, within: tuple[State, ...] = ()) -> Iterator[Block]:
    """Yield the machine's own level and every one below."""
    yield Block(machine["States"], machine["StartAt"], within)
    for state in machine["States"].values():
        for inner in (state.get("ItemProcessor"), *state.get("Branches", [])):
            if inner:
                yield from blocks(inner, (*within, state))


def states(machine: State) -> Iterator[tuple[str, State]]:
    """Yield every state of every level with its name."""
    for block in blocks(machine):
        yield from block.states.items()


def targets(state: State) -> set[str]:
    """Return the states that may come next, by whatever way."""
    return {arrow.target for arrow in arrows(state)}


@dataclass(frozen=True)
class Arrow:
    """A way out of a state, and the variables set on it."""

    target: str
    assigned: frozenset[str]


def arrows(state: State) -> Iterator[Arrow]:
    """Yield the ways out. A rule that matches does not run its Choice state's own Assign."""
    for rule in (*state.get("Choices", []), *state.get("Catch", [])):
        yield Arrow(rule["Next"], frozenset(rule.get("Assign", {})))
    for key in ("Next", "Default"):
        if key in state:
            yield Arrow(state[key], frozenset(state.get("Assign", {})))


def reached(block_states: dict[str, State], starts: Iterable[str]) -> set[str]:
    """Return the states that can be entered from *starts*, which are among them."""
    found: set[str] = set()
    todo = [start for start in starts if start in block_states]
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo += [target for target in targets(block_states[name]) if target in block_states]
    return found


def catches_all(state: State) -> bool:
    """Whether every error that the state itself does not retry away is caught."""
    return any("States.ALL" in rule["ErrorEquals"] for rule in state.get("Catch", []))


def used(node: Any) -> set[str]:
    """Return the variables that the expressions within *node* read."""
    names: set[str] = set()
    for text in _strings(node):
        for expression in _EXPRESSION.findall(text):
            code = _TEXT.sub("''", expression)
            own = {
                name.strip().removeprefix("$")
                for found in _LOCAL.findall(code)
                for name in (found[0], *found[1].split(","))
            }
            names |= set(_VARIABLE.findall(code)) - own - {"states"}
    return names


def _strings(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict | list):
        for value in node.values() if isinstance(node, dict) else node:
            yield from _strings(value)


def unset(machine: State, given: frozenset[str] = frozenset()) -> dict[str, set[str]]:
    """Return, by state, the variables that it may read before anything has set them."""
    block_states, start = machine["States"], machine["StartAt"]
    known: dict[str, frozenset[str]] = {start: given}
    todo = [start]
    while todo:  # the sets only shrink, so this ends
        name = todo.pop()
        for arrow in arrows(block_states[name]):
            before = known.get(arrow.target)
            after = known[name] | arrow.assigned
            if before is not None:
                after &= before
            if after != before:
                known[arrow.target] = after
                todo.append(arrow.target)
    missing: dict[str, set[str]] = {}
    for name, here in known.items():
        state = dict(block_states[name])
        inner = [state.pop("ItemProcessor", None), *state.pop("Branches", [])]
        if lacking := used(state) - here:
            missing[name] = lacking
        for block in filter(None, inner):
            missing |= unset(block, here)
    return missing
