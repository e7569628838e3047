"""Learning: from a recipe and rows to estimators, and how good what they learned is."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..contract.contract import Classes, Output
from ..models.catalogue import data, model_of
from ..models.learners import Estimator
from ..models.model import Recipe
from ..predictors.preparation import Matrix, Preparation
from ..predictors.trained import TrainedPredictor
from .extraction import scorer_of


def fit(recipe: Recipe) -> TrainedPredictor:
    """Learn from all rows of the model's data."""
    matrix = matrix_of(recipe.model)
    scorers = [scorer_of(estimator, matrix) for estimator in estimators(recipe)]
    return TrainedPredictor(scorers, model_of(recipe.model).contract)


def estimators(recipe: Recipe) -> list[Estimator]:
    """One fitted estimator for each output of the contract."""
    matrix = matrix_of(recipe.model)
    return [untrained(recipe).fit(matrix, answers) for _, answers in outputs_of(recipe.model)]


def untrained(recipe: Recipe) -> Estimator:
    """An estimator that has seen no data; raises :class:`~..models.learners.MissingExtra`."""
    assert recipe.learner is not None, f"{recipe.model} {recipe.name} is nothing that learns"
    return recipe.learner()


def matrix_of(model: str) -> Matrix:
    """The rows of a model's data as an estimator gets them."""
    return Preparation(model_of(model).contract).matrix(data(model).rows)


def outputs_of(model: str) -> list[tuple[Output, NDArray[Any]]]:
    """The outputs of a model with the right answers as an estimator gets them: the place of the
    label, or the quantity.
    """
    found: list[tuple[Output, NDArray[Any]]] = []
    for output, answers in zip(model_of(model).contract.outputs, data(model).answers, strict=True):
        if isinstance(output, Classes):
            places = {label: place for place, label in enumerate(output.labels)}
            found.append((output, np.array([places[str(answer)] for answer in answers])))
        else:
            found.append((output, np.array(answers, dtype=np.float64)))
    return found


def quality(recipe: Recipe, seed: int = 0) -> float:
    """How good a recipe is on rows it has not seen, by the first output of its contract: the mean
    over 5 folds (shuffled; stratified by label) of the share of right labels, or of R2 (the share
    of the variance that is explained) where the output is a quantity.
    """
    output, answers = outputs_of(recipe.model)[0]
    return folded(recipe, output, answers, seed)


def folded(
    recipe: Recipe, output: Output, answers: NDArray[Any], seed: int = 0, measure: str | None = None
) -> float:
    """The mean over 5 folds for one output; ``measure`` is a name that scikit-learn knows, its own
    for the kind of estimator by default.
    """
    from sklearn.model_selection import KFold, StratifiedKFold, cross_val_score

    kind = StratifiedKFold if isinstance(output, Classes) else KFold
    folds = kind(5, shuffle=True, random_state=seed)
    matrix = matrix_of(recipe.model)
    scores = cross_val_score(
        untrained(recipe), matrix, answers, cv=folds, scoring=measure, n_jobs=1
    )
    return float(scores.mean())
