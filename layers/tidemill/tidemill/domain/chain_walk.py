"""A walk along a model's chain and its entries: everything that does not fit is named."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tidemill.domain.chain import LINK, NOTHING_BEFORE, digest, link_hash, link_key
from tidemill.times import seconds

#: An entry is chained within seconds; one that is older and in no link is a finding.
UNCHAINED_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that does not fit: the key of the entry or link, what it is, and a sentence."""

    subject: str
    what: str
    said: str


@dataclass(frozen=True, slots=True)
class _Promise:
    """What a link says of an entry."""

    digest: str
    link: int
    expires: int | None


@dataclass
class Walk:
    """
    Feed it a model's links in order, then its entries in any order, then call `close`.

    It holds the key and digest of every entry that no `entry` has matched yet: 200 bytes each.

    Attributes:
        links: How many links there are.
        entries: How many entries there are.
        unchained: Entries that are too new to be in a link.
        expired: Entries in a link that are gone, as their retention says.
        head: The hash of the last link.
        tampering: What the ledger itself says was done to it, oldest entries first.
        findings: All that does not fit.
    """

    links: int = 0
    entries: int = 0
    unchained: int = 0
    expired: int = 0
    head: str = NOTHING_BEFORE
    tampering: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    _number: int = 0
    _promised: dict[str, _Promise] = field(default_factory=dict)
    _loose: list[tuple[str, str]] = field(default_factory=list)

    def link(self, item: Mapping[str, Any]) -> int:
        """Look at the next link, as DynamoDB has it; return the number that its key says."""
        key = _text(item, "entry")
        said = key.removeprefix(LINK)
        number = int(said) if said.isdecimal() and key == link_key(int(said)) else 0
        if not number:
            self._find(key, "forged link", "its key is no link's: chain# and twelve digits")
            return 0
        if number != self._number + 1:
            self._missing(self._number + 1, number - 1)
        found, held = link_hash(item), _text(item, "hash")
        if found != held:
            self._find(key, "changed link", f"its content's hash is {found}, it says {held}")
        previous = _text(item, "previous")
        if number == self._number + 1 and previous != self.head:
            self._find(
                key,
                "forked chain",
                f"it follows a link with the hash {previous}, but {_named(self._number)} has "
                f"{self.head}: one of the two was replaced",
            )
        self.links, self._number, self.head = self.links + 1, number, held
        self._promise(item, key, number)
        return number

    def entry(self, item: Mapping[str, Any]) -> None:
        """Look at an entry, as DynamoDB has it."""
        self.entries += 1
        key = _text(item, "entry")
        if _text(item, "kind") == "tamper":
            self.tampering.append(_text(item, "reason"))
        promised = self._promised.pop(key, None)
        if promised is None:
            self._loose.append((key, _text(item, "at").partition("#")[0]))
            return
        found = digest(item)
        if found != promised.digest:
            self._find(
                key,
                "changed entry",
                f"{_named(promised.link)} names it with sha256 {promised.digest}, now it is "
                f"{found}: it was changed or replaced after it was written",
            )

    def anchor(self, number: int, anchored: str, held: str | None) -> None:
        """Note that an anchored head differs; *held* is the link's hash, None when it is gone."""
        now = f"the link has {held}" if held else "there is no such link"
        self._find(
            link_key(number),
            "head differs",
            f"the anchored head has the hash {anchored}, {now}: the chain was rewritten or cut",
        )

    def close(self, now: float) -> None:
        """Say what is missing and what is loose, at *now* (seconds since 1970)."""
        for key, promised in sorted(self._promised.items()):
            if promised.expires is not None and promised.expires <= now:
                self.expired += 1
            else:
                self._find(
                    key, "removed entry", f"{_named(promised.link)} names it, and it is gone"
                )
        for key, at in self._loose:
            age = _age(at, now)
            if age is not None and abs(age) <= UNCHAINED_SECONDS:
                self.unchained += 1
            else:
                self._find(
                    key,
                    "unchained entry",
                    f"it says it is of {at or 'no time'}, and no link names it: it was put there "
                    "past the stream, or the function chain_ledger fails",
                )
        self._promised.clear()
        self._loose.clear()

    def _promise(self, item: Mapping[str, Any], key: str, number: int) -> None:
        try:
            pairs = [(pair["L"][0]["S"], pair["L"][1]["S"]) for pair in item["entries"]["L"]]
            expires = int(item["entries_expire"]["N"]) if "entries_expire" in item else None
        except (KeyError, IndexError, TypeError, ValueError):
            self._find(key, "changed link", "it does not say which entries it names")
            return
        for name, found in pairs:
            before = self._promised.get(name)
            if before is not None:
                self._find(
                    name, "entry named twice", f"{_named(before.link)} and {_named(number)} name it"
                )
                continue
            self._promised[name] = _Promise(found, number, expires)

    def _missing(self, first: int, last: int) -> None:
        for number in range(first, min(last, first + 9) + 1):
            self._find(link_key(number), "missing link", f"{_named(last + 1)} is there, it is not")
        if last > first + 9:
            self._find(link_key(last), "missing link", f"and all {last - first - 9} before it")

    def _find(self, subject: str, what: str, said: str) -> None:
        self.findings.append(Finding(subject, what, said))


def _named(number: int) -> str:
    return f"link {number}" if number else "the beginning"


def _text(item: Mapping[str, Any], name: str) -> str:
    found = item.get(name, {})
    return str(found.get("S", "")) if isinstance(found, Mapping) else ""


def _age(at: str, now: float) -> float | None:
    try:
        return now - seconds(at)
    except ValueError:
        return None
