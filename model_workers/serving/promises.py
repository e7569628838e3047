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
    each row, and probabilities from 0 to 1 where it has classes; all of Python's own types, since
    a library's scalars, though they look alike, are not what JSON is written from.
    """
    outputs, found = contract.outputs, (len(answer.predictions), len(answer.probabilities))
    if found != (len(outputs), len(outputs)):
        raise BrokenContract(f"{min(found)} outputs and not {len(outputs)}")
    for output, predictions, probabilities in zip(outputs, *answer, strict=True):
        _count(output, "predictions", predictions, rows)
        if isinstance(output, Classes):
            for label in predictions:
                if type(label) is not str or label not in output.labels:
                    raise _strange(f"{output.name} is", label, ", a label nobody knows")
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
        alike = isinstance(value, float | int) and low <= value <= high and isfinite(value)
        if not alike or type(value) not in (float, int):
            raise _strange(f"{output.name} has", value, " where a number belongs")


def _strange(found: str, value: object, wrong: str) -> BrokenContract:
    kind = type(value)
    if kind.__module__ != "builtins":
        name = f"{kind.__module__}.{kind.__name__}"
        return BrokenContract(f"{found} a {name}; answer Python's own types, as .tolist() gives")
    return BrokenContract(f"{found} {value!r}{wrong}")
