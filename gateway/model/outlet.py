"""Where the gateway writes what was predicted, and whom the controller tells."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gateway.model.version import FULL_WEIGHT


@dataclass(frozen=True, slots=True)
class Rotation:
    """A file of lines gives way to a new one before it is over ``size`` bytes, or when it is
    ``age`` seconds old; ``keep`` old ones stay.
    """

    size: int = 64 * 1024 * 1024
    age: float = 86_400.0
    keep: int = 8


@dataclass(frozen=True, slots=True)
class PredictionLog:
    """Where ``sample`` (basis points) of a route's requests are written, bodies if ``features``."""

    path: str
    sample: int = FULL_WEIGHT
    features: bool = False
    rotation: Rotation = Rotation()


class Event(StrEnum):
    ROLLBACK = "rollback"
    PROMOTE = "promote"
    PAUSE = "pause"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where to tell people, and of what."""

    url: str
    events: tuple[Event, ...]
