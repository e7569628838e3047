"""Whether a candidate may be registered: good enough, and proven to be better by enough. Pure."""

from __future__ import annotations

from math import isfinite

import msgspec

from .evaluation import Evaluation, Result
from .interval import enough, interval, proves

FORMAT = 1


class Thresholds(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """``min_quality`` is the least accuracy, ``max_error`` the largest mean absolute error;
    ``min_improvement`` what the difference must be proven to exceed, in points of accuracy as a
    share or in the unit of the quantity (below 0: how much worse is tolerated). ``false_pass`` is
    the largest chance that a candidate passes whose true difference does not. ``outputs``: only
    these.
    """

    min_quality: float = 0.0
    max_error: float | None = None
    min_improvement: float = 0.0
    false_pass: float = 0.025
    outputs: tuple[str, ...] = ()
    predicted_labels: bool = False


class Judgement(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One output: ``quality`` is the candidate's accuracy or mean absolute error, ``low`` and
    ``high`` the interval of the difference (None: it has no end), ``needed`` about how many rows
    would prove it.
    """

    output: str
    quality: float
    production_quality: float
    difference: float
    low: float | None
    high: float | None
    rows: int
    passed: bool
    sentence: str
    needed: int | None = None


class Gate(msgspec.Struct, frozen=True, kw_only=True):
    """The record. ``evaluation`` is the SHA-256 of the evaluation's file; ``candidate`` and
    ``production`` are those of the artefacts.
    """

    gate: int
    model: str
    passed: bool
    sentence: str
    made_at: str
    evaluation: str
    candidate: str
    production: str
    production_name: str
    thresholds: Thresholds
    outputs: tuple[Judgement, ...]


Passed = tuple[bool, str, tuple[Judgement, ...]]


def misfit(found: Evaluation, asked: Thresholds) -> str:
    """What was asked that these outputs do not have; nothing if all fits."""
    if unknown := set(asked.outputs) - {one.output for one in found.results}:
        known = ", ".join(one.output for one in found.results)
        return f"no output {min(unknown)!r}; it has {known}"
    kinds = {one.kind for one in _wanted(found, asked)}
    if asked.min_quality and "classes" not in kinds:
        return "no accuracy that --min-quality could be held against; say --max-error"
    if asked.max_error is not None and "quantity" not in kinds:
        return "no mean absolute error that --max-error could be held against; say --min-quality"
    if "classes" in kinds and abs(asked.min_improvement) >= 1:
        return (
            f"accuracies, which cannot differ by {asked.min_improvement:g}: --min-improvement is a "
            "share of the rows, 0.01 is one point"
        )
    return ""


def decide(found: Evaluation, asked: Thresholds) -> Passed:
    """Whether it passes, one sentence with the numbers, and the judgement of each output."""
    whose = {
        "held-out rows": found.rows.labels_are,
        f"candidate {found.candidate.name}": found.candidate.labels_are,
    }
    for name, labels_are in whose.items():
        if labels_are == "predicted" and not asked.predicted_labels:
            said = (
                f"the labels of the {name} are what a model answered, so they prove nothing; "
                "bring right ones, or say --allow-predicted-labels"
            )
            return False, f"refused: {said}", ()
    judged = tuple(_judged(one, found.production.name, asked) for one in _wanted(found, asked))
    passed = bool(judged) and all(one.passed for one in judged)
    several = len(judged) > 1
    told = "; ".join(
        f"{one.output}: {one.sentence}" if several else one.sentence
        for one in judged
        if one.passed == passed
    )
    return passed, f"{'passed' if passed else 'refused'}: {told}", judged


def _wanted(found: Evaluation, asked: Thresholds) -> list[Result]:
    return [one for one in found.results if not asked.outputs or one.output in asked.outputs]


def _judged(result: Result, production: str, asked: Thresholds) -> Judgement:
    data = result.pairs if result.pairs is not None else result.gains
    assert data is not None, "an evaluation has pairs or gains"
    classes = result.kind == "classes"
    quality = result.candidate.accuracy if classes else result.candidate.mean_absolute_error
    other = result.production.accuracy if classes else result.production.mean_absolute_error
    assert quality is not None
    assert other is not None
    difference = result.pairs.difference if result.pairs is not None else other - quality
    proven = proves(data, asked.min_improvement, asked.false_pass)
    low, high = interval(data, asked.min_improvement, asked.false_pass)
    needed = None if proven else enough(data, asked.min_improvement, asked.false_pass)
    most = quality if asked.max_error is None else asked.max_error
    good = quality >= asked.min_quality if classes else quality <= most
    limit = f"below {asked.min_quality:g}" if classes else f"above {most:g}"
    name = "accuracy" if classes else "mean absolute error"
    what = f"{name} {_figure(quality, classes)} of {data.rows} held-out rows"
    if not good:
        what += f" is {limit}, the {'least' if classes else 'most'} that is asked for"
    percent = 100 * (1 - 2 * asked.false_pass)
    bounded = isfinite(low)
    ends = f"{percent:g} % interval {_signed(low, classes)} to {_signed(high, classes)}"
    what += (
        f"; {'difference to' if classes else 'smaller than'} production {production} "
        f"{'' if classes else 'by '}{_signed(difference, classes)} "
        f"({ends if bounded else 'too few rows for an interval'})"
    )
    least = f"{asked.min_improvement:+g}" if asked.min_improvement else "0"
    what += f" is {'' if proven else 'not '}proven above {least}"
    if result.pairs is not None:
        what += f": {result.pairs.better} rows better, {result.pairs.worse} worse"
    if not proven:
        what += _remedy(needed)
    return Judgement(
        output=result.output,
        quality=quality,
        production_quality=other,
        difference=difference,
        low=low if bounded else None,
        high=high if bounded else None,
        rows=data.rows,
        passed=proven and good,
        sentence=what,
        needed=needed,
    )


def _remedy(needed: int | None) -> str:
    if needed is None:
        return "; more rows like these would not prove it"
    return f"; about {needed:,} rows would be needed"


def _figure(value: float, classes: bool) -> str:
    return f"{value:.3f}" if classes else f"{value:.4g}"


def _signed(value: float, classes: bool) -> str:
    return f"{value:+.3f}" if classes else f"{value:+.4g}"
