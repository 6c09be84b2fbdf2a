"""What a person asks for: a run, a rollback, a model applied, a model deleted."""

import json
import time
from dataclasses import replace

import pytest

from tidemill.adapters.entries import Entry
from tidemill.errors import ApplyBusyError, BreakingChangeError, InvalidInputError, NotFoundError
from tidemill.spec.compiled import Capture

from ...stack import ARTIFACTS, ROLE
from ..cloud import client
from .scenes import MODEL, NAME, REF, begin_run

# ── request_run ──────────────────────────────────────────────────────────────


def test_a_manual_run_is_a_trigger_like_others(cloud, spec):
    cloud.apply(spec)
    answer = cloud.invoke("request_run", {**MODEL, "why": "new hyperparameters"})
    (trigger,) = cloud.stores.triggers.pending(REF)
    assert (trigger.id, trigger.kind, trigger.why) == (
        answer["trigger"], "manual", "new hyperparameters",
    )  # fmt: skip
    assert cloud.sent("TriggerQueue") == [(MODEL, 0)]


def test_a_request_that_is_tried_again_is_one(cloud, spec):
    cloud.apply(spec)
    for _ in range(2):
        cloud.invoke("request_run", {**MODEL, "why": "because", "id": "r-1"})
        cloud.now += 5
    assert [trigger.id for trigger in cloud.stores.triggers.pending(REF)] == ["manual-r-1"]
    assert [e["verdict"] for e in cloud.entries(REF, "trigger")] == ["raise"]
    cloud.invoke("request_run", {**MODEL, "why": "because", "id": "r-2"})
    assert len(cloud.stores.triggers.pending(REF)) == 2, "each person's request is one"


def test_a_manual_run_needs_a_reason_and_a_model(cloud, spec):
    with pytest.raises(NotFoundError):
        cloud.invoke("request_run", {**MODEL, "why": "because"})
    cloud.apply(spec)
    with pytest.raises(InvalidInputError, match="--why"):
        cloud.invoke("request_run", {**MODEL, "why": " "})
    assert cloud.stores.triggers.pending(REF) == []


def test_requesting_a_run_may_die_anywhere(survives, make_spec):
    def prepare(cloud):
        cloud.apply(make_spec())
        return {**MODEL, "why": "because"}

    survives("request_run", prepare)


# ── request_rollback ─────────────────────────────────────────────────────────


def crown(cloud, *versions):
    for version in versions:
        entry = Entry(REF, f"rollout#{version}", cloud.now, "rollout", "", "in service", "")
        cloud.stores.champions.crown(
            REF, version=version, config=f"c{version}", package="p", now=cloud.now, entry=entry
        )
        cloud.sagemaker.add_version(NAME, version, "Approved")


def roll_back(cloud, **more):
    return cloud.invoke("request_rollback", {**MODEL, "why": "it drifts", **more})


def test_a_rollback_goes_to_the_version_before(cloud):
    crown(cloud, 1, 2)
    answer = roll_back(cloud)
    assert answer["version"] == 1
    (document,) = cloud.workflows.of("rollout").values()
    assert (document["version"], document["why"]) == (1, "rollback: it drifts")


def test_a_rollback_goes_to_the_version_that_is_named(cloud):
    crown(cloud, 1, 2, 3)
    assert roll_back(cloud, version=1)["version"] == 1


def test_a_rollback_that_is_tried_again_is_one(cloud):
    crown(cloud, 1, 2)
    for identity in ("r-1", "r-1", "r-2"):
        roll_back(cloud, id=identity)
        cloud.now += 5
    assert len(cloud.workflows.of("rollout")) == 2


def test_without_a_version_before_there_is_nothing_to_go_back_to(cloud):
    with pytest.raises(NotFoundError, match="no earlier version"):
        roll_back(cloud)
    crown(cloud, 1)
    with pytest.raises(NotFoundError, match="no earlier version"):
        roll_back(cloud)


def test_a_version_that_is_not_approved_stays_out(cloud):
    crown(cloud, 1, 2)
    cloud.sagemaker.add_version(NAME, 1, "Rejected")
    with pytest.raises(InvalidInputError, match="approve it first"):
        roll_back(cloud)


def test_an_execution_s_name_is_not_too_long(cloud, make_spec):
    from tidemill.names import aws_name  # noqa: PLC0415

    long = make_spec(model="m" * 60)
    group = aws_name("tidemill", long.project, long.model)
    cloud.sagemaker.add_version(group, 123456, "Approved")
    event = {"project": "flights", "model": long.model, "why": "x", "version": 123456}
    cloud.invoke("request_rollback", event)
    (name,) = cloud.workflows.of("rollout")
    assert len(name) <= 80


# ── apply_model ──────────────────────────────────────────────────────────────


def apply(cloud, spec, **more):
    document = json.loads(spec.to_json())
    return cloud.invoke("apply_model", {"spec": document, "digest": spec.digest, **more})


def test_a_new_model_gets_its_pipeline_and_group(cloud, spec):
    assert apply(cloud, spec) == {"changed": True, "name": NAME, "warnings": []}
    assert cloud.stores.specs.get(REF) == spec
    assert list(cloud.sagemaker.groups) == [NAME]
    pipeline = cloud.sagemaker.pipelines[NAME]
    assert pipeline["RoleArn"] == ROLE
    assert json.loads(pipeline["PipelineDefinition"])["Steps"]
    (entry,) = cloud.entries(REF, "spec")
    assert entry["verdict"] == "create"


def test_applying_twice_changes_nothing(cloud, spec):
    apply(cloud, spec)
    before = cloud.facts(apart=("fence",))
    cloud.now += 60
    assert apply(cloud, spec)["changed"] is False
    assert cloud.facts(apart=("fence",)) == before


def test_hashed_columns_get_a_key_that_stays(cloud, spec):
    def keys():
        found = client("s3").list_objects_v2(Bucket=ARTIFACTS, Prefix="keys/").get("Contents", [])
        return {
            item["Key"]: client("s3").get_object(Bucket=ARTIFACTS, Key=item["Key"])["Body"].read()
            for item in found
        }

    dropping = Capture(redact={"carrier": "drop"})
    apply(cloud, replace(spec, watch=replace(spec.watch, capture=dropping)))
    assert keys() == {}
    hashing = Capture(redact={"carrier": "hash"})
    apply(cloud, replace(spec, watch=replace(spec.watch, capture=hashing)))
    (first,) = keys().items()
    assert first[0] == f"keys/{REF}/capture"
    assert len(bytes.fromhex(first[1].decode())) == 32
    hashing = Capture(percent=10, redact={"carrier": "hash"})
    apply(cloud, replace(spec, watch=replace(spec.watch, capture=hashing)))
    assert keys() == dict([first])


def retention(cloud):
    groups = client("logs").describe_log_groups()["logGroups"]
    return {group["logGroupName"]: group.get("retentionInDays") for group in groups}


LOGS = [
    f"/aws/sagemaker/{name}" for name in ("Endpoints/" + NAME, "ProcessingJobs", "TrainingJobs")
]


def test_the_logs_of_jobs_and_of_the_endpoint_expire(cloud, spec):
    apply(cloud, spec)
    assert retention(cloud) == dict.fromkeys(LOGS, 30)
    apply(cloud, spec)
    assert retention(cloud) == dict.fromkeys(LOGS, 30)


def test_what_others_keep_in_a_shared_group_is_left_and_ours_is_not(cloud, spec):
    logs = client("logs")
    for group in LOGS:
        logs.create_log_group(logGroupName=group)
    logs.put_retention_policy(logGroupName=LOGS[1], retentionInDays=365)
    cloud.now = time.time() + 31 * 86_400  # they are older than our retention by now
    apply(cloud, spec)
    assert retention(cloud) == dict(zip(LOGS, (30, 365, None), strict=True))


def test_an_apply_that_died_after_it_made_a_shared_group_is_made_good(cloud, spec):
    client("logs").create_log_group(logGroupName=LOGS[1])
    apply(cloud, spec)
    assert retention(cloud)[LOGS[1]] == 30


@pytest.mark.parametrize("operation", ["CreateLogGroup", "PutRetentionPolicy", "DescribeLogGroups"])
def test_an_apply_does_not_fail_when_retention_is_refused(cloud, spec, operation):
    cloud.refuse("logs", operation, "AccessDeniedException")
    answer = apply(cloud, spec)
    assert answer["changed"] is True
    (warning,) = answer["warnings"]
    assert "/aws/sagemaker/" in warning
    assert "for ever" in warning


def test_a_change_is_recorded_with_what_it_replaces(cloud, make_spec):
    apply(cloud, make_spec())
    cloud.now += 60
    apply(cloud, make_spec(deploy__count=2))
    change = cloud.entries(REF, "spec")[-1]
    assert (change["verdict"], change["facts"]["before"]) == ("change", make_spec().digest)


def test_a_change_that_versions_forbid_is_refused(cloud, make_spec):
    apply(cloud, make_spec())
    changed = make_spec(train__problem="regression", evaluate__metric="rmse")
    cloud.sagemaker.add_version(NAME, 1)
    with pytest.raises(BreakingChangeError, match="has 1 versions"):
        apply(cloud, changed)
    assert cloud.stores.specs.get(REF) == make_spec()


def test_the_same_change_is_fine_before_the_first_version(cloud, make_spec):
    apply(cloud, make_spec())
    assert apply(cloud, make_spec(data__target="delayed"))["changed"] is True


def test_a_spec_that_another_version_compiled_is_refused(cloud, spec):
    with pytest.raises(InvalidInputError, match="compile it again"):
        apply(cloud, spec, digest="0" * 16)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"data": {"format": "csv"}}, "spec: data.target is missing"),
        ({"deploy": {"instance": "ml.m5.large", "count": "two"}}, "spec: deploy.count must be"),
        ({"prepare": None}, "spec: prepare must be an object"),
        ({"version": 2}, "spec: version is 2; this Tidemill reads 1"),
    ],
)
def test_a_malformed_spec_is_refused_by_its_field(cloud, spec, change, said):
    document = json.loads(spec.to_json()) | change
    with pytest.raises(InvalidInputError, match=said):
        cloud.invoke("apply_model", {"spec": document, "digest": spec.digest})
    assert cloud.calls == []


@pytest.mark.parametrize(
    ("name", "project"), [("Delay", "flights"), ("a--b", "flights"), ("x", "a/b"), ("", "flights")]
)
def test_a_name_that_is_none_is_refused(cloud, make_spec, name, project):
    with pytest.raises(InvalidInputError, match="is no model's name"):
        apply(cloud, make_spec(model=name, project=project))
    assert cloud.calls == []


def test_an_apply_has_what_waits_decided(cloud, spec):
    apply(cloud, spec)
    assert cloud.sent("TriggerQueue") == [(MODEL, 0)]
    apply(cloud, spec)
    assert cloud.sent("TriggerQueue") == [(MODEL, 0)], "the attempt before may have died"


def test_of_two_applies_at_once_the_second_is_told_to_wait(cloud, make_spec):
    assert cloud.stores.leases.acquire(REF, "apply", holder="apply-1", now=cloud.now, seconds=9)
    with pytest.raises(ApplyBusyError, match="flights/delay is under way"):
        apply(cloud, make_spec())
    with pytest.raises(NotFoundError):
        delete(cloud)
    assert cloud.sagemaker.pipelines == {}
    cloud.now += 9
    assert apply(cloud, make_spec())["changed"]
    assert cloud.stores.leases.read(REF, "apply").holder == ""


def test_a_spec_that_came_into_force_meanwhile_is_not_replaced(
    cloud, make_spec, load_function, monkeypatch
):
    """It was judged against another: what breaks with that one may not with this."""
    apply(cloud, make_spec())
    other = make_spec(deploy__count=3)
    app = load_function("apply_model")
    upsert = app.applying.upsert

    def somebody_is_faster(*arguments):
        cloud.now += 1
        with cloud.somebody_else():
            cloud.apply(other)
        upsert(*arguments)

    monkeypatch.setattr(app.applying, "upsert", somebody_is_faster)
    with pytest.raises(ApplyBusyError, match="apply again"):
        apply(cloud, make_spec(deploy__count=2))
    assert cloud.stores.specs.get(REF) == other
    assert cloud.stores.leases.read(REF, "apply").holder == "", "an error does not keep the turn"


def test_applying_may_die_anywhere(survives, make_spec):
    triggers = {"schedule": ["rate(1 day)"], "alarms": ["a"], "on_change": True}
    spec = make_spec(triggers=triggers)
    event = {"spec": json.loads(spec.to_json()), "digest": spec.digest}
    # Whoever repeats it when it was written already hears that nothing has changed.
    survives("apply_model", lambda cloud: event, same_answer=False)


def test_changing_may_die_anywhere(survives, make_spec):
    before = make_spec(triggers={"schedule": ["rate(1 day)", "rate(1 hour)"], "alarms": ["a"]})
    triggers = {"schedule": ["rate(2 days)"], "alarms": ["b"], "on_change": True}
    spec = make_spec(triggers=triggers, train__hyperparameters={"eta": "0.3"})

    def prepare(cloud):
        apply(cloud, before)
        cloud.now += 60
        return {"spec": json.loads(spec.to_json()), "digest": spec.digest}

    survives("apply_model", prepare, same_answer=False)


# ── delete_model ─────────────────────────────────────────────────────────────


def delete(cloud):
    return cloud.invoke("delete_model", {**MODEL, "why": "not used"})


def in_service(cloud, spec):
    cloud.apply(spec)
    cloud.sagemaker.add_endpoint(NAME, f"{NAME}--1")
    cloud.sagemaker.configs[f"{NAME}--1"] = {"EndpointConfigName": f"{NAME}--1"}
    cloud.sagemaker.models[f"{NAME}--1"] = {"ModelName": f"{NAME}--1"}
    cloud.sagemaker.pipelines[NAME] = {"PipelineName": NAME}
    crown(cloud, 1)
    facts = {"version": 1, "execution": "delay-v1-1"}
    cloud.stores.ledger.append(
        Entry(REF, "rollout#delay-v1-1", cloud.now, "rollout", "version 1", "in service", "", facts)
    )


def test_a_deleted_model_costs_nothing_and_is_remembered(cloud, spec):
    in_service(cloud, spec)
    assert len(delete(cloud)["deleted"]) == 4
    assert cloud.sent("TriggerQueue") == [(MODEL, 0)], "what waits is told that the model is gone"
    assert cloud.sagemaker.endpoints == cloud.sagemaker.configs == cloud.sagemaker.models == {}
    assert cloud.sagemaker.pipelines == {}
    assert len(cloud.sagemaker.packages) == 1, "versions stay"
    assert cloud.stores.specs.find(REF) is None
    assert cloud.stores.champions.find(REF) is None
    (entry,) = cloud.entries(REF, "model")
    assert len(entry["facts"]["deleted"]) == 4


def test_a_model_is_not_deleted_under_a_run(cloud, spec):
    in_service(cloud, spec)
    run = begin_run(cloud)
    with pytest.raises(InvalidInputError, match=run):
        delete(cloud)
    assert cloud.sagemaker.endpoints


def test_a_model_is_not_deleted_under_a_rollout(cloud, spec):
    in_service(cloud, spec)
    cloud.stores.leases.acquire(REF, "rollout", holder="x-1", now=cloud.now, seconds=10)
    with pytest.raises(InvalidInputError, match="x-1"):
        delete(cloud)
    cloud.stores.leases.release(REF, "rollout", "x-1")
    delete(cloud)


def test_a_model_that_is_not_there_is_named(cloud):
    with pytest.raises(NotFoundError, match="no model flights/delay"):
        delete(cloud)


def test_deleting_may_die_anywhere_before_it_is_written(cloud, spec, make_cloud):
    """A repeated deletion finds less to delete; that is all the difference."""
    from ..cloud import Killed  # noqa: PLC0415

    in_service(cloud, spec)
    for n in range(60):
        try:
            cloud.invoke("delete_model", {**MODEL, "why": "not used"}, kill_before=n)
        except Killed:
            continue
        except NotFoundError:  # the attempt before died after it was written
            break
        break
    assert cloud.sagemaker.endpoints == cloud.sagemaker.models == {}
    assert cloud.stores.specs.find(REF) is None
    assert len(cloud.entries(REF, "model")) == 1
