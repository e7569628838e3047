"""Which digit was written by hand, by 64 grey values (E. Alpaydin and C. Kaynak, 1998)."""

from __future__ import annotations

from functools import partial

from ..contract.contract import Classes, Contract
from ..contract.feature import Number
from . import learners
from .bundled import labelled
from .model import Data, Model, Recipe

CONTRACT = Contract(
    model="digits",
    description="Which digit it is, by a picture of 8 x 8 grey values, row by row.",
    features=tuple(
        Number(f"pixel_{row}_{column}", 0.0, 16.0) for row in range(8) for column in range(8)
    ),
    outputs=(Classes("digit", tuple(map(str, range(10)))),),
)


def _load() -> Data:
    from sklearn.datasets import load_digits

    return labelled(load_digits(), CONTRACT)


DIGITS = Model(
    CONTRACT,
    _load,
    (
        Recipe(
            "digits", "v1", "linear discriminant analysis", partial(learners.linear_discriminants)
        ),
        Recipe(
            "digits",
            "v2",
            "quadratic discriminant analysis, half shrunk",
            partial(learners.quadratic_discriminants, 0.5),
        ),
        Recipe("digits", "v3", "four levels of splits", partial(learners.tree, 4)),
    ),
)
