"""What scikit-learn learned."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..contract.contract import Contract, Row
from .predictor import Answer


class Estimator(Protocol):
    """The part of a scikit-learn classifier used here; scikit-learn itself ships no types."""

    def fit(self, rows: NDArray[np.float64], classes: NDArray[np.int64]) -> Estimator: ...
    def predict_proba(self, rows: NDArray[np.float64]) -> NDArray[np.float64]: ...
    def get_params(self) -> dict[str, Any]: ...


class TrainedPredictor:
    """A classifier whose class ``i`` is label ``i`` of the contract's one output."""

    def __init__(self, estimator: Estimator, contract: Contract) -> None:
        self.contract = contract
        self._estimator = estimator
        self._labels = contract.labels

    def predict(self, rows: Sequence[Row]) -> Answer:
        """Label each row; one pass over the model gives both the label and its probability."""
        table = self._estimator.predict_proba(np.array(rows, dtype=np.float64))
        labels = [self._labels[best] for best in table.argmax(axis=1).tolist()]
        probabilities: list[float] = table.max(axis=1).tolist()
        if not all(map(isfinite, probabilities)):
            raise ArithmeticError("the model gave a probability that is no number")
        return Answer((labels,), (probabilities,))
