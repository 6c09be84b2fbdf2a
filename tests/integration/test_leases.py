import pytest

from tidemill.adapters.items import ConditionFailedError, transact

pytestmark = pytest.mark.parametrize("cloud", ["moto", "memory"], indirect=True)
REF = "flights/delay"


@pytest.fixture
def leases(stores):
    return stores.leases


def acquire(leases, holder, now=0.0, seconds=10.0):
    return leases.acquire(REF, "run", holder=holder, now=now, seconds=seconds)


def test_one_holds_it_at_a_time(leases):
    assert acquire(leases, "a")
    assert not acquire(leases, "b", now=9.9)
    assert leases.read(REF, "run").holder == "a"


def test_who_holds_it_may_take_it_again(leases):
    assert acquire(leases, "a")
    assert acquire(leases, "a", now=5.0)
    assert leases.read(REF, "run").expires_at == 15.0


@pytest.mark.parametrize(("now", "gets"), [(9.999, False), (10.0, True)])
def test_it_ends_by_itself(leases, now, gets):
    acquire(leases, "a")
    assert acquire(leases, "b", now=now) is gets


def test_the_fence_only_grows(leases):
    fences = []
    for holder in ("a", "b", "c"):
        acquire(leases, holder)
        fences.append(leases.read(REF, "run").fence)
        leases.release(REF, "run", holder)
    assert fences == [1, 2, 3]


def test_freed_it_is_free_at_once(leases):
    acquire(leases, "a")
    assert leases.release(REF, "run", "a")
    assert acquire(leases, "b")


def test_only_its_holder_frees_it(leases):
    acquire(leases, "a")
    acquire(leases, "b", now=20.0)
    assert not leases.release(REF, "run", "a")
    assert leases.read(REF, "run").holder == "b"


def test_freeing_twice_changes_nothing(leases):
    acquire(leases, "a")
    leases.release(REF, "run", "a")
    assert not leases.release(REF, "run", "a")
    assert not leases.release(REF, "rollout", "a"), "there never was one"


def test_of_two_who_read_the_same_one_gets_it(leases, stores):
    held = leases.read(REF, "run")
    writes = [
        leases.take(REF, "run", holder=holder, held=held, now=0.0, seconds=10.0) for holder in "ab"
    ]
    transact(stores.state.client, writes[:1])
    with pytest.raises(ConditionFailedError):
        transact(stores.state.client, writes[1:])


def test_run_and_rollout_do_not_wait_for_each_other(leases):
    assert acquire(leases, "a")
    assert leases.acquire(REF, "rollout", holder="b", now=0.0, seconds=10.0)
