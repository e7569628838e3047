"""A small part of the whole rollouts of ``make calibrate``, with fixed seeds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from monitoring.rollout.rules import Action
from tests.calibration import allowances, damage, days
from tests.calibration.allowances import Boundary
from tests.calibration.damage import DEFECTS, OURS, Outcome
from tests.calibration.limits import most_alarms
from tests.calibration.policies import FixedLimits
from tests.calibration.ramps import End
from tests.calibration.weather import DAY, Weather

HEALTHY, *BAD = DEFECTS


def test_equal_versions_are_promoted_again_and_again_through_nights_and_outages() -> None:
    regime = replace(days.SHORT, days=0.02, rest=600.0)

    ends = days.work((regime, 7, 0))

    assert len(ends) >= 2
    assert {end.action for end in ends} == {Action.PROMOTE}
    assert all(end.weight == 50 and end.looks >= 36 for end in ends)


def test_one_that_cannot_be_proven_good_is_held_until_a_person_takes_it_out() -> None:
    regime = replace(days.EDGE, days=0.002, rest=10.0, most=100.0)

    ends = days.work((regime, 7, 0))

    assert len(ends) >= 1
    assert {(end.action, end.looks) for end in ends} == {(Action.HOLD, 10)}


def test_too_many_rollbacks_of_equal_versions_are_a_broken_promise() -> None:
    good, bad = End(Action.PROMOTE, 50, 3600, 40), End(Action.ROLLBACK, 5, 60, 2)
    found = [((days.SHORT, 1, 0), [good] * 90 + [bad] * 10), ((days.DAYS, 1, 0), [good] * 100)]

    page, broken = days.report(found)
    many, still = days.report([((days.SHORT, 1, 0), [good] * 80 + [bad] * 20)])

    assert most_alarms(100) == 13
    assert "| 100 | 90 | 0 | 10 (10.0 %) | 13 | 1.00 / 1.00 | 3,620 | PASS |" in page
    assert broken == []
    assert "**FAIL**" in many
    assert still == [f"rollouts of identical versions: {days.SHORT.name}"]


def test_a_bad_candidate_is_out_at_the_first_step_where_time_alone_promotes_it() -> None:
    broken = next(one for one in BAD if one.bad == 0.3)
    ours, limits, time = (
        damage.work((name, broken, True, 7, 0)) for name in (OURS, *damage.POLICIES)
    )

    assert (ours.action, ours.weight) == (Action.ROLLBACK, 1)
    assert (limits.action, limits.weight) == (Action.ROLLBACK, 1)
    assert time.action is Action.PROMOTE
    assert ours.harmed < limits.harmed < 0.01 * time.harmed


def test_one_that_turns_bad_on_its_way_is_taken_out_where_it_is() -> None:
    constant = next(one for one in BAD if one.constant)

    found = damage.work((OURS, constant, False, 7, 0))

    assert (found.action, found.weight) == (Action.ROLLBACK, 25)
    assert 0 < found.harmed < 1000


def test_bad_candidates_that_are_promoted_are_a_broken_promise() -> None:
    promoted, out = Outcome(Action.PROMOTE, 50, 9.0), Outcome(Action.ROLLBACK, 5, 1.0)
    policies = (OURS, *damage.POLICIES)
    five = [((name, BAD[0], True, 1, number), promoted) for name in policies for number in range(5)]
    one = [((name, BAD[0], True, 1, 0), out) for name in policies]

    _, broken = damage.report(five)
    page, nothing = damage.report(one)

    assert broken == ["bad candidates: errors +1 point, from the start"]
    assert nothing == []
    assert "| from the start | 1 | 0 | 0 | 5 % (1) | 1 |" in page


def test_fixed_limits_forgive_four_minutes_and_no_fifth() -> None:
    policy, latency = FixedLimits(), np.eye(74)[20] * 100

    said = [policy.minute(100, bad, latency) for bad in (0, 2, 2, 1, 2, 2, 2)]

    assert said == [
        Action.ADVANCE,
        *[Action.HOLD] * 2,
        Action.ADVANCE,
        *[Action.HOLD] * 2,
        Action.ROLLBACK,
    ]


@pytest.mark.parametrize(
    "case", [Boundary("errors", 25, 50), Boundary("latency", 25, 50)], ids=lambda one: one.signal
)
def test_who_is_as_much_worse_as_a_weight_does_not_allow_rarely_gets_it(
    case: Boundary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(allowances, "BATCH", 20)
    monkeypatch.setattr(allowances, "LOOKS", 60)

    assert allowances.work((allowances.CASES[allowances.CASES.index(case)], 7, 0)) <= 5


def test_who_is_hardly_worse_gets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allowances, "BATCH", 5)
    case = Boundary("errors", 25, 50, worse=0.01)
    monkeypatch.setattr(allowances, "CASES", (case,))

    assert allowances.work((case, 7, 0)) == 5


def test_the_weather_is_the_same_for_both_and_no_two_hours_are_alike() -> None:
    weather = Weather.of(np.random.default_rng(7), 10)
    hours = [weather.answers(hour * DAY / 24) for hour in range(240)]
    outages = [one for one in hours if one.bad == 0.3]

    assert 1 <= len(outages) <= 20
    assert min(one.bad for one in hours) < 0.0025
    assert max(one.bad for one in hours if one.bad < 0.3) > 0.006
    assert weather.load(0.75 * DAY) == pytest.approx(1.9)
