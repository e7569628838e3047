"""Learning: from a recipe and rows to an estimator, and how good what it learned is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedKFold, cross_val_score

from ..models.catalogue import data, model_of
from ..models.model import Data, Recipe
from ..predictors.trained import Estimator


def fit(recipe: Recipe) -> Estimator:
    """Learn from all rows of the model's data."""
    return _learner(recipe).fit(*_learned(recipe))


def accuracy(recipe: Recipe, seed: int = 0) -> float:
    """The share of rows labelled rightly by a model that has not seen them: the mean of 5 folds
    (stratified, shuffled).
    """
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    rows, classes = _learned(recipe)
    return float(cross_val_score(_learner(recipe), rows, classes, cv=folds, n_jobs=1).mean())


def _learner(recipe: Recipe) -> Estimator:
    assert recipe.learner is not None, f"{recipe.model} {recipe.name} is nothing that learns"
    return recipe.learner()


def _learned(recipe: Recipe) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    found: Data = data(recipe.model)
    places = {label: i for i, label in enumerate(model_of(recipe.model).contract.labels)}
    classes = [places[str(label)] for label in found.answers[0]]
    return np.array(found.rows, dtype=np.float64), np.array(classes, dtype=np.int64)
