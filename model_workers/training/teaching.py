"""Learning from rows that somebody brings, and how good what is learned is on the rows left out in
turn.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..contract.contract import Classes, Contract, Output
from ..models.catalogue import model_of
from ..models.model import Data, Recipe
from ..predictors.preparation import Preparation
from ..predictors.trained import TrainedPredictor
from .extraction import scorer_of
from .fitting import untrained
from .threads import one_thread

FOLDS = 5


class CannotLearn(Exception):
    """These rows will not do; the message says which are missing."""


def teach(recipe: Recipe, data: Data, seed: int) -> TrainedPredictor:
    """Learn from all these rows. Raises :class:`CannotLearn` and
    :class:`~..models.learners.MissingExtra`.
    """
    contract = model_of(recipe.model).contract
    check(contract, data)
    with one_thread():
        matrix = Preparation(contract).matrix(data.rows)
        scorers = []
        for output, answers in _outputs(contract, data):
            estimator = seeded(recipe, seed)
            with _learning(f"{recipe.name} cannot learn {output.name}"):
                fitted = estimator.fit(matrix, answers)
            scorers.append(scorer_of(fitted, matrix))
    return TrainedPredictor(scorers, contract)


def check(contract: Contract, data: Data) -> None:
    """Raise :class:`CannotLearn` unless there are rows of each label for each of the folds; of a
    quantity two, as one alone has no variance to explain.
    """
    of_labels = all(isinstance(output, Classes) for output in contract.outputs)
    least = FOLDS if of_labels else 2 * FOLDS
    if len(data.rows) < least:
        raise CannotLearn(f"{len(data.rows)} rows to learn from; {least} are the least")
    for output, answers in zip(contract.outputs, data.answers, strict=True):
        if isinstance(output, Classes):
            tally = Counter(answers)
            for label in output.labels:
                if tally[label] < FOLDS:
                    raise CannotLearn(
                        f"{tally[label]} rows to learn from have the {output.name} {label}; "
                        f"{FOLDS} are the least: bring more of them"
                    )


@contextmanager
def _learning(problem: str) -> Iterator[None]:
    """Whatever a library raises while it learns, these rows will not do for it."""
    try:
        yield
    except Exception as error:
        raise CannotLearn(f"{problem}: {str(error).strip().partition(chr(10))[0]}") from error


def seeded(recipe: Recipe, seed: int) -> Any:
    """An estimator that has seen no data, with everything random about it drawn from the seed."""
    estimator: Any = untrained(recipe)
    names = [
        name
        for name in estimator.get_params()
        if name == "random_state" or name.endswith("__random_state")
    ]
    return estimator.set_params(**dict.fromkeys(names, seed))


def settings(recipe: Recipe, seed: int) -> dict[str, str]:
    """The estimator's class and its parameters, as far as they are plain values."""
    estimator = seeded(recipe, seed)
    found = {"estimator": type(estimator).__name__}
    for name, value in sorted(estimator.get_params().items()):
        if value is None or isinstance(value, str | int | float):
            found[name] = repr(value)
    return found


def measured(recipe: Recipe, data: Data, seed: int) -> dict[str, dict[str, float]]:
    """By output, the mean over 5 folds (shuffled by the seed; stratified by label): ``accuracy``,
    or ``r2`` and ``mean_absolute_error``. Raises as :func:`teach` does.
    """
    from sklearn.model_selection import KFold, StratifiedKFold, cross_validate

    contract = model_of(recipe.model).contract
    check(contract, data)
    found = {}
    with one_thread():
        matrix = Preparation(contract).matrix(data.rows)
        for output, answers in _outputs(contract, data):
            classes = isinstance(output, Classes)
            folds = (StratifiedKFold if classes else KFold)(FOLDS, shuffle=True, random_state=seed)
            names = ["accuracy"] if classes else ["r2", "neg_mean_absolute_error"]
            estimator = seeded(recipe, seed)
            with _learning(f"{recipe.name} cannot learn {output.name} from 4 folds of 5"):
                scores = cross_validate(
                    estimator, matrix, answers, cv=folds, scoring=names, error_score="raise"
                )
            found[output.name] = {
                name.removeprefix("neg_"): abs(float(scores[f"test_{name}"].mean()))
                if name.startswith("neg_")
                else float(scores[f"test_{name}"].mean())
                for name in names
            }
    return found


def _outputs(contract: Contract, data: Data) -> list[tuple[Output, NDArray[Any]]]:
    """The right answers as an estimator gets them: the place of the label, or the quantity."""
    found: list[tuple[Output, NDArray[Any]]] = []
    for output, answers in zip(contract.outputs, data.answers, strict=True):
        if isinstance(output, Classes):
            found.append((output, np.array([output.labels.index(str(one)) for one in answers])))
        else:
            found.append((output, np.array(answers, dtype=np.float64)))
    return found
