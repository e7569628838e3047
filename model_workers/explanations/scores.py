"""Which of a scorer's numbers is explained, on which scale, and which columns are whose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..contract.contract import Classes, Contract, Output
from ..contract.feature import Choice, Feature, Text, Value
from ..predictors.scorer import Floats


@dataclass(frozen=True, slots=True)
class Question:
    """``direction`` gives from the answers' scores the one that is explained. Where the scores
    become probabilities that is the logarithm of how much more probable the answered label is than
    the next one; else it is the probability or the quantity itself.
    """

    prediction: Value
    direction: Floats
    scale: str


def question(output: Output, scores: Sequence[float], soft: bool) -> Question:
    """What is to be explained of an answer with these scores."""
    direction = np.zeros(len(scores))
    best = max(range(len(scores)), key=scores.__getitem__)
    direction[best] = 1.0
    if not isinstance(output, Classes):
        return Question(scores[best], direction, output.unit or output.name)
    label = output.labels[best]
    if not soft:
        return Question(label, direction, f"probability of {label}")
    second = max((i for i in range(len(scores)) if i != best), key=scores.__getitem__)
    direction[second] = -1.0
    return Question(label, direction, f"log-odds of {label} against {output.labels[second]}")


def by_feature(contract: Contract, parts: Sequence[float]) -> dict[str, float]:
    """The parts of a score by columns, added up by feature; if there are more parts, the last ones:
    columns of numbers come after those of words.
    """
    beside = [feature for feature in contract.features if not isinstance(feature, Text)]
    counts = list(map(_columns, beside))
    remaining = iter(parts[len(parts) - sum(counts) :])
    return {
        feature.name: sum(next(remaining) for _ in range(count))
        for feature, count in zip(beside, counts, strict=True)
    }


def _columns(feature: Feature) -> int:
    """How many columns :class:`..predictors.preparation.Preparation` makes of it."""
    return len(feature.values) if isinstance(feature, Choice) and len(feature.values) > 2 else 1


def text_name(contract: Contract) -> str:
    """What the texts, which a model reads as one, are called together."""
    return " + ".join(one.name for one in contract.features if isinstance(one, Text))
