"""Gateways without sockets and a day without waiting: what they would serve at /api/evidence.

Draws are fair and seeded, counts are whole numbers, the file is read as a gateway reads it: at once
when it changes, refused whole if it is broken. Time is what the test says it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.config import parse
from gateway.counting.archive import KEPT_GENERATIONS
from gateway.counting.grid import LATENCY_BOUNDS
from gateway.errors import ConfigError
from gateway.model import FULL_WEIGHT, Route, RoutingConfig, generation_of
from monitoring.readings.sources import SourceError


@dataclass
class Clock:
    """Both clocks of a controller, moved by the test."""

    now: float = 1_000_000.0
    awake: float = 50.0

    def time(self) -> float:
        """Of the day; it may jump."""
        return self.now

    def monotonic(self) -> float:
        return self.awake

    def pass_(self, seconds: float) -> None:
        self.now += seconds
        self.awake += seconds


@dataclass(frozen=True)
class Behaviour:
    """Of one version: what share of its answers is bad, and how long the median takes."""

    bad: float = 0.005
    median: float = 0.08  # seconds
    label: Mapping[str, float] = field(default_factory=dict)

    def counts(self, draw: np.random.Generator, requests: int) -> dict[str, Any]:
        """What so many requests add."""
        bad = int(draw.binomial(requests, self.bad))
        latency = self.latency(draw, requests - bad)
        found: dict[str, Any] = {"assigned": requests, "bad": bad, "latency": latency}
        if self.label:
            shares = np.array(list(self.label.values()))
            numbers = draw.multinomial(requests - bad, shares / shares.sum())
            found["labels"] = dict(zip(self.label, numbers, strict=True))
        return found

    def latency(self, draw: np.random.Generator, answers: int) -> NDArray[np.int64]:
        """How many answers fall into each bucket."""
        seconds = self.median * np.exp(0.5 * draw.standard_normal(answers))
        return np.bincount(np.searchsorted(LATENCY_BOUNDS, seconds), minlength=74)


Behaviours = Callable[[str, float], Behaviour]
"""How a version behaves at a time of the day."""


class SimulatedGateway:
    """Serves one file. ``per_second`` requests come to each route; the test may change it."""

    def __init__(
        self, path: Path, clock: Clock, behaves: Behaviours, *, per_second: float, seed: int = 0
    ) -> None:
        self._path = path
        self._clock = clock
        self._behaves = behaves
        self.per_second = per_second
        self._draw = np.random.default_rng(seed)
        self._served: RoutingConfig | None = None
        self._generations: list[dict[str, Any]] = []
        self._until = clock.now
        self.reachable = True
        self.asked: dict[tuple[str, str], int] = {}

    def restart(self) -> None:
        """Everything counted so far is gone."""
        self._served, self._generations = None, []

    def evidence(self) -> Mapping[str, Any]:
        """What has come since the last look was served under the file as it was then."""
        self._serve()
        self._reload()
        if not self.reachable:
            raise SourceError("nobody answers")
        assert self._served is not None
        return {
            "generation": self._served.generation,
            "generations": [_plain(one) for one in self._generations],
        }

    def _serve(self) -> None:
        elapsed, self._until = self._clock.now - self._until, self._clock.now
        if self._served is None or elapsed <= 0:
            return
        for route in self._served.routes:
            rows = self._generations[-1]["routes"][route.name]
            requests = int(self._draw.poisson(self.per_second * elapsed))
            shares = [route.weight(version.name) / FULL_WEIGHT for version in route.versions]
            drawn = self._draw.multinomial(requests, shares)
            for version, number in zip(route.versions, drawn, strict=True):
                _add(rows[version.name], self._counted(route, version.name, int(number)))

    def _counted(self, route: Route, version: str, number: int) -> dict[str, Any]:
        key = route.name, version
        self.asked[key] = self.asked.get(key, 0) + number
        return self._behaves(version, self._clock.now).counts(self._draw, number)

    def _reload(self) -> None:
        content = self._path.read_bytes()
        if self._served is not None and self._served.generation == generation_of(content):
            return
        try:
            self._served = parse(content)
        except ConfigError:
            return
        routes = {
            route.name: {
                version.name: {
                    "role": "stable" if version.name == route.stable else "candidate",
                    "weight": route.weight(version.name),
                    "assigned": 0,
                    "bad": 0,
                    "latency": np.zeros(74, dtype=np.int64),
                    "labels": {},
                }
                for version in route.versions
            }
            for route in self._served.routes
        }
        self._generations.append(
            {
                "generation": self._served.generation,
                "since": self._clock.now + len(self._generations) * 1e-6,
                "routes": routes,
            }
        )
        del self._generations[: -KEPT_GENERATIONS - 1]


class SimulatedGateways:
    """Several, asked as one source. One that is not reachable says nothing."""

    def __init__(self, gateways: Sequence[SimulatedGateway]) -> None:
        self.gateways = gateways

    @property
    def silent(self) -> list[str]:
        return ["nobody answers" for one in self.gateways if not one.reachable]

    def evidence(self) -> list[Mapping[str, Any] | None]:
        """Of each; raises if none answers."""
        found: list[Mapping[str, Any] | None] = []
        for gateway in self.gateways:
            try:
                found.append(gateway.evidence())
            except SourceError:
                found.append(None)
        if all(one is None for one in found):
            raise SourceError("nobody answers")
        return found


def _add(row: dict[str, Any], more: Mapping[str, Any]) -> None:
    for name, number in more.items():
        if name == "labels":
            for label, count in number.items():
                row[name][label] = row[name].get(label, 0) + count
        else:
            row[name] = row[name] + number


def _plain(generation: Mapping[str, Any]) -> dict[str, Any]:
    """As JSON would have it."""
    routes = {
        route: {
            version: {
                **row,
                "latency": row["latency"].tolist(),
                "labels": {label: int(number) for label, number in row["labels"].items()},
            }
            for version, row in versions.items()
        }
        for route, versions in generation["routes"].items()
    }
    return {**generation, "routes": routes}
