"""What is asked of a candidate: the file's ``analysis`` as the signals that answer it."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import Final

from gateway.grid import LATENCY_BOUNDS
from gateway.model import FULL_WEIGHT, Analysis, Prediction, Route, ShiftAction
from monitoring.analysis.signals import Errors, Labels, Latency, Limit, Scores, Signal, Split

_SPLIT: Final = Split()


@dataclass(frozen=True, slots=True)
class Question:
    """``alpha`` is the chance that a healthy candidate is ever failed, in (0, 1). ``signals`` lead
    to a failure; ``alerts`` are watched and told of, each with the same chance of a false alarm.
    ``saved``: what stable answers in its place speaks against it, too.
    """

    alpha: float
    min_bad: int
    declared: bool
    signals: tuple[Signal, ...]
    alerts: tuple[Signal, ...] = ()
    split: Signal = _SPLIT
    saved: bool = False

    @property
    def every(self) -> tuple[Signal, ...]:
        return (*self.signals, *self.alerts, self.split)


def question_of(route: Route, analysis: Analysis) -> Question:
    """Errors are always compared; latency and predictions where a tolerance is given."""
    declared = bool(route.prediction and route.prediction.labels)
    signals: list[Signal] = [Errors(_share(analysis.errors_max_increase), declared)]
    if analysis.latency_max_increase is not None:
        floor = bisect_left(LATENCY_BOUNDS, analysis.latency_above)
        signals.append(Latency(_share(analysis.latency_max_increase), floor))
    if analysis.errors_limit is not None:
        signals.append(Limit(_share(analysis.errors_limit), declared))
    if analysis.latency_limit is not None:
        bound = bisect_left(LATENCY_BOUNDS, analysis.latency_limit)
        signals.append(Limit(0.01, declared, bound))
    predictions: list[Signal] = []
    if route.prediction and analysis.predictions_max_shift is not None:
        shift = _share(analysis.predictions_max_shift)
        predictions = _of_predictions(route.prediction, shift)
    acts = analysis.predictions_action is ShiftAction.ROLLBACK
    return Question(
        alpha=_share(analysis.max_false_rollback),
        min_bad=analysis.min_bad,
        declared=declared,
        signals=(*signals, *predictions) if acts else tuple(signals),
        alerts=() if acts else tuple(predictions),
        # Where nobody sticks each request is a draw, and draws see as much sooner.
        saved=route.fallback and route.sticky is not None,
    )


def _of_predictions(prediction: Prediction, shift: float) -> list[Signal]:
    found: list[Signal] = []
    if prediction.label is not None:
        found.append(Labels(shift, "labels", declared=prediction.labels))
    if prediction.score is not None:
        found.append(Scores(shift, "scores"))
    return found


def _share(basis_points: int | None) -> float:
    return (basis_points or 0) / FULL_WEIGHT
