"""
Nobody may do more than a reason was written down for.

A `*` is fine behind something that only this stack has: its name, or one of its resources. Any
other needs an entry here, which says why nothing narrower exists.
"""

import re

from .template_model import is_trust, references, statements

LISTING = "SageMaker's lists take no resource in a policy; what they show is filtered by name"
PIPELINE_JOBS = "SageMaker calls a pipeline's jobs pipelines-<execution>-…, whoever the pipeline is"
WILDCARDS = {
    # (logical id, Sid): why nothing narrower exists
    ("ApplyModelFunction", "FindPipelinesAndGroups"): LISTING,
    (
        "ApplyModelFunction",
        "LetJobLogsExpire",
    ): "SageMaker's own names; the ARN ends in :log-stream:",
    ("ApplyModelFunction", "SeeWhetherTheyDo"): "lists take no group's name in a policy",
    (
        "ConcludeWatchFunction",
        "PutMetricsAsModelMonitorDoes",
    ): "PutMetricData takes no resource in a policy; its condition names the namespace",
    (
        "JudgeQualityFunction",
        "PutMetricsAsModelMonitorDoes",
    ): "PutMetricData takes no resource in a policy; its condition names the namespace",
    ("DeleteModelFunction", "FindItsPipeline"): LISTING,
    ("ExecutionRole", "LogInToEcr"): "GetAuthorizationToken takes no resource in a policy",
    ("ExecutionRole", "RunThePipelinesSteps"): PIPELINE_JOBS,
    ("ExecutionRole", "WriteJobLogs"): "SageMaker names its log groups, one for all jobs of a kind",
    ("JudgeVersionFunction", "FindTheVersion"): LISTING,
    ("ReadOutcomeFunction", "ReadItsEvaluation"): PIPELINE_JOBS,
    ("RequestRollbackFunction", "FindVersions"): LISTING,
}
SUB = re.compile(r"\$\{(AWS::StackName|[A-Za-z0-9]+(\.Arn)?)\}")


def granted(template):
    return [s for s in statements(template) if s.allows and not is_trust(s)]


def is_wide(resource, template):
    """Whether a resource of a statement reaches beyond what is this stack's own."""
    match resource:
        case {"Fn::Sub": str(text)} | {"Fn::Sub": [str(text), _]}:
            before, star, _ = text.partition("*")
        case {"Fn::Join": _}:
            return "*" in str(resource)  # write it as a Sub, which can be judged
        case _:
            before, star = "", "*" if "*" in str(resource) else ""
    owned = {"AWS::StackName", *template["Resources"]}
    return bool(star) and not any(
        found[0].removesuffix(".Arn") in owned for found in SUB.findall(before)
    )


def wildcards(template):
    """Return what is wide by (logical id, Sid)."""
    found = {}
    for statement in granted(template):
        wide = [action for action in statement.actions if "*" in action]
        wide += [str(r) for r in statement.resources if is_wide(r, template)]
        wide += [key for key in ("NotAction", "NotResource") if key in statement.body]
        if wide:
            found[statement.owner, statement.sid] = wide
    return found


def test_there_are_statements_to_judge(template):
    assert granted(template)


def test_no_wildcard_without_a_written_reason(template):
    unexplained = {key: wide for key, wide in wildcards(template).items() if key not in WILDCARDS}
    assert unexplained == {}, "narrow these, or say in WILDCARDS why nothing narrower exists"


def test_no_reason_outlives_its_wildcard(template):
    assert WILDCARDS.keys() - wildcards(template).keys() == set()
    assert all(len(reason.split()) > 3 for reason in WILDCARDS.values())


def test_every_statement_says_what_it_is_for(template):
    nameless = [s.owner for s in statements(template) if not s.sid and not is_trust(s)]
    assert nameless == []


def test_no_two_statements_of_one_owner_share_a_name(template):
    named = [(s.owner, s.sid) for s in statements(template) if s.sid]
    assert sorted(set(named)) == sorted(named)


def test_roles_are_passed_to_one_service_only(template):
    passing = [s for s in granted(template) if "iam:PassRole" in s.actions]
    loose = [
        (s.owner, s.sid)
        for s in passing
        if "iam:PassedToService" not in str(s.body.get("Condition"))
    ]
    assert loose == []


CHANGING = {
    "dynamodb:UpdateItem",
    "dynamodb:DeleteItem",
    "dynamodb:BatchWriteItem",
    "dynamodb:PartiQLInsert",
    "dynamodb:PartiQLUpdate",
    "dynamodb:PartiQLDelete",
    "dynamodb:UpdateTable",
    "dynamodb:UpdateTimeToLive",
    "dynamodb:DeleteTable",
}


def test_the_ledger_is_only_added_to(template):
    ledgers = {name for name in template["Resources"] if name.startswith("LedgerTable")}
    assert ledgers
    may = [
        (s.owner, s.sid)
        for s in granted(template)
        if CHANGING & set(s.actions) and ledgers & set(references(s.resources))
    ]
    assert may == []


def test_no_table_is_granted_as_a_whole(template):
    """A `dynamodb:*` would take the ledger along, and so would a resource that is no table's."""
    wide = [
        (s.owner, s.sid)
        for s in granted(template)
        if any(action in ("*", "dynamodb:*") for action in s.actions)
        or (
            any(action.startswith("dynamodb:") for action in s.actions)
            and not all(list(references(resource)) for resource in s.resources)
        )
    ]
    assert wide == []


def test_what_is_anchored_only_the_sweep_writes_and_nobody_removes(template):
    may = {
        (s.owner, action)
        for s in granted(template)
        if "AnchorBucket" in set(references(s.resources))
        for action in s.actions
    }
    assert may == {("SweepFunction", "s3:PutObject")}
