"""Where a rollout stands: read from the file each time, so a restart needs no memory of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import inf

from gateway.model import FULL_WEIGHT, Rollout, Route, Step


class Phase(StrEnum):
    """The metric label ``phase``."""

    IDLE = "idle"
    RAMPING = "ramping"
    PAUSED = "paused"
    PROMOTED = "promoted"
    ROLLED_BACK = "rolled_back"


class Stand(StrEnum):
    """What a rollout waits for. The words are those of the README's table."""

    WATCHING = "watching"  # the step's pause is not over
    READY = "ready"  # it is over, and another step follows
    READY_TO_PROMOTE = "ready to promote"  # it is over, and was the last step
    WAITING = "waiting for a person"  # pause: forever
    PAUSED = "paused"
    FIXED = "without steps"  # judged at the weight that a person gave it


@dataclass(frozen=True, slots=True)
class Position:
    """``step`` counts from 1 and is 0 before the first; ``pause`` are the seconds to be watched
    here, infinite where a person decides; ``following`` is the next weight in basis points: the
    next step's, full weight for a promotion, None where there are no steps.
    """

    stand: Stand
    weight: int
    step: int = 0
    steps: int = 0
    pause: float = 0.0
    following: int | None = None

    @property
    def phase(self) -> Phase:
        """As the metrics name it."""
        waits = self.stand in (Stand.PAUSED, Stand.WAITING)
        return Phase.PAUSED if waits else Phase.RAMPING


def position_of(route: Route, candidate: str, watched: float) -> Position:
    """Of a candidate that has a weight and was watched for so many seconds at it.

    A person may have given it any weight: it stands at the last step that has no more.
    """
    weight = route.weight(candidate)
    rollout = route.rollout(candidate) or Rollout(candidate)
    steps = rollout.steps
    if not steps:
        stand = Stand.PAUSED if rollout.paused else Stand.FIXED
        return Position(stand, weight)
    number = sum(step.weight <= weight for step in steps)
    pause = _pause(steps[number - 1]) if number else 0.0
    following = steps[number].weight if number < len(steps) else FULL_WEIGHT
    stand = _stand(rollout.paused, pause, watched, last=number == len(steps))
    return Position(stand, weight, number, len(steps), pause, following)


def resting_phase(route: Route, version: str, last_action: str) -> Phase:
    """Of a version that is no candidate with a weight; ``last_action`` is the newest change of it
    that the history knows.
    """
    if version == route.stable:
        return Phase.PROMOTED if last_action == "promote" else Phase.IDLE
    return Phase.ROLLED_BACK if last_action == "rollback" else Phase.IDLE


def _pause(step: Step) -> float:
    return inf if step.pause is None else step.pause


def _stand(paused: bool, pause: float, watched: float, *, last: bool) -> Stand:
    if paused:
        return Stand.PAUSED
    if pause == inf:
        return Stand.WAITING
    if watched < pause:
        return Stand.WATCHING
    return Stand.READY_TO_PROMOTE if last else Stand.READY
