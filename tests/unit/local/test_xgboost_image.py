"""The built-in XGBoost in this process: what it reads, what it reckons, what it answers."""

import json

import numpy as np
import pytest
import xgboost as xgb

from tidemill_local.containers.contract import Container, UserError
from tidemill_local.containers.http_server import RefusedError, Request
from tidemill_local.containers.xgboost import data, metrics, train
from tidemill_local.containers.xgboost.serve import Predictor


def matrix(directory, text, kind="csv", name="part", **options):
    (directory / name).write_text(text)
    return data.training_matrix(directory, kind, **options)


def test_csv_is_label_first_without_a_header(tmp_path):
    (tmp_path / "_SUCCESS").write_text("not data")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b").write_text("1,4,5\n")
    read = matrix(tmp_path, "0,1,2\n1,,3\n", name="a")

    assert read.get_label().tolist() == [0, 1, 1]
    assert read.num_col() == 2
    assert read.num_nonmissing() == 5


def test_csv_weights_are_the_second_column(tmp_path):
    read = matrix(tmp_path, "0;0.5;1\n1;2;3\n", weights=True)
    assert read.get_weight().tolist() == [0.5, 2]
    assert read.num_col() == 1


def test_libsvm_is_sparse(tmp_path):
    read = matrix(tmp_path, "1:0.5 0:1.5 3:2 # a comment\n\n0 1:4\n", kind="libsvm")
    assert (read.num_row(), read.num_col()) == (2, 4)
    assert read.get_label().tolist() == [1, 0]
    assert read.get_weight().tolist() == [0.5, 1]


def test_parquet_is_label_first_too(tmp_path):
    pl = data.pl
    pl.DataFrame({"y": [1, 0], "x": [0.5, None]}).write_parquet(tmp_path / "part.parquet")
    read = data.training_matrix(tmp_path, "parquet")
    assert read.get_label().tolist() == [1, 0]


@pytest.mark.parametrize(
    ("kind", "text", "sentence"),
    [
        ("csv", "y,x\n1,2\n", "First line 'y,x...' of file 'part' is not 'CSV' format"),
        ("csv", "1,2\n3,four\n", "Failed to load csv data with exception"),
        ("csv", "1\n2\n", "the label comes first"),
        ("libsvm", "a,b\n", "First line 'a,b...' is not 'LIBSVM' format"),
        ("libsvm", "1 0:x\n", "Failed to load libsvm data with exception"),
        ("parquet", "PAR", "Failed to load parquet data with exception"),
    ],
)
def test_data_that_cannot_be_read_is_named(tmp_path, kind, text, sentence):
    with pytest.raises(UserError) as refused:
        matrix(tmp_path, text, kind=kind)
    assert sentence in str(refused.value)


def test_a_channel_without_files_has_no_matrix(tmp_path):
    assert data.training_matrix(tmp_path, "csv") is None


@pytest.mark.parametrize("content_type", ["application/json", "text/csv; label_size=2"])
def test_another_content_type_is_refused(content_type):
    with pytest.raises(UserError, match="is not an accepted"):
        data.kind_of(content_type)


def test_metrics_of_the_image_are_those_of_scikit_learn():
    truth = xgb.DMatrix(np.zeros((4, 1)), label=[1, 0, 1, 1])
    names = ["accuracy", "f1", "f1_binary", "balanced_accuracy", "precision", "recall_macro"]
    found = dict(metrics.evaluator(names)(np.array([0.9, 0.6, 0.2, 0.8]), truth))
    # by sklearn.metrics on [1, 1, 0, 1]
    assert found == pytest.approx(
        {
            "accuracy": 0.5,
            "f1": 1 / 3,
            "f1_binary": 2 / 3,
            "balanced_accuracy": 1 / 3,
            "precision": 2 / 3,
            "recall_macro": 1 / 3,
        }
    )
    values = dict(metrics.evaluator(["mse", "r2"])(np.array([1, 0, 0, 1.0]), truth))
    assert values == pytest.approx({"mse": 0.25, "r2": -1 / 3})
    classes = metrics.evaluator(["accuracy"])(np.eye(4), xgb.DMatrix(np.eye(4), label=[0, 1, 2, 3]))
    assert classes == [("accuracy", 1.0)]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A container whose model says 1 when the first of two features is large."""
    base = tmp_path_factory.mktemp("ml")
    rows = np.array([[x, 1.0] for x in range(20)])
    matrix = xgb.DMatrix(rows, label=rows[:, 0] > 9)
    settings = {"objective": "binary:logistic", "min_child_weight": 0}
    train.save(xgb.train(settings, matrix, 5), base / "model" / "xgboost-model")
    return base


def predictor(base, **environment):
    return Predictor(Container(base, environment))


def ask(predictor, body, content_type="text/csv", accept=None):
    headers = {"content-type": content_type} | ({"accept": accept} if accept else {})
    return predictor.answer(Request(body, headers))


def test_rows_are_answered_as_the_image_does(model):
    served = predictor(model)
    low, high = (float(word) for word in ask(served, b"0,1\n19,1\n").body.split(b","))
    assert (round(low), round(high)) == (0, 1)
    assert ask(served, b"19,1", accept="application/json").body == f"[{high}]".encode()
    lines = ask(served, b"0:0 1:1\n0:19 1:1", "text/libsvm", "application/jsonlines")
    assert [json.loads(line) for line in lines.body.splitlines()] == [low, high]
    assert ask(predictor(model, SAGEMAKER_BATCH="true"), b"0,1\n19,1").body.count(b"\n") == 2
    assert ask(served, b"").status == 204


def test_selected_output(model):
    served = predictor(model, SAGEMAKER_INFERENCE_OUTPUT="predicted_label, probability,labels")
    assert ask(served, b"19,1").body.startswith(b"1,0.")
    assert ask(served, b"19,1").body.endswith(b'"[0, 1]"')
    answer = ask(served, b"0,1", accept="application/json")
    (row,) = json.loads(answer.body)["predictions"]
    assert (row["predicted_label"], row["labels"]) == (0, [0, 1])
    with pytest.raises(RefusedError) as refused:
        ask(served, b"0,1", accept="image/png")
    assert refused.value.status == 406


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"a,b", "text/csv", 415),
        (b"\xff", "text/csv", 415),
        (b"1,2", "application/json", 415),
        (b"1,2,3", "text/csv", 400),
        (b"1", None, 400),
        (b"1 9:1", "text/x-libsvm", 400),
    ],
)
def test_a_request_that_cannot_be_read_says_so(model, body, content_type, status):
    with pytest.raises(RefusedError) as refused:
        ask(predictor(model), body, content_type)
    assert refused.value.status == status


def test_a_directory_without_a_model_is_named(tmp_path):
    (tmp_path / "model").mkdir()
    with pytest.raises(UserError, match="holds no model"):
        predictor(tmp_path)
    (tmp_path / "model" / "xgboost-model").write_text("x")
    with pytest.raises(UserError, match="cannot be loaded"):
        predictor(tmp_path)


def test_training_goes_on_from_the_newest_whole_checkpoint(model, tmp_path):
    (tmp_path / "xgboost-checkpoint.7").write_bytes((model / "model/xgboost-model").read_bytes())
    (tmp_path / "xgboost-checkpoint.9").write_bytes(b"{cut")
    assert train._latest(tmp_path) == (tmp_path / "xgboost-checkpoint.7", 8)
    assert train._latest(None) == (None, 0)
