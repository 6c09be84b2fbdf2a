"""What is going on with a model now: what is open, and what it waits for. Reads only."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tidemill.adapters.checks import FAILED
from tidemill.adapters.entries import UNPLACED
from tidemill.adapters.outlook import look
from tidemill.adapters.rollouts import name_begins
from tidemill.adapters.runs import GOING
from tidemill.adapters.workflows import Workflows
from tidemill.domain.delivery import OpenDelivery, Wait, judge
from tidemill.domain.placement import RAW
from tidemill.domain.trigger import Verdict
from tidemill.spec.compiled import Spec
from tidemill.times import seconds
from tidemill_cli.output import span
from tidemill_cli.stack import Stack
from tidemill_cli.timeline import stage_of

Kind = Literal["upload", "delivery", "trigger", "run", "rollout"]
#: An upload without a verdict is under way for so long; what is older, only a sweep finds.
UNDER_WAY_SECONDS = 15 * 60.0
#: Entries that are looked at for quarantined files: one call of 1 MB or so.
MOST_LOOKED_AT = 1_000


@dataclass(frozen=True, slots=True)
class Open:
    """
    One thing that has not ended.

    *since*, and *until* when time alone ends it at the latest, are in seconds since 1970.
    *next_step* is the command that it waits for; nothing happens to it without a person.
    """

    kind: Kind
    subject: str
    state: str
    said: str
    since: float
    until: float | None = None
    next_step: str | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """Whether what came last is in service, and the sentence that says so."""

    good: bool
    said: str


class Standing:
    """One model, as it stands at the moment of asking."""

    def __init__(self, stack: Stack, ref: str) -> None:
        self._stack = stack
        self._stores = stack.stores
        self.ref = ref

    def open(self, now: float, *, uploads: int | None = None) -> list[Open]:
        """
        Return what is open, in the order in which data flows.

        Args:
            now: Seconds since 1970.
            uploads: Among so many object versions below the model's prefix to look for uploads
                that have no verdict yet; 0 for none, None for all. S3 lists in the order of
                names, 1,000 a call, so that all may take a while.
        """
        return (
            self._under_way(now)
            or (uploads != 0 and (self._unjudged(now, uploads) or self._under_way(now)))
            or []  # nothing, also after an upload may have got its verdict in between
        )

    def _under_way(self, now: float) -> list[Open]:
        """
        Return everything open that is written down.

        Things move on while they are read, so they are read in the order in which they move:
        what left one place after it was looked at is met in the next.
        """
        spec = self._stores.specs.find(self.ref)
        delivery = self._stores.deliveries.open(self.ref)
        checks = self._unfinished_checks()
        outlook = look(self._stores, self.ref)
        runs = [run for run in self._stores.runs.of(self.ref) if run["status"] in GOING]
        return [
            *([_delivery(delivery, spec, now)] if delivery and spec else []),
            *(item for item in map(self._check, checks) if item.next_step is None),
            *_triggers(outlook.decide(now).verdicts),
            *(self._run(run) for run in runs),
            *self._rollouts(),
        ]

    def stuck(self) -> list[Open]:
        """Return the deliveries whose check failed for good: only a person goes on with them."""
        checks = (self._check(delivery) for delivery in self._unfinished_checks())
        return [item for item in checks if item.next_step is not None]

    def _unfinished_checks(self) -> list[str]:
        return [check for ref, check in self._stores.checks.unfinished() if ref == self.ref]

    def judgement(self) -> Judgement:
        """
        Say whether what came last is in service: the last run's version, or a rollout since.

        A rollback, or the approval of an older version, comes after the last run: then the
        version that was asked for is what counts. While a delivery waits for a person to have it
        checked again, what came last is not in service.
        """
        stuck = self.stuck()
        if stuck:
            return Judgement(False, _told(stuck[-1]))
        runs = self._stores.runs.of(self.ref)
        last = runs[-1] if runs else None
        later = self._rollout_after(last)
        if later is not None:
            version, reason = later["facts"].get("version"), later["reason"]
            if later["verdict"] == "in service":
                return Judgement(True, f"version {version} is in service: {reason}")
            return Judgement(False, f"version {version} is not in service: {reason}")
        if last is None:
            return Judgement(
                False, f"{self.ref} has no run yet; `tidemill why {self.ref}` says what came"
            )
        if last["status"] != "succeeded":
            return Judgement(False, f"{last['run']} {last['status']}: {last.get('reason', '')}")
        return self.service_of(last)

    def asides(self, *, since: float | None = None) -> list[str]:
        """
        Return sentences on what waits for a person: quarantined files, versions to approve.

        Args:
            since: Of the newest entries only those after it (seconds since 1970); by default
                from the start of the last run but one on, since those were meant for it.
        """
        said = []
        files = self._files_aside(since)
        if files:
            names = ", ".join(files[:3]) + (", …" if len(files) > 3 else "")  # noqa: PLR2004  # enough to know them
            several = "s are" if len(files) > 1 else " is"
            said.append(
                f"{len(files)} file{several} quarantined ({names}); "
                f"`tidemill why {self.ref}` says why and what to do"
            )
        said += [_told(item) for item in self.stuck()]
        said += [
            f"version {version} waits for an approval: "
            f"`tidemill approve {self.ref} {version} --why …`"
            for version in self.unapproved()
        ]
        return said

    def quarantined(self) -> int:
        """Return how many files are set aside, of those that were meant for the newest runs."""
        return len(self._files_aside(None))

    def _files_aside(self, since: float | None) -> list[str]:
        if since is None:
            runs = self._stores.runs.of(self.ref)
            since = float(runs[-2]["started_at"]) if len(runs) > 1 else None
        newest = self._stores.ledger.newest(self.ref, MOST_LOOKED_AT, since=since)
        return _quarantined(newest)

    def unapproved(self) -> list[int]:
        """Return the versions that wait for a person: newer than all that were judged."""
        versions = self._stack.registry.versions(self._stack.aws_name(self.ref))
        judged = [v["version"] for v in versions if v["approval"] != "PendingManualApproval"]
        newest = max(judged, default=0)
        return sorted(v["version"] for v in versions if v["version"] > newest)

    def _rollout_after(self, run: dict[str, Any] | None) -> dict[str, Any] | None:
        """Return the newest rollout, if it is of another version than the last run's and later."""
        rollouts = self._stores.ledger.under(self.ref, "rollout#")
        if not rollouts:
            return None
        newest = rollouts[-1]
        if run is None:
            return newest
        ended = run.get("finished_at") or run["started_at"]
        same = newest["facts"].get("version") == run.get("version")
        return None if same or _moment(newest) < ended else newest

    def service_of(self, run: dict[str, Any], *, waiting_is_good: bool = False) -> Judgement:
        """
        Say whether the version of a run that succeeded is in service.

        Args:
            run: The run's record.
            waiting_is_good: A version that a person has still to approve counts as good.
        """
        version = run.get("version")
        champion = self._stores.champions.find(self.ref) or {}
        if champion.get("version") == version:
            return Judgement(True, f"version {version} is in service: {run.get('reason', '')}")
        held = self._stack.registry.versions(self._stack.aws_name(self.ref))
        approval = next((item["approval"] for item in held if item["version"] == version), None)
        if approval == "PendingManualApproval":
            return Judgement(
                waiting_is_good,
                f"version {version} waits for an approval: "
                f"`tidemill approve {self.ref} {version} --why …`",
            )
        if approval == "Rejected":
            return Judgement(False, f"version {version} was rejected")
        last = self._last_rollout(version)
        why = f"{last['verdict']}: {last['reason']}" if last else "no rollout of it is recorded"
        now_in_service = champion.get("version") or "none"
        return Judgement(
            False, f"version {version} is not in service ({why}); in service: {now_in_service}"
        )

    def _run(self, run: dict[str, Any]) -> Open:
        stage = stage_of(self._stack, run)
        return Open("run", run["run"], run["status"], stage, float(run["started_at"]))

    def _check(self, delivery: str) -> Open:
        record = self._stores.checks.find(self.ref, delivery) or {}
        closed_at = float(record.get("closed_at", 0))
        if record.get("stands") != FAILED:
            return Open("delivery", delivery, "checking", "is being checked", closed_at)
        reason, again_at = record.get("check", ""), record.get("again_at")
        if again_at:
            said = f"its check is tried again: {reason}"
            return Open("delivery", delivery, "checking", said, closed_at, again_at)
        said = f"its check failed {record['attempt']} times, the last time with: {reason}"
        command = f"tidemill recheck {self.ref} {delivery} --why …"
        return Open("delivery", delivery, "waiting", said, closed_at, next_step=command)

    def _rollouts(self) -> list[Open]:
        going = self._rollouts_going()
        known = {item.subject for item in going}
        return going + [item for item in self._rollouts_due() if item.subject not in known]

    def _rollouts_going(self) -> list[Open]:
        project, _, model = self.ref.partition("/")
        workflows = Workflows(self._stack.clients.stepfunctions, self._stack.output("RolloutArn"))
        found = []
        for execution in workflows.executions("RUNNING"):
            if not execution["name"].startswith(name_begins(model)):
                continue
            described = workflows.find(execution["name"]) or {}
            given = json.loads(described.get("input") or "{}")
            if (given.get("project"), given.get("model")) == (project, model):
                found.append(
                    Open(
                        "rollout",
                        f"version {given['version']}",
                        "going",
                        f"being put in service: {given.get('why', '')}",
                        execution["startDate"].timestamp(),
                    )
                )
        return found

    def _rollouts_due(self) -> list[Open]:
        """Approvals whose event has not started a rollout yet: a gap of a second or so."""
        approvals = self._stores.ledger.under(self.ref, "approval#")
        if not approvals:
            return []
        last = approvals[-1]
        at = _moment(last)
        done = any(
            entry["facts"].get("version") == last["facts"]["version"] and _moment(entry) >= at
            for entry in self._stores.ledger.under(self.ref, "rollout#")
        )
        if last["verdict"] != "approve" or done:
            return []
        said = "approved; its rollout is about to start"
        return [Open("rollout", last["subject"], "waiting", said, at)]

    def _last_rollout(self, version: Any) -> dict[str, Any] | None:
        of_version = [
            entry
            for entry in self._stores.ledger.under(self.ref, "rollout#")
            if entry["facts"].get("version") == version
        ]
        return of_version[-1] if of_version else None

    def _unjudged(self, now: float, most: int | None) -> list[Open]:
        """Return object versions of the last minutes that have no verdict yet."""
        bucket = self._stack.lake_bucket
        pages = self._stack.clients.s3.get_paginator("list_object_versions").paginate(
            Bucket=bucket,
            Prefix=f"{RAW}/{self.ref}/",
            PaginationConfig={"MaxItems": most} if most else {},
        )
        found = []
        for page in pages:
            for item in page.get("Versions", []):
                at = item["LastModified"].timestamp()
                if now - at > UNDER_WAY_SECONDS or self._judged(item["Key"], item["VersionId"]):
                    continue
                said = "uploaded; its verdict is due any moment"
                found.append(Open("upload", item["Key"], "waiting", said, at))
        return found

    def _judged(self, key: str, version_id: str) -> bool:
        ledger = self._stores.ledger
        return any(ledger.upload(ref, key, version_id) for ref in (self.ref, UNPLACED))


def _triggers(verdicts: Sequence[Verdict]) -> list[Open]:
    """Return the pending triggers with what each waits for, as it would be decided now."""
    return [
        Open(
            "trigger",
            verdict.trigger.kind,
            "waiting",
            f"{verdict.trigger.why}; "
            + (verdict.reason if verdict.name == "defer" else "is being decided"),
            verdict.trigger.at,
            verdict.until,
        )
        for verdict in verdicts
    ]


def _told(stuck: Open) -> str:
    return f"delivery {stuck.subject} waits for you: {stuck.said}; `{stuck.next_step}`"


def _delivery(delivery: OpenDelivery, spec: Spec, now: float) -> Open:
    judged = judge(delivery, spec.delivery, now)
    files = f"{delivery.uploads} file{'s' if delivery.uploads != 1 else ''}"
    if isinstance(judged, Wait):
        ends = f"closes in {span(judged.seconds)} if nothing more arrives"
        if spec.delivery.marker and delivery.marker_at is None:
            latest = delivery.opened_at + spec.delivery.max_wait_seconds - now
            ends = f"closes when {spec.delivery.marker} arrives, in {span(latest)} at the latest"
    else:
        ends = "is being closed"
    latest = delivery.opened_at + spec.delivery.max_wait_seconds
    return Open("delivery", delivery.id, "open", f"{files}; {ends}", delivery.opened_at, latest)


def _quarantined(entries: Iterable[dict[str, Any]]) -> list[str]:
    """Return the files whose newest version is quarantined; *entries* are newest first."""
    found: dict[str, bool] = {}
    for entry in entries:
        if entry["kind"] == "upload":
            found.setdefault(entry["subject"], entry["verdict"] == "quarantine")
    return sorted(key.rpartition("/")[2] for key, aside in found.items() if aside)


def _moment(entry: dict[str, Any]) -> float:
    return seconds(entry["at"])
