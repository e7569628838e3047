"""A model behind any contract before there is one: valid answers that mean nothing."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

from ..contract.contract import Classes, Contract, Output, Row
from .predictor import Answer


class DummyPredictor:
    """The same answer to the same row, on any machine; all labels come about equally often."""

    def __init__(self, contract: Contract) -> None:
        self.contract = contract

    def predict(self, rows: Sequence[Row]) -> Answer:
        """Labels by a digest of the row, each as probable as the others; numbers from 0 to 1."""
        digests = [int.from_bytes(sha256(repr(row).encode()).digest()[:8]) for row in rows]
        outputs = self.contract.outputs
        return Answer(
            tuple(_predictions(output, digests) for output in outputs),
            tuple(_probabilities(output, len(rows)) for output in outputs),
        )


def _predictions(output: Output, digests: list[int]) -> list[str] | list[float]:
    if isinstance(output, Classes):
        return [output.labels[digest % len(output.labels)] for digest in digests]
    return [digest / 2**64 for digest in digests]


def _probabilities(output: Output, rows: int) -> list[float] | None:
    return [1 / len(output.labels)] * rows if isinstance(output, Classes) else None
