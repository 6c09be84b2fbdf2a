"""The ledger in sentences: who, what became of it, and why. What is meant is never cut short."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from tidemill.times import seconds
from tidemill_cli.output import local_time, painted

#: What became of something, by kind and verdict; other verdicts are said as they are.
PHRASES = {
    ("upload", "accept"): "was accepted",
    ("upload", "duplicate"): "is a duplicate",
    ("upload", "quarantine"): "was quarantined",
    ("upload", "ignore"): "was ignored",
    ("check", "accept"): "was passed",
    ("delivery", "close"): "was closed",
    ("delivery", "check"): "was checked",
    ("delivery", "check failed"): "could not be checked",
    ("delivery", "check again"): "is to be checked again",
    ("delivery", "open"): "is open",
    ("delivery", "checking"): "is being checked",
    ("trigger", "raise"): "came up",
    ("trigger", "start"): "started a run",
    ("trigger", "coalesce"): "joined a run",
    ("trigger", "defer"): "was put off",
    ("trigger", "refuse"): "was refused",
    ("run", "succeeded"): "succeeded",
    ("run", "refused"): "was refused",
    ("run", "failed"): "failed",
    ("run", "stopped"): "was stopped",
    ("version", "register"): "was registered",
    ("approval", "approve"): "was approved",
    ("approval", "reject"): "was rejected",
    ("rollout", "in service"): "is in service",
    ("rollout", "fail"): "did not get into service",
    ("rollout", "roll back"): "was rolled back",
    ("watch", "no_baseline"): "cannot be compared",
    ("watch", "no_traffic"): "is missing",
    ("watch", "too_few_rows"): "is too little to tell",
    ("watch", "same"): "is like what the version learned from",
    ("watch", "suspected"): "may have drifted",
    ("watch", "drifted"): "still drifts",
    ("watch", "held"): "has drifted, which is not told yet",
    ("watch", "found"): "has drifted",
    ("watch", "broken_upstream"): "looks broken upstream",
    ("watch", "failed"): "failed",
    ("finding", "shift"): "was found to have drifted",
    ("finding", "broken_upstream"): "looks broken",
    ("spec", "create"): "was applied first",
    ("spec", "change"): "was changed",
    ("model", "delete"): "was deleted",
    ("tamper", "changed"): "was tampered with",
    ("tamper", "removed"): "was taken away",
    ("contract", "freeze"): "was frozen",
}
#: Reasons are sentences of their own. What one says again is left out, and what it says better
#: (which run, which version) becomes part of the phrase: kind, verdict, what to find, what to say.
TRIMS = (
    ("trigger", "start", re.compile(r"; started (run-\S+)$"), "started {}"),
    ("trigger", "coalesce", re.compile(r"; joins (.+)$"), "joined {}"),
    ("version", "register", re.compile(r"^(version \d+) registered: "), "was registered"),
    ("run", "succeeded", re.compile(r"^(version \d+) registered: "), "succeeded with {}"),
    (
        "rollout",
        "in service",
        re.compile(r"^(version \d+) answers as evaluated: "),
        "is in service and answers as evaluated",
    ),
)
_OF_DELIVERY = re.compile(r"^(delivery \S+): ")
_WHEN = 12
_ABOUT = {"check": "check of", "finding": "feature", "tamper": "entry"}


def lines(rows: Sequence[dict[str, Any]], now: float) -> Iterator[str]:
    """Yield a sentence per row, at *now* (seconds since 1970), and its next step below."""
    names = shown_names([row["subject"] for row in rows if row["kind"] == "upload"])
    findings = {(row["at"], row["reason"]) for row in rows if row["kind"] == "finding"}
    for row in rows:
        if row["kind"] == "watch" and (row["at"], row["reason"]) in findings:
            continue  # the finding itself says it, and of which feature
        when = "now" if row["now"] else local_time(seconds(row["at"]), now)
        sentence = _sentence(row, names, now)
        yield f"{when:<{_WHEN}}  {sentence}"
        if row["next_step"]:
            yield f"{'':<{_WHEN}}  → {row['next_step']}"


def shown_names(keys: Sequence[str]) -> dict[str, str]:
    """Return what each key is called: its last part, or as much as tells it from others."""
    by_name: dict[str, set[str]] = defaultdict(set)
    for key in keys:
        by_name[key.rpartition("/")[2]].add(key)
    return {
        key: name if len(same) == 1 and name else key
        for name, same in by_name.items()
        for key in same
    }


def nothing(model: str, upload: str | None, *, since: bool) -> str:
    """Say that nothing is recorded, and where one might look."""
    if upload:
        return (
            f"nothing is recorded of {upload}: it is not below raw/{model}/, or its event has not "
            "come yet (the sweep finds it within five minutes); `tidemill why unplaced` lists "
            "uploads of no model"
        )
    return f"nothing is recorded of {model}" + (" since then" if since else "")


def _sentence(row: dict[str, Any], names: dict[str, str], now: float) -> str:
    verdict, reason = row["verdict"], row["reason"].strip()
    became = PHRASES.get((row["kind"], verdict))
    if became is None:
        became = f"is {verdict}" if row["now"] else verdict
    elif row["kind"] == "delivery" and verdict == "open":
        became = f"is open since {local_time(seconds(row['at']), now)}"
    became, reason = _trimmed(row, became, reason)
    rule = f" (rule {row['rule']})" if row["rule"] and row["kind"] == "upload" else ""
    said = f"{_subject(row, names)} {painted(became, verdict)}{rule}"
    if not reason:
        return f"{said}."
    return f"{said}: {reason}" + ("" if reason[-1] in ".!?`" else ".")


def _trimmed(row: dict[str, Any], became: str, reason: str) -> tuple[str, str]:
    """Return the phrase and the reason without what both would say."""
    for kind, verdict, said, phrase in TRIMS:
        if (row["kind"], row["verdict"]) == (kind, verdict) and (found := said.search(reason)):
            became, reason = phrase.format(found[1]), said.sub("", reason)
    if row["kind"] == "trigger":
        reason = _OF_DELIVERY.sub(r"\1, ", reason)
    return became, reason


def _subject(row: dict[str, Any], names: dict[str, str]) -> str:
    subject = row["subject"]
    match row["kind"]:
        case "upload":
            return f"Upload {names[subject]}"
        case "trigger":
            return f"A {subject} trigger"
        case "watch":
            failed = row["verdict"] == "failed"
            return f"The look {subject}" if failed else f"The traffic of {subject}"
        case "check" | "finding" | "tamper" as kind:
            return f"The {_ABOUT[kind]} {subject}"
        case "spec" | "model" | "contract" as kind:
            return f"The {kind}"
        case "rollout" if row["now"]:
            return f"The rollout of {subject}"
        case "run":
            return str(subject)
        case kind:
            return _capital(subject if subject.startswith(kind) else f"{kind} {subject}", subject)


def _capital(text: str, subject: str) -> str:
    """Return `Delivery d-…`, and `Version 3` for an approval of it."""
    told = subject if subject.startswith("version ") else text
    return told[:1].upper() + told[1:]
