"""The stories: a candidate goes up step by step, and is promoted, or degrades and is taken out.

Nothing is staged but the fault: the worker really fails, the controller really judges, and what is
printed was measured.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import StrEnum
from typing import Final

from gateway.config import parse
from gateway.edit import diff
from gateway.files import routing_file
from gateway.model import Route
from monitoring.demo.load import Load, samples_of
from monitoring.demo.stage import Stage
from monitoring.history import changes
from monitoring.judgement.record import CONTROLLER

ROUTE: Final = "breast-cancer"
CANDIDATE: Final = "v2"
PER_SECOND: Final = 60.0
STEP_PATIENCE: Final = 120.0  # seconds; a step takes ten to thirty
ROLLBACK_PATIENCE: Final = 60.0  # seconds; it usually takes two or three
LAST_STEP: Final = 50.0  # percent, at which the candidate degrades

Say = Callable[[str], None]


class Story(StrEnum):
    """What becomes of the candidate."""

    ERRORS = "errors"
    LATENCY = "latency"
    PREDICTIONS = "predictions"
    HEALTHY = "healthy"


_FAULTS: Final = {
    Story.ERRORS: ("errors=0.3", "it fails three requests in ten"),
    Story.LATENCY: ("latency=30ms", "each answer takes 30 ms longer"),
    Story.PREDICTIONS: ("constant=benign", "it answers 'benign' to everybody, with status 200"),
}


class NotAsTold(Exception):
    """The story took another turn; the message says which."""


class Teller:
    """One telling. ``pace`` scales the pauses in which there is only something to look at."""

    def __init__(self, stage: Stage, say: Say, pace: float) -> None:
        self._stage = stage
        self._say = say
        self._pace = pace
        self._told = 0  # entries of the history
        self.load = Load(f"{stage.data_url}/predict/{ROUTE}", samples_of(ROUTE), PER_SECOND)

    def tell(self, story: Story) -> None:
        """All of it. Raises :class:`NotAsTold`."""
        weight = self._weight()
        self._say(
            f"1. {ROUTE}: {CANDIDATE} gets {weight:g} % of {PER_SECOND:g} requests/s, by user"
        )
        self.load.start()
        self._until(lambda: self._weight() >= LAST_STEP, STEP_PATIENCE, "the rollout got stuck")
        if story is Story.HEALTHY:
            self._promotion()
        else:
            self._rollback(*_FAULTS[story])
        self._say(f"5. what changed in {self._stage.file.name}:")
        now = self._stage.file.read_bytes()
        for line in diff(self._stage.original, now, self._stage.file.name).splitlines():
            self._say(f"   {line}")

    def _promotion(self) -> None:
        self._say(f"2. {CANDIDATE} stays healthy")
        self._until(lambda: self._route().stable == CANDIDATE, STEP_PATIENCE, "no promotion came")
        self._say(f"3. {CANDIDATE} is the stable version now, by the {CONTROLLER}")
        time.sleep(15 * self._pace)
        self._say(f"4. clients saw: {self.load.seen}")
        check(self.load.seen.failed == 0, "a client saw a failure")

    def _rollback(self, fault: str, words: str) -> None:
        self._say(f"2. {CANDIDATE} degrades: from now on {words}")
        self._stage.put_faults(ROUTE, CANDIDATE, fault)
        began = time.monotonic()
        self._until(lambda: not self._weight(), ROLLBACK_PATIENCE, "no rollback came", silent=True)
        took = time.monotonic() - began
        entry = changes.read(self._stage.file)[-1]
        check(
            entry.by == CONTROLLER and entry.action == "rollback", "somebody else edited the file"
        )
        self._say(f"3. rolled back {took:.1f} s later, by the {entry.by}: {entry.reason}")
        time.sleep(1)  # what was under way may end
        reached = self._stage.answered(ROUTE, CANDIDATE)
        time.sleep(15 * self._pace)
        reached = self._stage.answered(ROUTE, CANDIDATE) - reached
        seen = self.load.seen
        self._say(f"4. since then {reached} requests reached {CANDIDATE}; clients saw: {seen}")
        check(reached == 0, f"{CANDIDATE} was still asked")
        check(seen.failed == 0, "a client saw a failure")

    def _until(
        self, holds: Callable[[], bool], patience: float, otherwise: str, *, silent: bool = False
    ) -> None:
        """Look on, telling of each change, until it holds."""
        began = time.monotonic()
        while not holds():
            check(time.monotonic() - began < patience, otherwise)
            if not silent:
                self._changes()
                check(self._promoted() or bool(self._weight()), "it was taken out")
            time.sleep(0.02 if silent else 0.2)
        if not silent:
            self._changes()

    def _changes(self) -> None:
        for entry in changes.read(self._stage.file)[self._told :]:
            self._told += 1
            share = entry.after.get(CANDIDATE, 0)
            self._say(f"   clients saw: {self.load.seen}")
            self._say(f"   {entry.by}: {entry.action}, {CANDIDATE} {share:g} %: {entry.reason}")

    def _promoted(self) -> bool:
        return self._route().stable == CANDIDATE

    def _route(self) -> Route:
        """As the file says now."""
        return parse(routing_file.read(self._stage.file).content).route(ROUTE)

    def _weight(self) -> float:
        """The candidate's, in percent."""
        return self._route().version(CANDIDATE).weight / 100


def tell(stage: Stage, say: Say, story: Story = Story.ERRORS, *, pace: float = 1.0) -> Load:
    """Tell it, and return the load that is still running. Raises :class:`NotAsTold`."""
    teller = Teller(stage, say, pace)
    teller.tell(story)
    return teller.load


def check(holds: bool, otherwise: str) -> None:
    """Raises :class:`NotAsTold`."""
    if not holds:
        raise NotAsTold(otherwise)
