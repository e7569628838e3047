"""Traffic as it might be: who is drawn, what comes of it, and what happens to everybody at once.

Arrays of requests have the shape ``(T, R)``: moments, then runs that are simulated side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Flags = NDArray[np.bool_]
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Rate = Callable[[Ints], Floats]  # by moment

Parts = tuple[tuple[float, float, float], ...]
USUAL_PARTS: Parts = ((1.0, 0.08, 0.5),)

_WINDOW = 1000  # requests of an outage
_OUTAGES = 0.02  # of the windows
_REGIME = 10_000  # requests until the next regime


class Moments(NamedTuple):
    """Some requests of each run."""

    times: Ints  # (T,)
    arm: Flags  # candidate?
    outage: Flags | None
    regime: Ints | None  # 0 or 1


class Block(NamedTuple):
    """What is seen of them. ``share`` is the configured one; ``counted`` tells who is evidence."""

    start: int
    share: float
    arm: Flags
    outcomes: Mapping[str, Ints]
    counted: Flags | None = None


class Source(Protocol):
    """Where outcomes of one signal come from; ``bad`` are the errors of the same requests."""

    def draw(self, rng: np.random.Generator, moments: Moments, bad: Ints | None) -> Ints: ...


@dataclass(frozen=True)
class Failures:
    """Error rates by moment; both arms fail alike in an outage."""

    stable: Rate
    candidate: Rate

    def draw(self, rng: np.random.Generator, moments: Moments, bad: Ints | None) -> Ints:
        stable = self.stable(moments.times)[:, None]
        rate = np.where(moments.arm, self.candidate(moments.times)[:, None], stable)
        if moments.regime is not None:
            rate = np.minimum(rate * np.where(moments.regime, 4.0, 1.0), 1.0)
        if moments.outage is not None:
            rate = np.where(moments.outage, np.maximum(rate, 0.3), rate)
        return (rng.random(moments.arm.shape) < rate).astype(np.int64)


@dataclass(frozen=True)
class Durations:
    """Lognormal; ``slowed`` is what the candidate makes of seconds, and ``failed`` how many times
    as long a failed request takes. ``parts`` are (share, median in seconds, sigma).
    """

    slowed: Callable[[Floats, np.random.Generator], Floats]
    buckets: Callable[[Floats], Ints]
    failed: float = 1.0
    parts: Parts = USUAL_PARTS

    def draw(self, rng: np.random.Generator, moments: Moments, bad: Ints | None) -> Ints:
        shares, medians, sigmas = np.array(self.parts).T
        part: Ints = np.zeros(moments.arm.shape, np.int64)
        if len(shares) > 1:
            part = np.searchsorted(np.cumsum(shares)[:-1], rng.random(part.shape))
        seconds: Floats = medians[part] * np.exp(sigmas[part] * rng.standard_normal(part.shape))
        if moments.regime is not None:
            seconds *= np.where(moments.regime, 1.6, 1.0)
        if bad is not None and self.failed != 1.0:
            seconds *= np.where(bad == 1, self.failed, 1.0)
        return self.buckets(np.where(moments.arm, self.slowed(seconds, rng), seconds))


@dataclass(frozen=True)
class Labels:
    """Classes; the second regime reverses the order of their frequencies for both arms."""

    stable: Floats
    candidate: Floats

    def draw(self, rng: np.random.Generator, moments: Moments, bad: Ints | None) -> Ints:
        u = rng.random(moments.arm.shape)
        bounds = (np.cumsum(q)[:-1] for q in (self.candidate, self.stable))
        label = np.where(moments.arm, *(np.searchsorted(one, u) for one in bounds))
        if moments.regime is not None:
            label = np.where(moments.regime, len(self.stable) - 1 - label, label)
        return label


@dataclass(frozen=True)
class Requests:
    """The split's only outcome."""

    def draw(self, rng: np.random.Generator, moments: Moments, bad: Ints | None) -> Ints:
        return np.zeros(moments.arm.shape, np.int64)


@dataclass(frozen=True)
class Users:
    """Each keeps an arm; a few fail often, so requests of one user resemble each other."""

    count: int = 3000
    failing: float = 0.02
    rate: float = 0.20
    once: bool = True  # only a user's first request is counted


@dataclass(frozen=True)
class Traffic:
    """``steps`` are (from request, configured share); ``drawn`` is the true share if it differs."""

    sources: Mapping[str, Source]
    steps: tuple[tuple[int, float], ...]
    drawn: float | None = None
    outages: bool = False
    regimes: bool = False
    users: Users | None = None

    def share(self, time: int) -> float:
        """The configured one."""
        return next(w for start, w in reversed(self.steps) if start <= time)

    def edges(self) -> set[int]:
        """Where an epoch ends: no block may reach across."""
        return {start for start, _ in self.steps}


@dataclass
class Scene:
    """The traffic of some runs, with all that a run draws once. Rows of ``runs`` may be dropped."""

    traffic: Traffic
    rng: np.random.Generator
    runs: int
    requests: int
    _outages: Flags = field(init=False)
    _regimes: Ints = field(init=False)

    def __post_init__(self) -> None:
        rng, users = self.rng, self.traffic.users
        self._outages = rng.random((self.requests // _WINDOW + 1, self.runs)) < _OUTAGES
        self._regimes = rng.integers(0, 2, (self.requests // _REGIME + 1, self.runs))
        if users:
            self._arms = rng.random((self.runs, users.count)) < self.traffic.share(0)
            self._rates = (rng.random((self.runs, users.count)) < users.failing) * users.rate
            self._seen = np.zeros((self.runs, users.count), bool)

    def block(self, start: int, stop: int, alive: Ints) -> Block:
        """The requests ``start .. stop - 1`` of the runs with these numbers."""
        if self.traffic.users:
            return self._of_users(start, stop, alive, self.traffic.users)
        share = self.traffic.share(start)
        times = np.arange(start, stop)
        true = share if self.traffic.drawn is None else self.traffic.drawn
        moments = Moments(
            times,
            self.rng.random((stop - start, len(alive))) < true,
            self._outages[times // _WINDOW][:, alive] if self.traffic.outages else None,
            self._regimes[times // _REGIME][:, alive] if self.traffic.regimes else None,
        )
        outcomes: dict[str, Ints] = {}
        for name, source in self.traffic.sources.items():
            outcomes[name] = source.draw(self.rng, moments, outcomes.get("errors"))
        return Block(start, share, moments.arm, outcomes)

    def _of_users(self, start: int, stop: int, alive: Ints, users: Users) -> Block:
        who = self.rng.integers(0, users.count, (stop - start, len(alive)))
        bad = self.rng.random(who.shape) < self._rates[alive, who]
        first = np.empty(who.shape, bool)
        for row, user in zip(first, who, strict=True):
            row[:] = ~self._seen[alive, user]
            self._seen[alive, user] = True
        outcomes = {"errors": bad.astype(np.int64)}
        share = self.traffic.share(start)
        return Block(start, share, self._arms[alive, who], outcomes, first if users.once else None)


def steady(rate: float) -> Rate:
    """The same rate at all times."""
    return lambda times: np.full(len(times), rate)


def diurnal(rate: float, plus: float = 0.0) -> Rate:
    """Swings 4.5 times up and down over 50,000 requests."""
    return lambda times: rate * np.exp(np.log(4.5) * np.sin(2 * np.pi * times / 50_000)) + plus


def drifting(start: float, end: float, requests: int) -> Rate:
    """Grows from one rate to another."""
    return lambda times: start * (end / start) ** (times / requests)


def changing(before: float, after: float, when: int) -> Rate:
    """Turns bad late."""
    return lambda times: np.where(times < when, before, after)


def ramp(requests: int) -> tuple[tuple[int, float], ...]:
    """1-5-10-25-50 %, each for a fifth of the time."""
    shares = (0.01, 0.05, 0.10, 0.25, 0.50)
    return tuple((step * requests // 5, w) for step, w in enumerate(shares))


def blocks(requests: int, refresh: int, edges: set[int]) -> list[tuple[int, int]]:
    """Cuts time where bets are renewed: every ``refresh`` requests, later on every twentieth of
    the time passed, at every whole thousand, where minutes end and restarts open, and at edges.
    """
    cuts = [0]
    while cuts[-1] < requests:
        now = cuts[-1]
        step = min(max(refresh, now // 20), 1000)
        until = min([requests, (now // 1000 + 1) * 1000, *(edge for edge in edges if edge > now)])
        cuts.append(min(now + step, until))
    return list(pairwise(cuts))
