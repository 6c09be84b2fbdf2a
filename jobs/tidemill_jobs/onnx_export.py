"""
An XGBoost booster as one ONNX graph, from raw text categories to probabilities.

    categories ─ Gather ─ LabelEncoder ─┐
    numeric ────────────────────────────┴ Concat ─ TreeEnsemble ─ Add ─ Sigmoid | Softmax ─ scores

The trees are written straight from the booster's JSON: a split over categories becomes one
set-membership node (TreeEnsemble, ai.onnx.ml 5). onnxmltools 1.16 writes a chain of comparisons
instead, which took more than ten minutes for 300 trees over a column of 255 categories.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from tidemill_jobs.spec import Problem

NUMERIC, CATEGORIES, SCORES = "numeric", "categories", "scores"  # the graph's inputs and output
OPSET, ML_OPSET, IR = 17, 5, 9
ML = "ai.onnx.ml"
BRANCH_LT, BRANCH_MEMBER = 1, 6
SUM = 1
LEAF = -1

Tree = Mapping[str, Sequence[Any]]


def export(
    booster_json: bytes,
    problem: Problem,
    numeric: int,
    categories: Sequence[Sequence[str]],
) -> bytes:
    """
    Return the model as a serialized graph.

    Args:
        booster_json: `Booster.save_raw("json")`, already cut at the best iteration; its features
            are the numeric inputs, then one code per text column.
        problem: Decides the last step: Sigmoid, Softmax, or none.
        numeric: How many numeric inputs there are.
        categories: The known values of each text column; their place is their code, the code
            after the last stands for every other value, and the empty text for missing.

    Returns:
        A graph with inputs `numeric` (float, rows x numeric) and `categories` (string, rows x text
        columns), each only where there is one, and the output `scores` (float, rows x outputs):
        the positive class's probability, each class's probability, or the predicted number.
    """
    learner = json.loads(booster_json)["learner"]
    trees = learner["gradient_booster"]["model"]["trees"]
    outputs = max(int(learner["learner_model_param"]["num_class"]), 1)
    ensemble = _Ensemble([len(known) + 1 for known in categories], numeric)
    for tree, output in zip(trees, learner["gradient_booster"]["model"]["tree_info"], strict=True):
        ensemble.add(tree, int(output))
    margin = _margin(learner["learner_model_param"]["base_score"], problem, outputs)
    nodes, constants, source = _encoders(numeric, categories)
    nodes.append(ensemble.node(source, "sums", outputs))
    constants.append(numpy_helper.from_array(margin, "margin"))
    final = {"binary": "Sigmoid", "multiclass": "Softmax", "regression": ""}[problem]
    nodes.append(helper.make_node("Add", ["sums", "margin"], ["margins" if final else SCORES]))
    if final:
        axis = {"axis": 1} if problem == "multiclass" else {}
        nodes.append(helper.make_node(final, ["margins"], [SCORES], **axis))
    graph = helper.make_graph(
        nodes,
        "tidemill",
        _inputs(numeric, len(categories)),
        [helper.make_tensor_value_info(SCORES, TensorProto.FLOAT, ["rows", outputs])],
        constants,
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(ML, ML_OPSET)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=IR, producer_name="tidemill")
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


@dataclass(slots=True)
class _Ensemble:
    """The attributes of a TreeEnsemble node, tree by tree."""

    codes: Sequence[int]  # of each text column, the code of other values among them
    numeric: int
    roots: list[int] = field(default_factory=list)
    features: list[int] = field(default_factory=list)
    modes: list[int] = field(default_factory=list)
    thresholds: list[float] = field(default_factory=list)
    members: list[float] = field(default_factory=list)
    missing_true: list[int] = field(default_factory=list)
    true_ids: list[int] = field(default_factory=list)
    true_leaves: list[int] = field(default_factory=list)
    false_ids: list[int] = field(default_factory=list)
    false_leaves: list[int] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)

    def add(self, tree: Tree, output: int) -> None:
        """Append one tree of XGBoost's JSON model."""
        left, right = tree["left_children"], tree["right_children"]
        inner = [at for at, child in enumerate(left) if child != LEAF]
        nodes = {at: len(self.features) + place for place, at in enumerate(inner)}
        leaves = {}
        for at, child in enumerate(left):
            if child == LEAF:
                leaves[at] = len(self.weights)
                self.weights.append(tree["split_conditions"][at])
                self.outputs.append(output)
        self.roots.append(len(self.features))
        if not inner:  # a tree that is one leaf: ONNX wants a node, with two ways to that leaf
            self._branch(0, BRANCH_LT, 0.0, default_true=True)
            self._ways((leaves[0], 1), (leaves[0], 1))
        sets = _category_sets(tree)
        for at in inner:
            ends = [
                (leaves[child], 1) if child in leaves else (nodes[child], 0)
                for child in (left[at], right[at])
            ]
            goes_left = bool(tree["default_left"][at])
            feature = tree["split_indices"][at]
            if at in sets:  # in XGBoost the categories of a split go right
                members, is_true = self._smaller_set(feature, sets[at])
                self._branch(feature, BRANCH_MEMBER, 0.0, default_true=goes_left != is_true)
                self.members += [*map(float, members), math.nan]
                self._ways(*(reversed(ends) if is_true else ends))
            else:
                threshold = tree["split_conditions"][at]
                self._branch(feature, BRANCH_LT, threshold, default_true=goes_left)
                self._ways(*ends)

    def node(self, source: str, result: str, outputs: int) -> onnx.NodeProto:
        """Return the finished node."""
        attributes: dict[str, Any] = {}
        if self.members:
            attributes["membership_values"] = _floats(self.members)
        return helper.make_node(
            "TreeEnsemble",
            [source],
            [result],
            domain=ML,
            n_targets=outputs,
            aggregate_function=SUM,
            tree_roots=self.roots,
            nodes_featureids=self.features,
            nodes_modes=numpy_helper.from_array(np.array(self.modes, np.uint8)),
            nodes_splits=_floats(self.thresholds),
            nodes_missing_value_tracks_true=self.missing_true,
            nodes_truenodeids=self.true_ids,
            nodes_trueleafs=self.true_leaves,
            nodes_falsenodeids=self.false_ids,
            nodes_falseleafs=self.false_leaves,
            leaf_weights=_floats(self.weights),
            leaf_targetids=self.outputs,
            **attributes,
        )

    def _branch(self, feature: int, mode: int, threshold: float, *, default_true: bool) -> None:
        self.features.append(feature)
        self.modes.append(mode)
        self.thresholds.append(threshold)
        self.missing_true.append(int(default_true))

    def _ways(self, true: tuple[int, int], false: tuple[int, int]) -> None:
        self.true_ids.append(true[0])
        self.true_leaves.append(true[1])
        self.false_ids.append(false[0])
        self.false_leaves.append(false[1])

    def _smaller_set(self, feature: int, members: Sequence[int]) -> tuple[Sequence[int], bool]:
        """Return the set or its complement, whichever is smaller, and whether it is the set."""
        codes = self.codes[feature - self.numeric]
        complement = sorted(set(range(codes)) - set(members))
        # An empty complement would be no set; a code is never beyond the last one.
        if complement and len(complement) < len(members):
            return complement, False
        return members, True


def _category_sets(tree: Tree) -> dict[int, Sequence[int]]:
    bounds = zip(
        tree["categories_nodes"], tree["categories_segments"], tree["categories_sizes"], strict=True
    )
    return {at: tree["categories"][start : start + size] for at, start, size in bounds}


def _margin(text: str, problem: Problem, outputs: int) -> NDArray[np.float32]:
    """Return what XGBoost adds to the trees' sum; base_score is given as a probability."""
    base = np.atleast_1d(np.array(json.loads(text), np.float32))
    if problem == "binary":
        base = -np.log(np.float32(1) / base - np.float32(1))
    return np.broadcast_to(base.astype(np.float32), (1, outputs)).copy()


def _encoders(
    numeric: int, categories: Sequence[Sequence[str]]
) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto], str]:
    nodes: list[onnx.NodeProto] = []
    constants: list[onnx.TensorProto] = []
    parts = [NUMERIC] if numeric else []
    for at, known in enumerate(categories):
        column, code = f"category_{at}", f"code_{at}"
        constants.append(numpy_helper.from_array(np.array([at], np.int64), f"at_{at}"))
        nodes.append(helper.make_node("Gather", [CATEGORIES, f"at_{at}"], [column], axis=1))
        nodes.append(
            helper.make_node(
                "LabelEncoder",
                [column],
                [code],
                domain=ML,
                keys_strings=[*known, ""],
                values_floats=[*map(float, range(len(known))), math.nan],
                default_float=float(len(known)),
            )
        )
        parts.append(code)
    if parts == [NUMERIC]:
        return nodes, constants, NUMERIC
    nodes.append(helper.make_node("Concat", parts, ["encoded"], axis=1))
    return nodes, constants, "encoded"


def _inputs(numeric: int, texts: int) -> list[onnx.ValueInfoProto]:
    inputs = []
    if numeric:
        shape = ["rows", numeric]
        inputs.append(helper.make_tensor_value_info(NUMERIC, TensorProto.FLOAT, shape))
    if texts:
        shape = ["rows", texts]
        inputs.append(helper.make_tensor_value_info(CATEGORIES, TensorProto.STRING, shape))
    return inputs


def _floats(values: Sequence[float]) -> onnx.TensorProto:
    return numpy_helper.from_array(np.array(values, np.float32))
