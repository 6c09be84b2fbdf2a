import pytest

from tidemill.adapters.items import marshal
from tidemill.errors import InvalidInputError, NotFoundError

from ... import stack as deployed
from .scenes import MODEL, NAME, REF


@pytest.fixture(autouse=True)
def _applied(request):
    if "cloud" in request.fixturenames:
        request.getfixturevalue("cloud").apply(request.getfixturevalue("spec"))


def judge(cloud, verdict="approve", version=3, why="it is better", **more):
    event = {**MODEL, "version": version, "verdict": verdict, "why": why, **more}
    return cloud.invoke("judge_version", event)


@pytest.mark.parametrize(("verdict", "status"), [("approve", "Approved"), ("reject", "Rejected")])
def test_a_judgement_is_recorded_set_and_told(cloud, verdict, status):
    package = cloud.sagemaker.add_version(NAME, 3)
    assert judge(cloud, verdict) == {"version": 3, "status": status}
    held = cloud.sagemaker.packages[package]
    assert (held["ModelApprovalStatus"], held["ApprovalDescription"]) == (status, "it is better")
    (entry,) = cloud.entries(REF, "approval")
    assert entry["reason"] == "it is better (by person)"
    ((kind, detail),) = cloud.events()
    assert (kind, detail["number"], detail["by"]) == (f"Version {status}", 3, "person")


def test_a_version_that_is_approved_again_changes_for_sagemaker_too(cloud):
    """Only a changed status makes the event that starts a rollout."""
    package = cloud.sagemaker.add_version(NAME, 3, "Approved")
    judge(cloud, why="the rollout failed for want of machines")
    asked = [
        request["ModelApprovalStatus"]
        for _, operation, request in cloud.calls
        if operation == "UpdateModelPackage"
    ]
    assert asked == ["PendingManualApproval", "Approved"]
    assert cloud.sagemaker.packages[package]["ModelApprovalStatus"] == "Approved"


def test_an_approval_that_is_tried_again_is_one(cloud):
    """Step Functions retries a call that answered nothing: no second entry, no second rollout."""
    cloud.sagemaker.add_version(NAME, 3)
    judge(cloud, id="run-1")
    cloud.now += 5
    judge(cloud, id="run-1")
    assert len(cloud.entries(REF, "approval")) == 1
    asked = [
        request["ModelApprovalStatus"]
        for _, operation, request in cloud.calls
        if operation == "UpdateModelPackage"
    ]
    assert asked == ["Approved"], "the second attempt never goes back to pending"


def test_the_spec_approves_in_its_own_name(cloud):
    cloud.sagemaker.add_version(NAME, 3)
    judge(cloud, by="the spec (approve: auto)")
    assert cloud.entries(REF, "approval")[0]["facts"]["by"] == "the spec (approve: auto)"


@pytest.mark.parametrize("why", ["", "  "])
def test_a_judgement_needs_a_reason(cloud, why):
    cloud.sagemaker.add_version(NAME, 3)
    with pytest.raises(InvalidInputError, match="--why"):
        judge(cloud, why=why)
    assert cloud.entries(REF, "approval") == []


def test_a_version_that_is_not_there_is_named(cloud):
    cloud.sagemaker.add_version(NAME, 1)
    with pytest.raises(NotFoundError, match="no version 3; versions: 1"):
        judge(cloud)


def test_a_verdict_that_is_neither_is_refused(cloud):
    with pytest.raises(InvalidInputError, match="'approve' or 'reject', not 'maybe'"):
        judge(cloud, "maybe")


def test_it_may_die_anywhere(survives, spec):
    def prepare(cloud):
        cloud.apply(spec)
        cloud.sagemaker.add_version(NAME, 3)
        return {**MODEL, "version": 3, "verdict": "approve", "why": "good"}

    survives("judge_version", prepare)


def test_a_version_of_a_deleted_model_cannot_be_approved_but_rejected(cloud, spec):
    cloud.sagemaker.add_version(NAME, 3)
    cloud.dynamodb.delete_item(
        TableName=deployed.STATE, Key=marshal({"owner": "models", "fact": REF})
    )
    with pytest.raises(NotFoundError, match="`tidemill apply` its model"):
        judge(cloud)
    assert cloud.entries(REF, "approval") == []
    assert judge(cloud, "reject")["status"] == "Rejected"
