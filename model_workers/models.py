"""The models and their versions: which rows each learns from, and how.

All data comes with scikit-learn; nothing is downloaded. v1 is meant as the stable version, v2 as a
candidate that is better, v3 as a candidate that is visibly worse. Accuracy is the mean over 5 folds
(stratified, shuffled with seed 0), as printed by ``python -m model_workers.train``:

    model          version  accuracy  learned by
    breast-cancer  v1          0.947  logistic regression, strongly regularised
    breast-cancer  v2          0.968  logistic regression, barely regularised
    breast-cancer  v3          0.896  one split on one of the 30 features
    iris           v1          0.953  logistic regression, strongly regularised
    iris           v2          0.980  linear discriminant analysis
    iris           v3          0.667  one split: can never answer virginica
    digits         v1          0.951  linear discriminant analysis
    digits         v2          0.989  quadratic discriminant analysis, half shrunk
    digits         v3          0.558  four levels of splits
"""

# Why these: v1 and v2 of one model cost about the same per call and, on the rows they learned from,
# give each label within one percentage point as often. So nothing but their accuracy tells them
# apart, and an alarm between the two is a false one. (digits v2 costs 0.1 ms more than v1.)

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer, load_digits, load_iris
from sklearn.discriminant_analysis import (
    LinearDiscriminantAnalysis,
    QuadraticDiscriminantAnalysis,
)
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.tree import DecisionTreeClassifier


class Classifier(Protocol):
    """The part of a scikit-learn classifier used here; scikit-learn itself ships no types."""

    def fit(self, rows: NDArray[np.float64], classes: NDArray[np.int64]) -> Classifier: ...
    def predict_proba(self, rows: NDArray[np.float64]) -> NDArray[np.float64]: ...
    def get_params(self) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True, eq=False)
class Data:
    """Labelled rows: ``classes[i]`` is the index in ``labels`` of row ``i``."""

    rows: NDArray[np.float64]
    classes: NDArray[np.int64]
    features: tuple[str, ...]
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Recipe:
    """One version of one model; ``build`` gives an estimator that has seen no data yet."""

    model: str
    version: str
    build: Callable[[], Classifier]


class UnknownModel(Exception):
    """Nobody has this model or version; the message lists those there are."""


_LOADERS = {"breast-cancer": load_breast_cancer, "iris": load_iris, "digits": load_digits}


@cache
def data(model: str) -> Data:
    """The rows that every version of this model learns from."""
    found = _LOADERS[model]()
    return Data(
        rows=np.asarray(found.data, dtype=np.float64),
        classes=np.asarray(found.target, dtype=np.int64),
        features=tuple(str(name) for name in found.feature_names),
        labels=tuple(str(name) for name in found.target_names),
    )


def _regression(c: float) -> Classifier:
    # This solver needs no scaled features, and so no pipeline, which would double the time of a
    # single prediction.
    return LogisticRegression(C=c, solver="newton-cholesky", max_iter=500)  # type: ignore[no-any-return]


def _tree(depth: int) -> Classifier:
    return DecisionTreeClassifier(max_depth=depth, random_state=0)  # type: ignore[no-any-return]


RECIPES = (
    Recipe("breast-cancer", "v1", lambda: _regression(0.1)),
    Recipe("breast-cancer", "v2", lambda: _regression(1000)),
    Recipe("breast-cancer", "v3", lambda: _tree(1)),
    Recipe("iris", "v1", lambda: _regression(0.1)),
    Recipe("iris", "v2", LinearDiscriminantAnalysis),
    Recipe("iris", "v3", lambda: _tree(1)),
    Recipe("digits", "v1", LinearDiscriminantAnalysis),
    Recipe("digits", "v2", lambda: QuadraticDiscriminantAnalysis(reg_param=0.5)),
    Recipe("digits", "v3", lambda: _tree(4)),
)
MODELS = tuple(_LOADERS)


def find(model: str, version: str) -> Recipe:
    """The recipe of this version."""
    for recipe in RECIPES:
        if (recipe.model, recipe.version) == (model, version):
            return recipe
    versions = [recipe.version for recipe in RECIPES if recipe.model == model]
    if versions:
        raise UnknownModel(
            f"{model} has no version {version!r}; choose one of {', '.join(versions)}"
        )
    raise UnknownModel(f"there is no model {model!r}; choose one of {', '.join(MODELS)}")


def train(recipe: Recipe) -> Classifier:
    """Learn from all rows of the model's data."""
    learned = data(recipe.model)
    return recipe.build().fit(learned.rows, learned.classes)


def accuracy(recipe: Recipe, seed: int = 0) -> float:
    """The share of rows labelled rightly by a model that has not seen them: the mean of 5 folds."""
    learned = data(recipe.model)
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    return float(
        cross_val_score(recipe.build(), learned.rows, learned.classes, cv=folds, n_jobs=1).mean()
    )
