"""A model as a worker sees it: rows in; for each output of its contract one array out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from ..contract.contract import Contract, Row


class Answer(NamedTuple):
    """An array for each output of the contract, in its order; each has a value for each row.

    ``predictions`` are labels or numbers, ``probabilities`` how probable the model thinks the label
    that it answered is (0 to 1; None for an output that is a number).
    """

    predictions: tuple[list[str] | list[float], ...]
    probabilities: tuple[list[float] | None, ...]


class Predictor(Protocol):
    """Answers by a contract. What a row is answered never depends on the rows beside it."""

    @property
    def contract(self) -> Contract: ...
    def predict(self, rows: Sequence[Row]) -> Answer: ...
