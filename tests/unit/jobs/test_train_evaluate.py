"""Training and evaluation as SageMaker starts them, on folders."""

import json
import shutil
import tarfile

import numpy as np
import polars as pl
import pytest

from tidemill_jobs import evaluate, onnx_export, train
from tidemill_jobs.__main__ import FAILED, run
from tidemill_jobs.baseline import Baseline
from tidemill_jobs.errors import JobError
from tidemill_jobs.evaluate import Gate
from tidemill_jobs.predictor import Predictor


@pytest.fixture
def stage_evaluation(container, prepared):
    def stage():
        for name in ("model", "test", "smoke"):
            container.processing_input(name).mkdir(parents=True, exist_ok=True)
        with tarfile.open(container.processing_input("model") / "model.tar.gz", "w:gz") as archive:
            for path in sorted(container.model.iterdir()):
                archive.add(path, path.name)
        shutil.copytree(
            prepared / "test", container.processing_input("test") / "test", dirs_exist_ok=True
        )
        shutil.copy(prepared / "smoke.jsonl", container.processing_input("smoke"))
        shutil.copytree(
            prepared / "baseline",
            container.processing_input("baseline") / "baseline",
            dirs_exist_ok=True,
        )

    return stage


def evaluation(container):
    folder = container.base / "processing" / "output" / "evaluation"
    return [json.loads((folder / name).read_text()) for name in ("evaluation.json", "smoke.json")]


def level(wind, _):
    return "high" if wind > 30 else "mid" if wind > 12 else "low"


PROBLEMS = {
    "binary": (None, "auc", "maximize", "0.8"),
    "multiclass": (level, "weighted_f1", "maximize", "0.7"),
    "regression": (
        lambda wind, origin: 1000 * wind + 900 * len(origin),
        "rmse",
        "minimize",
        "5000",
    ),
}


@pytest.mark.parametrize("problem", PROBLEMS)
def test_a_model_is_trained_judged_and_its_answers_recorded(
    prepare_flights, stage_training, stage_evaluation, container, problem
):
    target, metric, direction, minimum = PROBLEMS[problem]
    prepare_flights(800, target=target, problem=problem)
    stage_training(problem=problem, metric=metric, seed="1", eta="0.3")

    assert run(container, ["train"]) == 0

    description = json.loads((container.model / "model.json").read_text())
    assert description["problem"] == problem
    assert description["positive"] == ("yes" if problem == "binary" else None)
    assert next(iter(description["importance"])) == "wind"
    assert sum(description["importance"].values()) == pytest.approx(1)
    stage_evaluation()

    assert (
        run(
            container,
            ["evaluate", "--metric", metric, "--direction", direction, "--minimum", minimum],
        )
        == 0
    )

    found, smoke = evaluation(container)
    assert found["gate"]["passed"] is True
    assert found["metric"]["name"] == metric
    assert found["rows"]["test"] > 100
    shape = {
        "binary": "binary_classification_metrics",
        "regression": "regression_metrics",
        "multiclass": "multiclass_classification_metrics",
    }[problem]
    assert found[shape][metric]["value"] == pytest.approx(found["metric"]["value"])
    assert len(smoke["rows"]) == len(smoke["predictions"]) == 20
    served = Predictor.load(container.model)
    served.warm()
    assert served.row_seconds < 10  # it was measured
    assert served.predict(smoke["rows"]) == smoke["predictions"]
    alone = [served.predict([row])[0] for row in smoke["rows"]]
    assert alone == smoke["predictions"]  # to the last digit: serving predicts requests together
    assert "Evaluated on" in (container.base / "output" / "message").read_text()
    answers = Baseline.read(container.processing_output("baseline")).profile.columns["prediction"]
    assert (answers.rows, answers.missing) == (found["rows"]["test"], 0)
    given = {answer["label" if problem == "multiclass" else "score"] for answer in alone}
    if problem == "multiclass":
        assert given <= set(answers.categories) <= {"low", "mid", "high"}
    else:
        assert {min(given), max(given), answers.numbers.low} <= set(
            answers.numbers.sketch.levels[0]
        ), "every answer is one of the baseline's, to the last digit"


def test_a_pipeline_from_before_there_were_baselines_is_evaluated_without(
    run_prepare, stage_training, stage_evaluation, container, flights
):
    run_prepare(flights(), id="id")
    stage_training(problem="binary")
    assert run(container, ["train"]) == 0
    stage_evaluation()
    shutil.rmtree(container.processing_input("baseline"))

    gate = ["--metric", "auc", "--direction", "maximize", "--minimum", "0"]
    assert run(container, ["evaluate", *gate]) == 0

    assert not list(container.processing_output("baseline").iterdir())


def test_a_baseline_that_is_damaged_fails_the_job(
    run_prepare, stage_training, stage_evaluation, container, flights
):
    run_prepare(flights(), id="id")
    stage_training(problem="binary")
    assert run(container, ["train"]) == 0
    stage_evaluation()
    path = container.processing_input("baseline") / "baseline" / "profile.json.gz"
    path.write_bytes(path.read_bytes()[:100])

    gate = ["--metric", "auc", "--direction", "maximize", "--minimum", "0"]
    assert run(container, ["evaluate", *gate]) == FAILED

    assert "is no profile" in (container.base / "output" / "failure").read_text()


def test_the_same_rows_give_the_same_bytes(run_prepare, stage_training, container, flights):
    run_prepare(flights(), id="id")
    stage_training(problem="binary", seed="5", subsample="0.7")
    models = []
    for _ in range(2):
        assert run(container, ["train"]) == 0
        models.append((container.model / "model.onnx").read_bytes())
        shutil.rmtree(container.model)

    assert models[0] == models[1]


def test_another_seed_gives_another_model(run_prepare, stage_training, container, flights):
    run_prepare(flights(), id="id")
    models = set()
    for seed in ("1", "2"):
        stage_training(problem="binary", seed=seed, subsample="0.5")
        assert run(container, ["train"]) == 0
        models.add((container.model / "model.onnx").read_bytes())
    assert len(models) == 2


def test_a_wrong_hyperparameter_fails_the_job_with_its_name(
    run_prepare, stage_training, container, flights
):
    run_prepare(flights(), id="id")
    stage_training(problem="binary", max_dept="3")

    assert run(container, ["train"]) == FAILED
    for name in ("failure", "message"):
        assert "did you mean max_depth?" in (container.base / "output" / name).read_text()
    assert not container.model.exists()


def test_rows_prepared_for_another_problem_are_refused(
    run_prepare, stage_training, container, flights
):
    run_prepare(flights(), id="id")
    stage_training(problem="regression")
    assert run(container, ["train"]) == FAILED
    assert "prepared for a binary problem" in (container.base / "output" / "failure").read_text()


def test_a_missing_channel_is_named(container, stage_training, run_prepare, flights):
    run_prepare(flights(), id="id")
    stage_training(problem="binary")
    shutil.rmtree(container.channel("validation"))
    assert run(container, ["train"]) == FAILED
    assert "validation holds no *.parquet" in (container.base / "output" / "failure").read_text()


def test_rows_that_do_not_fit_the_features_are_refused(
    run_prepare, stage_training, container, flights
):
    run_prepare(flights(), id="id")
    stage_training(problem="binary")
    path = next(container.channel("features").rglob("features.json"))
    path.write_text(path.read_text().replace('"wind"', '"gust"'))
    assert run(container, ["train"]) == FAILED
    assert "do not fit features.json" in (container.base / "output" / "failure").read_text()


def test_what_xgboost_itself_refuses_is_a_sentence(run_prepare, stage_training, container, flights):
    run_prepare(flights(), id="id")
    stage_training(problem="binary")
    path = next(container.channel("train").rglob("*.parquet"))
    frame = pl.read_parquet(path)
    frame.with_columns(pl.lit(3.0).alias("__target__")).write_parquet(path)

    assert run(container, ["train"]) == FAILED
    said = (container.base / "output" / "failure").read_text()
    assert "XGBoost cannot train on this (" in said
    assert "base_score must be in (0,1)" in said
    assert "Stack trace" not in said


def test_an_export_that_answers_otherwise_fails_the_job(
    run_prepare, stage_training, container, flights, monkeypatch
):
    run_prepare(flights(), id="id")
    stage_training(problem="binary")
    monkeypatch.setattr(onnx_export, "_margin", lambda *_: np.float32([[0.3]]))
    assert run(container, ["train"]) == FAILED
    assert "exported model differs" in (container.base / "output" / "failure").read_text()
    assert not container.model.exists()


def test_the_altered_rows_cover_missing_and_unseen_values(
    run_prepare, stage_training, container, flights
):
    run_prepare(flights(), id="id")
    stage_training(problem="binary")
    features = train.Features.parse(
        next(container.channel("features").rglob("features.json")).read_text()
    )
    rows, matrix = train._altered(train.load(container.channel("validation"), features), features)
    assert len(rows) == len(matrix)
    assert train.UNSEEN in rows.categories
    assert "" in rows.categories
    assert np.isnan(rows.numeric).all(axis=1).any()
    for at, column in enumerate(features.categorical):
        codes = np.array(
            train.encode(rows.categories[:, at].tolist(), column.categories), np.float32
        )
        np.testing.assert_array_equal(codes, matrix[:, len(features.numeric) + at])


@pytest.mark.parametrize(
    ("gate", "value", "trivial", "passed", "said"),
    [
        (Gate("auc", "maximize", 0.7), 0.7, 0.5, True, "the minimum of 0.7 is reached"),
        (Gate("auc", "maximize", 0.7), 0.69, 0.5, False, "the minimum of 0.7 is missed"),
        (Gate("accuracy", "maximize", 0.7), 0.8, 0.8, False, "no better than the trivial"),
        (Gate("rmse", "minimize", 5.0), 5.0, 6.0, True, "the maximum of 5 is reached"),
        (Gate("rmse", "minimize", 5.0), 5.1, 6.0, False, "the maximum of 5 is missed"),
        (Gate("rmse", "minimize", 5.0), 4.0, 4.0, False, "no better"),
        (Gate("rmse", "minimize", 1e30), 4.0, 4.1, True, "no minimum is set"),
        (Gate("r2", "maximize", -1e30), -0.1, 0.0, False, "no minimum is set, and it is no better"),
    ],
)
def test_the_gate_asks_for_the_minimum_and_for_more_than_the_trivial(
    gate, value, trivial, passed, said
):
    found, reason = gate.judge(value, trivial)
    assert found is passed
    assert said in reason


def test_a_model_that_misses_the_gate_is_still_evaluated(
    run_prepare, stage_training, stage_evaluation, container, flights
):
    run_prepare(flights(), id="id")
    stage_training(problem="binary", num_round="1", max_depth="1")
    assert run(container, ["train"]) == 0
    stage_evaluation()
    assert (
        run(
            container,
            ["evaluate", "--metric", "auc", "--direction", "maximize", "--minimum", "0.9999"],
        )
        == 0
    )
    assert evaluation(container)[0]["gate"]["passed"] is False


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--metric", "auc"], "called wrongly"),
        (["--metric", "auc", "--direction", "up", "--minimum", "1"], "invalid choice"),
        (["--metric", "auc", "--direction", "maximize", "--minimum", "much"], "invalid float"),
    ],
)
def test_evaluate_called_wrongly_is_a_sentence(container, arguments, said):
    assert run(container, ["evaluate", *arguments]) == FAILED
    assert said in (container.base / "output" / "message").read_text()


@pytest.mark.parametrize("content", [b"", b"no archive", None])
def test_a_model_archive_that_cannot_be_unpacked_is_a_sentence(container, content):
    folder = container.processing_input("model")
    folder.mkdir(parents=True)
    if content is not None:
        (folder / "model.tar.gz").write_bytes(content)
    assert (
        run(container, ["evaluate", "--metric", "auc", "--direction", "maximize", "--minimum", "0"])
        == FAILED
    )
    assert "model.tar.gz" in (container.base / "output" / "message").read_text()


def test_an_archive_never_writes_outside(container, tmp_path):
    folder = container.processing_input("model")
    folder.mkdir(parents=True)
    (tmp_path / "evil").write_text("x")
    with tarfile.open(folder / "model.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "evil", "../../evil")
    with pytest.raises(JobError, match="cannot be unpacked"):
        evaluate._unpack(folder, container.work)


def test_a_damaged_model_is_a_sentence(run_prepare, stage_training, container, flights):
    run_prepare(flights(), id="id")
    stage_training(problem="binary", num_round="2")
    assert run(container, ["train"]) == 0
    (container.model / "model.onnx").write_bytes(b"no graph")
    with pytest.raises(JobError, match=r"model\.onnx cannot be loaded"):
        Predictor.load(container.model)
    (container.model / "features.json").unlink()
    with pytest.raises(JobError, match="is not complete"):
        Predictor.load(container.model)
