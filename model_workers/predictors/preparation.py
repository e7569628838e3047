"""From rows to the matrix that an estimator learns from and a scorer reads: the only way there is,
for training, for requests and for batches alike.

A number is one column. A choice of two values is one column, 1 for the second of them; of more, one
column for each value, 1 where it is. Text is left to the estimator's own vectoriser: where a
contract has some, it stands in the first column, and the matrix holds objects.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..contract.contract import Contract, Row
from ..contract.feature import Choice, Feature, Number, Text, Value

Matrix = NDArray[Any]
"""A row for each row; float64, or objects if the first column is text."""


class Preparation:
    """The columns of a contract, and rows as these columns. Raises KeyError for a value that a
    choice does not have, ValueError for what is no number: rows were to be checked before.
    """

    def __init__(self, contract: Contract) -> None:
        features = contract.features
        self._texts = [i for i, feature in enumerate(features) if isinstance(feature, Text)]
        self._plain = all(isinstance(feature, Number) for feature in features)
        self._encoders = [
            (i, _encoder(feature))
            for i, feature in enumerate(features)
            if not isinstance(feature, Text)
        ]
        self.has_text = bool(self._texts)
        self.columns: tuple[str, ...] = tuple(
            column for feature in features for column in _columns(feature)
        )
        """What each column of numbers means, ``channel=phone`` for a value of a choice."""

    @property
    def width(self) -> int:
        """How many columns a matrix has."""
        return len(self.columns) + self.has_text

    def matrix(self, rows: Sequence[Row]) -> Matrix:
        """The rows as a matrix of :attr:`width` columns."""
        if self._plain:
            return np.array(rows, dtype=np.float64)
        numbers = [
            [value for i, encode in self._encoders for value in encode(row[i])] for row in rows
        ]
        if not self.has_text:
            return np.array(numbers, dtype=np.float64)
        matrix = np.empty((len(rows), self.width), dtype=object)
        for place, (row, encoded) in enumerate(zip(rows, numbers, strict=True)):
            matrix[place] = ["\n".join(str(row[i]) for i in self._texts), *encoded]
        return matrix


def _columns(feature: Feature) -> list[str]:
    if isinstance(feature, Number):
        return [feature.name]
    if isinstance(feature, Text):
        return []
    values = feature.values[1:] if len(feature.values) == 2 else feature.values
    return [f"{feature.name}={value}" for value in values]


def _encoder(feature: Number | Choice) -> Callable[[Value], Sequence[float]]:
    if isinstance(feature, Number):
        return lambda value: (float(value),)
    ones: dict[Value, tuple[float, ...]] = {
        value: tuple(float(column == f"{feature.name}={value}") for column in _columns(feature))
        for value in feature.values
    }
    return lambda value: ones[value]
