"""What was learned, explained scorer by scorer."""

from __future__ import annotations

from typing import Protocol

from ..contract.contract import Contract, Output, Row
from ..predictors.preparation import Matrix
from ..predictors.scorer import Linear, Scorer
from ..predictors.trained import TrainedPredictor
from ..predictors.trees import Trees
from ..predictors.words import Words
from .explanation import Additive, Explanation
from .linear import ExplainedLinear, ExplainedWords


class _Explained(Protocol):
    def explain(self, row: Matrix) -> Additive: ...


class ExplainedScorers:
    """One for each output."""

    def __init__(self, predictor: TrainedPredictor) -> None:
        contract = predictor.contract
        self._preparation = predictor.preparation
        self._explained = [
            _explained(scorer, contract, output)
            for scorer, output in zip(predictor.scorers, contract.outputs, strict=True)
        ]

    def explain(self, row: Row) -> list[Explanation]:
        matrix = self._preparation.matrix([row])
        return [explained.explain(matrix[0]) for explained in self._explained]


def _explained(scorer: Scorer, contract: Contract, output: Output) -> _Explained:
    if isinstance(scorer, Linear):
        return ExplainedLinear(scorer, contract, output)
    if isinstance(scorer, Words):
        return ExplainedWords(scorer, contract, output)
    assert isinstance(scorer, Trees)
    from .shapley import ExplainedTrees  # SHAP is an extra, and slow to import

    return ExplainedTrees(scorer, contract, output)
