"""A small part of ``make calibrate`` with fixed seeds: fails if a promise is truly broken."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest

from tests.calibration import contests, defects, incidents, scenarios, tables
from tests.calibration.cases import Case, Reference
from tests.calibration.limits import limit_of_mix, lowest_rank, most_alarms
from tests.calibration.races import NEVER
from tests.calibration.signals import Evidence
from tests.calibration.streams import Scene, blocks, ramp


def named(cases: Iterable[Case], name: str) -> Case:
    return next(case for case in cases if case.name == name)


NULLS = [
    (named(scenarios.errors(), "0.01 % errors, 5 % split"), 300, 20_000),
    (named(scenarios.errors(), "0.5 % errors, 5 % split"), 300, 20_000),
    (named(scenarios.errors(), "5 % errors, 50 % split"), 300, 20_000),
    (named(scenarios.errors(), "diurnal, 50 % split"), 300, 20_000),
    (named(scenarios.users(), "first request of each, 50 % split"), 300, 5000),
    (named(scenarios.margins(), "0.5 % / 1 %, +0.5 points, 50 % split"), 200, 5000),
    (named(scenarios.other_signals(), "latency, equal, 50 % split"), 100, 3000),
    (named(scenarios.other_signals(), "5 classes, 50 % split"), 100, 5000),
    (named(scenarios.other_signals(), "split, 5 % split"), 300, 20_000),
    (named(scenarios.promotions(), "0.5 % errors, +1 points, 50 % split"), 300, 10_000),
]


@pytest.mark.parametrize(
    ("case", "runs", "requests"), NULLS, ids=lambda one: getattr(one, "name", "")
)
def test_a_candidate_with_nothing_wrong_is_rarely_blamed(
    case: Case, runs: int, requests: int
) -> None:
    when = replace(case, requests=requests).simulate(runs, [7])["ours"]

    assert (when != NEVER).sum() <= most_alarms(runs)


def test_the_average_of_all_signals_survives_a_ramp_in_which_everything_moves_together() -> None:
    case = named(scenarios.whole(), "everything drifts and outages, ramp")
    traffic = replace(case.traffic, steps=ramp(5000))

    when = replace(case, requests=5000, traffic=traffic).simulate(60, [7])["ours"]

    assert (when != NEVER).sum() <= most_alarms(60)


def test_a_rule_that_peeks_is_caught_by_the_same_simulation() -> None:
    case = named(contests.errors(), "equal, 50 % split")

    found = replace(case, requests=20_000).simulate(100, [7])

    assert (found["z each minute"] != NEVER).sum() > most_alarms(100)
    assert (found["ours"] != NEVER).sum() <= most_alarms(100)


def test_requests_of_one_user_counted_as_if_independent_are_caught_too() -> None:
    case = named(scenarios.users(), "every request, 50 % split")

    when = replace(case, requests=60_000).simulate(200, [7])["ours"]

    assert (when != NEVER).sum() > most_alarms(200)


DELAYS = [  # and how many times the limit the mean may be: the acceptance's numbers and some noise
    (named(defects.errors(), "0.5 % -> 100 %, 5 % split"), 2.2),
    (named(defects.errors(), "0.5 % -> 5 %, 5 % split"), 2.0),
    (named(defects.errors(), "0.5 % -> 5 %, 50 % split"), 2.0),
    (named(defects.margins(), "5 %, 50 % split"), 2.0),
    (named(defects.latency(), "all x1.2, 50 % split"), 2.9),
    (named(defects.latency(), "all x2, 5 % split"), 2.9),
    (named(defects.classes(), "5 classes, 40/5 -> 35/10, 50 % split"), 3.3),
    (named(defects.latency(), "p99 x1.5, 50 % split"), 4.0),
    (named(defects.latency(), "all x1.05, 50 % split"), 2.9),
    (named(defects.classes(), "10 classes, every class +-10 %, 50 % split"), 3.5),
    (named(defects.split(), "5 % -> 7 %"), 2.2),
    (named(defects.promotions(), "0.5 % errors, +1 points, 50 % split"), 1.6),
]


@pytest.mark.parametrize(("case", "times"), DELAYS, ids=lambda one: getattr(one, "name", ""))
def test_a_defect_is_found_not_much_later_than_it_can_be(case: Case, times: float) -> None:
    when = case.simulate(100, [7])["ours"]

    assert case.limit
    assert (when != NEVER).all()
    assert when.mean() <= times * case.limit


def test_a_candidate_that_turns_bad_late_is_found_though_it_was_good_for_long() -> None:
    case = named(incidents.late(), "100 %, 50 % split")

    when = case.simulate(100, [7])["ours"]

    assert (when != NEVER).all()
    assert np.median(case.delays(when)) <= 40


def test_looks_between_windows_end_where_the_mixture_of_the_windows_does() -> None:
    rng = np.random.default_rng(7)
    case = named(scenarios.whole(), "everything drifts, 5 % split")
    scene = Scene(case.traffic, rng, 5, 3000)
    held = [Evidence(signal, 5, rng) for _, signal in case.signals]

    for start, stop in blocks(3000, 250, set()):
        block = scene.block(start, stop, np.arange(5))
        for one in held:
            last = one.looks(block)[-1]
            assert np.log(last) == pytest.approx(one.mixture.log_evidence(), abs=1e-9)
    assert {one.mixture.restarts for one in held} == {2}


def test_a_seed_gives_the_same_runs_again() -> None:
    case = named(defects.errors(), "0.5 % -> 50 %, 50 % split")
    first, second, other = (case.simulate(20, [seed])["ours"] for seed in (1, 1, 2))

    assert (first == second).all()
    assert (first != other).any()


def test_limits_and_bands_are_those_of_the_books() -> None:
    bad, broken = np.array([0.995, 0.005]), np.array([0.5, 0.5])

    assert limit_of_mix(bad, broken, 0.05) == pytest.approx(43, abs=0.5)
    assert most_alarms(3000) == 188
    assert lowest_rank(100, 0.5) == 39  # one of the two ranks every table of them has
    assert lowest_rank(100, 0.95) == 89


@pytest.mark.parametrize(
    ("delays", "limit", "verdict"),
    [
        (np.full(100, 114), 60.0, tables.PASS),
        (np.repeat([100, 130], [45, 55]), 80.0, tables.NOISE),
        (np.full(100, 116), 80.0, tables.FAIL),
        (np.repeat([100, 400], [85, 15]), 100.0, tables.FAIL),
        (np.full(100, 110), 50.0, tables.FAIL),
    ],
    ids=["good", "median by chance", "median", "p95", "mean over limit"],
)
def test_a_delay_fails_only_if_it_is_surely_slower_than_accepted(
    delays: np.ndarray, limit: float, verdict: str
) -> None:
    case = replace(defects.errors()[0], limit=limit, reference=Reference(100, 150))

    assert tables.verdict_on(case, delays) == verdict


def test_rows_say_what_was_found_and_whether_it_is_good_enough() -> None:
    null = named(scenarios.errors(), "0.5 % errors, 5 % split")
    late = named(incidents.late(), "100 %, 50 % split")
    late = replace(late, reference=Reference(20, 30), requests=60_000)
    alarms = np.where(np.arange(100) < 20, 500, NEVER)

    page = tables.table([(null, {"ours": alarms})], "nulls")
    row = tables.row_of(late, {"ours": np.array([400, 50_020, 50_022, 50_024])})

    assert "| 0.5 % errors, 5 % split | 100 | 100,000 | 20 (20.0 %) | 13 | **FAIL** |" in page
    assert tables.failures([(null, {"ours": alarms})]) == [f"{null.table}: {null.name}"]
    assert row["runs"] == "3"  # the first one spoke up before anything was wrong
    assert row["median / p95"] == "22 / 24"
