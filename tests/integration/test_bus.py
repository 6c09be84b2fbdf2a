import json

import pytest

from tidemill.adapters.bus import Queue
from tidemill.contracts.domain_events import DOMAIN_EVENTS, DeliveryClosed
from tidemill.event_schemas import file_name, main, schema

from ..stack import queue_url
from .cloud import client
from .conftest import EVENTS

CLOSED = DeliveryClosed("flights", "delay", delivery="d-1", reason="quiet for 30 s")


def test_an_event_carries_its_model_and_its_shape_s_version(cloud):
    cloud.bus.put(CLOSED)
    assert cloud.events() == [
        (
            "Delivery Closed",
            {
                "version": 1,
                "project": "flights",
                "model": "delay",
                "delivery": "d-1",
                "reason": "quiet for 30 s",
            },
        )
    ]


def test_a_bus_that_refuses_is_not_silence(cloud):
    class Refusing:
        def put_events(self, **_):
            return {"FailedEntryCount": 1, "Entries": [{"ErrorCode": "InternalFailure"}]}

    cloud.bus._client = Refusing()
    with pytest.raises(ConnectionError, match="InternalFailure"):
        cloud.bus.put(CLOSED)


@pytest.mark.parametrize(
    ("asked", "waits"),
    [(0, 0), (0.2, 1), (1, 1), (2, 2), (29.5, 30), (900, 900), (3600, 900), (-5, 0)],
)
def test_a_message_waits_as_long_as_asked_or_as_sqs_can(cloud, asked, waits):
    Queue(client("sqs"), queue_url("DeliveryQueue")).send({"a": 1}, asked)
    assert cloud.sent("DeliveryQueue") == [({"a": 1}, waits)]


@pytest.mark.parametrize("kind", DOMAIN_EVENTS, ids=lambda kind: kind.__name__)
def test_the_schema_that_is_checked_in_is_the_one_that_is_sent(kind):
    """`python -m tidemill.event_schemas events/schemas` writes it anew."""
    assert json.loads((EVENTS / "schemas" / file_name(kind)).read_text()) == schema(kind)


def test_no_schema_is_left_of_an_event_that_is_gone(tmp_path):
    main([str(tmp_path)])
    written = {path.name: path.read_text() for path in tmp_path.iterdir()}
    kept = {path.name: path.read_text() for path in (EVENTS / "schemas").iterdir()}
    assert written == kept
