"""Checks of what is under way: failures that no dead letter tells of yet."""

from collections.abc import Iterable

from tidemill.adapters.checks import FAILED
from tidemill.times import iso
from tidemill_cli.checkup import Check, Finding, Patient, quoted
from tidemill_cli.dead_letters import DeadLetters

_NAME = "in flight"


def in_flight(patient: Patient) -> Iterable[Finding]:
    """Look whether something failed that is tried again: a check, or a queue's message."""
    found = [*_checks(patient), *_messages(patient)]
    yield from found
    if not found:
        yield Finding(_NAME, "ok", "no check failed, and no message is under way")


def _checks(patient: Patient) -> Iterable[Finding]:
    checks = patient.stack.stores.checks
    for ref, delivery in checks.unfinished():
        record = checks.find(ref, delivery)
        if record is None or record.get("stands") != FAILED:
            continue
        again_at = record.get("again_at")
        said = f"the check of {ref}'s {delivery} failed: {record['check']}"
        if again_at is None:
            fix = f"tidemill recheck {quoted(ref)} {quoted(delivery)} --why TEXT"
            yield Finding(_NAME, "wrong", f"{said}. Nobody tries it again by himself", fix)
        else:
            fix = f"tidemill why {quoted(ref)}"
            yield Finding(_NAME, "wrong", f"{said}. It is tried again at {iso(again_at)}", fix)


def _messages(patient: Patient) -> Iterable[Finding]:
    """SQS does not say whether whoever has a message fails on it; only that somebody has it."""
    for queue in DeadLetters(patient.stack).queues():
        if queue.source_url is None:
            continue
        held = patient.clients.sqs.get_queue_attributes(
            QueueUrl=queue.source_url,
            AttributeNames=["ApproximateNumberOfMessagesNotVisible", "VisibilityTimeout"],
        )["Attributes"]
        taken = int(held["ApproximateNumberOfMessagesNotVisible"])
        if taken:
            messages = "1 message" if taken == 1 else f"{taken} messages"
            said = (
                f"{messages} of {queue.source}: a function works on it, or failed and gets it "
                f"again within {held['VisibilityTimeout']} s"
            )
            fix = f"look again then; what failed five times is in {queue.name}"
            yield Finding(_NAME, "unseen", said, fix)


CHECKS: tuple[tuple[str, Check], ...] = ((_NAME, in_flight),)
