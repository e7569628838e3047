"""What an explanation is, and who gives one."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import msgspec

from ..contract.contract import Row
from ..contract.feature import Value


class NotExplainable(Exception):
    """This predictor cannot be explained here: status 501; the message says why and what to do."""


class Additive(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """``base`` and the ``contributions`` add up to ``score``, all on one ``scale``: to 1e-9 for
    method ``linear``, to 1e-6 for method ``shap``. ``base`` is the score of a row of zeros for the
    former, the mean score of the background rows for the latter. ``terms`` are what the
    contribution of a text is made of.
    """

    method: str
    prediction: Value
    scale: str
    base: float
    contributions: dict[str, float]
    score: float
    terms: dict[str, float] = {}


class Fired(msgspec.Struct, frozen=True, kw_only=True):
    """The rule that answered: its ``number`` among the rules of its output, from 1, its condition,
    the values that it looked at, and in which share of the known cases it was right.
    """

    method: str = "rule"
    prediction: Value
    number: int
    condition: str
    values: dict[str, Value]
    share: float


Explanation = Additive | Fired


@runtime_checkable
class Explainable(Protocol):
    """A predictor that says itself why; or what does so for one that does not."""

    def explain(self, row: Row) -> list[Explanation]:
        """One for each output of the contract, in its order; always the same for the same row."""
        ...
