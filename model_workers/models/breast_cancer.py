"""Whether a tumour is malignant, by 30 measurements of cell nuclei (W. H. Wolberg and others,
1993).
"""

from __future__ import annotations

from functools import partial

from ..contract.contract import Classes, Contract
from ..contract.feature import Number
from . import learners
from .bundled import labelled
from .model import Data, Model, Recipe

# The largest that any of the ten is in the data, doubled and rounded up: mean, error and worst.
_LARGEST = {
    "radius": (60, 6, 80),
    "texture": (80, 10, 100),
    "perimeter": (400, 50, 500),
    "area": (5000, 1100, 9000),
    "smoothness": (1, 1, 1),
    "compactness": (1, 1, 3),
    "concavity": (1, 1, 3),
    "concave points": (1, 1, 1),
    "symmetry": (1, 1, 2),
    "fractal dimension": (1, 1, 1),
}


def _features() -> tuple[Number, ...]:
    names = ("mean {}", "{} error", "worst {}")
    return tuple(
        Number(name.format(what), 0.0, float(largest[i]))
        for i, name in enumerate(names)
        for what, largest in _LARGEST.items()
    )


CONTRACT = Contract(
    model="breast-cancer",
    description="Whether a tumour is malignant, by measurements of the nuclei of its cells.",
    features=_features(),
    outputs=(Classes("diagnosis", ("malignant", "benign")),),
)


def _load() -> Data:
    from sklearn.datasets import load_breast_cancer

    return labelled(load_breast_cancer(), CONTRACT)


BREAST_CANCER = Model(
    CONTRACT,
    _load,
    (
        Recipe(
            "breast-cancer",
            "v1",
            "logistic regression, strongly regularised",
            partial(learners.regression, 0.1),
        ),
        Recipe(
            "breast-cancer",
            "v2",
            "logistic regression, barely regularised",
            partial(learners.regression, 1000),
        ),
        Recipe(
            "breast-cancer", "v3", "one split on one of the 30 features", partial(learners.tree, 1)
        ),
    ),
)
