"""Two models on the same rows, which neither learned from: who is right where. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from math import log
from statistics import fmean, pstdev, stdev
from typing import Literal

import msgspec

from ..contract.contract import Classes, Contract, Output
from ..models.model import Data
from .interval import Gains, Pairs

FORMAT = 2
_LEAST = 1e-15  # a probability of 0 would make the mean infinite


class Side(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One of the two models: ``name`` is a version or a file, ``artefact`` the SHA-256 of its file,
    ``snapshot`` what it was trained from (empty: what is bundled), ``holdout`` which share it left,
    ``labels_are`` whether it learned from right answers or from predicted ones.
    """

    name: str
    artefact: str
    recipe: str
    snapshot: str = ""
    holdout: float = 0.0
    labels_are: str = "given"


class Rows(msgspec.Struct, frozen=True, kw_only=True):
    """Which rows were used: ``held_out`` distinct ones, of a snapshot, ``share`` of all. ``copies``
    of them were not counted again, ``left_out`` may have been learned from by one of the two.
    """

    snapshot: str
    labels_are: str
    share: float
    held_out: int
    copies: int
    left_out: int


class Figures(msgspec.Struct, frozen=True, omit_defaults=True):
    """One model on one output: ``accuracy`` and ``log_loss`` (nats), or ``mean_absolute_error``."""

    accuracy: float | None = None
    log_loss: float | None = None
    mean_absolute_error: float | None = None


class LabelFigures(msgspec.Struct, frozen=True):
    """Of the rows that rightly have a label, how many each model labelled so."""

    label: str
    rows: int
    candidate: int
    production: int


class Result(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One output. ``pairs`` of labels or ``gains`` of numbers, whichever it has. ``agreement`` is
    the share of rows with the same label, or the mean distance between the two numbers.
    """

    output: str
    kind: Literal["classes", "quantity"]
    candidate: Figures
    production: Figures
    agreement: float
    pairs: Pairs | None = None
    gains: Gains | None = None
    labels: tuple[LabelFigures, ...] = ()


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """What ``model-worker evaluate`` writes."""

    evaluation: int
    model: str
    contract: str
    made_at: str
    code_version: str
    rows: Rows
    candidate: Side
    production: Side
    results: tuple[Result, ...]


class Said(msgspec.Struct, frozen=True):
    """What a model answered: for each output the predictions; ``certainties`` are the probabilities
    that it gave the right labels, None for a quantity.
    """

    predictions: tuple[Sequence[str] | Sequence[float], ...]
    certainties: tuple[Sequence[float] | None, ...]


def compared(contract: Contract, data: Data, candidate: Said, production: Said) -> list[Result]:
    """The results, one for each output; ``data`` has at least one row."""
    found = []
    for at, output in enumerate(contract.outputs):
        right = data.answers[at]
        if isinstance(output, Classes):
            found.append(_labels(output, list(map(str, right)), at, candidate, production))
        else:
            found.append(_numbers(output, list(map(float, right)), at, candidate, production))
    return found


def _labels(output: Classes, right: list[str], at: int, one: Said, other: Said) -> Result:
    said, known = one.predictions[at], other.predictions[at]
    triples = list(zip(right, said, known, strict=True))
    wins = [(a == truth, b == truth) for truth, a, b in triples]
    per_label = []
    for label in output.labels:
        of_it = [(a == truth, b == truth) for truth, a, b in triples if truth == label]
        sums = sum(a for a, _ in of_it), sum(b for _, b in of_it)
        per_label.append(LabelFigures(label, len(of_it), *sums))
    return Result(
        output=output.name,
        kind="classes",
        candidate=Figures(fmean(a for a, _ in wins), _log_loss(one.certainties[at])),
        production=Figures(fmean(b for _, b in wins), _log_loss(other.certainties[at])),
        agreement=fmean(a == b for _, a, b in triples),
        pairs=Pairs(
            len(wins), sum(a and not b for a, b in wins), sum(b and not a for a, b in wins)
        ),
        labels=tuple(per_label),
    )


def _numbers(output: Output, right: list[float], at: int, one: Said, other: Said) -> Result:
    said, known = map(float, one.predictions[at]), map(float, other.predictions[at])
    triples = list(zip(right, said, known, strict=True))
    gains = [abs(b - truth) - abs(a - truth) for truth, a, b in triples]
    spread = stdev(gains) if len(gains) > 1 else pstdev(gains)
    return Result(
        output=output.name,
        kind="quantity",
        candidate=Figures(mean_absolute_error=fmean(abs(a - truth) for truth, a, _ in triples)),
        production=Figures(mean_absolute_error=fmean(abs(b - truth) for truth, _, b in triples)),
        agreement=fmean(abs(a - b) for _, a, b in triples),
        gains=Gains(len(gains), fmean(gains), spread, max(abs(a - b) for _, a, b in triples)),
    )


def _log_loss(certainties: Sequence[float] | None) -> float | None:
    if certainties is None:
        return None
    return fmean(-log(min(max(one, _LEAST), 1.0)) for one in certainties)
