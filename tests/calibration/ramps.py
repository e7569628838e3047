"""Whole rollouts: the real controller, a real file, a simulated gateway and a person who starts
them again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from gateway.config import parse
from gateway.edit import SetWeight
from gateway.model import FULL_WEIGHT
from monitoring import editing
from monitoring.rollout.rules import Action
from tests.calibration.weather import DAY, Weather
from tests.controllers import make_controller
from tests.simulation import Behaviours, Clock, SimulatedGateway, SimulatedGateways

Steps = tuple[tuple[float, str], ...]
"""Weights in percent, and for how long each is watched."""

ERRORS_AND_LATENCY: Final = """\
    analysis:
      max_false_rollback: {alpha}%
      errors: {{max_increase: 0.5%}}
      latency: {{max_increase: 2%}}
"""
NOTHING_TOLERATED: Final = """\
    analysis:
      max_false_rollback: {alpha}%
      errors: {{max_increase: 0%}}
      latency: {{max_increase: 0%}}
"""
ALL_RAILS: Final = (
    ERRORS_AND_LATENCY
    + """\
      predictions: {{max_shift: 3%, action: rollback}}
"""
)


def text_of(steps: Steps, alpha: float, analysis: str = ALL_RAILS) -> str:
    """A file with two versions, either of which may be the candidate; ``alpha`` in percent."""
    lines = "".join(f"          - {{weight: {w:g}, pause: {pause}}}\n" for w, pause in steps)
    rollouts = "".join(
        f"      - candidate: {name}\n        on_success: promote\n        steps:\n{lines}"
        for name in ("v1", "v2")
    )
    return (
        "routes:\n  shop:\n    stable: v1\n    versions:\n"
        '      v1: {url: "http://127.0.0.1:8101"}\n      v2: {url: "http://127.0.0.1:8102"}\n'
        "    prediction: {label: /label}\n"
        f"    rollout:\n{rollouts}{analysis.format(alpha=format(alpha, 'g'))}"
    )


@dataclass(frozen=True)
class End:
    """Of one ramp: ``promote``, ``rollback``, or ``hold`` if the time was over; the weight at which
    it stood, in percent; seconds and looks it took.
    """

    action: Action
    weight: float
    seconds: float
    looks: int


@dataclass
class Site:
    """One file, the gateway that serves it, its controller, and the requests that come."""

    directory: Path
    text: str
    behaves: Behaviours
    per_second: float
    interval: float  # seconds from look to look
    seed: int = 0
    weather: Weather = field(default_factory=Weather)
    swings: bool = True
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.file = self.directory / "routing.yaml"
        self.file.write_text(self.text)
        config = parse(self.text.encode())
        self.first = config.routes[0].rollouts[0].steps[0].weight
        self.gateway = SimulatedGateway(
            self.file, self.clock, self.behaves, per_second=self.per_second, seed=self.seed
        )
        source = SimulatedGateways([self.gateway])
        source.evidence()
        self.controller = make_controller(
            self.file, source, clock=self.clock.time, monotonic=self.clock.monotonic
        )

    @property
    def stable(self) -> str:
        return parse(self.file.read_bytes()).routes[0].stable

    def rest(self, seconds: float) -> None:
        """Nothing is rolled out; the last requests of it are counted, and stable's go on."""
        self.clock.pass_(seconds)
        self._weather()
        self.controller.tick()

    def start(self) -> str:
        """A person gives the version that is not stable its first weight; which one that is."""
        candidate = {"v1": "v2", "v2": "v1"}[self.stable]
        self._edit(SetWeight("shop", candidate, self.first), "start")
        return candidate

    def stop(self) -> None:
        """A person takes the candidate out."""
        candidate = {"v1": "v2", "v2": "v1"}[self.stable]
        self._edit(SetWeight("shop", candidate, 0), "rollback")

    def _edit(self, change: SetWeight, action: str) -> None:
        editing.change(
            self.file, change, by="cli:ana", reason="", action=action, clock=self.clock.time
        )

    def ramp(self, most: float = 3 * DAY, *, seen: Callable[[int], None] = lambda _: None) -> End:
        """Start one and look until it has ended, or for ``most`` seconds; ``seen`` hears of the
        weight after each look.
        """
        candidate, began, looks = self.start(), self.clock.now, 0
        weight, action = self.first, Action.HOLD
        while self.clock.now - began < most:
            self._weather()
            self.clock.pass_(self.interval)
            looks += 1
            for found in self.controller.tick():
                weight, action = found.position.weight, found.action
            seen(weight)
            if action in (Action.PROMOTE, Action.ROLLBACK):
                break
        self._confirm(candidate, action)
        return End(action, 100 * weight / FULL_WEIGHT, self.clock.now - began, looks)

    def _weather(self) -> None:
        load = self.weather.load(self.clock.now) if self.swings else 1.0
        self.gateway.per_second = self.per_second * load

    def _confirm(self, candidate: str, action: Action) -> None:
        """What was decided stands in the file."""
        route = parse(self.file.read_bytes()).routes[0]
        promoted, out = route.stable == candidate, not route.version(candidate).weight
        expected = {Action.PROMOTE: (True, True), Action.ROLLBACK: (False, True)}
        if (promoted, out) != expected.get(action, (False, False)):
            raise AssertionError(f"{action}, but the file says {self.file.read_text()}")


@contextmanager
def directory() -> Iterator[Path]:
    """For one file; in memory where that can be had. What the controller logs is not shown."""
    memory = Path("/dev/shm")
    place = memory if os.access(memory, os.W_OK) else None
    with (
        TemporaryDirectory(dir=place) as path,
        Path(os.devnull).open("w") as nowhere,
        redirect_stderr(nowhere),
    ):
        yield Path(path)
