"""A bag of words: which words and pairs of words a text has, weighed and added up."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise
from math import log, sqrt
from typing import Any, ClassVar

import numpy as np

from .preparation import Matrix
from .scorer import Floats, Linear

_WORD = re.compile(r"\w\w+")


def terms(text: str) -> list[str]:
    """The words of at least two letters in lower case, then the pairs of neighbours."""
    words = _WORD.findall(text.lower())
    return words + [f"{first} {second}" for first, second in pairwise(words)]


class Words:
    """Known terms, weighed as scikit-learn's TfidfVectorizer does (1 + log of how often, times how
    rare the term is, all of length 1), and with the columns of numbers beside them the input of
    ``linear``: first the terms in the order of ``vocabulary``, then the numbers.
    """

    kind: ClassVar[str] = "words"

    def __init__(self, vocabulary: list[str], rarity: Floats, linear: Linear) -> None:
        if len(vocabulary) != len(rarity) or linear.width < len(vocabulary):
            raise ValueError("a bag of words needs a rarity and a weight for each of its terms")
        self.vocabulary = vocabulary
        self.rarity = rarity
        self.linear = linear
        self._places = {term: place for place, term in enumerate(vocabulary)}
        self._rarities: list[float] = rarity.tolist()
        self._of_terms = np.ascontiguousarray(linear.weights[:, : len(vocabulary)].T)
        self._of_numbers = Linear(linear.weights[:, len(vocabulary) :], linear.offsets, linear.soft)

    @property
    def width(self) -> int:
        return 1 + self._of_numbers.width

    @property
    def answers(self) -> int:
        return self.linear.answers

    def score(self, matrix: Matrix) -> list[list[float]]:
        return [self.one(row[0], row[1:].astype(np.float64)) for row in matrix]

    def one(self, text: str, numbers: Floats) -> list[float]:
        """The answer to one text with its numbers."""
        weighed = self.weigh(text)
        if not weighed:
            return self._of_numbers.one(numbers)
        weights = np.array(list(weighed.values()))
        said = (self._of_terms[list(weighed)] * weights[:, None]).sum(axis=0)
        of_numbers = self._of_numbers
        return Linear(of_numbers.weights, of_numbers.offsets + said, of_numbers.soft).one(numbers)

    def weigh(self, text: str) -> dict[int, float]:
        """The weight of each known term in a text, by its place in the vocabulary."""
        counts = Counter(
            place for term in terms(text) if (place := self._places.get(term)) is not None
        )
        found = {place: (1 + log(n)) * self._rarities[place] for place, n in counts.items()}
        length = sqrt(sum(weight * weight for weight in found.values()))
        return {place: weight / length for place, weight in found.items()}

    def parts(self) -> dict[str, Any]:
        return {
            "vocabulary": self.vocabulary,
            "rarity": self.rarity,
            **self.linear.parts(),
        }
