"""`recheck`, and what says that a delivery's check waits for it."""

import pytest

from tidemill.adapters.deliveries import Arrival
from tidemill.domain.admission import ObjectVersion, Verdict

from .conftest import REF


@pytest.fixture
def closed(cloud, life):
    """Return what closes a delivery of one file whose check fails so many times."""

    def close(name, attempts=4):
        version = ObjectVersion("b", f"raw/{REF}/{name}", name, "e", 10, 1.0, "1")
        stores = cloud.stores
        stores.deliveries.add(REF, [Arrival(version, Verdict("accept", "new"))], cloud.now - 60)
        opened = stores.deliveries.open(REF)
        assert stores.deliveries.close(REF, opened, "quiet for 30 s", cloud.now - 50)
        for attempt in range(1, attempts + 1):
            stores.checks.begin_again(REF, opened.id, attempt - 1, cloud.now - 40)
            assert stores.checks.fail(REF, opened.id, attempt, "no such key", cloud.now - 30)
        return opened.id

    return close


def command(delivery):
    return f"tidemill recheck {REF} {delivery} --why …"


def test_a_delivery_is_checked_again(run, cloud, closed):
    delivery = closed("a.csv")

    answer = run("recheck", REF, delivery, "--why", "the key is back")

    assert answer.exit_code == 0, answer.output
    assert answer.stdout == f"checking {delivery} again (attempt 5)\n"
    assert f"{delivery}-r5" in cloud.workflows.of("check")
    assert f"Delivery {delivery} is to be checked again: the key is back." in run("why", REF).stdout


def test_without_a_name_all_that_wait_are_checked_again(document, documented, closed):
    waiting = sorted([closed("a.csv"), closed("b.csv")])
    closed("c.csv", attempts=1)

    found = document("recheck", REF, "--why", "the key is back")

    assert tuple(found[0]) == documented("recheck")
    assert [one["delivery"] for one in found] == waiting


def test_without_one_that_waits_the_answer_is_no(run, closed):
    closed("c.csv", attempts=1)

    answer = run("recheck", REF, "--why", "the key is back")

    assert answer.exit_code == 1
    assert f"no delivery of {REF} waits for another check" in answer.stderr


def test_a_delivery_that_is_none_is_said(run, closed):
    answer = run("recheck", REF, "d-x", "--why", "the key is back")

    assert answer.exit_code != 0
    assert f"{REF} has no closed delivery d-x" in answer.stderr


def test_why_names_the_command(run, document, closed):
    delivery = closed("a.csv")

    lines = run("why", REF).stdout.splitlines()
    (row,) = [row for row in document("why", REF) if row["now"]]

    assert lines[-1].strip() == f"→ {command(delivery)}"
    said = "its check failed 4 times, the last time with: no such key."
    assert lines[-2].endswith(f"Delivery {delivery} is waiting: {said}")
    assert (row["verdict"], row["next_step"]) == ("waiting", command(delivery))


def test_a_check_that_is_tried_again_by_itself_is_no_errand(document, closed):
    closed("a.csv", attempts=1)

    (row,) = [row for row in document("why", REF) if row["now"]]

    assert (row["verdict"], row["next_step"]) == ("checking", None)
    assert row["reason"] == "its check is tried again: no such key"
    assert row["until"]


@pytest.mark.parametrize("verb", ["wait", "follow"])
def test_nobody_waits_for_what_waits_for_them(run, life, closed, verb):
    life.finish(life.begin(), version=1)
    life.approve(1)
    life.serve(1)
    delivery = closed("a.csv")

    answer = run(verb, REF, "--timeout", "50s")

    assert answer.exit_code == 1
    assert "still open" not in answer.stderr
    assert answer.stderr.count(f"`{command(delivery)}`") == 1


def test_a_run_is_followed_to_its_end_and_the_errand_is_told_beside_it(run, life, closed):
    going = life.begin()
    life.finish(going, version=1)
    life.approve(1)
    life.serve(1)
    delivery = closed("a.csv")

    answer = run("follow", going, "--timeout", "50s")

    assert answer.exit_code == 0, answer.output
    assert f"`{command(delivery)}`" in answer.stderr
