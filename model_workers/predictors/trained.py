"""What was learned from data, ready to answer by a contract."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from ..contract.contract import Classes, Contract, Row
from .predictor import Answer
from .preparation import Preparation
from .scorer import Scorer


class TrainedPredictor:
    """One scorer for each output of the contract; its answer ``i`` is the output's label ``i``.

    Raises ValueError if a scorer reads other columns than the contract has, or gives other answers.
    """

    def __init__(self, scorers: Sequence[Scorer], contract: Contract) -> None:
        self.contract = contract
        self.scorers = tuple(scorers)
        self.preparation = Preparation(contract)
        if len(scorers) != len(contract.outputs):
            raise ValueError(f"{len(scorers)} scorers for {len(contract.outputs)} outputs")
        for scorer, output in zip(scorers, contract.outputs, strict=True):
            answers = len(output.labels) if isinstance(output, Classes) else 1
            wanted = (self.preparation.width, answers)
            if (scorer.width, scorer.answers) != wanted:
                raise ValueError(
                    f"a scorer of {scorer.width} columns and {scorer.answers} answers; for "
                    f"{output.name} the contract has {wanted[0]} and {wanted[1]}"
                )

    def predict(self, rows: Sequence[Row]) -> Answer:
        """Label each row with what is most probable, or give its quantity. Raises ArithmeticError
        if that is no finite number.
        """
        matrix = self.preparation.matrix(rows)
        predictions: list[list[str] | list[float]] = []
        probabilities: list[list[float] | None] = []
        for scorer, output in zip(self.scorers, self.contract.outputs, strict=True):
            table = scorer.score(matrix)
            best = [max(scores) for scores in table]
            if not all(map(isfinite, best)):
                raise ArithmeticError(f"the model gave a {output.name} that is no number")
            if isinstance(output, Classes):
                labels = output.labels
                predictions.append(
                    [labels[scores.index(one)] for scores, one in zip(table, best, strict=True)]
                )
                probabilities.append(best)
            else:
                predictions.append(best)
                probabilities.append(None)
        return Answer(tuple(predictions), tuple(probabilities))
