"""Where a rollout stands is read from the file, whoever wrote the weight."""

from __future__ import annotations

from dataclasses import replace
from math import inf

import pytest

from gateway.model import FULL_WEIGHT, Rollout, Route, Step
from monitoring.rollout.position import Phase, Position, Stand, position_of, resting_phase
from tests.builders import make_route

STEPS = (Step(100, 60.0), Step(1000, 600.0), Step(5000, None))


def route_at(percent: float, steps: tuple[Step, ...] = STEPS, *, paused: bool = False) -> Route:
    return make_route(
        {"v1": "http://127.0.0.1:1", "v2": ("http://127.0.0.1:2", percent)},
        rollouts=(Rollout("v2", steps, paused=paused),),
    )


@pytest.mark.parametrize(
    ("percent", "watched", "stand", "step", "pause", "following"),
    [
        (0.5, 0.0, Stand.READY, 0, 0.0, 100),
        (1, 0.0, Stand.WATCHING, 1, 60.0, 1000),
        (1, 59.9, Stand.WATCHING, 1, 60.0, 1000),
        (1, 60.0, Stand.READY, 1, 60.0, 1000),
        (5, 60.0, Stand.READY, 1, 60.0, 1000),
        (10, 60.0, Stand.WATCHING, 2, 600.0, 5000),
        (50, 1e9, Stand.WAITING, 3, inf, FULL_WEIGHT),
        (80, 1e9, Stand.WAITING, 3, inf, FULL_WEIGHT),
    ],
)
def test_it_stands_at_the_last_step_that_has_no_more(
    percent: float, watched: float, stand: Stand, step: int, pause: float, following: int
) -> None:
    found = position_of(route_at(percent), "v2", watched)

    assert found == Position(stand, round(percent * 100), step, 3, pause, following)


def test_after_the_last_step_comes_the_promotion() -> None:
    steps = (Step(1000, 5.0),)

    assert position_of(route_at(10, steps), "v2", 4.0).stand is Stand.WATCHING
    assert position_of(route_at(10, steps), "v2", 5.0).stand is Stand.READY_TO_PROMOTE
    assert position_of(route_at(10, steps), "v2", 5.0).following == FULL_WEIGHT


def test_paused_wherever_it_is() -> None:
    for percent in (0.5, 1, 10, 50):
        found = position_of(route_at(percent, paused=True), "v2", 1e9)

        assert found.stand is Stand.PAUSED
        assert found.phase is Phase.PAUSED


def test_without_steps_it_is_only_judged() -> None:
    without = replace(route_at(10), rollouts=())

    for route in (route_at(10, ()), without):
        found = position_of(route, "v2", 1e9)

        assert (found.stand, found.following) == (Stand.FIXED, None)
        assert found.phase is Phase.RAMPING


def test_phases_of_versions_without_a_weight() -> None:
    route = route_at(0)

    assert resting_phase(route, "v1", "promote") is Phase.PROMOTED
    assert resting_phase(route, "v1", "") is Phase.IDLE
    assert resting_phase(route, "v2", "set-weight") is Phase.IDLE
    assert resting_phase(route, "v2", "rollback") is Phase.ROLLED_BACK
