import pytest

from tidemill.spec.compile import compile_spec
from tidemill.spec.diff import breaking_changes, diff, render


def change(full, was, is_):
    """Return the one change between the full spec and itself with *was* rewritten."""
    (found,) = diff(compile_spec(full), compile_spec(full.replace(was, is_)))
    return found


def test_equal_specs_differ_in_nothing(full):
    assert diff(compile_spec(full), compile_spec(full)) == []


def test_a_new_model_lists_every_key_it_sets(smallest):
    changes = {item.path: item for item in diff(None, compile_spec(smallest))}

    assert changes["data.target"].after == "late"
    assert changes["delivery.quiet"].after == "2m"
    assert changes["approve"].after == "manual"
    assert "data.id" not in changes
    assert not any(item.breaking or item.before for item in changes.values())


@pytest.mark.parametrize(
    ("rewrite", "path", "values", "effect"),
    [
        (
            ("max_depth: 6", "max_depth: 8"),
            "train.hyperparameters.max_depth",
            ("6", "8"),
            "the next run retrains with max_depth 8",
        ),
        (
            ("    max_depth: 6\n", ""),
            "train.hyperparameters.max_depth",
            ("6", None),
            "the next run retrains with max_depth at the trainer's default",
        ),
        (
            ("minimum: 0.7", "minimum: 0.75"),
            "evaluate.minimum",
            ("0.7", "0.75"),
            "the next run must reach 0.75; registered versions are not judged anew",
        ),
        (
            ("  minimum: 0.7\n", ""),
            "evaluate.minimum",
            ("0.7", None),
            "the next run must reach no minimum; registered versions are not judged anew",
        ),
        (
            ("quiet: 30s", "quiet: 5m"),
            "delivery.quiet",
            ("30s", "5m"),
            "holds from the next delivery on",
        ),
        (
            ("[tailnum, dep_delay]", "[]"),
            "data.exclude",
            ("[dep_delay, tailnum]", None),
            "the next run retrains with other input columns",
        ),
        (
            ("count: 2", "count: 3"),
            "deploy.count",
            ("2", "3"),
            "changes the endpoint at the next rollo",
        ),
        (
            ("approve: auto", "approve: manual"),
            "approve",
            ("auto", "manual"),
            "holds from the next ver",
        ),
        (
            ("max_runtime: 2h", "max_runtime: 3h"),
            "train.compute.max_runtime",
            ("2h", "3h"),
            "the next",
        ),
        (
            ("test: 0.1", "test: 0.2"),
            "prepare.split.test",
            ("0.1", "0.2"),
            "the next run assigns rows",
        ),
        (
            ("id: flight_id", "id: flight"),
            "data.id",
            ("flight_id", "flight"),
            "the next run assigns r",
        ),
        (
            ("timestamp: departed", ""),
            "data.timestamp",
            ("departed", None),
            "the next run retrains wi",
        ),
    ],
)
def test_a_change_says_what_follows(full, rewrite, path, values, effect):
    found = change(full, *rewrite)

    assert (found.path, found.before, found.after) == (path, *values)
    assert found.effect.startswith(effect)
    assert not found.breaking


@pytest.mark.parametrize(
    ("was", "is_", "path"),
    [
        ("target: late", "target: delayed", "data.target"),
        ("format: parquet", "format: csv", "data.format"),
        ("project: flights", "project: trains", "project"),
        ("model: arrival-delay", "model: delay", "model"),
        ("problem: binary", "problem: multiclass", "train.problem"),
    ],
)
def test_what_versions_rest_on_is_refused_once_there_are_any(full, was, is_, path):
    rewritten = full.replace(was, is_).replace("metric: auc\n  minimum: 0.7", "metric: accuracy")
    original = full.replace("metric: auc\n  minimum: 0.7", "metric: accuracy")

    (found,) = breaking_changes(compile_spec(original), compile_spec(rewritten))

    assert found.path == path
    assert found.effect.startswith("refused once versions exist: ")


def test_other_changes_break_nothing(full):
    assert breaking_changes(compile_spec(full), compile_spec(full.replace("eta: 0.1", ""))) == []


def test_every_key_has_an_effect(full, smallest):
    """A key without one would end in no entry of the table."""
    found = diff(compile_spec(smallest), compile_spec(full))
    back = diff(compile_spec(full), compile_spec(smallest))

    assert {item.path for item in found} == {item.path for item in back}
    assert all(item.effect for item in (*found, *back))


def test_lines_are_in_columns_and_breaking_ones_are_marked(full):
    changed = full.replace("target: late", "target: delayed").replace("quiet: 30s", "quiet: 1m")

    refused = (
        "refused once versions exist: they predict another column; "
        "give the spec another model name instead"
    )
    lines = render(diff(compile_spec(full), compile_spec(changed)))

    assert lines == [
        f"! data.target: late → delayed  {refused}",
        "~ delivery.quiet: 30s → 1m     holds from the next delivery on",
    ]
    assert render([]) == []


@pytest.mark.parametrize(
    ("rewrite", "path", "values"),
    [
        (("cooldown: 6h", "cooldown: 90m"), "triggers.cooldown", ("6h", "1h30m")),
        (("on_change: true", "on_change: false"), "triggers.on_change", ("true", "false")),
        (
            ('["mon-fri 08:00-18:00", "sat 22:00-06:00"]', '["sat 22:00-06:00"]'),
            "triggers.blackout",
            ("[mon-fri 08:00-18:00, sat 22:00-06:00]", "[sat 22:00-06:00]"),
        ),
        (
            ("maximum: 2400", "maximum: 2359"),
            "check.columns.dep_time.maximum",
            ("2400.0", "2359.0"),
        ),
        (("age: 90d", "age: 60d"), "prepare.window.age", ("90d", "60d")),
        (("every: 30m", "every: 1h"), "watch.every", ("30m", "1h")),
        (("floor: 0.6", "floor: 0.7"), "watch.quality.floor", ("0.6", "0.7")),
        (("dest: drop", "dest: hash"), "watch.capture.redact.dest", ("drop", "hash")),
    ],
)
def test_policies_are_told_as_people_write_them(full, rewrite, path, values):
    found = change(full, *rewrite)

    assert (found.path, (found.before, found.after)) == (path, values)
    assert not found.breaking


@pytest.mark.parametrize("rewrite", [("percent: 50", "percent: 20"), ("dest: drop", "dest: hash")])
def test_capture_is_said_to_wait_for_the_next_version(full, rewrite):
    told = change(full, *rewrite).effect
    assert "once the next version is in service: start a run" in told
    assert "Until then the endpoint captures as it does now" in told


def test_a_policy_that_is_not_used_is_not_listed(smallest):
    paths = {item.path for item in diff(None, compile_spec(smallest))}

    assert not any(path.startswith(("check.", "triggers.", "watch.")) for path in paths)
