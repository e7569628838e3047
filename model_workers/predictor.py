"""A model as the application sees it: rows in, one label and one probability per row out."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

if TYPE_CHECKING:  # scikit-learn takes a second to import, and a stand-in model needs none of it
    from .models import Classifier


class Answer(NamedTuple):
    """One label per row, and how probable the model thinks that label is (0 to 1)."""

    labels: list[str]
    probabilities: list[float]


class Predictor(Protocol):
    """What :func:`model_workers.app.create_app` needs of a model."""

    @property
    def features(self) -> tuple[str, ...]: ...
    @property
    def labels(self) -> tuple[str, ...]: ...
    def predict(self, rows: list[list[float]]) -> Answer: ...


class TrainedPredictor:
    """A scikit-learn classifier whose class ``i`` is ``labels[i]``."""

    def __init__(
        self, estimator: Classifier, features: tuple[str, ...], labels: tuple[str, ...]
    ) -> None:
        self.features = features
        self.labels = labels
        self._estimator = estimator

    def predict(self, rows: list[list[float]]) -> Answer:
        """Label each row; one pass over the model gives both the label and its probability."""
        table = self._estimator.predict_proba(np.array(rows, dtype=np.float64))
        labels = [self.labels[best] for best in table.argmax(axis=1).tolist()]
        probabilities: list[float] = table.max(axis=1).tolist()
        if not all(map(isfinite, probabilities)):
            raise ArithmeticError("the model gave a probability that is no number")
        return Answer(labels, probabilities)
