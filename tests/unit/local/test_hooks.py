import types

import pytest

from tidemill_local.engine import hooks
from tidemill_local.engine.hooks import (
    HooksDoNotFitError,
    MinistackChangedError,
    expect,
    expect_saved,
    expect_value,
    install,
)

SOURCE = types.ModuleType("ministack.services.example")


def _call(data, *, quick=False):
    return data, quick


def _get_state():
    return {"queues": 1, "names": 2}


SOURCE._call = _call
SOURCE._limit = 4
SOURCE.get_state = _get_state


class FakeHook:
    """Do something."""

    def __init__(self, name, error=None):
        self.__name__ = f"tidemill_local.engine.{name}"
        self._error = error
        self.applied = []

    def check(self):
        if self._error:
            raise MinistackChangedError(self._error)

    def apply(self, surroundings):
        self.applied.append(surroundings)


def test_all_hooks_are_checked_then_applied():
    chain = [FakeHook("first"), FakeHook("second")]

    results = install(chain, "surroundings", version=hooks.MINISTACK)

    assert [(result.hook, result.ok) for result in results] == [
        ("version", True), ("first", True), ("second", True),
    ]  # fmt: skip
    assert results[1].to_json() == {"hook": "first", "ok": True, "detail": "Do something."}
    assert [hook.applied for hook in chain] == [["surroundings"]] * 2


def test_a_failed_check_applies_nothing_and_says_which_what_and_what_to_do():
    chain = [FakeHook("first"), FakeHook("second", "ministack.x takes (a), not (b)")]

    with pytest.raises(HooksDoNotFitError) as raised:
        install(chain, None, version=hooks.MINISTACK)

    assert "second: ministack.x takes (a), not (b)" in str(raised.value)
    assert f"pip install 'ministack[full]=={hooks.MINISTACK}'" in str(raised.value)
    assert [hook.applied for hook in chain] == [[], []]


def test_another_version_is_refused_even_if_all_checks_pass():
    with pytest.raises(HooksDoNotFitError, match=r"version: ministack 1\.6\.0 is not"):
        install([FakeHook("first")], None, version="1.6.0")


def test_a_function_must_have_its_signature():
    expect(SOURCE, "_call", "(data, *, quick=False)")

    with pytest.raises(MinistackChangedError, match=r"example\._call takes \(data, \*, quick"):
        expect(SOURCE, "_call", "(data)")
    with pytest.raises(MinistackChangedError, match=r"example\._gone is not there"):
        expect(SOURCE, "_gone", "()")


def test_a_value_must_have_its_type():
    expect_value(SOURCE, "_limit", int)

    with pytest.raises(MinistackChangedError, match=r"_limit is int"):
        expect_value(SOURCE, "_limit", dict)


def test_a_state_must_have_its_parts():
    expect_saved(SOURCE, {"queues", "names"})

    with pytest.raises(MinistackChangedError, match="'topics'"):
        expect_saved(SOURCE, {"queues", "names", "topics"})
