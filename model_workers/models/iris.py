"""Which iris it is, by four lengths (R. A. Fisher, 1936)."""

from __future__ import annotations

from functools import partial

from ..contract.contract import Classes, Contract
from ..contract.feature import Number
from ..predictors.predictor import Predictor
from ..predictors.rules import RulesPredictor, below, otherwise
from . import learners
from .bundled import labelled
from .model import Data, Model, Recipe


def _length(name: str) -> Number:
    return Number(name, 0.0, 30.0, unit="cm")


CONTRACT = Contract(
    model="iris",
    description="Which of three irises it is, by the lengths of its petals and sepals.",
    features=(
        _length("sepal length (cm)"),
        _length("sepal width (cm)"),
        _length("petal length (cm)"),
        _length("petal width (cm)"),
    ),
    outputs=(Classes("species", ("setosa", "versicolor", "virginica")),),
)


def _rules(contract: Contract) -> Predictor:
    """A botanist's three lines. The shares are those of the 150 flowers."""
    return RulesPredictor(
        contract,
        [
            (
                below(contract, "petal length (cm)", 2.5, "setosa", 1.0),
                below(contract, "petal width (cm)", 1.75, "versicolor", 0.91),
                otherwise("virginica", 0.98),
            )
        ],
    )


def _load() -> Data:
    from sklearn.datasets import load_iris

    return labelled(load_iris(), CONTRACT)


IRIS = Model(
    CONTRACT,
    _load,
    (
        Recipe(
            "iris",
            "v1",
            "logistic regression, strongly regularised",
            partial(learners.regression, 0.1),
        ),
        Recipe(
            "iris", "v2", "linear discriminant analysis", partial(learners.linear_discriminants)
        ),
        Recipe("iris", "v3", "one split: can never answer virginica", partial(learners.tree, 1)),
        Recipe("iris", "rules", "two limits on the petals", ready=_rules),
        Recipe("iris", "tree", "three levels of splits", partial(learners.tree, 3)),
        Recipe("iris", "forest", "50 random trees", partial(learners.forest, 50, 4)),
        Recipe("iris", "boosting", "gradient boosting", partial(learners.boosting, 30, 2)),
        Recipe("iris", "xgboost", "XGBoost", partial(learners.xgboost, 30, 2)),
    ),
)
