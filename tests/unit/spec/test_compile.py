import json
import math

import pytest

from tidemill.names import LIMIT, aws_name
from tidemill.spec.compile import compile_spec
from tidemill.spec.compiled import Capture, Quality, Serverless, Spec, Watch
from tidemill.spec.errors import SpecError
from tidemill.spec.fields import NAME_LIMIT
from tidemill.spec.metrics import METRICS, UNBOUNDED

HEAD = "project: flights\nmodel: delay\n"  # lines 1 and 2; what a test is about begins on 3
DATA = "data: {target: late}\n"
TRAIN = "train: {problem: binary}\n"


def findings(text):
    with pytest.raises(SpecError) as caught:
        compile_spec(text)
    return str(caught.value).splitlines()


def finding(text):
    found = findings(text)
    assert len(found) == 1, found
    return found[0]


def test_four_keys_are_enough(smallest):
    spec = compile_spec(smallest)

    assert spec.ref == "flights/delay"
    assert (spec.data.format, spec.data.id, spec.data.exclude) == ("csv", None, ())
    assert (spec.delivery.quiet_seconds, spec.delivery.max_wait_seconds) == (120, 3_600)
    assert (spec.prepare.validation, spec.prepare.test, spec.prepare.seed) == (0.15, 0.15, 0)
    assert spec.train.hyperparameters == {}
    assert spec.evaluate.metric == "auc"
    assert spec.approve.mode == "manual"
    assert (spec.deploy.instance, spec.deploy.count) == ("ml.m5.large", 1)


def test_every_key_is_compiled(full):
    spec = compile_spec(full)

    assert (spec.project, spec.model) == ("flights", "arrival-delay")
    assert (spec.data.format, spec.data.target) == ("parquet", "late")
    assert (spec.data.id, spec.data.timestamp) == ("flight_id", "departed")
    assert spec.data.exclude == ("dep_delay", "tailnum")
    assert (spec.delivery.quiet_seconds, spec.delivery.max_wait_seconds) == (30, 5_400)
    assert spec.delivery.marker == "_SUCCESS"
    assert (spec.prepare.validation, spec.prepare.test, spec.prepare.seed) == (0.2, 0.1, 7)
    assert spec.train.hyperparameters == {
        "eta": "0.1",
        "lambda": "2",
        "max_depth": "6",
        "tree_method": "hist",
    }
    compute = spec.train.compute
    assert (compute.instance, compute.volume_gb) == ("ml.m5.2xlarge", 50)
    assert compute.max_runtime_seconds == 7_200
    assert (spec.evaluate.metric, spec.evaluate.minimum) == ("auc", 0.7)
    assert spec.approve.mode == "auto"
    assert (spec.deploy.instance, spec.deploy.count) == ("ml.c5.large", 2)


def test_checks_and_triggers_are_compiled(full):
    spec = compile_spec(full)

    assert (spec.check.on_violation, spec.check.bad_rows) == ("drop", 0.01)
    assert list(spec.check.columns) == ["carrier", "dep_time"]
    assert spec.check.columns["carrier"].values == ("AA", "UA")
    assert spec.check.columns["dep_time"].minimum == 0.0
    assert (spec.data.binary, spec.delivery.expect) == (("images/",), None)
    assert (spec.prepare.window.deliveries, spec.prepare.window.age_seconds) == (6, 90 * 86_400)
    triggers = spec.triggers
    assert (triggers.cooldown_seconds, triggers.minimum_rows) == (6 * 3_600, 1_000)
    assert (triggers.minimum_share, triggers.runs_per_week) == (0.05, 7)
    assert [(item.days, item.start, item.end) for item in triggers.blackout] == [
        ((0, 1, 2, 3, 4), 480, 1_080),
        ((5,), 1_320, 360),
    ]
    assert triggers.schedule == ("cron(0 3 * * ? *)",)
    assert triggers.alarms == ("late-arrival-auc",)
    assert triggers.on_change


def test_the_watch_is_compiled(full):
    watch = compile_spec(full).watch

    assert (watch.every_seconds, watch.metrics) == (1_800, "all")
    assert watch.capture == Capture(percent=50, redact={"dest": "drop", "tailnum": "hash"})
    drift = watch.drift
    assert (drift.distance, drift.threshold, drift.clears_below) == ("simple", 0.2, 0.1)
    assert (drift.windows, drift.of, drift.minimum_rows) == (2, 4, 100)
    assert (drift.cooldown_seconds, drift.per_week) == (12 * 3_600, 1)
    assert (drift.ignore, drift.retrain) == (("carrier", "id"), False)
    assert watch.quality == Quality("accuracy", "maximize", 0.6, 50)


def test_an_endpoint_may_have_no_machines():
    deploy = compile_spec(f"{HEAD}{DATA}{TRAIN}deploy: {{serverless: {{}}}}\n").deploy

    assert deploy.serverless == Serverless(memory_mb=2_048, max_concurrency=5)
    assert compile_spec(f"{HEAD}{DATA}{TRAIN}").deploy.serverless is None


def test_live_predictions_are_judged_as_versions_are_unless_the_spec_says_otherwise():
    assert compile_spec(f"{HEAD}{DATA}{TRAIN}").watch == Watch()
    watched = f"{HEAD}{DATA}{TRAIN}watch: {{quality: {{floor: 0.7}}}}\n"
    judged = compile_spec(f"{watched}evaluate: {{metric: recall}}\n")
    assert compile_spec(watched).watch.quality == Quality("auc", "maximize", 0.7)
    assert judged.watch.quality == Quality("recall", "maximize", 0.7)


@pytest.mark.parametrize(
    ("written", "days"),
    [
        ("sun 00:00-24:00", (6,)),
        ("sat-mon 10:00-11:00", (0, 5, 6)),
        ("mon,wed-thu 23:00-01:00", (0, 2, 3)),
        ("mon-sun 02:00-03:00", (0, 1, 2, 3, 4, 5, 6)),
    ],
)
def test_a_blackout_may_span_the_week_end_and_midnight(written, days):
    spec = compile_spec(f"{HEAD}{DATA}{TRAIN}triggers: {{blackout: ['{written}']}}\n")

    assert spec.triggers.blackout[0].days == days


@pytest.mark.parametrize(
    "written",
    ["rate(1 hour)", "rate(30 days)", "at(2026-12-01T03:00:00)", "cron(0/15 * ? * 2-6 *)"],
)
def test_a_schedule_is_one_of_eventbridge_schedulers(written):
    spec = compile_spec(f"{HEAD}{DATA}{TRAIN}triggers: {{schedule: ['{written}']}}\n")

    assert spec.triggers.schedule == (written,)


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ("data: {target: a, binary: [/x]}", "data.binary[0] is '/x'; write a folder below"),
        ("data: {target: a, binary: [a/../b]}", "data.binary[0] is 'a/../b'; write a folder"),
        ("delivery: {expect: 0}", "delivery.expect is 0; it must be at least 1"),
        ("delivery: {marker: m, expect: 3}", "delivery.expect is 3, and delivery.marker closes"),
        ("check: {on_violation: ignore}", "check.on_violation is 'ignore'; write refuse or drop"),
        ("check: {bad_rows: 0.01, on_violation: warn}", "check.bad_rows is 0.01, but only"),
        ("check: {bad_rows: 2}", "check.bad_rows is 2; it must be at most 0.5"),
        ("check: {columns: [a]}", "check.columns takes keys of its own; write them on"),
        ("check: {columns: {a: number}}", "check.columns.a takes keys of its own; write"),
        ("check: {columns: {a: {tipe: time}}}", "unknown key 'tipe' under check.columns.a; did"),
        ("check: {columns: {a: {unique: 1}}}", "check.columns.a.unique is 1; write true or"),
        ("check: {columns: {a: {values: []}}}", "check.columns.a.values is empty; write one"),
        ("check: {columns: {a: {minimum: 2, maximum: 1}}}", "check.columns.a.maximum is 1, below"),
        ("prepare: {window: {age: 1m}}", "prepare.window.age is 1m; choose between 1h"),
        ("prepare: {window: {deliveries: 0}}", "prepare.window.deliveries is 0; it must be"),
        ("triggers: {cooldown: 6}", "triggers.cooldown is 6, without a unit; write"),
        ("triggers: {minimum_rows: -1}", "triggers.minimum_rows is -1; it must be at least 0"),
        ("triggers: {runs_per_week: 0}", "triggers.runs_per_week is 0; it must be at least 1"),
        ("triggers: {time_zone: Europe/Berln}", "triggers.time_zone is 'Europe/Berln', which is"),
        ("triggers: {blackout: [nights]}", "triggers.blackout[0] is 'nights'; write days and"),
        ("triggers: {blackout: ['mon 08:00-08:00']}", "triggers.blackout[0] is 'mon 08:00-08:"),
        ("triggers: {blackout: ['mon 08:60-09:00']}", "triggers.blackout[0] is 'mon 08:60-09:"),
        ("triggers: {blackout: ['mon-sun 00:00-24:00']}", "triggers.blackout leaves no minute"),
        ("triggers: {schedule: [daily]}", "triggers.schedule[0] is 'daily'; write rate(1 day)"),
        ("triggers: {schedule: ['cron(0 3 * * * *)']}", "triggers.schedule[0] is 'cron(0 3 * *"),
        ("triggers: {schedule: ['rate(1 days)']}", "triggers.schedule[0] is 'rate(1 days)'; wri"),
        ("triggers: {alarms: [a, a]}", "triggers.alarms names 'a' twice; remove one"),
        ("triggers: {alarms: ['']}", "triggers.alarms[0] is empty; write a name"),
        ("triggers: {on_change: 1}", "triggers.on_change is 1; write true or false"),
        ("deploy: {serverless: {memory_mb: 1000}}", "deploy.serverless.memory_mb is 1000; it mu"),
        ("deploy: {serverless: {memory_mb: 1500}}", "deploy.serverless.memory_mb is 1500; it mu"),
        (
            "deploy: {serverless: {max_concurency: 1}}",
            "unknown key 'max_concurency' under deploy.",
        ),
        ("deploy: {count: 2, serverless: {}}", "deploy.serverless has no machines to count; rem"),
        ("watch: {every: 5s}", "watch.every is shorter than a minute, Scheduler's step; write"),
        ("watch: {evry: 5m}", "unknown key 'evry' under watch; did you mean 'every'?"),
        ("watch: {capture: {percent: 101}}", "watch.capture.percent is 101; it must be at most"),
        ("watch: {capture: {redact: {a: x}}}", "watch.capture.redact.a is 'x'; write hash or dr"),
        ("watch: {capture: {redact: {late: drop}}}", "watch.capture.redact names the target 'la"),
        ("watch: {drift: {ignore: [late]}}", "watch.drift.ignore names the target 'late', which"),
        ("watch: {drift: {threshold: 0}}", "watch.drift.threshold is 0; it must be more than"),
        ("watch: {drift: {threshold: 0.1, clears_below: 0.2}}", "watch.drift.clears_below is 0.2"),
        ("watch: {drift: {windows: 3, of: 2}}", "watch.drift.of is 2, fewer than watch.drift.wi"),
        ("watch: {quality: {}}", "watch.quality.floor is missing; add `floor: 0.65`"),
        ("watch: {quality: {flor: 1}}", "unknown key 'flor' under watch.quality; did you mean"),
        ("watch: {quality: {floor: 70}}", "watch.quality.floor is 70; auc lies between 0 and 1"),
        ("watch: {quality: {floor: 1, metric: r2}}", "watch.quality.metric is 'r2', which does"),
    ],
)
def test_what_checks_and_triggers_cannot_be_is_a_finding(section, said):
    before = TRAIN if section.startswith("data:") else f"{DATA}{TRAIN}"
    line = 4 if section.startswith("data:") else 5

    assert finding(f"{HEAD}{before}{section}\n").startswith(f"model.yaml:{line}: {said}")


def test_the_compiled_json_is_read_back_as_the_same_spec(full):
    spec = compile_spec(full)
    again = Spec.parse(json.loads(spec.to_json()))

    assert again == spec
    assert again.to_json() == spec.to_json()


def test_another_way_of_writing_the_same_gives_the_same_digest(full):
    rewritten = (
        full.replace("[tailnum, dep_delay]", '\n    - "dep_delay"\n    - tailnum')
        .replace("1h30m", "90m")
        .replace("eta: 0.1", "eta: '0.10'")
        .replace("lambda: 2", "lambda: 2.0")
        .replace("max_depth: 6", 'max_depth: "6"')
        .replace("  direction: maximize\n", "")
    )

    assert compile_spec(rewritten).digest == compile_spec(full).digest


def test_bytes_and_text_compile_alike(smallest):
    assert compile_spec(smallest.encode()) == compile_spec(smallest)


def test_several_errors_are_told_at_once_in_line_order():
    data = "data:\n  traget: late\n  id: no\n"

    assert findings(f"project: trains\nmodel: de_lay\n{data}train:\n  problem: binar\n") == [
        (
            "model.yaml:2: model is 'de_lay'; a name is words of a-z and 0-9 joined by single "
            "hyphens, as late-flights"
        ),
        "model.yaml:4: unknown key 'traget' under data; did you mean 'target'?",
        'model.yaml:5: data.id is no, which YAML reads as false; write "no", or remove the line',
        (
            "model.yaml:7: train.problem is 'binar'; write binary or multiclass or regression; "
            "did you mean 'binary'?"
        ),
    ]


def test_findings_of_the_yaml_and_of_the_values_come_together():
    text = f"{HEAD}{DATA}{TRAIN}approve: maybe\nmodel: other\n"

    assert findings(text) == [
        "model.yaml:5: approve is 'maybe'; write auto or manual",
        "model.yaml:6: key 'model' appears twice (first on line 2); remove one of them",
    ]


def test_a_file_that_is_right_but_for_a_duplicate_is_refused():
    assert "appears twice" in finding(f"{HEAD}{DATA}{TRAIN}model: delay\n")


def test_the_findings_name_the_file_as_the_user_did():
    with pytest.raises(SpecError) as caught:
        compile_spec("", "models/late.yaml")

    assert str(caught.value).startswith("models/late.yaml:1: ")


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (f"{TRAIN}", "1: data is missing; add `data: {target: late}`"),
        (f"{TRAIN}data: {{}}\n", "4: data.target is missing; add `target: late`"),
        (f"{DATA}train: {{}}\n", "4: train.problem is missing; add `problem: binary`"),
        (f"{TRAIN}data:\n", "4: data is empty; write a value, or remove the line"),
        (f"{TRAIN}data: late\n", "4: data takes keys of its own; write them on the lines below"),
        (f"{TRAIN}data: {{target: }}\n", "4: data.target is empty; write a value"),
        (f"{TRAIN}data: {{target: ' '}}\n", "4: data.target is empty; write a column's name"),
        (
            f"{TRAIN}data: {{target: 2024}}\n",
            "4: data.target is 2024, which YAML reads as a number",
        ),
        (
            f"{TRAIN}data: {{target: 2024-01-01}}\n",
            "4: data.target is 2024-01-01, which YAML reads",
        ),
        (
            f"{TRAIN}data: {{target: [a]}}\n",
            "4: data.target takes one value; write it on the key's",
        ),
        (f'{TRAIN}data: {{target: "a\\u0007"}}\n', "4: data.target is no column's name"),
        (f"{TRAIN}data: {{target: a, format: json}}\n", "4: data.format is 'json'; write csv or"),
        (
            f"{TRAIN}data: {{target: a, format: [csv]}}\n",
            "4: data.format takes one of csv, tsv, parquet, jsonl",
        ),
        (f"{TRAIN}data: {{target: a, id: a}}\n", "4: data.id is 'a', as is data.target; name two"),
        (f"{TRAIN}data: {{target: a, id: b, timestamp: b}}\n", "4: data.timestamp is 'b', as is"),
        (f"{TRAIN}data: {{target: a, exclude: [a]}}\n", "4: data.exclude names the target 'a'"),
        (f"{TRAIN}data: {{target: a, exclude: [b, b]}}\n", "4: data.exclude names 'b' twice"),
        (f"{TRAIN}data: {{target: a, exclude: b}}\n", "4: data.exclude takes a list; write it in"),
        (
            f"{TRAIN}data:\n  target: a\n  exclude:\n  - b\n  - no\n",
            "8: data.exclude[1] is no, whi",
        ),
        (
            f"{DATA}{TRAIN}delivery: {{quiet: 30}}\n",
            "5: delivery.quiet is 30, without a unit; writ",
        ),
        (f"{DATA}{TRAIN}delivery: {{quiet: soon}}\n", "5: delivery.quiet is no duration; write a"),
        (f"{DATA}{TRAIN}delivery: {{quiet: yes}}\n", "5: delivery.quiet is no duration; write a"),
        (
            f"{DATA}{TRAIN}delivery: {{quiet: 1:30}}\n",
            "5: delivery.quiet is 1:30, which YAML reads",
        ),
        (f"{DATA}{TRAIN}delivery: {{quiet: 61m}}\n", "5: delivery.quiet is 61m; choose between 1s"),
        (f"{DATA}{TRAIN}delivery: {{quiet: 0s}}\n", "5: delivery.quiet is 0s; choose between 1s"),
        (
            f"{DATA}{TRAIN}delivery: {{max_wait: 25h}}\n",
            "5: delivery.max_wait is 25h; choose betwe",
        ),
        (
            f"{DATA}{TRAIN}delivery: {{quiet: 2m, max_wait: 1m}}\n",
            "5: delivery.max_wait is 1m, shorter than delivery.quiet (2m); make it at least",
        ),
        (
            f"{DATA}{TRAIN}delivery: {{marker: a/b}}\n",
            "5: delivery.marker is 'a/b'; write a file's",
        ),
        (f"{DATA}{TRAIN}delivery: {{marker: ..}}\n", "5: delivery.marker is '..'; write a file's"),
        (f"{DATA}{TRAIN}prepare: {{seed: -1}}\n", "5: prepare.seed is -1; it must be at least 0"),
        (f"{DATA}{TRAIN}prepare: {{seed: yes}}\n", "5: prepare.seed is yes; write a whole number"),
        (f"{DATA}{TRAIN}prepare: {{seed: 1.5}}\n", "5: prepare.seed is 1.5; write a whole number"),
        (f"{DATA}{TRAIN}prepare: {{seed: 010}}\n", "5: prepare.seed is 010; write a whole number"),
        (
            f"{DATA}{TRAIN}prepare: {{seed: 2147483648}}\n",
            "5: prepare.seed is 2147483648; it must be at most 2,147,483,647",
        ),
        (
            f"{DATA}{TRAIN}prepare: {{split: {{test: 15}}}}\n",
            "5: prepare.split.test is 15; it must be at most 0.5",
        ),
        (
            f"{DATA}{TRAIN}prepare: {{split: {{validation: 0.5, test: 0.4}}}}\n",
            "5: prepare.split.test and prepare.split.validation take 90% of the rows; leave 20%",
        ),
        (f"{DATA}{TRAIN}deploy: {{count: 0}}\n", "5: deploy.count is 0; it must be at least 1"),
        (f"{DATA}{TRAIN}deploy: {{count: [1]}}\n", "5: deploy.count takes a whole number; write"),
        (
            f"{DATA}{TRAIN}deploy: {{instance: ml.m5.lage}}\n",
            "5: deploy.instance is 'ml.m5.lage', which SageMaker does not offer for endpoints; did",
        ),
        (
            f"{DATA}{TRAIN}deploy: {{instance: laptop}}\n",
            "5: deploy.instance is 'laptop', which SageMaker does not offer for endpoints; write ",
        ),
        (f"{DATA}{TRAIN}approve: off\n", "5: approve is 'off'; write auto or manual"),
        (f"{DATA}{TRAIN}approve: [auto]\n", "5: approve takes one of auto, manual; write it on"),
        (f"{DATA}{TRAIN}1: x\n", "5: unknown key '1'; remove it, or use one of project, model,"),
        (f"{DATA}{TRAIN}metric: auc\n", "5: unknown key 'metric'; it belongs under evaluate: chec"),
        (f"{DATA}{TRAIN}deploy: {{seed: 1}}\n", "5: unknown key 'seed' under deploy; it belongs u"),
    ],
)
def test_a_finding_says_where_what_and_what_next(lines, said):
    assert finding(HEAD + lines).startswith(f"model.yaml:{said}")


@pytest.mark.parametrize(
    "name", ["Delay", "a--b", "-a", "a-", "a_b", "a.b", "über", "a b", "''", "a/b"]
)
def test_a_name_is_words_joined_by_single_hyphens(name):
    assert "words of a-z and 0-9" in finding(f"project: flights\nmodel: {name}\n{DATA}{TRAIN}")


def test_names_fit_aws_in_the_default_stack():
    longest = "x" * NAME_LIMIT
    spec = compile_spec(f"project: {longest}\nmodel: {longest}\n{DATA}{TRAIN}")

    assert aws_name("tidemill", spec.project, spec.model) == f"tidemill--{longest}--{longest}"
    assert len(f"tidemill--{longest}--{longest}") <= LIMIT
    assert f"has {NAME_LIMIT + 1} characters" in finding(
        f"project: {longest}x\nmodel: delay\n{DATA}{TRAIN}"
    )


def test_a_misspelled_instance_is_recognised():
    text = f"{HEAD}{DATA}{TRAIN}deploy: {{instance: ml.m5.lage}}\n"

    assert finding(text).endswith("; did you mean ml.m5.large?")


def test_an_instance_must_run_every_job_of_the_run():
    # ml.trn1 trains; prepare and evaluate are processing jobs, which it does not run.
    text = f"{HEAD}{DATA}train: {{problem: binary, compute: {{instance: ml.trn1.2xlarge}}}}\n"

    assert "does not offer for training and processing jobs" in finding(text)


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("eta: 0.30", "0.3"),
        ("eta: 1e-3", "0.001"),
        ("eta: '3e-1'", "0.3"),
        ("eta: 1", "1"),
        ("max_depth: 6.0", "6"),
        ("max_depth: '6'", "6"),
        ("gamma: 0", "0"),
        ("gamma: 1000000.0", "1000000"),
        ("grow_policy: lossguide", "lossguide"),
        ("eta: 0.5, gamma: ~, max_depth:", "0.5"),
    ],
)
def test_hyperparameters_become_the_one_text_of_their_value(written, text):
    spec = compile_spec(f"{HEAD}{DATA}train: {{problem: binary, hyperparameters: {{{written}}}}}\n")

    assert list(spec.train.hyperparameters.values()) == [text]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("max_deph: 3", "unknown key 'max_deph' under train.hyperparameters; did you mean 'max_d"),
        ("zzzz: 3", "unknown key 'zzzz' under train.hyperparameters; remove it, or use one of nu"),
        ("objective: x", "train.hyperparameters.objective follows from train.problem; remove it"),
        ("seed: 1", "train.hyperparameters.seed is decided by prepare.seed; remove it here"),
        ("problem: binary", "train.hyperparameters.problem is decided by train.problem; remove"),
        ("metric: auc", "train.hyperparameters.metric is decided by evaluate.metric; remove"),
        ("reg_lambda: 1", "train.hyperparameters.reg_lambda is XGBoost's other name of lambda;"),
        ("eta: fast", "train.hyperparameters.eta is fast; write a number, without quotes"),
        ("eta: [0.1]", "train.hyperparameters.eta takes a number; write it on the key's own line"),
        ("eta: yes", "train.hyperparameters.eta is yes; write a number, without quotes"),
        ("eta: 0", "train.hyperparameters.eta is 0; it must be more than 0"),
        ("eta: 1.5", "train.hyperparameters.eta is 1.5; it must be at most 1"),
        ("alpha: .inf", "train.hyperparameters.alpha is .inf; write a finite number"),
        ("alpha: 1e999", "train.hyperparameters.alpha is 1e999; write a finite number"),
        ("max_depth: 6.5", "train.hyperparameters.max_depth is 6.5; write a whole number"),
        ("tree_method: exact", "train.hyperparameters.tree_method is 'exact'; write hist or app"),
    ],
)
def test_a_hyperparameter_that_xgboost_would_ignore_or_refuse_is_a_finding(written, said):
    text = f"{HEAD}{DATA}train: {{problem: binary, hyperparameters: {{{written}}}}}\n"

    assert finding(text).startswith(f"model.yaml:4: {said}")


@pytest.mark.parametrize(
    ("problem", "metric", "direction", "worst"),
    [
        ("binary", "auc", "maximize", 0.0),
        ("multiclass", "accuracy", "maximize", 0.0),
        ("regression", "rmse", "minimize", UNBOUNDED),
    ],
)
def test_without_a_minimum_a_version_has_only_to_beat_the_trivial_predictor(
    problem, metric, direction, worst
):
    evaluate = compile_spec(f"{HEAD}{DATA}train: {{problem: {problem}}}\n").evaluate

    assert (evaluate.metric, evaluate.direction, evaluate.minimum) == (metric, direction, worst)
    assert math.isfinite(evaluate.minimum)


@pytest.mark.parametrize(
    ("problem", "metric"), [(p, m) for p, metrics in METRICS.items() for m in metrics]
)
def test_every_metric_takes_its_own_direction_and_refuses_the_other(problem, metric):
    text = (
        f"{HEAD}{DATA}train: {{problem: {problem}}}\nevaluate: {{metric: {metric.name}, direction: "
    )
    other = {"maximize": "minimize", "minimize": "maximize"}[metric.direction]

    assert compile_spec(f"{text}{metric.direction}}}\n").evaluate.direction == metric.direction
    assert f"evaluate.direction is {other}, but {metric.name}" in finding(f"{text}{other}}}\n")


@pytest.mark.parametrize(
    ("problem", "evaluate", "said"),
    [
        ("binary", "{metric: rmse}", "evaluate.metric is 'rmse', which does not suit a binary pro"),
        ("multiclass", "{metric: auc}", "evaluate.metric is 'auc', which does not suit a multi"),
        ("regression", "{metric: rmes}", "evaluate.metric is 'rmes', which does not suit a regre"),
        ("binary", "{metric: 1}", "evaluate.metric is 1, which YAML reads as a number; put it in"),
        ("binary", "{minimum: 70}", "evaluate.minimum is 70; auc lies between 0 and 1: write the"),
        ("binary", "{minimum: high}", "evaluate.minimum is high; write a number, without quotes"),
        ("regression", "{minimum: -1}", "evaluate.minimum is -1; rmse lies between 0 and 1e+30:"),
        ("binary", "{minimum: .nan}", "evaluate.minimum is .nan; write a finite number"),
    ],
)
def test_the_gate_must_make_sense_for_the_problem(problem, evaluate, said):
    text = f"{HEAD}{DATA}train: {{problem: {problem}}}\nevaluate: {evaluate}\n"

    assert finding(text).startswith(f"model.yaml:5: {said}")


def test_a_misspelled_metric_is_recognised():
    text = f"{HEAD}{DATA}train: {{problem: regression}}\nevaluate: {{metric: rmes}}\n"

    assert finding(text).endswith("choose one of rmse, mae, mse, r2; did you mean 'rmse'?")


def test_minus_zero_is_zero():
    text = f"{HEAD}{DATA}train: {{problem: regression}}\nevaluate: {{metric: r2, minimum: "

    assert compile_spec(f"{text}-0.0}}\n").digest == compile_spec(f"{text}0}}\n").digest


def test_an_anchor_may_share_an_instance():
    text = (
        f"{HEAD}{DATA}train: {{problem: binary, compute: {{instance: &machine ml.m5.xlarge}}}}\n"
        "deploy: {instance: *machine}\n"
    )

    assert compile_spec(text).deploy.instance == "ml.m5.xlarge"


WATCHED = f"{HEAD}{DATA}{TRAIN}"


def test_sagemaker_may_read_the_traffic():
    assert compile_spec(WATCHED).watch.backend == "tidemill"
    spec = compile_spec(WATCHED + "watch: {backend: sagemaker, every: 6h}\n")
    assert (spec.watch.backend, spec.watch.every_seconds) == ("sagemaker", 21_600)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("watch: {backend: sagemaker, every: 30m}", "write one of these for watch.every"),
        ("watch: {backend: sagemaker, every: 5h}", "write one of these for watch.every"),
        ("watch: {backend: sagemaker, every: 0s}", "write one of these for watch.every"),
        ("watch: {backend: sagemaker, capture: {percent: 0}}", "raise watch.capture.percent"),
        ("watch: {backend: sagemaker, capture: {redact: {a: drop}}}", "knows no watch.capture"),
        ("watch: {backend: cloudwatch}", "backend"),
        (
            "deploy: {serverless: {}}\nwatch: {backend: sagemaker}",
            "which captures no serverless endpoint",
        ),
    ],
)
def test_what_a_monitoring_schedule_cannot_do_is_refused(written, said):
    assert said in finding(f"{WATCHED}{written}\n")
