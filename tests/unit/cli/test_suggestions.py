"""From a sample's facts to a spec: what is set, what is only suggested, and that it compiles."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidemill.spec.compile import compile_spec
from tidemill.spec.fields import NAME_LIMIT
from tidemill_cli import specs
from tidemill_cli.failures import MalformedError
from tidemill_cli.spec_text import quoted, render
from tidemill_cli.suggestions import MOST_CLASSES, suggest
from tidemill_jobs.target import CLASSES

ROWS = 400


def column(name, values, meaning="text", missing=0):
    """Return facts as the jobs write them; *values* is what each row that has one holds."""
    counts = {}
    for value in values:
        counts[str(value)] = counts.get(str(value), 0) + 1
    common = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    numbers = [float(value) for value in values] if meaning == "number" else []
    return {
        "name": name,
        "missing": missing,
        "not_available": 0,
        "meanings": {meaning: {"count": len(values), "row": 2, "value": ""}} if values else {},
        "numbers": {"low": min(numbers), "high": max(numbers)} if numbers else None,
        "distinct": len(counts),
        "repeats": len(values) - len(counts),
        "values": [{"value": value, "count": n, "row": 2} for value, n in common[:256]],
        "complete": len(counts) <= 256,
    }


LATE = column("late", [1] * 100 + [0] * 300, "number")


def facts(*columns):
    return {"rows": ROWS, "columns": [*columns]}


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        (LATE, "binary"),
        (column("y", ["no", "yes"] * 200), "binary"),
        (column("y", [True, False] * 200, "boolean"), "binary"),
        (column("y", ["a", "b", "c", "d"] * 100), "multiclass"),
        (column("y", [1, 2, 3, 4, 5] * 80, "number"), "multiclass"),
        (column("y", range(ROWS), "number"), "regression"),
        (column("y", [0.5, 1.5, 2.5, 4.0] * 100, "number"), "regression"),
    ],
    ids=["0 or 1", "words", "booleans", "four words", "five numbers", "amounts", "fractions"],
)
def test_the_problem_is_guessed_from_the_target(target, problem):
    found = suggest(facts(target), target["name"])

    assert found.problem == problem
    assert found.because


def test_what_the_person_says_holds():
    found = suggest(facts(column("y", [1, 2, 3] * 100, "number")), "y", "regression")

    assert (found.problem, found.because) == ("regression", "as you said")
    assert found.warnings == ()


@pytest.mark.parametrize(
    ("target", "said"),
    [
        (column("y", [1] * ROWS, "number"), "'1' in every row"),
        (column("y", [], missing=ROWS), "empty in every row"),
        (column("y", [f"t{n}" for n in range(ROWS)]), "400 different texts"),
    ],
)
def test_a_target_that_nothing_can_be_learned_from_is_refused(target, said):
    with pytest.raises(MalformedError, match=said):
        suggest(facts(target), "y")


def test_a_target_that_is_not_there_is_refused_with_what_is_near():
    with pytest.raises(MalformedError, match="did you mean 'late'"):
        suggest(facts(LATE), "LATE")
    with pytest.raises(MalformedError, match="its columns: late"):
        suggest(facts(LATE), "delay")


def test_an_id_tells_every_row_apart_and_is_called_so():
    found = suggest(
        facts(
            LATE,
            column("email", [f"u{n}@x" for n in range(ROWS)]),
            column("order_id", [f"O{n}" for n in range(ROWS)]),
            column("price", [n + 0.5 for n in range(ROWS)], "number"),
            column("remark", [f"it was {n}" for n in range(ROWS)]),
        ),
        "late",
    )

    assert (found.id, found.ids) == ("order_id", ("email",))
    assert [remark.column for remark in found.texts] == ["email", "remark"]


def test_a_unique_column_with_another_name_is_only_suggested():
    found = suggest(facts(LATE, column("who", [f"u{n}" for n in range(ROWS)])), "late")

    assert (found.id, found.ids) == (None, ("who",))


def test_the_earlier_of_two_times_is_taken():
    times = [f"2026-01-01T00:{n:02d}" for n in range(40)] * 10
    found = suggest(
        facts(LATE, column("closed_at", times, "time"), column("created", times, "time")), "late"
    )

    assert (found.timestamp, found.timestamps) == ("created", ("closed_at",))
    assert [remark.column for remark in found.leaks] == ["closed_at"]


def test_a_time_that_sounds_like_the_end_is_not_taken():
    found = suggest(facts(LATE, column("closed_at", ["2026-01-01"] * 400, "time")), "late")

    assert (found.timestamp, found.timestamps) == (None, ("closed_at",))


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (column("refund", [3.5, 4.5] * 50, "number", missing=300), "exactly as many as have late"),
        (column("state", ["x"] * 100 + ["y"] * 300), "as frequent as those of late"),
        (column("minutes_late", [1, 2, 3, 4] * 100, "number"), "its name holds 'late'"),
        (column("actualArrival", [1, 2] * 200, "number"), "'actual' sounds like"),
    ],
)
def test_what_may_know_the_answer_is_pointed_out(other, why):
    (remark,) = suggest(facts(LATE, other), "late").leaks

    assert remark.column == other["name"]
    assert why in remark.why


def test_an_honest_column_is_not_pointed_out():
    honest = column("carrier", ["AA", "DL"] * 200), column("distance", range(ROWS), "number", 7)

    found = suggest(facts(LATE, *honest), "late")

    assert (found.leaks, found.texts, found.constants) == ((), (), ())


def test_missing_outcomes_and_few_rows_are_said():
    target = column("late", [1, 0] * 20, "number", missing=9)

    found = suggest({"rows": 49, "columns": [target]}, "late")

    assert found.warnings[0].startswith("9 of 49 rows have no late")
    assert "49 rows are few" in found.warnings[1]


def test_the_limits_are_those_of_their_owners():
    assert MOST_CLASSES == CLASSES
    assert specs.NAME_LIMIT == NAME_LIMIT


COLUMN = st.text(min_size=1, max_size=30).filter(lambda name: name.strip() and name.isprintable())
VALUES = st.sampled_from(
    [
        ([1, 0] * 200, "number", 0),
        ([f"t{n}" for n in range(ROWS)], "text", 0),
        ([f"a b {n}" for n in range(ROWS)], "text", 0),
        (["2026-01-01"] * 400, "time", 0),
        ([1.5] * 100, "number", 300),
        (["no"] * 400, "text", 0),
    ]
)


@settings(max_examples=150)
@given(st.lists(st.tuples(COLUMN, VALUES), unique_by=lambda item: item[0], max_size=6), COLUMN)
def test_whatever_the_columns_are_called_the_spec_compiles(columns, target):
    target = target if target not in dict(columns) else f"{target}."
    held = [column(name, *how) for name, how in columns]
    found = suggest(facts(*held, column(target, [1] * 100 + [0] * 300, "number")), target)

    text = render(found, project="p", model="m", form="csv", sample="a\nb.csv")

    spec = compile_spec(text)
    assert (spec.ref, spec.data.target, spec.train.problem) == ("p/m", target, "binary")
    assert (spec.data.id, spec.data.timestamp) == (found.id, found.timestamp)
    assert spec.data.exclude == ()


@settings(max_examples=100)
@given(st.lists(COLUMN, unique=True, min_size=1, max_size=5))
def test_what_is_suggested_compiles_once_its_marks_are_removed(names):
    held = [column(f"late {name}", [1, 2] * 200, "number") for name in names]
    found = suggest(facts(LATE, *held), "late")
    text = render(found, project="p", model="m", form="csv", sample="s.csv")

    taken = text.replace("  # exclude:\n", "  exclude:\n").replace("  #   - ", "    - ")

    assert set(compile_spec(taken).data.exclude) == {f"late {name}" for name in names}


@pytest.mark.parametrize("word", ["no", "null", "1", "a: b", "#x", "", "ü", "~", "y z"])
def test_words_that_yaml_reads_otherwise_are_quoted(word):
    assert quoted(word).startswith('"')
    assert not quoted("dep_time").startswith('"')
