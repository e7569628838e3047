"""What a model answers, held against its contract before anybody sees it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from ..contract.contract import Classes, Contract, Output
from ..predictors.predictor import Answer


class BrokenContract(Exception):
    """The model answered what its contract excludes; the message says what."""


def check(contract: Contract, answer: Answer, rows: int) -> None:
    """Raises :class:`BrokenContract` unless each output has a known label or a finite number for
    each row, and probabilities from 0 to 1 where it has classes.
    """
    outputs, found = contract.outputs, (len(answer.predictions), len(answer.probabilities))
    if found != (len(outputs), len(outputs)):
        raise BrokenContract(f"{min(found)} outputs and not {len(outputs)}")
    for output, predictions, probabilities in zip(outputs, *answer, strict=True):
        _count(output, "predictions", predictions, rows)
        if isinstance(output, Classes):
            strange = [label for label in predictions if label not in output.labels]
            if strange:
                raise BrokenContract(f"{output.name} is {strange[0]!r}, a label nobody knows")
            if probabilities is None:
                raise BrokenContract(f"{output.name} has no probabilities")
            _count(output, "probabilities", probabilities, rows)
            _within(output, probabilities, 0.0, 1.0)
        else:
            _within(output, predictions, float("-inf"), float("inf"))


def _count(output: Output, what: str, values: Sequence[object], rows: int) -> None:
    if len(values) != rows:
        raise BrokenContract(f"{output.name} has {len(values)} {what} for {rows} instances")


def _within(output: Output, values: Sequence[object], low: float, high: float) -> None:
    for value in values:
        if not isinstance(value, float | int) or not isfinite(value) or not low <= value <= high:
            raise BrokenContract(f"{output.name} has {value!r} where a number belongs")
