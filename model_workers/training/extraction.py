"""From what scikit-learn or XGBoost learned to a scorer."""

from __future__ import annotations

import json
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..predictors.preparation import Matrix
from ..predictors.scorer import Linear, Quadratic, Scorer
from ..predictors.trees import LEAF, Trees
from ..predictors.words import Words

BACKGROUND = 100  # rows, evenly spread


def scorer_of(estimator: Any, matrix: Matrix) -> Scorer:
    """The scorer of a fitted estimator; ``matrix`` are rows that it learned from. Raises TypeError
    for an estimator nobody here has translated.
    """
    name = type(estimator).__name__
    if name in ("LogisticRegression", "LinearDiscriminantAnalysis"):
        return _linear(estimator, soft=True)
    if name == "Ridge":
        return _linear(estimator, soft=False)
    if name == "QuadraticDiscriminantAnalysis":
        return _quadratic(estimator)
    if name == "DecisionTreeClassifier":
        return _forest([estimator], matrix)
    if name == "RandomForestClassifier":
        return _forest(estimator.estimators_, matrix)
    if name == "GradientBoostingClassifier":
        return _boosted(estimator, matrix)
    if name == "XGBClassifier":
        return _xgboosted(estimator, matrix)
    if name == "Pipeline":
        return _words(estimator)
    raise TypeError(f"there is no scorer for a {name}; write one in {__name__}")


def _linear(estimator: Any, *, soft: bool) -> Linear:
    weights = np.atleast_2d(np.asarray(estimator.coef_, dtype=np.float64))
    offsets = np.atleast_1d(np.asarray(estimator.intercept_, dtype=np.float64))
    if soft and len(weights) == 1:
        # Of two labels scikit-learn keeps the score of the second; that of the first is 0.
        weights = np.concatenate([np.zeros_like(weights), weights])
        offsets = np.concatenate([np.zeros_like(offsets), offsets])
    return Linear(weights, offsets, soft)


def _quadratic(estimator: Any) -> Quadratic:
    pairs = list(zip(estimator.rotations_, estimator.scalings_, strict=True))
    turns = np.stack([rotation * scaling**-0.5 for rotation, scaling in pairs])
    spread = np.array([np.log(scaling).sum() for _, scaling in pairs])
    return Quadratic(estimator.means_, turns, np.log(estimator.priors_) - 0.5 * spread)


def _words(estimator: Any) -> Words:
    vectoriser = estimator["columns"].named_transformers_["words"]
    vocabulary = sorted(vectoriser.vocabulary_, key=vectoriser.vocabulary_.__getitem__)
    return Words(vocabulary, vectoriser.idf_, _linear(estimator["regression"], soft=True))


# --- trees


def _forest(trees: list[Any], matrix: Matrix) -> Trees:
    """Each tree's leaves hold the shares of the labels."""
    grown = [tree.tree_ for tree in trees]
    values = [tree.value[:, 0, :] for tree in grown]
    start = np.zeros(values[0].shape[1])
    return _trees(grown, values, start, len(trees), matrix, soft=False)


def _boosted(estimator: Any, matrix: Matrix) -> Trees:
    """A tree for each label in each round; those of one of two labels are all for the second."""
    labels = len(estimator.classes_)
    grown, values = [], []
    for trees in estimator.estimators_:
        for place, tree in enumerate(trees):
            grown.append(tree.tree_)
            values.append(
                _in_column(
                    estimator.learning_rate * tree.tree_.value[:, 0, 0],
                    place if len(trees) > 1 else 1,
                    labels,
                )
            )
    first = np.asarray(estimator._raw_predict_init(matrix[:1].astype(np.float32)))[0]
    start = first.astype(np.float64) if len(first) > 1 else np.array([0.0, first[0]])
    return _trees(grown, values, start, 1, matrix, soft=True)


def _trees(
    grown: list[Any],
    values: list[NDArray[np.float64]],
    start: Any,
    shared: int,
    matrix: Matrix,
    *,
    soft: bool,
) -> Trees:
    """scikit-learn's trees one after the other, their children counted from the first node."""
    firsts = [0, *accumulate(tree.node_count for tree in grown)][:-1]
    left = [_moved(tree.children_left, first) for tree, first in zip(grown, firsts, strict=True)]
    right = [_moved(tree.children_right, first) for tree, first in zip(grown, firsts, strict=True)]
    asked = [np.where(tree.children_left < 0, LEAF, tree.feature) for tree in grown]
    return Trees(
        width=int(grown[0].n_features),
        columns=np.concatenate(asked).astype(np.int64),
        thresholds=np.concatenate([tree.threshold for tree in grown]),
        left=np.concatenate(left).astype(np.int64),
        right=np.concatenate(right).astype(np.int64),
        values=np.concatenate(values),
        roots=np.array(firsts, dtype=np.int64),
        start=start,
        shared=shared,
        soft=soft,
        background=_background(matrix),
    )


def _xgboosted(estimator: Any, matrix: Matrix) -> Trees:
    """From the JSON that XGBoost saves. It sends to the left what is *less* than a threshold."""
    booster = estimator.get_booster()
    model = json.loads(bytes(booster.save_raw("json")))["learner"]["gradient_booster"]["model"]
    labels = len(estimator.classes_)
    of_one = max(model["tree_info"]) == 0  # all trees are for the second of two labels
    grown = model["trees"]
    firsts = [0, *accumulate(len(tree["left_children"]) for tree in grown)][:-1]
    columns, thresholds, left, right, values = [], [], [], [], []
    for tree, place, first in zip(grown, model["tree_info"], firsts, strict=True):
        lefts = np.array(tree["left_children"])
        conditions = np.array(tree["split_conditions"], dtype=np.float32)
        columns.append(np.where(lefts < 0, LEAF, tree["split_indices"]))
        thresholds.append(np.nextafter(conditions, np.float32(-np.inf)).astype(np.float64))
        left.append(_moved(lefts, first))
        right.append(_moved(np.array(tree["right_children"]), first))
        leaves = np.where(lefts < 0, conditions.astype(np.float64), 0.0)
        values.append(_in_column(leaves, 1 if of_one else place, labels))
    parts: dict[str, Any] = {
        "width": int(estimator.n_features_in_),
        "columns": np.concatenate(columns).astype(np.int64),
        "thresholds": np.concatenate(thresholds),
        "left": np.concatenate(left).astype(np.int64),
        "right": np.concatenate(right).astype(np.int64),
        "values": np.concatenate(values),
        "roots": np.array(firsts, dtype=np.int64),
        "background": _background(matrix),
    }
    # What every row starts with is what XGBoost says of a row beyond the leaves it falls into.
    sums = Trees(**parts, start=np.zeros(labels), shared=1, soft=False).score(matrix[:1])[0]
    said = np.atleast_1d(estimator.predict(matrix[:1], output_margin=True)[0]).astype(np.float64)
    margins = said if len(said) > 1 else np.array([0.0, said[0]])
    return Trees(**parts, start=margins - np.array(sums), shared=1, soft=True)


def _background(matrix: Matrix) -> NDArray[np.float32]:
    return matrix[:: -(-len(matrix) // BACKGROUND)].astype(np.float32)


def _moved(children: NDArray[Any], first: int) -> NDArray[Any]:
    return np.where(children < 0, LEAF, children + first)


def _in_column(values: NDArray[np.float64], place: int, columns: int) -> NDArray[np.float64]:
    table = np.zeros((len(values), columns))
    table[:, place] = values
    return table
