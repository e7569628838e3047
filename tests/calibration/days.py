"""Identical versions through days of rollouts: how many does the controller take out?

The test is of the whole loop (file, docket, watch, rules, edits), so its bound is the file's own:
each ramp is rolled back with a chance of at most ``max_false_rollback``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from monitoring.rollout.rules import Action
from tests.calibration.limits import most_alarms
from tests.calibration.ramps import (
    ALL_RAILS,
    ERRORS_AND_LATENCY,
    NOTHING_TOLERATED,
    End,
    Site,
    Steps,
    directory,
    text_of,
)
from tests.calibration.tables import FAIL, PASS
from tests.calibration.weather import DAY, Weather


@dataclass(frozen=True)
class Regime:
    """How rollouts of equal versions are made. ``days`` of each of ``sites`` files, a person starts
    the next ramp after up to ``rest`` seconds.
    """

    name: str
    alpha: float  # percent
    steps: Steps
    per_second: float
    interval: float  # seconds between looks
    sites: int
    days: float
    rest: float
    analysis: str = ALL_RAILS
    most: float = 3 * DAY  # seconds after which a person takes a candidate out that is held


# A look counts for five watched seconds at most, so a pause of 1m is twelve looks: 24 minutes.
DAYS: Final = Regime(
    "1 % promised, 1 -> 5 -> 25 -> 50 %, errors, latency and labels, a look every two minutes",
    1.0,
    ((1, "30s"), (5, "1m"), (25, "1m"), (50, "2m")),
    20.0,
    120.0,
    20,
    10.0,
    30 * 3600.0,
)
SHORT: Final = Regime(
    "5 % promised, 5 -> 50 %, errors and latency, a look every five seconds",
    5.0,
    ((5, "1m"), (50, "2m")),
    100.0,
    5.0,
    20,
    0.15,
    300.0,
    ERRORS_AND_LATENCY,
)
# Where nothing is tolerated, equal versions are as bad as they may be, and are never proven good.
EDGE: Final = Regime(
    "5 % promised, nothing tolerated, 20 minutes at 50 %, a look every ten seconds",
    5.0,
    ((50, "1h"),),
    100.0,
    10.0,
    20,
    0.3,
    300.0,
    NOTHING_TOLERATED,
    1200.0,
)
REGIMES: Final = (DAYS, SHORT, EDGE)
Job = tuple[Regime, int, int]
"""A regime, the seed of all, the number of the site."""


def jobs(runs: int, seed: int) -> list[Job]:
    """``runs`` of 1000 are all days."""
    return [
        (regime, seed, site)
        for regime in REGIMES
        for site in range(max(round(regime.sites * runs / 1000), 1))
    ]


def work(job: Job) -> list[End]:
    """The ramps of one file, one after the other."""
    regime, seed, number = job
    draw = np.random.default_rng([seed, number])
    weather = Weather.of(draw, max(regime.days, 1.0))
    with directory() as path:
        site = Site(
            path,
            text_of(regime.steps, regime.alpha, regime.analysis),
            lambda version, now: weather.answers(now),
            regime.per_second,
            regime.interval,
            int(draw.integers(2**31)),
            weather,
        )
        began, ends = site.clock.now, []
        site.rest(draw.random() * regime.rest)
        while site.clock.now - began < regime.days * DAY:
            ends.append(site.ramp(regime.most))
            if ends[-1].action is Action.HOLD:
                site.stop()
            site.rest(draw.random() * regime.rest)
    return ends


def report(found: Sequence[tuple[Job, list[End]]]) -> tuple[str, list[str]]:
    """The table, and what is broken."""
    columns = (
        *("regime", "days", "ramps", "promoted", "held", "rolled back", "at most"),
        *("hours to promotion, median / p95", "looks", ""),
    )
    lines = [
        "### rollouts of identical versions, the whole controller\n",
        f"| {' | '.join(columns)} |",
        "| --- " * len(columns) + "|",
    ]
    broken = []
    for regime in REGIMES:
        parts = [ends for (which, _, _), ends in found if which == regime]
        ends = [end for part in parts for end in part]
        if not ends:
            continue
        how = Counter(end.action for end in ends)
        most = most_alarms(len(ends), regime.alpha / 100)
        good = how[Action.ROLLBACK] <= most
        hours = [end.seconds / 3600 for end in ends if end.action is Action.PROMOTE]
        cells = (
            regime.name,
            f"{regime.days * len(parts):g}",
            f"{len(ends):,}",
            f"{how[Action.PROMOTE]:,}",
            f"{how[Action.HOLD]}",
            f"{how[Action.ROLLBACK]} ({100 * how[Action.ROLLBACK] / len(ends):.1f} %)",
            f"{most}",
            f"{np.median(hours):.2f} / {np.quantile(hours, 0.95):.2f}" if hours else "-",
            f"{sum(end.looks for end in ends):,}",
            PASS if good else FAIL,
        )
        lines.append(f"| {' | '.join(cells)} |")
        if not good:
            broken.append(f"rollouts of identical versions: {regime.name}")
    return "\n".join([*lines, "", ""]), broken
