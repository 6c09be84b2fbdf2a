"""The verifier in docs/ledger.md is short, whole and right."""

import re
from pathlib import Path

import boto3
import pytest

from .test_verification import KEYS, REF, Ledger

DOCS = Path(__file__).parents[2] / "docs" / "ledger.md"
CODE = re.search(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL)[1]


def verify(ledger, monkeypatch, capsys):
    monkeypatch.setattr(boto3, "client", lambda _: ledger.client)
    monkeypatch.setattr("sys.argv", ["verify", "tidemill-ledger", REF])
    exec(compile(CODE, "docs/ledger.md", "exec"), {})  # it is ours, and shown so
    return capsys.readouterr().out


def test_it_agrees_with_an_untouched_ledger(monkeypatch, capsys):
    assert verify(Ledger(), monkeypatch, capsys) == "6 entries fit; 0 are in no link\n"


def test_it_names_a_changed_entry(monkeypatch, capsys):
    ledger = Ledger()
    ledger.put({**ledger.get(KEYS[3]), "verdict": {"S": "other"}})
    with pytest.raises(AssertionError, match=KEYS[3]):
        verify(ledger, monkeypatch, capsys)


def test_it_names_a_link_that_does_not_follow(monkeypatch, capsys):
    ledger = Ledger()
    ledger.put({**ledger.get("chain#000000000002"), "late": {"N": "7"}})
    with pytest.raises(AssertionError, match="chain#000000000002"):
        verify(ledger, monkeypatch, capsys)


def test_it_is_short():
    lines = [line for line in CODE.splitlines() if line.strip()]
    assert len(lines) <= 50
