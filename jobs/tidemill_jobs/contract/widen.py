"""
Widen a contract by one file that a person accepts as the contract.

What was agreed before stays agreed; the file adds to it and takes nothing away that it does not
contradict. The file has the last word where the two cannot both be right: what a column is, and
which columns must be there. model.yaml goes before the file. docs/checks.md has the rules.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from tidemill_jobs.contract.document import Basis, ColumnContract, Contract, plain
from tidemill_jobs.contract.facts import ColumnFacts, Facts, ReadAs
from tidemill_jobs.contract.infer import (
    BINARY,
    CATEGORIES,
    decide_kinds,
    infer_column,
    overruled,
    parts_of,
)
from tidemill_jobs.contract.judge import judge
from tidemill_jobs.errors import RefusedError
from tidemill_jobs.spec import Spec
from tidemill_jobs.values import Kind, show

SHOWN = 5
KINDS: dict[Kind | None, str] = {
    "number": "numbers",
    "boolean": "true or false",
    "time": "times",
    "category": "categories",
    None: "anything",
}


@dataclass(frozen=True, slots=True)
class Widened:
    """
    The contract that the file keeps too.

    Args:
        contract: The same as before when the file changed no column.
        differences: What changed, a sentence each.
        consequences: What follows for other files and for versions, a sentence each.
    """

    contract: Contract
    differences: tuple[str, ...]
    consequences: tuple[str, ...]


def widen(held: Contract, file: Facts, spec: Spec) -> Widened:
    """
    Return *held*, widened so that *file* keeps it. To widen twice by one file changes nothing.

    Raises:
        RefusedError: The file cannot be the contract; the message says why and what to do.
    """
    _must_serve(file, spec)
    columns = {column.name: column for column in file.columns}
    kinds = decide_kinds(parts_of([file], list(columns)), spec)
    merged: dict[str, ColumnContract] = {}
    for name, rule in held.columns.items():
        part = columns.get(name)
        if part is None:
            merged[name] = replace(rule, required=False)
        else:
            merged[name] = _merged(
                name, rule, part, _kind(name, rule, part, kinds[name], spec), spec
            )
    for name, part in columns.items():
        if name not in merged:
            kind = _kind(name, None, part, kinds[name], spec)
            merged[name] = replace(infer_column(name, kind, [part], spec), required=False)
    for name, said in spec.check.columns.items():
        if name in merged:
            merged[name] = overruled(merged[name], said)
    _must_be_two(merged[spec.target], spec)
    if merged == dict(held.columns):
        contract = held
    else:
        contract = replace(held, columns=merged, basis=_basis(held.basis, file))
    judged = judge(file, contract, spec.check)
    if judged.verdict == "quarantine":
        raise RefusedError(
            f"{file.name} cannot be the contract: {judged.reason} {judged.next_step or ''}".rstrip()
        )
    return Widened(
        contract,
        tuple(_differences(held, contract)),
        tuple(_consequences(held, contract)),
    )


def _must_serve(file: Facts, spec: Spec) -> None:
    if file.status != "read":
        raise RefusedError(
            f"{file.name} cannot be read, so it can be no contract: {file.reason} {file.next_step}"
        )
    if file.read_as != ReadAs(spec.format, spec.timestamp, tuple(spec.exclude)):
        raise RefusedError(
            f"{file.name} was read when model.yaml said otherwise of data; upload it again, so "
            "that it is read as it is meant now."
        )
    for name, role in ((spec.target, "target"), (spec.id, "id"), (spec.timestamp, "timestamp")):
        if name is not None and file.find(name) is None:
            raise RefusedError(
                f"{file.name} cannot be the contract: it has no column '{name}', the {role}. "
                f"Add the column, or correct data.{role}."
            )


def _kind(
    name: str, held: ColumnContract | None, part: ColumnFacts, alone: Kind | None, spec: Spec
) -> Kind | None:
    """Return what the column is: as before where the file allows it, else as the file says."""
    if name == spec.id:
        return None
    said = spec.check.columns.get(name)
    if said is not None and said.type:
        return said.type
    if held is not None and held.kind is not None and _fits(part, held.kind):
        return held.kind
    if _fits(part, alone):
        return alone
    is_firm = name == spec.timestamp or (name == spec.target and spec.problem == "regression")
    return alone if is_firm else "category"


def _fits(part: ColumnFacts, kind: Kind | None) -> bool:
    return kind in (None, "category") or set(part.meanings) <= {kind}


def _merged(
    name: str, held: ColumnContract, part: ColumnFacts, kind: Kind | None, spec: Spec
) -> ColumnContract:
    alone = infer_column(name, kind, [part], spec)
    common: dict[str, Any] = {
        "required": held.required,
        "completeness": min(held.completeness, alone.completeness),
        "unique": held.unique and not part.repeats,
        "stated": (),
    }
    values = _values(name, held, part, kind, spec)
    if kind != held.kind:  # what was agreed of another kind of cells says nothing of these
        return replace(alone, values=values if name == spec.target else None, **common)
    seen = part.times if kind == "time" else part.numbers
    lows = (held.minimum, alone.minimum, seen.low if seen else None)
    highs = (held.maximum, alone.maximum, seen.high if seen else None)
    return replace(
        held,
        minimum=None if held.minimum is None else min(x for x in lows if x is not None),
        maximum=None if held.maximum is None else max(x for x in highs if x is not None),
        values=values,
        **common,
    )


def _values(
    name: str, held: ColumnContract, part: ColumnFacts, kind: Kind | None, spec: Spec
) -> tuple[str, ...] | None:
    if held.values is None or not part.complete:
        return None
    found = {plain(one.value, kind) for one in part.values} - {None}
    values = tuple(sorted({*held.values, *(value for value in found if value is not None)}))
    return None if len(values) > CATEGORIES and name != spec.target else values


def _must_be_two(target: ColumnContract, spec: Spec) -> None:
    classes = target.values or ()
    if spec.problem == "binary" and len(classes) > BINARY:
        raise RefusedError(
            f"A binary target has two classes, and '{spec.target}' would have {len(classes):,}: "
            f"{_listed(classes)}. Correct the file, or set train.problem to multiclass."
        )


def _basis(held: Basis, file: Facts) -> Basis:
    if file.id in held.accepted:
        return held
    return replace(
        held,
        files=held.files + 1,
        rows=held.rows + file.rows,
        accepted=(*held.accepted, file.id),
    )


def _differences(before: Contract, after: Contract) -> Iterator[str]:
    for name, now in after.columns.items():
        then = before.columns.get(name)
        if then is None:
            yield f"Column '{name}' is new: {KINDS[now.kind]}; it need not be there."
        elif then != now:
            yield from _changes(name, then, now)


def _changes(name: str, then: ColumnContract, now: ColumnContract) -> Iterator[str]:
    column = f"Column '{name}'"
    if then.required and not now.required:
        yield f"{column} need not be there any more."
    if then.completeness > now.completeness:
        yield f"{column} may be fuller or emptier: {now.completeness:.0%} of its cells suffice."
    if then.unique and not now.unique:
        yield f"{column} may repeat."
    if then.kind != now.kind:
        yield f"{column} held {KINDS[then.kind]} and holds {KINDS[now.kind]} now."
        return
    if then.values is not None and now.values is None:
        yield f"{column} may hold any value."
    elif then.values is not None and now.values is not None and then.values != now.values:
        yield f"{column} may also hold {_listed(sorted({*now.values} - {*then.values}))}."
    if (then.minimum, then.maximum) != (now.minimum, now.maximum):
        yield f"{column} has a wider range."


def _consequences(before: Contract, after: Contract) -> Iterator[str]:
    for name, now in after.columns.items():
        then = before.columns.get(name)
        if then is None:
            yield (
                f"Versions learned from now on read '{name}', those before do not; in files "
                "without it, its cells are missing."
            )
        elif then.kind is not None and then.kind != now.kind:
            yield f"Versions learned from now on read '{name}' otherwise than those before."
            if now.kind not in (None, "category"):
                yield (
                    f"Files that hold {KINDS[then.kind]} in '{name}' break the contract from now "
                    "on: Prepare leaves them out, whether accepted before or not."
                )


def _listed(values: Iterable[str]) -> str:
    listed = list(values)
    shown = ", ".join(show(value) for value in listed[:SHOWN])
    return f"{shown} and {len(listed) - SHOWN:,} more" if len(listed) > SHOWN else shown
