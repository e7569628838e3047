"""Candidates with something wrong: how many requests until it is seen, beside the limit."""

from __future__ import annotations

from collections.abc import Callable
from math import inf, log
from typing import Any

import numpy as np

from tests.calibration.cases import Case, Reference
from tests.calibration.limits import (
    bounds,
    frequencies_of,
    limit_of_mix,
    limit_of_rates,
    limit_of_split,
)
from tests.calibration.scenarios import FIVE, TEN, USUAL, percent
from tests.calibration.signals import (
    buckets,
    class_signal,
    error_signal,
    latency_signal,
    proof_signal,
    split_signal,
)
from tests.calibration.streams import (
    Durations,
    Failures,
    Floats,
    Labels,
    Requests,
    Traffic,
    steady,
)

_P95, _P99 = (0.08 * np.exp(0.5 * z) for z in (1.6448536, 2.3263479))
_POWER = log(1.5 * _P99 / _P95) / log(_P99 / _P95)
_MOST = 400_000  # requests of the longest run

Slowdown = Callable[[Floats, np.random.Generator], Floats]


def _pair(rate: float) -> Floats:
    return np.array([1 - rate, rate])


def _horizon(limit: float) -> int:
    """Long enough that hardly a run is cut off."""
    return int(min(20 * limit + 1000, _MOST))


def _measured(limit: float, *reference: float) -> dict[str, Any]:
    """How long and how often a case is played, by the least it can take, and what it is held to."""
    return {
        "requests": _horizon(limit),
        "runs": _share_of_runs(limit),
        "limit": limit,
        "reference": Reference(*reference),
    }


def _share_of_runs(limit: float) -> float:
    """Long runs are fewer."""
    return 1.0 if limit < 5000 else 0.5 if limit < 15_000 else 0.3


ERRORS = [
    *((0.005, 0.01, 0.01, 202_986, inf, 1.22), (0.005, 0.02, 0.01, 26_653, 89_522, 1.43)),
    *((0.005, 0.05, 0.01, 5256, 17_766, 1.53), (0.005, 0.5, 0.01, 235, 836, 1.79)),
    *((0.005, 1.0, 0.01, 89, 347, 1.79), (0.005, 0.01, 0.05, 41_249, 127_963, 1.52)),
    *((0.005, 0.02, 0.05, 5764, 18_683, 1.40), (0.005, 0.05, 0.05, 1172, 3736, 1.51)),
    *((0.005, 0.5, 0.05, 57, 188, 1.71), (0.005, 1.0, 0.05, 35, 70, 1.95)),
    *((0.005, 0.01, 0.10, 22_137, 67_612, 1.47), (0.005, 0.02, 0.10, 3008, 9777, 1.38)),
    *((0.005, 0.05, 0.10, 690, 2066, 1.52), (0.005, 0.5, 0.10, 32, 101, 1.60)),
    *((0.005, 1.0, 0.10, 18, 33, 1.86), (0.005, 0.01, 0.50, 8046, 23_657, 1.36)),
    *((0.005, 0.02, 0.50, 1433, 3911, 1.37), (0.005, 0.05, 0.50, 338, 836, 1.41)),
    *((0.005, 0.5, 0.50, 20, 40, 1.44), (0.005, 1.0, 0.50, 7, 8, 1.72)),
    *((0.0001, 0.001, 0.10, 34_078, 103_740, 1.55), (0.0001, 0.01, 0.10, 2416, 6038, 1.83)),
    *((0.05, 0.06, 0.50, 19_829, 56_156, 1.79), (0.05, 0.1, 0.10, 1914, 6414, 1.46)),
    (0.001, 0.002, 0.50, 41_118, 131_442, 1.40),
]


def errors() -> list[Case]:
    found = []
    for p0, p1, w, median, p95, mean in ERRORS:
        limit = limit_of_mix(_pair(p0), _pair(p1), w)
        found.append(
            Case(
                "delay: errors",
                f"{percent(p0)} -> {percent(p1)}, {percent(w)} split",
                Traffic({"errors": Failures(steady(p0), steady(p1))}, ((0, w),)),
                ((1.0, error_signal(p0)),),
                **_measured(limit, median, p95, mean),
            )
        )
    return found


def margins() -> list[Case]:
    rows = [
        *((0.02, 0.05, 20_462, 60_268, 1.58), (0.05, 0.05, 1666, 5872, 1.40)),
        *((1.0, 0.05, 34, 64, 1.92), (0.02, 0.50, 3135, 8861, 1.38), (0.05, 0.50, 390, 1043, 1.37)),
    ]
    found = []
    for p1, w, median, p95, mean in rows:
        limit = limit_of_rates(0.005, min(p1, 1 - 1e-9), w, 0.005)
        found.append(
            Case(
                "delay: errors, +0.5 points on 0.5 % tolerated",
                f"{percent(p1)}, {percent(w)} split",
                Traffic({"errors": Failures(steady(0.005), steady(p1))}, ((0, w),)),
                ((1.0, error_signal(0.005, 0.005)),),
                **_measured(limit, median, p95, mean),
            )
        )
    return found


def _times(c: float) -> tuple[Slowdown, list[float]]:
    return lambda seconds, rng: seconds * c, [b / c for b in bounds()]


def _tail() -> tuple[Slowdown, list[float]]:
    """Above p95 stretched by a power, so that p99 is 1.5 times as long."""

    def slowed(seconds: Floats, rng: np.random.Generator) -> Floats:
        return np.where(seconds > _P95, _P95 * (seconds / _P95) ** _POWER, seconds)

    return slowed, [b if b <= _P95 else _P95 * (b / _P95) ** (1 / _POWER) for b in bounds()]


def _paused(seconds: Floats, rng: np.random.Generator) -> Floats:
    return seconds + (rng.random(seconds.shape) < 0.02)


_PAUSED = 0.98 * USUAL + 0.02 * frequencies_of([b - 1 for b in bounds()])
SLOWER: dict[str, tuple[Slowdown, Floats]] = {
    "all x1.2": (_times(1.2)[0], frequencies_of(_times(1.2)[1])),
    "p99 x1.5": (_tail()[0], frequencies_of(_tail()[1])),
    "all x1.05": (_times(1.05)[0], frequencies_of(_times(1.05)[1])),
    "all x2": (_times(2.0)[0], frequencies_of(_times(2.0)[1])),
    "2 % of requests +1 s": (_paused, _PAUSED),
}
LATENCY: dict[str, list[tuple[float, float, float]]] = {
    "all x1.2": [(1687, 4105, 2.01), (936, 2343, 2.06), (330, 801, 1.95)],
    "p99 x1.5": [(6996, 18_088, 2.76), (4012, 9309, 2.76), (1962, 4389, 2.63)],
    "all x1.05": [(22_372, 64_370, 1.99), (13_338, 40_369, 2.21), (4245, 12_737, 2.03)],
    "all x2": [(110, 294, 1.83), (60, 146, 1.83), (26, 54, 1.88)],
    "2 % of requests +1 s": [(2412, 6424, 2.81), (1384, 3547, 2.50), (804, 1441, 1.95)],
}


def latency() -> list[Case]:
    found = []
    for name, rows in LATENCY.items():
        slowed, slow = SLOWER[name]
        for w, row in zip((0.05, 0.10, 0.50), rows, strict=True):
            limit = limit_of_mix(USUAL, slow, w)
            found.append(
                Case(
                    "delay: latency",
                    f"{name}, {percent(w)} split",
                    Traffic({"latency": Durations(slowed, buckets)}, ((0, w),)),
                    ((1.0, latency_signal(USUAL)),),
                    batch=100,
                    **_measured(limit, *row),
                )
            )
    return found


def moved(mix: Floats, *changes: tuple[int, float]) -> Floats:
    """A mix with some classes more or less frequent."""
    mix = mix.copy()
    for label, change in changes:
        mix[label] += change
    return mix


MIXES: dict[str, tuple[Floats, Floats, list[tuple[float, float, float]]]] = {
    "5 classes, 40/30 -> 35/35": (
        FIVE,
        moved(FIVE, (0, -0.05), (1, 0.05)),
        [(15_837, 35_307, 1.94), (8502, 19_642, 2.08), (2661, 6961, 1.91)],
    ),
    "5 classes, 40/5 -> 35/10": (
        FIVE,
        moved(FIVE, (0, -0.05), (4, 0.05)),
        [(6153, 13_648, 2.39), (3513, 7396, 2.44), (1124, 2515, 2.08)],
    ),
    "10 classes, 25/20 -> 20/25": (
        TEN,
        moved(TEN, (0, -0.05), (1, 0.05)),
        [(12_602, 27_615, 2.47), (7264, 15_048, 2.61), (2497, 5321, 2.49)],
    ),
    "10 classes, every class +-10 %": (
        TEN,
        TEN * np.array([1.1, 0.9] * 5) / (TEN * np.array([1.1, 0.9] * 5)).sum(),
        [(36_692, 82_404, 3.12), (20_226, 40_698, 3.18), (5326, 12_267, 2.43)],
    ),
}


def classes() -> list[Case]:
    found = []
    for name, (mix, other, rows) in MIXES.items():
        for w, row in zip((0.05, 0.10, 0.50), rows, strict=True):
            limit = limit_of_mix(mix, other, w)
            found.append(
                Case(
                    "delay: classes",
                    f"{name}, {percent(w)} split",
                    Traffic({"classes": Labels(mix, other)}, ((0, w),)),
                    ((1.0, class_signal(mix)),),
                    batch=100,
                    **_measured(limit, *row),
                )
            )
    return found


def split() -> list[Case]:
    rows = [
        *((0.05, 0.07, 1204, 3219, 1.74), (0.05, 0.055, 16_490, 44_329, 1.62)),
        *((0.05, 0.0, 125, 125, 2.14), (0.10, 0.09, 7886, 18_635, 1.66)),
        *((0.50, 0.49, 21_462, 58_544, 1.66), (0.50, 0.45, 901, 2271, 1.70)),
        (0.01, 0.02, 1192, 3104, 1.79),
    ]
    found = []
    for share, true, median, p95, mean in rows:
        limit = limit_of_split(true, share)
        found.append(
            Case(
                "delay: split",
                f"{percent(share)} -> {percent(true)}",
                Traffic({"split": Requests()}, ((0, share),), drawn=true),
                ((1.0, split_signal()),),
                extreme=true == 0.0,
                **_measured(limit, median, p95, mean),
            )
        )
    return found


def promotions() -> list[Case]:
    rows = [
        *((0.005, 0.005, 0.05, 34_744, 104_350, 1.13), (0.005, 0.005, 0.10, 20_768, 54_500, 1.15)),
        *((0.005, 0.005, 0.50, 5282, 15_727, 1.26), (0.005, 0.01, 0.05, 12_747, 33_414, 1.14)),
        *((0.005, 0.01, 0.50, 1586, 4646, 1.22), (0.05, 0.01, 0.50, 11_674, 37_338, 1.25)),
        (0.001, 0.005, 0.05, 21_282, 43_278, 1.18),
    ]
    found = []
    for p0, delta, w, median, p95, mean in rows:
        limit = limit_of_rates(p0, p0, w, delta)
        found.append(
            Case(
                "delay: a good candidate is proven good",
                f"{percent(p0)} errors, +{100 * delta:g} points, {percent(w)} split",
                Traffic({"errors": Failures(steady(p0), steady(p0))}, ((0, w),)),
                ((1.0, proof_signal(p0, delta)),),
                **_measured(limit, median, p95, mean),
            )
        )
    return found
