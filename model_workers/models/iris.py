"""Which iris it is, by four lengths (R. A. Fisher, 1936)."""

from __future__ import annotations

from ..contract.contract import Classes, Contract
from ..contract.feature import Number
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
            lambda: learners.regression(0.1),
        ),
        Recipe("iris", "v2", "linear discriminant analysis", learners.linear_discriminants),
        Recipe("iris", "v3", "one split: can never answer virginica", lambda: learners.tree(1)),
    ),
)
