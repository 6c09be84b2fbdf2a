"""Script mode in serving: the user's functions are called as the toolkit calls them."""

import io
import json
import sys
import types

import numpy as np
import pytest

from tidemill_local.containers.contract import Container, UserError
from tidemill_local.containers.http_server import Request
from tidemill_local.containers.scripts import codecs, serve
from tidemill_local.containers.scripts.handlers import Defaults, Handlers


class Doubling:
    def predict(self, rows):
        return np.asarray(rows) * 2


def served(tmp_path, accept="application/json", **functions):
    module = types.ModuleType("inference")
    vars(module).update({"model_fn": lambda _directory: Doubling()} | functions)
    return Handlers(module, tmp_path, Defaults(), accept)


def ask(handlers, body, **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return handlers.answer(Request(body, {"content-type": "application/json"} | named))


def test_defaults_read_and_write_json_csv_and_npy(tmp_path):
    handlers = served(tmp_path)
    answer = ask(handlers, b"[[1, 2]]")
    assert (answer.status, answer.content_type, answer.body) == (200, codecs.JSON, b"[[2, 4]]")
    answer = ask(handlers, b"1,2\n3,4", content_type="text/csv; charset=utf-8", accept="text/csv")
    assert (answer.content_type, answer.body) == (codecs.CSV, b"2,4\n6,8\n")
    sent = io.BytesIO()
    np.save(sent, np.array([3]))
    answer = ask(
        handlers, sent.getvalue(), content_type=codecs.NPY, accept="image/png, application/x-npy"
    )
    assert np.load(io.BytesIO(answer.body)).tolist() == [6]
    assert ask(served(tmp_path, codecs.CSV), b"[1]", accept="*/*").body == b"2\n"


def test_functions_get_text_and_types_as_they_came(tmp_path):
    seen = []

    def input_fn(body, content_type):
        seen.append((body, content_type))
        return body

    handlers = served(
        tmp_path,
        input_fn=input_fn,
        predict_fn=lambda data, model: (data, type(model).__name__),
        output_fn=lambda prediction, accept: (f"{prediction[1]} {accept}", "text/plain"),
    )
    answer = ask(handlers, b"\xc3\xa4", content_type="text/csv", accept="x/y")
    assert (answer.body, answer.content_type) == (b"Doubling x/y", "text/plain")
    ask(handlers, b"\xff", content_type="image/png")
    assert seen == [("ä", "text/csv"), (b"\xff", "image/png")]


def test_transform_fn_does_it_all_and_may_have_the_context(tmp_path):
    def transform_fn(model, body, content_type, accept, context):
        return context.get_request_header(0, "X-Mine"), "text/plain"

    answer = ask(served(tmp_path, transform_fn=transform_fn), b"", x_mine="yes")
    assert answer.body == b"yes"
    with pytest.raises(UserError, match="Cannot use transform_fn implementation in conjunction"):
        served(tmp_path, transform_fn=transform_fn, input_fn=transform_fn)


class TooLargeError(Exception):
    status_code = 413
    message = "too large"


@pytest.mark.parametrize(
    ("functions", "headers", "status", "said"),
    [
        ({}, {"content_type": "image/png"}, 500, "Content type image/png is not supported"),
        ({}, {"accept": "image/png"}, 500, "Content type image/png is not supported"),
        ({"model_fn": lambda _directory: None}, {}, 500, "Please provide a predict_fn"),
        ({"predict_fn": lambda _data: None}, {}, 500, "takes 1 arguments but 2 were given"),
    ],
)
def test_an_error_is_answered_with_its_traceback(tmp_path, functions, headers, status, said):
    answer = ask(served(tmp_path, **functions), b"[1]", **headers)
    assert answer.status == status
    assert answer.body.decode().startswith(said) or said in answer.body.decode()
    assert "Traceback (most recent call last)" in answer.body.decode()


def test_an_error_may_bring_its_status(tmp_path):
    def predict_fn(_data, _model):
        raise TooLargeError

    answer = ask(served(tmp_path, predict_fn=predict_fn), b"[1]")
    assert answer.status == 413
    assert answer.body.startswith(b"too large\n")


def test_the_script_is_the_models_own_or_where_it_is_said_to_be(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    code = tmp_path / "model" / "code"
    code.mkdir(parents=True)
    own = "def model_fn(path): return path\ndef transform_fn(m, b, c, a): return __name__"
    (code / "inference.py").write_text(own.replace("__name__", "'own'"))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "other_script.py").write_text(own)

    def answer(**environment):
        invoke = serve.load(Container(tmp_path, environment), Defaults())
        return invoke(Request(b"", {})).body

    assert answer() == b"own"
    said = {"SAGEMAKER_SUBMIT_DIRECTORY": str(elsewhere), "SAGEMAKER_PROGRAM": "other_script.py"}
    assert answer(**said) == b"other_script"
    for name in ("inference", "other_script"):
        del sys.modules[name]
    with pytest.raises(UserError, match=r"has no absent\.py; it holds: other_script\.py"):
        answer(**said | {"SAGEMAKER_PROGRAM": "absent.py"})


def test_without_a_script_it_is_said_what_is_missing(tmp_path):
    (tmp_path / "model").mkdir()
    with pytest.raises(UserError, match="Please provide a model_fn implementation"):
        serve.load(Container(tmp_path, {}), Defaults())


def test_an_array_of_objects_is_not_unpickled():
    sent = io.BytesIO()
    np.save(sent, np.array([{}]), allow_pickle=True)
    with pytest.raises(ValueError, match="allow_pickle"):
        codecs.decode(sent.getvalue(), codecs.NPY)


def test_a_sparse_matrix_is_read():
    sparse = pytest.importorskip("scipy.sparse")
    sent = io.BytesIO()
    sparse.save_npz(sent, sparse.csr_matrix([[0, 1]]))
    assert codecs.decode(sent.getvalue(), codecs.NPZ).toarray().tolist() == [[0, 1]]


def test_numbers_of_numpy_are_written_as_json():
    assert json.loads(codecs.encode({"a": np.float64(1), "b": np.array([1])}, codecs.JSON)[0]) == {
        "a": 1.0,
        "b": [1],
    }
