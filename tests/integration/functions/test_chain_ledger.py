"""The ledger's stream: what was added is chained, anything else is an alarm."""

import json

import pytest

from tidemill.adapters.items import marshal
from tidemill.domain.chain import digest, link_hash
from tidemill.errors import InvalidInputError

from ... import stack

REF = "flights/delay"


@pytest.fixture
def changed(sample):
    return sample("ledger_changed")


def link(cloud, number):
    key = marshal({"model": REF, "entry": f"chain#{number:012d}"})
    return cloud.dynamodb.get_item(TableName=stack.LEDGER, Key=key).get("Item")


def test_a_batch_is_chained_and_its_tampering_recorded(cloud, changed, capsys):
    cloud.invoke("chain_ledger", changed)

    item = link(cloud, 1)
    assert item["hash"]["S"] == link_hash(item)
    named = {key["S"]: found["S"] for key, found in (pair["L"] for pair in item["entries"]["L"])}
    images = [record["dynamodb"].get("NewImage") for record in changed["Records"][:2]]
    assert named == {image["entry"]["S"]: digest(image) for image in images}

    (entry,) = cloud.entries(REF)
    assert (entry["kind"], entry["verdict"]) == ("tamper", "changed")
    assert "approval#3#2026-11-19 was changed in verdict" in entry["reason"]
    metric = next(line for line in capsys.readouterr().out.splitlines() if "LedgerTampered" in line)
    assert json.loads(metric)["LedgerTampered"] == [1.0]
    assert json.loads(metric)["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "Tidemill"


def test_the_alarm_watches_the_metric_that_is_written(
    cloud, changed, template, capsys, monkeypatch
):
    for name, value in template["Globals"]["Function"]["Environment"]["Variables"].items():
        monkeypatch.setenv(name, str(value))
    cloud.invoke("chain_ledger", changed)
    metric = json.loads(
        next(line for line in capsys.readouterr().out.splitlines() if "LedgerTampered" in line)
    )
    alarm = template["Resources"]["LedgerTamperedAlarm"]["Properties"]

    (written,) = metric["_aws"]["CloudWatchMetrics"]
    (name,) = (each["Name"] for each in written["Metrics"])
    assert (written["Namespace"], name) == (alarm["Namespace"], alarm["MetricName"])
    assert {each["Name"]: stack.value(each["Value"], template) for each in alarm["Dimensions"]} == {
        name: metric[name] for name in written["Dimensions"][0]
    }


def test_a_batch_without_tampering_raises_no_alarm(cloud, changed, capsys):
    cloud.invoke("chain_ledger", {"Records": [changed["Records"][0], changed["Records"][3]]})

    assert "LedgerTampered" not in capsys.readouterr().out
    assert cloud.entries(REF) == []


def test_it_may_die_before_any_call(changed, survives):
    survives("chain_ledger", lambda _: changed)


def test_what_is_no_record_of_the_ledger_is_refused(cloud):
    with pytest.raises(InvalidInputError, match="not a record of the ledger's stream"):
        cloud.invoke("chain_ledger", {"Records": [{"eventName": "INSERT", "dynamodb": {}}]})
