"""Linear scores, taken apart: weight times value is what a feature contributes."""

from __future__ import annotations

import numpy as np

from ..contract.contract import Contract, Output
from ..predictors.preparation import Matrix
from ..predictors.scorer import Floats, Linear
from ..predictors.words import Words
from .explanation import Additive
from .scores import by_feature, question, text_name


class ExplainedLinear:
    """Of numbers alone."""

    def __init__(self, scorer: Linear, contract: Contract, output: Output) -> None:
        self._scorer = scorer
        self._contract = contract
        self._output = output

    def explain(self, row: Matrix) -> Additive:
        """Of one row of a prepared matrix."""
        return _explained(self._scorer, row.astype(np.float64), self._contract, self._output)


class ExplainedWords:
    """Of a text and the numbers beside it."""

    def __init__(self, scorer: Words, contract: Contract, output: Output) -> None:
        self._scorer = scorer
        self._contract = contract
        self._output = output

    def explain(self, row: Matrix) -> Additive:
        """Of one row of a prepared matrix."""
        words = self._scorer
        whole = np.zeros(words.linear.width)
        whole[len(words.vocabulary) :] = row[1:].astype(np.float64)
        weighed = words.weigh(str(row[0]))
        whole[list(weighed)] = list(weighed.values())
        terms = {words.vocabulary[place]: place for place in weighed}
        return _explained(words.linear, whole, self._contract, self._output, terms)


def _explained(
    scorer: Linear,
    row: Floats,
    contract: Contract,
    output: Output,
    terms: dict[str, int] | None = None,
) -> Additive:
    """``terms`` are the columns of the words that the text has."""
    sums = ((scorer.weights * row).sum(axis=1) + scorer.offsets).tolist()
    asked = question(output, sums, scorer.soft)
    parts: list[float] = ((asked.direction @ scorer.weights) * row).tolist()
    contributions: dict[str, float] = {}
    said: dict[str, float] = {}
    if terms is not None:
        said = {term: parts[place] for term, place in terms.items()}
        contributions[text_name(contract)] = sum(said.values())
    contributions |= by_feature(contract, parts)
    return Additive(
        method="linear",
        prediction=asked.prediction,
        scale=asked.scale,
        base=float(asked.direction @ scorer.offsets),
        contributions=contributions,
        score=float(asked.direction @ sums),
        terms=said,
    )
