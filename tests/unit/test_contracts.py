from dataclasses import dataclass, fields
from typing import Any, get_type_hints

import pytest

from tidemill.contracts import domain_events
from tidemill.contracts.domain_events import DOMAIN_EVENTS, DeliveryClosed, DomainEvent
from tidemill.contracts.models import ModelRef
from tidemill.contracts.rollouts import CloseRollout, JudgeVersion, PackageChanged, RequestRollback
from tidemill.contracts.runs import CloseRun, Registered, RunRef
from tidemill.contracts.uploads import ObjectCreated
from tidemill.errors import InvalidInputError
from tidemill.shape import Contract

RUN = {"project": "flights", "model": "delay", "run": "run-1"}
EVENT = {
    "detail": {
        "bucket": {"name": "lake"},
        "object": {"key": "raw/a b+c.csv", "version-id": "v1", "sequencer": "0A"},
    }
}


def test_what_is_known_is_read_and_the_rest_left_out():
    request = RunRef.parse({**RUN, "added_by_aws_next_year": 1})
    assert (request.ref, request.run, request.execution) == ("flights/delay", "run-1", "")


@pytest.mark.parametrize(
    ("kind", "document", "says"),
    [
        (RunRef, None, "RunRef: expected an object, not NoneType"),
        (RunRef, [RUN], "expected an object, not list"),
        (RunRef, {"project": "p", "model": "m"}, "RunRef: run is missing"),
        (RunRef, {**RUN, "run": 7}, "RunRef: run must be str, not 7"),
        (RunRef, {**RUN, "run": None}, "run must be str, not None"),
        (RequestRollback, {**RUN, "why": "x", "version": True}, "version must be"),
        (RequestRollback, {**RUN, "why": "x", "version": 1.5}, "version must be"),
        (JudgeVersion, {**RUN, "version": 1, "verdict": "maybe", "why": "x"},
         "verdict must be 'approve' or 'reject', not 'maybe'"),
        (CloseRun, {**RUN, "outcome": "text"}, "outcome must be"),
        (PackageChanged, {"ModelPackageArn": "a", "ModelPackageGroupName": "g",
                          "ModelApprovalStatus": "Approved", "UpdatedModelPackageFields": "x"},
         "UpdatedModelPackageFields must be"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(kind, document, says):
    with pytest.raises(InvalidInputError, match=says):
        kind.parse(document)


def test_a_long_value_is_not_quoted_whole():
    with pytest.raises(InvalidInputError) as failure:
        RunRef.parse({**RUN, "run": ["x" * 1000]})
    assert len(str(failure.value)) < 150


def test_optional_fields_may_be_null_or_left_out():
    assert RequestRollback.parse({**RUN, "why": "x"}).version is None
    assert RequestRollback.parse({**RUN, "why": "x", "version": None}).version is None
    assert RequestRollback.parse({**RUN, "why": "x", "version": 3}).version == 3


@dataclass(frozen=True)
class Inner(Contract):
    share: float


@dataclass(frozen=True)
class Outer(Contract):
    inner: Inner
    anything: Any


def test_a_shape_within_a_shape_is_read_too():
    assert Outer.parse({"inner": {"share": 1}, "anything": 1}).inner == Inner(1)
    with pytest.raises(InvalidInputError, match="Inner: share must be float, not True"):
        Outer.parse({"inner": {"share": True}, "anything": 1})


def test_s3_s_event_is_flattened():
    assert ObjectCreated.of_event(EVENT) == ObjectCreated("lake", "raw/a b+c.csv", "v1", "0A")


def test_a_bucket_without_versions_has_the_version_null():
    event = {"detail": {"bucket": {"name": "lake"}, "object": {"key": "k"}}}
    assert ObjectCreated.of_event(event) == ObjectCreated("lake", "k", "null", "")


def test_what_a_sweep_sends_reads_like_s3_s_own():
    upload = ObjectCreated.of_event(EVENT)
    assert ObjectCreated.of_event(upload.to_event()) == upload


@pytest.mark.parametrize(
    "event",
    [None, [], "x", {}, {"detail": None}, {"detail": {"bucket": {"name": "b"}, "object": "x"}},
     {"detail": {"bucket": "b", "object": {"key": "k"}}},
     {"detail": {"bucket": {"name": "b"}, "object": {"key": 5}}}],
)  # fmt: skip
def test_what_is_no_s3_event_is_refused(event):
    with pytest.raises(InvalidInputError):
        ObjectCreated.of_event(event)


def test_the_defaults_are_those_that_the_workflows_leave_out():
    rollout = {"project": "p", "model": "m", "version": 3, "package": "arn", "why": "x"}
    closing = CloseRollout.parse(rollout)
    assert (closing.action, closing.rolled_back, closing.failure) == ("none", False, None)
    assert Registered.parse({"status": "refused", "reason": "r"}).package is None


def test_every_domain_event_is_listed_once():
    declared = {
        kind
        for kind in vars(domain_events).values()
        if isinstance(kind, type) and issubclass(kind, DomainEvent) and kind is not DomainEvent
    }
    assert set(DOMAIN_EVENTS) == declared
    assert len(DOMAIN_EVENTS) == len({kind.detail_type for kind in DOMAIN_EVENTS})


@pytest.mark.parametrize("kind", DOMAIN_EVENTS, ids=lambda kind: kind.__name__)
def test_a_domain_event_names_its_model_first_and_nothing_called_version(kind):
    names = [field.name for field in fields(kind)]
    assert names[:2] == ["project", "model"]
    assert "version" not in names, "that is the shape's"
    assert get_type_hints(kind)


def test_an_event_s_detail_is_plain():
    event = DeliveryClosed("flights", "delay", delivery="d-1", reason="quiet")
    assert event.to_detail() == {
        "version": 1, "project": "flights", "model": "delay", "delivery": "d-1",
        "reason": "quiet",
    }  # fmt: skip
    assert ModelRef.parse(event.to_detail()).ref == event.ref
