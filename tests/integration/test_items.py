import pytest
from botocore.exceptions import ClientError

from tidemill.adapters import items
from tidemill.adapters.items import ConditionFailedError, marshal, transact, unmarshal

from .cloud import client


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    monkeypatch.setattr(items, "_PAUSE_SECONDS", 0.0)


@pytest.fixture
def state(stores):
    return stores.state


def put(state, fact, condition="attribute_not_exists(fact)"):
    write = state.put("owner", fact, {"n": 1})
    write["Put"]["ConditionExpression"] = condition
    return write


def cancelled(*codes):
    """Return a client that answers with these cancellation reasons, and counts its calls."""

    class Client:
        calls = 0
        exceptions = client("dynamodb").exceptions

        def transact_write_items(self, **_):
            self.calls += 1
            reasons = [{"Code": code} for code in codes]
            raise self.exceptions.TransactionCanceledException(
                {
                    "Error": {"Code": "TransactionCanceledException", "Message": ""},
                    "CancellationReasons": reasons,
                },
                "TransactWriteItems",
            )

    return Client()


@pytest.mark.parametrize(
    "value",
    [
        0,
        -3,
        1.5,
        1e16,
        1e-7,
        1795168800.123,
        True,
        "text",
        "",
        None,
        [1, "a", [2.5]],
        {"a": {"b": 1}},
    ],
)
def test_what_goes_in_comes_out(state, value):
    transact(state.client, [state.put("owner", "fact", {"value": value})])
    found = state.get("owner", "fact").get("value")
    assert found == value
    assert isinstance(found, bool) == isinstance(value, bool)


@pytest.mark.parametrize("number", ["1E+2", "100", "1.0E2", "-7"])
def test_numbers_are_read_however_dynamodb_writes_them(number):
    assert unmarshal({"n": {"N": number}}) == {"n": float(number)}


def test_sets_come_back_as_sets():
    assert unmarshal(marshal({"names": {"b", "a"}})) == {"names": frozenset({"a", "b"})}


def test_what_cannot_be_stored_is_refused():
    with pytest.raises(TypeError, match="complex"):
        marshal({"body": 1j})


def test_all_or_nothing(state):
    transact(state.client, [put(state, "a")])
    with pytest.raises(ConditionFailedError) as failure:
        transact(state.client, [put(state, "b"), put(state, "a")])
    assert failure.value.failed == (1,)
    assert state.get("owner", "b") is None


def test_contention_is_tried_again(cloud, state):
    cloud.refuse("dynamodb", "TransactWriteItems", "TransactionCanceledException")
    # A refusal without reasons is contention too.
    transact(state.client, [put(state, "a")])
    assert state.get("owner", "a")


def test_contention_without_end_is_not_a_lost_race():
    """`Runs.finish` would take it for one, and free the lease of a run that goes on."""
    busy = cancelled("None", "TransactionConflict")
    with pytest.raises(ClientError, match="TransactionCanceled"):
        transact(busy, [])
    assert busy.calls > 3


def test_an_item_that_cannot_be_stored_is_not_tried_again():
    refused = cancelled("ValidationError", "None")
    with pytest.raises(ClientError, match="TransactionCanceled"):
        transact(refused, [])
    assert refused.calls == 1


def test_items_of_one_owner_are_read_by_prefix(state):
    for fact in ("run#1", "run#2", "lease#run"):
        transact(state.client, [put(state, fact)])
    assert [item["fact"] for item in state.under("owner", "run#")] == ["run#1", "run#2"]
    assert len(state.under("owner")) == 3
    assert state.under("nobody") == []
