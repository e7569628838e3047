"""What was learned, reduced to arrays and arithmetic: it needs none of the libraries that learn.

A scorer answers each row by itself, with operations of the same shape in the same order whatever
stands beside it. A product of matrices would not do: BLAS adds in another order for matrices of
another height, so that the last bits of an answer would depend on its neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from .preparation import Matrix

Floats = NDArray[np.float64]


class Scorer(Protocol):
    """``score`` gives for each row of a prepared matrix the probabilities of the labels, or one
    number for a quantity. ``width`` is how many columns it reads, ``answers`` how many values it
    gives.
    """

    kind: ClassVar[str]

    @property
    def width(self) -> int: ...
    @property
    def answers(self) -> int: ...
    def score(self, matrix: Matrix) -> list[list[float]]: ...
    def parts(self) -> dict[str, Any]:
        """All it is made of, as arrays and JSON's values, for :mod:`..training.artefact`."""


def softmax(scores: Sequence[float]) -> list[float]:
    """Probabilities in proportion to the exponentials of scores."""
    highest = max(scores)
    raised = [exp(score - highest) for score in scores]
    total = sum(raised)
    return [one / total for one in raised]


def _rowwise(array: Floats) -> Floats:
    """As it will be once it was written and read again: the order of a sum follows the layout."""
    return np.ascontiguousarray(array, dtype=np.float64)


@dataclass(slots=True, eq=False)
class Linear:
    """``weights`` (a row for each answer, a column for each of the matrix) and ``offsets``; with
    ``soft`` the sums become probabilities.
    """

    kind: ClassVar[str] = "linear"
    weights: Floats
    offsets: Floats
    soft: bool

    def __post_init__(self) -> None:
        self.weights, self.offsets = _rowwise(self.weights), _rowwise(self.offsets)
        if self.weights.ndim != 2 or self.offsets.shape != self.weights.shape[:1]:
            raise ValueError("a linear scorer needs one offset for each row of weights")

    @property
    def width(self) -> int:
        return int(self.weights.shape[1])

    @property
    def answers(self) -> int:
        return int(self.weights.shape[0])

    def score(self, matrix: Matrix) -> list[list[float]]:
        return [self.one(row) for row in matrix]

    def one(self, row: Floats) -> list[float]:
        """The answer to one row."""
        sums: list[float] = ((self.weights * row).sum(axis=1) + self.offsets).tolist()
        return softmax(sums) if self.soft else sums

    def parts(self) -> dict[str, Any]:
        return {"weights": self.weights, "offsets": self.offsets, "soft": self.soft}


@dataclass(slots=True, eq=False)
class Quadratic:
    """Quadratic discriminants (T. Hastie and others, The Elements of Statistical Learning, 4.3.2):
    a normal distribution for each label. ``turns`` maps what differs from ``means`` onto
    independent directions of variance 1, an array [label, column, direction]; ``offsets`` are the
    logarithms of what each density is multiplied by.
    """

    kind: ClassVar[str] = "quadratic"
    means: Floats
    turns: Floats
    offsets: Floats

    def __post_init__(self) -> None:
        self.means, self.turns = _rowwise(self.means), _rowwise(self.turns)
        labels, columns = self.means.shape
        if self.turns.shape[:2] != (labels, columns) or self.offsets.shape != (labels,):
            raise ValueError("a quadratic scorer needs means, turns and an offset for each label")

    @property
    def width(self) -> int:
        return int(self.means.shape[1])

    @property
    def answers(self) -> int:
        return int(self.means.shape[0])

    def score(self, matrix: Matrix) -> list[list[float]]:
        return [self.one(row) for row in matrix]

    def one(self, row: Floats) -> list[float]:
        """The answer to one row."""
        distances = ((row - self.means)[:, :, None] * self.turns).sum(axis=1)
        scores = self.offsets - 0.5 * (distances * distances).sum(axis=1)
        return softmax(scores.tolist())

    def parts(self) -> dict[str, Any]:
        return {"means": self.means, "turns": self.turns, "offsets": self.offsets}
