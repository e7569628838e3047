"""The story itself: a healthy split, a candidate that degrades, the rollback, the two changed
lines.

Nothing is staged but the fault: the worker really fails, the controller really judges, and what is
printed was measured.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from gateway import routing_file
from gateway.config import parse
from gateway.edit import diff
from monitoring import history
from monitoring.controller import ACTOR
from monitoring.demo.load import Load, samples_of
from monitoring.demo.stage import Stage

ROUTE: Final = "breast-cancer"
CANDIDATE: Final = "v2"
FAULT: Final = "errors=0.3"
PER_SECOND: Final = 60.0
ROLLBACK_PATIENCE: Final = 60.0  # seconds; it usually takes two or three

Say = Callable[[str], None]


class NotAsTold(Exception):
    """The story took another turn; the message says which."""


def tell(stage: Stage, say: Say, *, pace: float = 1.0) -> Load:
    """Tell it, and return the load that is still running. Raises :class:`NotAsTold`.

    ``pace`` scales the pauses in which there is only something to look at (1.0: 60 seconds).
    """
    load = Load(f"{stage.data_url}/predict/{ROUTE}", samples_of(ROUTE), PER_SECOND)
    weight = parse(stage.original).route(ROUTE).version(CANDIDATE).weight / 100
    say(f"1. {ROUTE}: {CANDIDATE} gets {weight:g} % of {PER_SECOND:g} requests/s, by user")
    load.start()
    for _ in range(4):
        time.sleep(10 * pace)
        say(f"   clients saw: {load.seen}")
    _check(load.seen.failed == 0, "a client saw a failure while all was healthy")
    _check(_weight(stage) == weight, "the candidate was touched while all was healthy")

    say(f"2. {CANDIDATE} degrades: from now on it fails three requests in ten")
    stage.put_faults(ROUTE, CANDIDATE, FAULT)
    began = time.monotonic()
    while _weight(stage):
        _check(time.monotonic() - began < ROLLBACK_PATIENCE, "no rollback came")
        time.sleep(0.02)
    took = time.monotonic() - began
    entry = history.read(stage.file)[-1]
    _check(entry.by == ACTOR and entry.action == "rollback", "somebody else edited the file")
    say(f"3. rolled back {took:.1f} s later, by the {entry.by}: {entry.reason}")

    time.sleep(1)  # what was under way may end
    reached = stage.answered(ROUTE, CANDIDATE)
    time.sleep(15 * pace)
    reached = stage.answered(ROUTE, CANDIDATE) - reached
    say(f"4. since then {reached} requests reached {CANDIDATE}; clients saw: {load.seen}")
    _check(reached == 0, f"{CANDIDATE} was still asked")
    _check(load.seen.failed == 0, "a client saw a failure")

    say(f"5. what changed in {stage.file.name}:")
    for line in diff(stage.original, stage.file.read_bytes(), stage.file.name).splitlines():
        say(f"   {line}")
    return load


def _weight(stage: Stage) -> float:
    """The candidate's weight as the file says now, in percent."""
    config = parse(routing_file.read(stage.file).content)
    return config.route(ROUTE).version(CANDIDATE).weight / 100


def _check(holds: bool, otherwise: str) -> None:
    if not holds:
        raise NotAsTold(otherwise)
