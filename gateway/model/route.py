"""One endpoint's rules, and the whole file."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256

from gateway.model.outlet import PredictionLog, Webhook
from gateway.model.rollout import Analysis, Rollout
from gateway.model.version import FULL_WEIGHT, Version
from gateway.protocols import Protocol


@dataclass(frozen=True, slots=True)
class Match:
    """Which requests a route takes; all given parts must agree.

    ``path`` is a prefix that ends at a segment border (``/predict`` takes ``/predict/x``, not
    ``/predictor``); ``headers`` are (lower-case name, exact value) pairs; ``host`` is compared
    lower-case without the port.
    """

    path: str = "/"
    host: str | None = None
    headers: tuple[tuple[str, str], ...] = ()


class StickyKind(StrEnum):
    """Where the sticky key is read from."""

    HEADER = "header"
    COOKIE = "cookie"


@dataclass(frozen=True, slots=True)
class Sticky:
    """The key that keeps a client on its version, and the salt that shuffles all keys anew."""

    kind: StickyKind
    name: str
    salt: str


@dataclass(frozen=True, slots=True)
class Limits:
    """``body`` in bytes of a request; ``in_flight`` requests at once per version."""

    body: int = 1024 * 1024
    in_flight: int = 256


@dataclass(frozen=True, slots=True)
class Prediction:
    """Where the prediction stands in an answer: JSON Pointers (RFC 6901), and the labels that are
    known. ``value`` is a number that is no class; such are counted between ``bounds``, ascending.
    """

    label: str | None
    score: str | None
    labels: tuple[str, ...] = ()
    value: str | None = None
    bounds: tuple[float, ...] = ()
    protocol: Protocol | None = None


@dataclass(frozen=True, slots=True)
class Mirror:
    """A copied share of the requests; parsed, not acted on yet."""

    to: str
    percent: int  # basis points
    compare: str | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """One endpoint's rules. ``versions`` contains ``stable``; candidates are the others, in the
    order of the file.
    """

    name: str
    stable: str
    versions: tuple[Version, ...]
    match: Match = Match()
    sticky: Sticky | None = None
    override: str | None = None  # header name, lower-case
    timeout: float = 3.0
    idempotent: bool = True
    fallback: bool = True
    limits: Limits = Limits()
    prediction: Prediction | None = None
    mirror: Mirror | None = None
    rollouts: tuple[Rollout, ...] = ()  # at most one of a candidate
    analysis: Analysis | None = None
    log: PredictionLog | None = None

    @property
    def protocol(self) -> Protocol | None:
        """What its clients and models speak; None if the file does not say."""
        return self.prediction.protocol if self.prediction else None

    @property
    def candidates(self) -> tuple[Version, ...]:
        """Every version but stable, in the order of the file."""
        return tuple(version for version in self.versions if version.name != self.stable)

    def version(self, name: str) -> Version:
        """The version of that name; KeyError if the route has none."""
        for version in self.versions:
            if version.name == name:
                return version
        raise KeyError(name)

    def rollout(self, candidate: str) -> Rollout | None:
        """What the file wants done with a candidate; None if it says nothing of it."""
        return next((one for one in self.rollouts if one.candidate == candidate), None)

    def weight(self, name: str) -> int:
        """The share of the version in basis points; for stable, what the candidates leave."""
        if name == self.stable:
            return FULL_WEIGHT - sum(version.weight for version in self.candidates)
        return self.version(name).weight


@dataclass(frozen=True, slots=True)
class RoutingConfig:
    """A whole valid file. ``generation`` names its exact text."""

    routes: tuple[Route, ...]
    notify: tuple[Webhook, ...] = ()
    generation: str = ""

    def route(self, name: str) -> Route:
        """The route of that name; KeyError if there is none."""
        for route in self.routes:
            if route.name == name:
                return route
        raise KeyError(name)


def generation_of(content: bytes) -> str:
    """The name of a file's exact content: the first 12 hex digits of its SHA-256."""
    return sha256(content).hexdigest()[:12]
