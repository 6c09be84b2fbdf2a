import pytest

from tidemill.adapters.entries import Entry
from tidemill.errors import NotFoundError

pytestmark = pytest.mark.parametrize("cloud", ["moto", "memory"], indirect=True)


def entry(spec, key="spec#1"):
    return Entry(spec.ref, key, 1.0, "spec", "model.yaml", "create", "")


def replace(stores, spec, key="spec#1", at=1.0):
    stores.specs.replace(spec, at, stores.ledger, entry(spec, key))


def test_a_spec_comes_back_as_it_was_compiled(stores, spec):
    replace(stores, spec)
    assert stores.specs.get(spec.ref) == spec
    assert stores.specs.applied(spec.ref) == {"digest": spec.digest, "applied_at": 1}


def test_the_last_one_is_in_force(stores, make_spec):
    first, second = make_spec(), make_spec(deploy__count=2)
    replace(stores, first)
    replace(stores, second, "spec#2")
    assert stores.specs.find(first.ref) == second
    assert stores.specs.refs() == [first.ref]


def test_models_are_listed_in_order(stores, make_spec):
    for model in ("b", "a"):
        replace(stores, make_spec(model=model))
    assert stores.specs.refs() == ["flights/a", "flights/b"]


def test_removed_it_is_gone_and_the_ledger_stays(cloud, stores, spec):
    replace(stores, spec)
    for _ in range(2):
        key = f"model#{len(cloud.entries(spec.ref))}"
        stores.specs.remove(spec.ref, stores.ledger, entry(spec, key))
    assert stores.specs.find(spec.ref) is None
    assert stores.specs.applied(spec.ref) is None
    assert stores.specs.refs() == []
    assert len(cloud.entries(spec.ref)) == 3


def test_a_model_that_nobody_applied_is_named(stores):
    with pytest.raises(NotFoundError, match="no model flights/delay"):
        stores.specs.get("flights/delay")
