"""A routing file, simulated gateways before it, and the controller of the present."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.config import parse
from gateway.edit import Change
from gateway.model import Route
from monitoring import editing
from monitoring.history import changes
from monitoring.judgement.docket import Judgement
from monitoring.notices.notice import Notice
from monitoring.notices.postman import OnOutcome
from tests.controllers import Pigeon, make_controller
from tests.simulation import Behaviour, Clock, SimulatedGateway, SimulatedGateways

GOOD = Behaviour()


@dataclass
class Stage:
    """``versions`` says how each behaves from now on, what is not named there well; ``mail`` is
    what people were told. Words about a version are about ``v2`` of the route ``iris``.
    """

    file: Path
    versions: dict[str, Behaviour] = field(default_factory=dict)
    gateways: int = 1
    clock: Clock = field(default_factory=Clock)
    mail: list[Notice] = field(default_factory=list)
    postman: Callable[..., Any] | None = None

    def __post_init__(self) -> None:
        self.source = SimulatedGateways(
            [
                SimulatedGateway(
                    self.file,
                    self.clock,
                    lambda version, _: self.versions.get(version, GOOD),
                    per_second=200 / self.gateways,
                    seed=seed,
                )
                for seed in range(self.gateways)
            ]
        )
        self.source.evidence()
        self.start()

    def start(self) -> None:
        """A controller that knows nothing but the file and the history."""
        self.controller = make_controller(
            self.file,
            self.source,
            clock=self.clock.time,
            monotonic=self.clock.monotonic,
            postman=self.postman or self._by_pigeon,
        )

    def judged(self, seconds: float = 1.0) -> list[Judgement]:
        """Look, so many seconds later."""
        self.clock.pass_(seconds)
        return self.controller.tick()

    def look(self, seconds: float = 1.0) -> Judgement | None:
        """The same where there is one candidate."""
        found = self.judged(seconds)
        return found[0] if found else None

    def until(self, holds: Callable[[], bool], most: int = 2000) -> float:
        """Look each second; the seconds it took."""
        began = self.clock.now
        while not holds():
            assert self.clock.now - began < most, self.history()
            self.look()
        return self.clock.now - began

    @property
    def route(self) -> Route:
        return parse(self.file.read_bytes()).route("iris")

    @property
    def weight(self) -> float:
        return self.weight_of("v2")

    def weight_of(self, version: str) -> float:
        """In percent, as it stands in the file."""
        return self.route.version(version).weight / 100

    @property
    def stable(self) -> str:
        return self.route.stable

    def history(self) -> list[tuple[str, str, Mapping[str, float]]]:
        return [(one.by, one.action, one.after) for one in changes.read(self.file)]

    def heard(self) -> list[tuple[str, str]]:
        """What people have heard, in short: event and version, or what a trouble is about."""
        return [
            (str(one.event), one.version or one.sentence.partition(":")[0]) for one in self.mail
        ]

    def edit(self, change: Change, action: str) -> None:
        editing.change(
            self.file, change, by="cli:ana", reason="", action=action, clock=self.clock.time
        )

    def rewrite(self, old: str, new: str) -> None:
        """By hand."""
        text = self.file.read_text()
        assert old in text
        self.file.write_text(text.replace(old, new))

    def _by_pigeon(self, on_outcome: OnOutcome) -> Pigeon:
        pigeon = Pigeon(on_outcome)
        pigeon.told = self.mail
        return pigeon
