"""What is to be done with a candidate, and by what it is judged."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class OnFailure(StrEnum):
    ROLLBACK = "rollback"
    PAUSE = "pause"
    ALERT = "alert"


class OnSuccess(StrEnum):
    PROMOTE = "promote"
    HOLD = "hold"


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a rollout: the weight in basis points, then a pause in seconds (None: forever)."""

    weight: int
    pause: float | None


@dataclass(frozen=True, slots=True)
class Rollout:
    """The steps a controller takes a candidate through, their weights growing. Without steps it is
    judged at the weight a person gave it. ``paused``: it stays where it is.
    """

    candidate: str
    steps: tuple[Step, ...] = ()
    on_failure: OnFailure = OnFailure.ROLLBACK
    on_success: OnSuccess = OnSuccess.PROMOTE
    paused: bool = False


class ShiftAction(StrEnum):
    ALERT = "alert"
    ROLLBACK = "rollback"


@dataclass(frozen=True, slots=True)
class Analysis:
    """How a candidate is judged. Shares are basis points; None means that signal is not compared,
    except for errors, which always are.

    ``max_false_rollback`` is the chance that a healthy candidate is ever rolled back, however
    often one looks.
    """

    max_false_rollback: int = 100
    errors_max_increase: int | None = None
    errors_limit: int | None = None
    latency_max_increase: int | None = None
    latency_above: float = 0.005  # seconds; what is faster is fast enough
    latency_limit: float | None = None  # seconds
    predictions_max_shift: int | None = None
    predictions_action: ShiftAction = ShiftAction.ALERT
    min_bad: int = 2
