import json
import sys
from dataclasses import replace

import pytest

from tidemill.adapters.conclusions import Conclusions
from tidemill.adapters.ledger import Ledger
from tidemill.domain.check import Pass
from tidemill.errors import NotFoundError

from ...stack import ARTIFACTS, LAKE
from ..cloud import client
from .scenes import MODEL, REF, deliver, read, rows


def check(cloud, files):
    """Check a delivery of these files to its end; return the answer and the delivery's id."""
    document = read(cloud, deliver(cloud, files))
    cloud.now += 1
    return cloud.invoke("conclude_check", document), document["delivery"]


def verdicts(cloud, stage="#check"):
    """Return what the ledger says of each upload at that stage, by name."""
    return {
        e["subject"].rpartition("/")[2]: e
        for e in cloud.entries(REF, "upload")
        if e["entry"].endswith(stage)
    }


def accepted(cloud):
    return [item.key.rpartition("/")[2] for item in cloud.stores.ledger.accepted(REF)]


def test_the_first_good_delivery_freezes_the_contract_and_is_a_trigger(cloud, spec):
    cloud.apply(spec)
    answer, delivery = check(cloud, {"a.csv": rows(300), "b.csv": rows(200, first=300)})

    assert (answer["accepted"], answer["rows"]) == (2, 500)
    assert cloud.stores.checks.find(REF, delivery)["stands"] == "checked"
    assert cloud.stores.checks.unfinished() == []
    (trigger,) = cloud.stores.triggers.pending(REF)
    assert (trigger.id, trigger.kind, trigger.rows) == (delivery, "data", 500)
    assert trigger.why == f"delivery {delivery}: 500 new rows"
    assert cloud.sent("TriggerQueue") == [(MODEL, 0)]
    (entry,) = cloud.entries(REF, "contract")
    assert (entry["verdict"], entry["reason"]) == (
        "freeze", f"inferred from 2 files, 500 rows; delivery {delivery}",
    )  # fmt: skip
    frozen = cloud.stores.data_contracts.find(REF)
    document = json.loads(
        client("s3")
        .get_object(Bucket=ARTIFACTS, Key=frozen.uri.removeprefix(f"s3://{ARTIFACTS}/"))["Body"]
        .read()
    )
    assert set(document["columns"]) == {"carrier", "distance", "late"}


def test_what_breaks_the_contract_is_set_aside_by_name_and_the_rest_goes_on(cloud, spec):
    cloud.apply(spec)
    check(cloud, {"a.csv": rows()})
    frozen = cloud.stores.data_contracts.find(REF)
    bad = rows(300, first=300).replace(b",450,", b",far,")
    answer, delivery = check(cloud, {"bad.csv": bad, "good.csv": rows(10, first=900)})

    assert (answer["accepted"], answer["quarantined"], answer["rows"]) == (1, 1, 10)
    told = verdicts(cloud)["bad.csv"]
    assert (told["verdict"], told["facts"]["rule"]) == ("quarantine", "wrong_type")
    assert (told["facts"]["column"], told["facts"]["row"]) == ("distance", 52)
    assert accepted(cloud) == ["a.csv", "good.csv"]
    tags = client("s3").get_object_tagging(
        Bucket=LAKE, Key=f"raw/{REF}/bad.csv", VersionId=told["facts"]["version_id"]
    )["TagSet"]
    assert {"Key": "tidemill:verdict", "Value": "quarantine"} in tags
    assert [kind for kind, _ in cloud.events()] == ["Upload Quarantined"]
    assert cloud.stores.data_contracts.find(REF) == frozen, "frozen is frozen"
    assert "1 quarantined" in cloud.stores.checks.find(REF, delivery)["check"]


def test_a_delivery_of_which_nothing_can_be_used_triggers_nothing(cloud, spec):
    cloud.apply(spec)
    answer, _ = check(cloud, {"a.csv": rows(20) + b"AA,1,1,surplus\n"})

    assert (answer["accepted"], answer["quarantined"]) == (0, 1)
    assert cloud.stores.triggers.pending(REF) == []
    assert cloud.stores.data_contracts.find(REF) is None, "it was not good"
    (entry,) = cloud.entries(REF, "delivery")[1:]
    assert entry["reason"] == "nothing of it can be used, 1 quarantined"
    told = verdicts(cloud)["a.csv"]["facts"]
    assert told["row"] == 22
    again, _ = check(cloud, {"b.csv": rows(300)})
    assert again["rows"] == 300
    assert cloud.stores.data_contracts.find(REF) is not None


def test_what_is_merely_new_is_accepted_with_a_warning(cloud, spec):
    cloud.apply(spec)
    check(cloud, {"a.csv": rows()})
    answer, _ = check(cloud, {"c.csv": rows(5, first=500).replace(b",602,", b",99999,")})
    assert (answer["accepted"], answer["warned"]) == (1, 1)
    told = verdicts(cloud)["c.csv"]
    assert (told["verdict"], told["facts"]["warned"]) == ("accept", True)
    assert "c.csv" in accepted(cloud)


def test_the_same_bytes_under_another_name_bring_nothing_new(cloud, spec):
    cloud.apply(spec)
    check(cloud, {"a.csv": rows()})
    answer, _ = check(cloud, {"copy.csv": rows(), "new.csv": rows(7, first=50)})
    assert (answer["accepted"], answer["copies"], answer["rows"]) == (1, 1, 7)
    told = verdicts(cloud)["copy.csv"]
    assert (told["verdict"], told["facts"]["same_as"]) == ("duplicate", f"raw/{REF}/a.csv")

    answer, _ = check(cloud, {"third.csv": rows()})
    assert answer["copies"] == 1
    assert len(cloud.stores.triggers.pending(REF)) == 2, "copies alone start nothing"


def test_who_dies_before_all_is_said_is_followed_by_one_who_knows_what_was(
    cloud, spec, monkeypatch
):
    """The first attempt said that some passed; the second judges a copy of one of them."""
    conclusions = vars(sys.modules[Conclusions.__module__])
    monkeypatch.setitem(conclusions, "CHUNK", 1)
    monkeypatch.setitem(conclusions, "MOST_PASSES", 1)
    cloud.apply(spec)
    files = {"a.csv": rows(), "b.csv": rows(9, first=900), "copy.csv": rows()}
    document = read(cloud, deliver(cloud, files))
    honest = Ledger.append

    def dies(self, entry):
        if "copy.csv" in entry.subject:
            raise TimeoutError
        return honest(self, entry)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Ledger, "append", dies)
        with pytest.raises(TimeoutError):
            cloud.invoke("conclude_check", document)
    assert len(cloud.entries(REF, "check")) == 2
    answer = cloud.invoke("conclude_check", document)
    assert (answer["accepted"], answer["copies"], answer["rows"]) == (2, 1, 309)
    answer, _ = check(cloud, {"third.csv": rows(9, first=900)})
    assert answer["copies"] == 1, "what the first attempt let pass is remembered too"


def test_a_copy_counts_when_the_other_file_was_replaced(cloud, spec):
    cloud.apply(spec)
    check(cloud, {"a.csv": rows()})
    check(cloud, {"a.csv": rows(50, first=1000)})
    answer, _ = check(cloud, {"copy.csv": rows()})
    assert (answer["copies"], answer["rows"]) == (0, 300)


def test_rules_of_the_spec_that_changed_make_a_new_contract_of_the_same_facts(cloud, make_spec):
    cloud.apply(make_spec())
    check(cloud, {"a.csv": rows()})
    before = cloud.stores.data_contracts.find(REF)
    cloud.apply(make_spec(check={"columns": {"distance": {"maximum": 500.0}}}))
    answer, _ = check(cloud, {"b.csv": rows(10, first=500)})
    after = cloud.stores.data_contracts.find(REF)
    assert after.digest != before.digest
    assert answer["quarantined"] == 1
    assert verdicts(cloud)["b.csv"]["facts"]["rule"] == "out_of_range"
    assert len(cloud.entries(REF, "contract")) == 2


def test_concluding_twice_triggers_once(cloud, spec):
    cloud.apply(spec)
    document = read(cloud, deliver(cloud, {"a.csv": rows()}))
    first = cloud.invoke("conclude_check", document)
    (trigger,) = cloud.stores.triggers.pending(REF)
    cloud.stores.state.client.transact_write_items(
        TransactItems=[cloud.stores.triggers.taken(REF, trigger)]
    )
    cloud.now += 10
    assert cloud.invoke("conclude_check", document) == first
    assert cloud.stores.triggers.pending(REF) == []
    assert cloud.sent("TriggerQueue") == [(MODEL, 0)], "perhaps the first died before it said so"


def test_an_attempt_that_was_given_up_may_still_conclude(cloud, spec):
    cloud.apply(spec)
    document = read(cloud, deliver(cloud, {"a.csv": rows()}))
    delivery = document["delivery"]
    cloud.stores.checks.fail(REF, delivery, 1, "it took too long", cloud.now)
    cloud.invoke("conclude_check", document)
    assert cloud.stores.checks.find(REF, delivery)["stands"] == "checked"
    assert not cloud.stores.checks.begin_again(REF, delivery, 1, cloud.now)


def test_a_delivery_that_nobody_closed_or_read_is_refused(cloud, spec):
    cloud.apply(spec)
    with pytest.raises(NotFoundError, match="no closed delivery d-1"):
        cloud.invoke("conclude_check", {**MODEL, "delivery": "d-1", "attempt": 1})
    with pytest.raises(NotFoundError, match="was not read"):
        cloud.invoke("conclude_check", deliver(cloud, {"a.csv": rows()}))
    assert len(cloud.stores.checks.unfinished()) == 1


def test_what_a_check_has_nothing_to_say_of_is_one_entry_for_all(cloud, spec):
    cloud.apply(spec)
    _, delivery = check(cloud, {f"{n}.csv": rows(300 + n) for n in range(3)})

    assert verdicts(cloud) == {}, "no entry of their own"
    (entry,) = cloud.entries(REF, "check")
    assert (entry["subject"], entry["verdict"]) == (delivery, "accept")
    assert entry["reason"] == "3 uploads keep the contract: 903 rows"
    assert "expires" not in entry, "datasets rest on it"
    trained = [arrival.version for arrival in cloud.stores.ledger.arrivals(REF)]
    assert [item.rows for item in trained] == [300, 301, 302]
    assert len({item.sha256 for item in trained}) == 3
    passed = {Pass.parse(each).id for each in entry["facts"]["passed"]}
    assert passed == {each.id for each in trained}


def test_large_deliveries_pass_in_several_entries(cloud, spec, monkeypatch):
    """As the first is written, so much is done: whoever comes after goes on there."""
    conclusions = vars(sys.modules[Conclusions.__module__])
    monkeypatch.setitem(conclusions, "CHUNK", 2)
    monkeypatch.setitem(conclusions, "MOST_PASSES", 3)
    cloud.apply(spec)
    document = read(cloud, deliver(cloud, {f"{n}.csv": rows(300 + n) for n in range(5)}))
    assert cloud.invoke("conclude_check", document)["rows"] == 1510
    assert sorted(e["facts"]["uploads"] for e in cloud.entries(REF, "check")) == [1, 2, 2]


def test_copies_are_found_across_all_of_a_large_delivery(cloud, spec, monkeypatch):
    monkeypatch.setitem(vars(sys.modules[Conclusions.__module__]), "CHUNK", 1)
    cloud.apply(spec)
    answer, _ = check(cloud, {"a.csv": rows(), "b.csv": rows(9), "copy.csv": rows()})
    assert (answer["accepted"], answer["copies"], answer["rows"]) == (2, 1, 309)


def test_an_attempt_beside_another_names_no_upload_twice(cloud, spec):
    """The other one wrote an entry, and died before it had named all."""
    cloud.apply(spec)
    document = read(cloud, deliver(cloud, {f"{n}.csv": rows(300 + n) for n in range(3)}))
    honest = Ledger.append
    first = []

    def faster(self, entry):
        if entry.kind == "check" and not first:
            first.append(entry)
            few = {**entry.facts, "passed": entry.facts["passed"][:1]}
            assert honest(self, replace(entry, facts=few))
        return honest(self, entry)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Ledger, "append", faster)
        answer = cloud.invoke("conclude_check", document)
    assert (answer["accepted"], answer["rows"]) == (3, 903)
    assert sorted(len(e["facts"]["passed"]) for e in cloud.entries(REF, "check")) == [1, 2]
    assert len(cloud.stores.ledger.arrivals(REF)) == 3


def test_facts_that_were_written_one_by_one_are_still_found(cloud, spec):
    """Until 2026-11 each upload's facts were an object, and its verdict an entry."""
    cloud.apply(spec)
    document = read(cloud, deliver(cloud, {"a.csv": rows()}))
    bucket = client("s3")
    (pack,) = bucket.list_objects_v2(Bucket=ARTIFACTS, Prefix=f"checks/{REF}/facts/")["Contents"]
    body = bucket.get_object(Bucket=ARTIFACTS, Key=pack["Key"])["Body"].read().decode()
    bucket.delete_object(Bucket=ARTIFACTS, Key=pack["Key"])
    head, line, _ = body.split("\n")
    (name,) = json.loads(head)["ids"]
    bucket.put_object(Bucket=ARTIFACTS, Key=f"checks/{REF}/{name}.json", Body=line.encode())

    assert cloud.invoke("conclude_check", document)["rows"] == 300


def test_what_was_set_aside_is_explained_though_the_index_lags(cloud, spec, monkeypatch):
    cloud.apply(spec)
    check(cloud, {"a.csv": rows()})
    bad = rows(300, first=300).replace(b",450,", b",far,")
    document = read(cloud, deliver(cloud, {"bad.csv": bad}))
    by_time = Ledger._by_time
    monkeypatch.setattr(
        Ledger,
        "_by_time",
        lambda self, *asked, **how: (
            entry for entry in by_time(self, *asked, **how) if "#check" not in entry["entry"]
        ),
    )
    (upload,) = cloud.invoke("conclude_check", document)["explain"]
    assert upload["facts"].partition("#")[0].endswith(".jsonl")


def test_it_may_die_anywhere(survives, make_spec):
    def prepare(cloud):
        cloud.apply(make_spec())
        files = {"a.csv": rows(), "bad.csv": rows(9) + b"x\n", "copy.csv": rows()}
        return read(cloud, deliver(cloud, files))

    survives("conclude_check", prepare)
