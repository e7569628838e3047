"""What is asked of a candidate: the file's ``analysis`` as the signals that answer it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, Final

from gateway.counting.grid import LATENCY_BOUNDS
from gateway.model import FULL_WEIGHT, Analysis, Prediction, Route, ShiftAction
from monitoring.analysis.lenience import Lenient, lenient
from monitoring.analysis.signals import (
    Errors,
    Labels,
    Latency,
    Limit,
    Scores,
    Signal,
    Split,
    Values,
)
from monitoring.readings import dumped

_LEAST_ALPHA: Final = 1e-6
_SPLIT: Final = Split()
_SIGNALS: Final[dict[str, Any]] = {
    one.__name__: one for one in (Errors, Labels, Latency, Lenient, Limit, Scores, Values)
}


@dataclass(frozen=True, slots=True)
class Question:
    """``alpha`` is the chance that a healthy candidate is ever failed, in (0, 1). ``signals`` lead
    to a failure; ``alerts`` are watched and told of, each with the same chance of a false alarm;
    ``steps`` are the proofs that a candidate needs before it gets the weights of its rollout.
    ``saved``: what stable answers in its place speaks against it, too.
    """

    alpha: float
    min_bad: int
    declared: bool
    signals: tuple[Signal, ...]
    alerts: tuple[Signal, ...] = ()
    split: Signal = _SPLIT
    steps: tuple[Lenient, ...] = ()
    saved: bool = False

    @property
    def every(self) -> tuple[Signal, ...]:
        return (*self.signals, *self.alerts, self.split, *self.steps)

    @property
    def rails(self) -> tuple[Signal, ...]:
        """What has to be proven good."""
        return tuple(signal for signal in self.signals if signal.rail)

    def proofs(self, up_to: int) -> tuple[Signal, ...]:
        """What has to be proven before the candidate gets ``up_to`` basis points."""
        found = tuple(each for each in self.steps if each.up_to == up_to)
        return found or self.rails

    def asks_as(self, other: Question) -> bool:
        """Whether the evidence for the one is evidence for the other. Steps only add proofs."""
        return replace(self, steps=()) == replace(other, steps=())

    def dumped(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "alpha": self.alpha,
            "min_bad": self.min_bad,
            "declared": self.declared,
            "signals": [_dumped(one) for one in self.signals],
            "alerts": [_dumped(one) for one in self.alerts],
            "steps": [_dumped(one) for one in self.steps],
            "saved": self.saved,
        }

    @classmethod
    def loaded(cls, document: Mapping[str, Any]) -> Question:
        """The opposite of :meth:`dumped`. Raises KeyError for a signal nobody knows, ValueError
        for a value that none can have.
        """
        if not document["signals"]:
            raise ValueError("there is no question without signals")
        return cls(
            dumped.number(document["alpha"], _LEAST_ALPHA, 1.0),
            dumped.whole(document["min_bad"]),
            dumped.flag(document["declared"]),
            tuple(_loaded(one) for one in document["signals"]),
            tuple(_loaded(one) for one in document["alerts"]),
            steps=tuple(_step_of(one) for one in document["steps"]),
            saved=dumped.flag(document["saved"]),
        )


def question_of(route: Route, analysis: Analysis, candidate: str = "") -> Question:
    """Errors are always compared; latency and predictions where a tolerance is given."""
    question = _question(route, analysis)
    rollout = route.rollout(candidate)
    weights = {step.weight for step in rollout.steps} - {FULL_WEIGHT} if rollout else set()
    steps = (lenient(rail, weight) for weight in sorted(weights) for rail in question.rails)
    return replace(question, steps=tuple(steps))


def _question(route: Route, analysis: Analysis) -> Question:
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
    if prediction.value is not None:
        found.append(Values(shift, "values"))
    return found


def _dumped(signal: Any) -> dict[str, Any]:
    """A signal as JSON, under the name of its class."""
    values = {field.name: getattr(signal, field.name) for field in fields(signal)}
    return {"is": type(signal).__name__} | {
        name: _dumped(value) if is_dataclass(value) else value for name, value in values.items()
    }


def _loaded(document: Mapping[str, Any]) -> Any:
    kind = _SIGNALS[document["is"]]
    types = {one.name: str(one.type) for one in fields(kind)}
    values: dict[str, Any] = {
        name: _READ[types[name]](one) for name, one in document.items() if name != "is"
    }
    if values.get("floor", 0) > len(LATENCY_BOUNDS):
        raise ValueError(f"there is no bucket {values['floor']} of latency")
    return kind(**values)


def _step_of(document: Mapping[str, Any]) -> Lenient:
    step = _loaded(document)
    if not isinstance(step, Lenient):
        raise ValueError(f"{document['is']} is no proof for a step")
    return step


def _rail_of(document: Mapping[str, Any]) -> Any:
    signal = _loaded(document)
    if isinstance(signal, Lenient | Limit):
        raise ValueError(f"{document['is']} is no rail")
    return signal


# How a value of a signal is read back, by how it is declared there.
_READ: Final[dict[str, Callable[[Any], object]]] = {
    "str": dumped.text,
    "bool": dumped.flag,
    "float": lambda found: dumped.number(found, most=1.0),  # all of them are shares
    "int": lambda found: dumped.whole(found, most=FULL_WEIGHT),
    "int | None": lambda found: None if found is None else dumped.whole(found, len(LATENCY_BOUNDS)),
    "tuple[str, ...]": lambda found: tuple(map(dumped.text, found)),
    "_Rail": _rail_of,
}


def _share(basis_points: int | None) -> float:
    return (basis_points or 0) / FULL_WEIGHT
