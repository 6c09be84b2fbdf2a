"""The exported graph answers as the booster does, wherever a row can go."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import xgboost as xgb
from hypothesis import given, settings
from hypothesis import strategies as st

from tidemill_jobs.onnx_export import export

OBJECTIVES = {
    "binary": "binary:logistic",
    "multiclass": "multi:softprob",
    "regression": "reg:squarederror",
}


def table(draw, rows, numeric, codes):
    """Return numbers and category codes with a fifth of the cells missing."""
    values = draw.normal(0, 10, (rows, numeric)).round(1)
    categories = np.column_stack(
        [draw.integers(0, count + 1, rows) for count in codes] or [np.empty((rows, 0))]
    ).astype(float)
    matrix = np.hstack((values, categories)).astype(np.float32)
    matrix[draw.random(matrix.shape) < 0.2] = np.nan
    return matrix


def as_texts(matrix, numeric, codes):
    """Return the text behind each code: known, never seen, or empty."""
    texts = np.empty((len(matrix), len(codes)), object)
    for at, count in enumerate(codes):
        for row, code in enumerate(matrix[:, numeric + at]):
            missing, known = np.isnan(code), code < count
            texts[row, at] = "" if missing else f"v{int(code)}" if known else f"new{row}"
    return texts


def compare(problem, numeric, codes, *, seed=0, rows=300, rounds=8, scale=1.0, **parameters):
    draw = np.random.default_rng(seed)
    types = ["q"] * numeric + ["c"] * len(codes)
    training = table(draw, rows, numeric, codes)
    signal = np.nan_to_num(training, nan=3.0) @ draw.normal(0, 1, training.shape[1])
    classes = {"binary": 2, "multiclass": 4, "regression": 0}[problem]
    order = signal.argsort().argsort()
    target = signal * scale if not classes else order * classes // rows
    settings_ = {
        "objective": OBJECTIVES[problem],
        "nthread": 1,
        "max_depth": 5,
        "min_child_weight": 0,
        **({"num_class": classes} if problem == "multiclass" else {}),
        **parameters,
    }
    booster = xgb.train(
        settings_,
        xgb.DMatrix(training, target, feature_types=types, enable_categorical=True),
        rounds,
    )
    known = [[f"v{code}" for code in range(count)] for count in codes]
    model = export(booster.save_raw("json"), problem, numeric, known)

    other = table(draw, 400, numeric, codes)
    expected = booster.predict(xgb.DMatrix(other, feature_types=types, enable_categorical=True))
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1  # as serving has it
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    feed = {"numeric": other[:, :numeric], "categories": as_texts(other, numeric, codes)}
    names = {entry.name for entry in session.get_inputs()}

    def ask(rows):
        asked = {name: values[rows] for name, values in feed.items() if name in names}
        return session.run(["scores"], asked)[0]

    answered = ask(slice(None))
    for size in (1, 3, 8):  # an answer is the same, alone or among others' rows
        parts = [ask(slice(start, start + size)) for start in range(0, 24, size)]
        np.testing.assert_array_equal(np.concatenate(parts), answered[:24])

    expected = expected.reshape(len(other), -1)
    assert answered.shape == expected.shape
    bound = np.maximum(1.0, np.abs(expected))
    if problem == "regression":
        bound = np.maximum(bound, expected.std())
    assert (np.abs(answered - expected) <= 1e-5 * bound).all()
    assert expected.std() > 0  # the trees do tell rows apart
    return model


@pytest.mark.parametrize("problem", OBJECTIVES)
@pytest.mark.parametrize(("numeric", "codes"), [(3, []), (0, [6]), (2, [3, 40])])
def test_every_problem_with_numbers_categories_and_both(problem, numeric, codes):
    compare(problem, numeric, codes)


@settings(max_examples=25)
@given(
    st.sampled_from(sorted(OBJECTIVES)),
    st.integers(0, 3),
    st.lists(st.integers(1, 30), max_size=3),
    st.integers(0, 10_000),
    st.integers(1, 6),
)
def test_the_graph_answers_as_the_booster(problem, numeric, codes, seed, depth):
    if numeric + len(codes):
        compare(problem, numeric, codes, seed=seed, max_depth=depth)


def test_a_full_category_column_becomes_one_node_per_split():
    model = compare("binary", 1, [255], rows=5_000, rounds=30)
    ensemble = next(
        n for n in onnx.load_from_string(model).graph.node if n.op_type == "TreeEnsemble"
    )
    modes = next(a for a in ensemble.attribute if a.name == "nodes_modes")
    nodes = onnx.numpy_helper.to_array(modes.t)

    assert (nodes == 6).any()
    assert len(nodes) < 30 * 2**5


def test_one_hot_splits_and_large_targets():
    compare("regression", 1, [3, 4], max_cat_to_onehot=10)
    compare("regression", 3, [5], scale=1e6, rounds=100)


def test_trees_of_a_single_leaf():
    compare("regression", 2, [4], rounds=3, eta=0.5, num_parallel_tree=2)
    booster = xgb.train(
        {"objective": "reg:squarederror", "gamma": 1e9, "nthread": 1},
        xgb.DMatrix(np.ones((4, 1)), np.arange(4.0)),
        2,
    )
    session = ort.InferenceSession(export(booster.save_raw("json"), "regression", 1, []))
    answered = session.run(None, {"numeric": np.float32([[1], [np.nan]])})[0]

    assert answered[:, 0].tolist() == booster.predict(xgb.DMatrix([[1.0], [np.nan]])).tolist()


def test_an_intercept_is_carried_over():
    compare("binary", 2, [3], base_score=0.2, rounds=1)
    compare("regression", 2, [3], base_score=-7.5, rounds=1)
