from datetime import timedelta

import pytest

from tidemill.adapters.entries import Entry

from ..fake_sagemaker import CREATED
from .scenes import NAME, REF


@pytest.fixture
def approved(cloud, spec, sample):
    """Return a sender of the approval event of version 3, as SageMaker has it."""
    cloud.apply(spec)
    package = cloud.sagemaker.add_version(NAME, 3, "Approved", ApprovalDescription="AUC 0.83")

    def send(**detail):
        event = sample("model_package_approved")
        event["detail"] |= {"ModelPackageArn": package, **detail}
        for name in [name for name, value in detail.items() if value is ...]:
            del event["detail"][name]
        cloud.invoke("start_rollout", event)
        return cloud.workflows.of("rollout")

    send.package = package
    return send


def test_an_approval_starts_one_rollout_however_often_its_event_comes(approved):
    for _ in range(3):
        started = approved()
    ((name, document),) = started.items()
    assert name.startswith("delay-v3-")
    assert document == {
        "project": "flights", "model": "delay", "version": 3, "package": approved.package,
        "why": "AUC 0.83",
    }  # fmt: skip


def test_also_when_the_first_rollout_has_ended(cloud, approved):
    (name,) = approved()
    cloud.workflows.end("rollout", name, "FAILED")
    assert list(approved()) == [name]


def test_a_new_approval_starts_another(cloud, approved):
    approved()
    cloud.sagemaker.packages[approved.package]["LastModifiedTime"] = CREATED + timedelta(hours=1)
    assert len(approved()) == 2


@pytest.mark.parametrize("fields", [[], ["CustomerMetadataProperties"]])
def test_an_update_of_something_else_starts_nothing(approved, fields):
    assert approved(UpdatedModelPackageFields=fields) == {}


@pytest.mark.parametrize("unsaid", [None, ...])
def test_where_it_is_not_said_what_changed_the_package_decides(approved, unsaid):
    assert len(approved(UpdatedModelPackageFields=unsaid)) == 1


def test_the_package_counts_not_the_event(cloud, approved):
    cloud.sagemaker.packages[approved.package]["ModelApprovalStatus"] = "Rejected"
    assert approved() == {}


def test_a_group_that_is_not_ours_starts_nothing(approved):
    assert approved(ModelPackageGroupName="tidemill--flights--other") == {}


def test_a_package_that_was_never_changed_has_a_name_too(cloud, approved):
    del cloud.sagemaker.packages[approved.package]["LastModifiedTime"]
    assert len(approved()) == 1


def test_a_long_name_finds_its_model(cloud, make_spec, sample):
    from tidemill.names import aws_name  # noqa: PLC0415

    long = make_spec(project="a-team-with-a-long-name", model="and-a-model-with-a-longer-one")
    cloud.apply(long)
    group = aws_name("tidemill", long.project, long.model)
    assert group != f"tidemill--{long.project}--{long.model}"
    package = cloud.sagemaker.add_version(group, 1, "Approved")
    event = sample("model_package_approved")
    event["detail"] |= {"ModelPackageArn": package, "ModelPackageGroupName": group}
    cloud.invoke("start_rollout", event)
    (document,) = cloud.workflows.of("rollout").values()
    assert document["model"] == long.model


def test_it_may_die_anywhere(survives, make_spec, sample):
    def prepare(cloud):
        cloud.apply(make_spec())
        package = cloud.sagemaker.add_version(NAME, 3, "Approved")
        event = sample("model_package_approved")
        event["detail"]["ModelPackageArn"] = package
        return event

    survives("start_rollout", prepare)


def test_an_approval_of_a_deleted_model_is_in_the_ledger(cloud, approved):
    """Nothing is put in service; whoever approved it reads why."""
    named = {"project": "flights", "model": "delay"}
    cloud.sagemaker.packages[approved.package]["CustomerMetadataProperties"] = named
    cloud.stores.specs.remove(
        REF, cloud.stores.ledger, Entry(REF, "gone", 1.0, "model", "", "", "")
    )
    assert approved() == approved() == {}
    (entry,) = cloud.entries(REF, "rollout")
    assert entry["verdict"] == "refuse"
    assert entry["reason"].startswith("version 3 was approved, but the model was deleted: apply")


def test_of_another_s_group_nothing_is_said(cloud, approved):
    cloud.stores.specs.remove(
        REF, cloud.stores.ledger, Entry(REF, "gone", 1.0, "model", "", "", "")
    )
    assert approved() == {}
    assert cloud.entries(REF, "rollout") == []
