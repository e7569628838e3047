"""What comes next, and upon what."""

from __future__ import annotations

import pytest

from gateway.model import FULL_WEIGHT, OnFailure, OnSuccess, Rollout, Step
from monitoring.analysis.verdict import Allowance, Kind, Verdict
from monitoring.judgement.ahead import ahead
from monitoring.readings.evidence import Counts
from monitoring.rollout.position import Position, Stand

STEPS = Rollout("v2", (Step(500, 600.0), Step(2500, None)))
WANTS = ("errors: too few samples", "latency: too few samples")


def verdict(kind: Kind = Kind.INCONCLUSIVE, *wanting: str, at: int = 2500) -> Verdict:
    allowances = (Allowance(at, wanting, 1200 if wanting else 0), Allowance(FULL_WEIGHT, WANTS))
    return Verdict(kind, "", 1.0, 100.0, "", Counts(), Counts(), allowances=allowances)


def at(stand: Stand, weight: int = 500, step: int = 1, following: int | None = 2500) -> Position:
    return Position(stand, weight, step, 2, 600.0, following)


@pytest.mark.parametrize(
    ("position", "told", "sentence"),
    [
        (at(Stand.WATCHING), verdict(), "5 % -> 25 % in 3m12s"),
        (
            at(Stand.WATCHING),
            verdict(Kind.INCONCLUSIVE, *WANTS),
            "5 % -> 25 % in 3m12s; waits for proof: errors, latency (about 1,200 more requests)",
        ),
        (
            at(Stand.READY),
            verdict(Kind.INCONCLUSIVE, WANTS[0]),
            "5 % -> 25 %; waits for proof: errors (about 1,200 more requests)",
        ),
        (at(Stand.READY), verdict(), "5 % -> 25 % with the controller's next look"),
        (
            at(Stand.READY),
            verdict(Kind.ERROR),
            "5 % -> 25 %; waits for evidence that can be trusted",
        ),
        (
            at(Stand.WAITING),
            verdict(),
            "5 % -> 25 % waits for a person (canary resume, promote or rollback)",
        ),
        (
            at(Stand.PAUSED),
            verdict(),
            "paused: waits for a person (canary resume, promote or rollback)",
        ),
        (at(Stand.FIXED, following=None), verdict(), "stays at 5 % until a person changes it"),
        (
            at(Stand.READY_TO_PROMOTE, 5000, 2, FULL_WEIGHT),
            verdict(at=FULL_WEIGHT),
            "50 % -> promotion with the controller's next look",
        ),
        (at(Stand.WATCHING), verdict(Kind.FAILED), "is being rolled back"),
    ],
)
def test_it_is_a_time_or_what_is_waited_for(
    position: Position, told: Verdict, sentence: str
) -> None:
    assert ahead(position, 408.0, told, STEPS) == sentence


def test_without_traffic_and_without_a_controller_that_is_said() -> None:
    position = at(Stand.WATCHING)

    assert ahead(position, 0.0, verdict(), STEPS, has_traffic=False).endswith("; no traffic now")
    assert ahead(position, 0.0, verdict(), STEPS, is_led=False).startswith("nobody watches")


def test_what_the_file_says_of_success_and_failure_is_what_comes_next() -> None:
    held = Rollout("v2", STEPS.steps, OnFailure.ALERT, OnSuccess.HOLD)
    last = at(Stand.READY_TO_PROMOTE, 5000, 2, FULL_WEIGHT)

    proven = ahead(last, 0.0, verdict(at=FULL_WEIGHT), held)
    failed = ahead(last, 0.0, verdict(Kind.FAILED), held)

    assert proven.startswith("proven, held at 50 % (on_success: hold)")
    assert "nothing is done about it" in failed
