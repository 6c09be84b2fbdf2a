"""
The ledger's hash chain: the canonical form of an entry, links, and what a walk along them finds.

Entries and links are taken as DynamoDB holds them (`{"S": …}`, `{"N": …}`), because that is what
a stream, a backup and an export hold too. docs/ledger.md has the format for other readers.
"""

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Context
from typing import Any

#: Begins the keys of links; twelve digits follow.
LINK = "chain#"
#: What the first link has for the hash of the one before.
NOTHING_BEFORE = "0" * 64
#: A link ends before either; DynamoDB's items end at 400 KB.
MOST_ENTRIES, MOST_BYTES = 1000, 300_000

# DynamoDB's numbers have up to 38 digits.
_EXACT = Context(prec=64)
# The lengths that DynamoDB counts for a pair in a list, beside the key: a sha256 and the lists.
_PAIR_BYTES = 64 + 8


@dataclass(frozen=True, slots=True)
class Named:
    """
    An entry as a link names it.

    Args:
        key: The entry's key.
        digest: The sha256 of its canonical form, hex.
        at: When it was made, ISO 8601, as far as it says so.
        sequence: Its place in the table's stream; None when the sweep found it.
        expires: Seconds since 1970 after which DynamoDB may remove it; None for never.
    """

    key: str
    digest: str
    at: str
    sequence: int | None = None
    expires: int | None = None


@dataclass(frozen=True, slots=True)
class Link:
    """
    One link of a model's chain. Times are ISO 8601.

    Args:
        model: Whose chain it is.
        number: From 1, without gaps.
        previous: The hash of the link before, or NOTHING_BEFORE.
        entries: (key, digest) of each entry.
        linked_at: When it was written.
        first: The smallest place in the stream among its entries; 0 for a late link.
        last: The largest such place so far, in this link or one before.
        late: The number of the newest link that a sweep wrote, this one included; 0 for none.
        expires: When the first of its entries may be removed (seconds since 1970); None: never.
        hash: The sha256 of its canonical form without this; empty while it is being made.
    """

    model: str
    number: int
    previous: str
    entries: tuple[tuple[str, str], ...]
    linked_at: str
    first: int
    last: int
    late: int
    expires: int | None = None
    hash: str = ""


def canonical(item: Mapping[str, Any]) -> str:
    """
    Return the canonical form of an item: one text for all items that are equal.

    JSON of DynamoDB's own notation: keys by code point, no spaces, text unescaped; numbers as
    plain decimals without trailing zeros; sets sorted; bytes as base64.
    """
    normal = {name: _normal(value) for name, value in item.items()}
    return json.dumps(normal, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def digest(item: Mapping[str, Any]) -> str:
    """Return the sha256 of an item's canonical form in UTF-8, as 64 hex digits."""
    return hashlib.sha256(canonical(item).encode()).hexdigest()


def link_hash(item: Mapping[str, Any]) -> str:
    """Return the hash that a link must have: the digest of all of it but `hash`."""
    return digest({name: value for name, value in item.items() if name != "hash"})


def link_key(number: int) -> str:
    """Return the key of a link: `chain#000000000007`."""
    return f"{LINK}{number:012d}"


def follow(
    model: str, head: Link | None, entries: Sequence[Named], linked_at: str
) -> tuple[Link, int]:
    """
    Return the link that comes after *head*, and how many of *entries* (one or more) it takes.

    Its hash is for the writer to add: it is taken over the item as it is stored.
    """
    taken = entries[: _fitting(entries)]
    number = head.number + 1 if head else 1
    places = [entry.sequence for entry in taken if entry.sequence is not None]
    ends = [entry.expires for entry in taken if entry.expires is not None]
    late = number if len(places) < len(taken) else (head.late if head else 0)
    link = Link(
        model=model,
        number=number,
        previous=head.hash if head else NOTHING_BEFORE,
        entries=tuple((entry.key, entry.digest) for entry in taken),
        linked_at=linked_at,
        first=min(places, default=0),
        last=max([*places, head.last if head else 0]),
        late=late,
        expires=min(ends, default=None),
    )
    return link, len(taken)


def _fitting(entries: Sequence[Named]) -> int:
    size = 0
    for count, entry in enumerate(entries[:MOST_ENTRIES]):
        size += len(entry.key.encode()) + _PAIR_BYTES
        if size > MOST_BYTES and count:
            return count
    return min(len(entries), MOST_ENTRIES)


def changed_names(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    """Yield the attributes in which two items differ; those of `facts` as `facts.name`."""
    for name in sorted(old.keys() | new.keys()):
        before, after = old.get(name), new.get(name)
        if before is None or after is None or "M" not in before or "M" not in after:
            if _same(before, after):
                continue
            yield name
        else:
            inner = changed_names(before["M"], after["M"])
            yield from (f"{name}.{part}" for part in inner)


def _same(before: Any, after: Any) -> bool:
    if before is None or after is None:
        return before is after
    return bool(_normal(before) == _normal(after))


def _normal(attribute: Mapping[str, Any]) -> dict[str, Any]:
    ((kind, value),) = attribute.items()
    match kind:
        case "N":
            return {kind: _number(value)}
        case "NS":
            return {kind: sorted(_number(each) for each in value)}
        case "SS":
            return {kind: sorted(value)}
        case "B":
            return {kind: _text(value)}
        case "BS":
            return {kind: sorted(_text(each) for each in value)}
        case "L":
            return {kind: [_normal(each) for each in value]}
        case "M":
            return {kind: {name: _normal(each) for name, each in value.items()}}
        case _:
            return {kind: value}


def _number(text: str) -> str:
    """Return `100`, `0.5`, `-3`: DynamoDB itself may give back 1E+2 for 100.0."""
    value = _EXACT.create_decimal(text)
    return format(value.normalize(_EXACT), "f") if value else "0"


def _text(value: bytes | str) -> str:
    """Return bytes in base64; in a stream's event they are that already."""
    return value if isinstance(value, str) else base64.b64encode(value).decode()
