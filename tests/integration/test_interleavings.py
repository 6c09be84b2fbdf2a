"""
Nothing is lost and nothing happens twice, in whatever order it comes and wherever it dies.

Hypothesis writes histories: uploads, duplicates, messages out of order, lost or received twice,
functions killed between any two of their calls, and others that run in between.
"""

import itertools
from collections import Counter
from functools import partial

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tidemill.adapters.entries import Entry
from tidemill.domain.admission import name_of
from tidemill.domain.check import Pass

from .. import stack
from .cloud import client
from .memory_tables import MemoryTables
from .world import HEADER, World

QUEUES = {"admit_upload": "intake", "close_delivery": "deliveries", "decide_trigger": "triggers"}

bodies = st.sampled_from([HEADER + b"UA,0\n", HEADER + b"AA,1\nUA,0\n", b"", b"\0\0"])
uploads = st.tuples(st.just("upload"), st.sampled_from(["a.csv", "b.csv"]), bodies, st.booleans())
receives = st.tuples(st.just("receive"), st.sampled_from(sorted(QUEUES)), st.integers(0, 5))
batches = st.tuples(st.just("batch"), st.integers(1, 6))
others = st.one_of(
    st.tuples(st.sampled_from(["end", "abort", "end check", "abort check"]), st.integers(0, 2)),
    st.tuples(st.just("sweep")),
)
acts = st.one_of(uploads, receives, batches, others)
calls = st.integers(0, 14)
moves = st.one_of(
    st.tuples(st.just("do"), acts, st.none() | calls, st.none() | st.tuples(calls, acts)),
    st.tuples(st.just("do"), receives, st.none(), st.none()),
    st.tuples(st.just("tick"), st.sampled_from([1.0, 29.0, 31.0, 100.0, 4000.0])),
    st.tuples(st.just("repeat"), st.sampled_from(sorted(QUEUES)), st.integers(0, 5)),
    st.tuples(st.just("lose"), st.sampled_from(sorted(QUEUES)), st.integers(0, 5)),
)  # fmt: skip


def due(queue, now):
    return [message for message in queue.messages if message.due <= now]


def receive(world, function, index):
    queue = getattr(world, QUEUES[function])
    if ready := due(queue, world.now):
        world.receive(function, queue, ready[index % len(ready)])


def ending(workflow, end):
    """Return an act that brings one of a workflow's running executions to its end."""

    def do(world, index):
        executions = getattr(world, workflow)
        running = [name for name, status in executions.items() if status == "RUNNING"]
        if running:
            getattr(world, end)(running[index % len(running)])

    return do


def do_all(world, *acts):
    for act in acts:
        doing(world, act)()


ACTS = {
    "upload": lambda world, name, body, told: world.upload(name, body, told=told),
    "receive": receive,
    "batch": lambda world, count: world.receive_batch(due(world.intake, world.now)[:count]),
    "end": ending("executions", "end_run"),
    "abort": ending("executions", "abort_run"),
    "end check": ending("checks", "end_check"),
    "abort check": ending("checks", "abort_check"),
    "sweep": lambda world: world.sweep(),
    "all": do_all,
}


def doing(world, act):
    """Return what *act* does in the world as it is by then."""
    verb, *given = act
    return partial(ACTS[verb], world, *given)


def play(world, history):
    for move in history:
        match move:
            case ("do", act, kill_in, then):
                between = then and (then[0], doing(world, then[1]))
                world.run(doing(world, act), kill_in, between)
            case ("tick", seconds):
                world.now += seconds
            case ("repeat" | "lose", function, index):
                queue = getattr(world, QUEUES[function]).messages
                if queue:
                    message = queue[index % len(queue)]
                    queue.append(message) if move[0] == "repeat" else queue.remove(message)
        assert len(world.going()) <= 1, "two runs of one model"


@pytest.fixture
def make_world(cloud, template, load_function, make_spec):
    """Return a maker of worlds, each with empty tables and one model."""
    worlds = []
    tables = [stack.table(name, template) for name in ("StateTable", "LedgerTable")]

    def make(**changes):
        while worlds:
            worlds.pop().close()
        memory = MemoryTables(
            client("dynamodb").exceptions, {table["TableName"]: table for table in tables}
        )
        world = World(make_spec(**changes), memory, load_function)
        worlds.append(world)
        spec = world.spec
        entry = Entry(spec.ref, "spec#1", 1.0, "spec", "", "create", "")
        world.stores.specs.replace(spec, 1.0, world.stores.ledger, entry)
        return world

    yield make
    while worlds:
        worlds.pop().close()


def check(world):
    """Every promise, once all has settled."""
    ref, stores = world.ref, world.stores
    entries = list(stores.ledger.entries(ref))
    kinds = {kind: [e for e in entries if e["kind"] == kind] for kind in ("upload", "trigger")}

    judged = {(e["facts"]["key"], e["facts"]["version_id"]) for e in kinds["upload"]}
    assert judged == world.objects.keys(), "an upload without a verdict"
    assert len(kinds["upload"]) == len(judged), "an upload with two"

    accepted = [e["facts"] for e in kinds["upload"] if e["verdict"] == "accept"]
    assert stores.deliveries.open(ref) is None, "a delivery that nobody closes"
    # A marker or a duplicate may open a delivery that no upload joins: it triggers nothing.
    closed = {d["id"]: d for d in stores.state.under(ref, "delivery#") if d["uploads"]}
    assert Counter(facts["delivery"] for facts in accepted) == {
        name: delivery["uploads"] for name, delivery in closed.items()
    }, "each accepted upload is in exactly one delivery"
    passed = [text for e in entries if e["kind"] == "check" for text in e["facts"]["passed"]]
    assert Counter(Pass.parse(text).id for text in passed) == Counter(
        name_of(facts["bucket"], facts["key"], facts["version_id"]) for facts in accepted
    ), "each accepted upload is checked once"
    assert len(stores.ledger.arrivals(ref)) == len(accepted), "and datasets take it"
    sizes = Counter()
    for facts in accepted:
        sizes[facts["delivery"]] += facts["size"]
    assert sizes == {name: delivery["bytes"] for name, delivery in closed.items()}

    assert stores.checks.unfinished() == [], "a delivery that nobody checks"
    assert {d["stands"] for d in closed.values()} <= {"checked"}
    assert all(d["accepted"] == d["rows"] == d["uploads"] for d in closed.values())
    assert stores.triggers.pending(ref) == [], "a trigger that waits for nothing"
    taken = [e for e in kinds["trigger"] if e["verdict"] in ("start", "coalesce")]
    assert sorted(e["facts"]["trigger"] for e in taken) == sorted(closed), (
        "each delivery triggers exactly once"
    )
    runs = stores.runs.of(ref)
    assert sorted(t for run in runs for t in run["triggers"]) == sorted(closed)
    assert world.executions.keys() == {run["run"] for run in runs}, "a run that nobody started"
    assert {run["status"] for run in runs} <= {"succeeded", "stopped"}
    spans = sorted((run["started_at"], run["finished_at"]) for run in runs)
    assert all(one[1] <= two[0] for one, two in itertools.pairwise(spans)), "overlap"

    ended = [e for e in entries if e["kind"] == "run"]
    assert sorted(e["subject"] for e in ended) == sorted(run["run"] for run in runs)
    told = {event.run for event in world.events if event.detail_type == "Run Started"}
    assert told == {run["run"] for run in runs}, "a start that nobody heard of"


LAWS = settings(
    max_examples=120,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@LAWS
@given(st.lists(moves, min_size=12, max_size=40))
def test_no_history_loses_or_repeats_anything(make_world, history):
    world = make_world()
    play(world, history)
    world.settle()
    check(world)


@settings(LAWS, max_examples=40)
@given(st.lists(moves, min_size=8, max_size=30), st.lists(st.integers(0, 30), max_size=6))
def test_nor_with_markers(make_world, history, places):
    world = make_world(delivery__marker="_SUCCESS", delivery__max_wait_seconds=600)
    markers = [b"", b'["a.csv"]', b"no", b"", b'["b.csv"]', b""]
    for place, body in zip(places, markers, strict=False):
        marker = ("do", ("upload", "_SUCCESS", body, True), None, None)
        history = [*history[:place], marker, *history[place:]]
    play(world, history)
    world.settle()
    check(world)


POLICY = {
    "cooldown_seconds": 700,
    "time_zone": "Europe/Berlin",
    "blackout": [{"written": "fri 11:00-11:20", "days": [4], "start": 660, "end": 680}],
}


@settings(LAWS, max_examples=40)
@given(st.lists(moves, min_size=8, max_size=30))
def test_nor_under_a_policy_that_puts_triggers_off(make_world, history):
    """They start when their time has come, also when the message that says so was lost."""
    world = make_world(triggers=POLICY)
    began = world.now
    play(world, history)
    world.settle()
    check(world)
    runs = world.stores.runs.of(world.ref)
    assert all(run["started_at"] >= began + 1200 for run in runs), "in the blackout"
    spans = [(run["started_at"], run["finished_at"]) for run in runs]
    assert all(two[0] >= one[1] + 700 for one, two in itertools.pairwise(spans)), "too soon"
    entries = world.stores.ledger.entries(world.ref)
    put_off = [e for e in entries if e["verdict"] == "defer"]
    said = [(e["facts"]["trigger"], e["reason"]) for e in put_off]
    assert len(said) == len(set(said)), "said twice"


@pytest.mark.parametrize("kill_in", range(30))
@pytest.mark.parametrize("function", sorted(QUEUES))
def test_each_function_dies_at_each_of_its_calls(make_world, function, kill_in):
    """The same, exhaustively, for one upload on its way."""
    world = make_world()
    world.upload("a.csv", HEADER + b"UA,0\n")
    for name, queue in QUEUES.items():
        world.now += 31
        for message in list(getattr(world, queue).messages):
            receive = partial(world.receive, name, getattr(world, queue), message)
            world.run(receive, kill_in if name == function else None, None)
    world.settle()
    check(world)


@pytest.mark.parametrize("kill_in", range(40))
@pytest.mark.parametrize("marker", [None, "_SUCCESS"])
def test_a_batch_dies_at_each_of_its_calls(make_world, marker, kill_in):
    """Files, one twice, one replaced, broken ones and a marker, in one batch and then again."""
    world = make_world(delivery__marker=marker)
    for name, body in (
        ("a.csv", HEADER + b"UA,0\n"), ("b.csv", b""), ("_SUCCESS", b'["a.csv", "b.csv"]'),
        ("a.csv", HEADER + b"UA,1\n"), ("c.csv", HEADER + b"AA,1\n"), ("c.csv", HEADER + b"AA,1\n"),
    ):  # fmt: skip
        world.upload(name, body)
    world.intake.messages.append(world.intake.messages[0])
    world.run(partial(doing(world, ("batch", 9))), kill_in, None)
    world.settle()
    check(world)


ADMIT, CLOSE, DECIDE = (("receive", name, 0) for name in QUEUES)
CHECKED = ("end check", 0)
NEW = ("upload", "c.csv", HEADER + b"DL,1\n", True)
INTERRUPTIONS = [
    ADMIT, CLOSE, DECIDE, ("receive", "admit_upload", 1), ("sweep",), ("end", 0), ("abort", 0), NEW,
    ("all", CLOSE, CHECKED, DECIDE), CHECKED, ("abort check", 0), ("all", DECIDE, NEW, ADMIT),
    ("all", DECIDE, ("sweep",), DECIDE),
    ("all", CLOSE, ADMIT), ("all", ("end", 0), DECIDE), ("all", DECIDE, CLOSE),
    ("batch", 3), ("all", NEW, NEW, ("batch", 3)),
]  # fmt: skip


def two_files(world):
    """One is in the open delivery, which is quiet by now; the other's event has just come."""
    world.upload("a.csv", HEADER + b"UA,0\n")
    doing(world, ADMIT)()
    world.upload("b.csv", HEADER + b"AA,0\n")
    world.now += 31


def two_deliveries(world):
    """One has closed and waits for its decision; another is open, and quiet by now."""
    two_files(world)
    doing(world, CLOSE)()
    doing(world, CHECKED)()
    doing(world, ADMIT)()
    world.now += 31


def a_check(world):
    """A delivery is being checked, while another is quiet by now."""
    two_files(world)
    doing(world, CLOSE)()
    doing(world, ADMIT)()
    world.now += 31


def a_run(world):
    """It goes on, while another delivery waits for its end."""
    two_deliveries(world)
    doing(world, DECIDE)()
    doing(world, CLOSE)()
    doing(world, CHECKED)()


def after_a_run(world):
    """It has ended; a trigger waits for its decision, and another delivery is quiet by now."""
    a_run(world)
    doing(world, ("end", 0))()
    world.upload("d.csv", HEADER + b"WN,0\n")
    doing(world, ADMIT)()
    world.now += 31


SCENES = [two_files, a_check, two_deliveries, a_run, after_a_run]


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
@pytest.mark.parametrize(
    "act", [ADMIT, CLOSE, CHECKED, DECIDE, ("end", 0), ("batch", 2)], ids=lambda act: act[-2]
)
def test_anything_may_happen_between_any_two_calls(make_world, scene, act):
    """Exhaustively: every interruption, before every call, and with a death soon after."""
    for interruption in INTERRUPTIONS:
        for at in range(16):
            for kill_in in (None, at + 1):
                world = make_world()
                scene(world)
                then = (at, doing(world, interruption))
                reached = world.run(doing(world, act), kill_in, then)
                world.settle()
                check(world)
            if not reached:
                break


def test_a_storm_of_shuffled_and_repeated_events_is_one_run_a_delivery(make_world):
    """Twenty files, half of the events twice, in an order of their own."""
    world = make_world()
    for n in range(20):
        world.upload(f"part-{n}.csv", HEADER + b"UA,%d\n" % n)
    world.intake.messages += world.intake.messages[::2]
    world.intake.messages.sort(key=lambda message: hash(message.body))
    world.settle()
    check(world)
    (run,) = world.stores.runs.of(world.ref)
    assert len(run["triggers"]) == 1
