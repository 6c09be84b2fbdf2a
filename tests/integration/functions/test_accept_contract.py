"""A person makes an upload the contract: what becomes of it, of others, and of what was agreed."""

import pytest

from tidemill.adapters import accepting
from tidemill.errors import InvalidInputError, NotFoundError

from .scenes import MODEL, REF, deliver, read, rows

BAD = {"bad.csv": 450, "worse.csv": 460}


def asked(name, **more):
    return {**MODEL, "key": f"raw/{REF}/{name}", "why": "it is so now", "by": "ada", **more}


def accepted(cloud):
    return [item.key.rpartition("/")[2] for item in cloud.stores.ledger.accepted(REF)]


def check(cloud, files):
    cloud.invoke("conclude_check", read(cloud, deliver(cloud, files)))
    cloud.now += 1


def prepare(cloud, spec):
    """Have one good file, and two in which a distance is `far`; nothing is pending."""
    cloud.apply(spec)
    check(cloud, {"a.csv": rows()})
    check(
        cloud,
        {
            name: rows(300, first=300).replace(f",{cell},".encode(), b",far,")
            for name, cell in BAD.items()
        },
    )
    check(cloud, {"ragged.csv": rows(9) + b"x\n"})
    for trigger in cloud.stores.triggers.pending(REF):
        cloud.dynamodb.transact_write_items(
            TransactItems=[cloud.stores.triggers.taken(REF, trigger)]
        )
    return asked("bad.csv")


@pytest.fixture
def request_(cloud, spec):
    return prepare(cloud, spec)


def test_the_contract_is_widened_and_what_keeps_it_now_is_used(cloud, request_):
    before = cloud.stores.data_contracts.find(REF).digest
    assert accepted(cloud) == ["a.csv"]

    answer = cloud.invoke("accept_contract", request_)

    held = cloud.stores.data_contracts.find(REF)
    assert (answer["before"], answer["digest"]) == (before, held.digest)
    assert before != held.digest
    assert answer["differences"] == ("Column 'distance' held numbers and holds categories now.",)
    assert answer["released"] == (f"raw/{REF}/bad.csv", f"raw/{REF}/worse.csv")
    assert accepted(cloud) == ["a.csv", "bad.csv", "worse.csv"]
    said = cloud.entries(REF, "contract")[-1]
    assert said["verdict"] == "accept"
    assert said["reason"] == "ada accepted bad.csv as the contract: it is so now"
    assert (said["facts"]["before"], said["facts"]["after"]) == (before, held.digest)
    assert said["facts"]["differences"] == list(answer["differences"])
    pending = cloud.stores.triggers.pending(REF)
    assert [(t.kind, t.rows) for t in pending] == [("data", 300), ("data", 300)]
    assert cloud.sent("TriggerQueue")
    check(cloud, {"next.csv": rows(300, first=900).replace(b",1010,", b",near,")})
    assert "next.csv" in accepted(cloud), "the next check judges by it"


def test_accepting_twice_changes_nothing(cloud, request_):
    cloud.invoke("accept_contract", request_)
    before = cloud.facts()
    cloud.now += 60

    again = cloud.invoke("accept_contract", request_)

    assert cloud.facts() == before
    assert again["digest"] == again["before"]
    assert again["released"] == ()


def test_many_are_looked_at_in_parts(cloud, request_, monkeypatch):
    monkeypatch.setattr(accepting, "LOOKED_AT", 1)
    answer = cloud.invoke("accept_contract", request_)
    released = list(answer["released"])
    while answer["next"]:
        answer = cloud.invoke("accept_contract", request_ | {"after": answer["next"]})
        released += answer["released"]
    assert sorted(released) == [f"raw/{REF}/bad.csv", f"raw/{REF}/worse.csv"]


def test_a_file_in_use_with_a_new_column_can_be_the_contract(cloud, spec):
    cloud.apply(spec)
    check(cloud, {"a.csv": rows()})
    check(cloud, {"wide.csv": rows(300, first=300, gate="B")})

    answer = cloud.invoke("accept_contract", asked("wide.csv"))

    assert "Column 'gate' is new: categories; it need not be there." in answer["differences"]
    assert "in files without it, its cells are missing" in answer["consequences"][0]
    assert any(t.id.startswith("contract-") for t in cloud.stores.triggers.pending(REF))
    check(cloud, {"b.csv": rows(300, first=900)})
    assert accepted(cloud) == ["a.csv", "b.csv", "wide.csv"]


def test_it_outlives_a_change_of_what_the_spec_states(cloud, request_, make_spec):
    cloud.invoke("accept_contract", request_)
    cloud.apply(make_spec(check={"columns": {"carrier": {"values": ["UA", "AA"]}}}))

    check(cloud, {"c.csv": rows(300, first=900).replace(b",1010,", b",near,")})

    assert "c.csv" in accepted(cloud)


def test_without_a_contract_a_file_that_is_not_good_makes_none(cloud, spec):
    cloud.apply(spec)
    check(cloud, {"ragged.csv": rows(9) + b"x\n"})
    with pytest.raises(InvalidInputError, match=r"ragged.csv, is not good: Line 11"):
        cloud.invoke("accept_contract", asked("ragged.csv"))


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"key": f"raw/{REF}/ragged.csv"}, InvalidInputError, "cannot be read, so it can be no"),
        ({"key": f"raw/{REF}/none.csv"}, NotFoundError, "has no upload"),
        ({"why": ""}, InvalidInputError, "--why"),
    ],
)
def test_what_cannot_be_the_contract_is_refused(cloud, request_, change, error, match):
    before = cloud.facts()
    with pytest.raises(error, match=match):
        cloud.invoke("accept_contract", request_ | change)
    assert cloud.facts() == before


def test_what_no_check_has_read_is_refused(cloud, spec):
    cloud.apply(spec)
    deliver(cloud, {"a.csv": rows()})
    with pytest.raises(NotFoundError, match="has not been read by a check"):
        cloud.invoke("accept_contract", asked("a.csv"))


def test_what_the_spec_states_goes_before_the_file(cloud, make_spec):
    request = prepare(cloud, make_spec(check={"columns": {"distance": {"type": "number"}}}))
    with pytest.raises(InvalidInputError, match=r"cannot be the contract: .*'far'"):
        cloud.invoke("accept_contract", request)


def test_somebody_who_was_faster_is_built_upon(cloud, request_, monkeypatch):
    """Another acceptance lands between looking and writing: the second widens what it left."""
    check(cloud, {"wide.csv": rows(300, first=1300, gate="B")})
    freeze = type(cloud.stores.data_contracts).freeze
    calls = []

    def late(self, *arguments, **named):
        if not calls:
            calls.append(1)
            with cloud.somebody_else():
                monkeypatch.undo()
                cloud.invoke("accept_contract", asked("wide.csv"))
                cloud._running = ""
        return freeze(self, *arguments, **named)

    monkeypatch.setattr(type(cloud.stores.data_contracts), "freeze", late)
    answer = cloud.invoke("accept_contract", request_)

    assert answer["differences"] == ("Column 'distance' held numbers and holds categories now.",)
    assert [e["verdict"] for e in cloud.entries(REF, "contract")] == ["freeze", "accept", "accept"]


def test_it_may_die_anywhere(survives, make_spec):
    survives("accept_contract", lambda cloud: prepare(cloud, make_spec()), same_answer=False)
