"""The nouns of ``routing.yaml`` as frozen values. Whoever holds one need not check it: ``config``
did.

Units: weights are basis points (int, 0 to 10,000, one is 0.01 %), durations are seconds (float),
sizes are bytes (int), shares named ``*_points`` are basis points too. Mappings are tuples in the
order of the file, so every value is hashable and comparable by content.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256

from gateway.protocols import Protocol

FULL_WEIGHT = 10_000  # basis points: 100 %


class Role(StrEnum):
    """What a version is in its route; the metric label ``role``."""

    STABLE = "stable"
    CANDIDATE = "candidate"
    SHADOW = "shadow"


class Assignment(StrEnum):
    """How a request came to its version; the metric label and the header ``X-Assignment``."""

    WEIGHTED = "weighted"
    STICKY = "sticky"
    FORCED = "forced"
    FALLBACK = "fallback"


def in_place_of(version: str) -> str:
    """The way of an answer given in place of this version's; of all others it is the assignment."""
    return f"{Assignment.FALLBACK}/{version}"


@dataclass(frozen=True, slots=True)
class Tls:
    """Whom a worker must prove to be: ``ca`` is the file of who may vouch for it (empty: whom the
    system trusts), ``server_name`` the name in its certificate (empty: the host of its URL).
    """

    ca: str = ""
    server_name: str = ""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address of a version: ``http://host:port``, ``https://host:port`` (then with ``tls``) or
    ``unix:/path`` (then ``host`` is empty and ``port`` 0).
    """

    url: str
    host: str = ""
    port: int = 0
    socket: str = ""
    tls: Tls | None = None


@dataclass(frozen=True, slots=True)
class Version:
    """One model version. ``weight`` is 0 for stable, whose share is whatever the candidates
    leave; ``readiness`` is the path at which an endpoint says that it is ready (empty: nobody
    asks).
    """

    name: str
    endpoints: tuple[Endpoint, ...]
    weight: int = 0
    readiness: str = ""


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
