"""Defects as they come in production: late, in one signal of several, and unlike any other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tests.calibration.cases import Case, Reference
from tests.calibration.defects import SLOWER, moved
from tests.calibration.limits import bounds, frequencies_of, limit_of_mix
from tests.calibration.scenarios import FIVE, WHOLE, percent
from tests.calibration.signals import buckets, error_signal, latency_signal
from tests.calibration.streams import (
    Durations,
    Failures,
    Labels,
    Parts,
    Requests,
    Source,
    Traffic,
    changing,
    steady,
)

_CHANGE = 50_000  # good requests before
_SKIPPED = 400_000  # longer random cases are not simulated


def late() -> list[Case]:
    """A candidate that turns bad after it was good for long."""
    rows = [
        *((0.02, 0.05, 16_895, 32_252), (0.05, 0.05, 3838, 7686), (1.0, 0.05, 82, 141)),
        *((0.02, 0.50, 4767, 7868), (0.05, 0.50, 1142, 1898), (1.0, 0.50, 21, 29)),
    ]
    found = []
    for p1, w, median, p95 in rows:
        limit = limit_of_mix(np.array([0.995, 0.005]), np.array([1 - p1, p1]), w)
        failures = Failures(steady(0.005), changing(0.005, p1, _CHANGE))
        found.append(
            Case(
                "delay: errors after 50,000 good requests",
                f"{percent(p1)}, {percent(w)} split",
                Traffic({"errors": failures}, ((0, w),)),
                ((1.0, error_signal(0.005)),),
                requests=_CHANGE + int(20 * limit + 2000),
                change=_CHANGE,
                limit=limit,
                reference=Reference(median, p95),
            )
        )
    return found


def whole() -> list[Case]:
    """All signals are watched; one tells."""
    rows = [
        *(("errors 0.5 % -> 2 %", 0.05, 7512, 21_239), ("errors 0.5 % -> 2 %", 0.50, 1730, 4366)),
        *(("errors 0.5 % -> 5 %", 0.05, 1586, 4293), ("errors 0.5 % -> 5 %", 0.50, 432, 1020)),
        *(("errors -> 100 %", 0.05, 35, 69), ("errors -> 100 %", 0.50, 9, 9)),
        *(("latency x1.2", 0.05, 2100, 4984), ("latency x1.2", 0.50, 395, 972)),
        *(("latency x2", 0.05, 150, 351), ("latency x2", 0.50, 32, 62)),
        *(("5 points of classes", 0.05, 21_619, 48_304), ("5 points of classes", 0.50, 4093, 8200)),
        ("split 5 % -> 7 %", 0.05, 1713, 3760),
    ]
    return [_whole(name, w, Reference(median, p95)) for name, w, median, p95 in rows]


def _whole(name: str, w: float, reference: Reference) -> Case:
    good: dict[str, Source] = {
        "errors": Failures(steady(0.005), steady(0.005)),
        "latency": Durations(lambda seconds, rng: seconds, buckets),
        "classes": Labels(FIVE, FIVE),
        "split": Requests(),
    }
    bad: dict[str, dict[str, Source]] = {
        "errors 0.5 % -> 2 %": {"errors": Failures(steady(0.005), steady(0.02))},
        "errors 0.5 % -> 5 %": {"errors": Failures(steady(0.005), steady(0.05))},
        "errors -> 100 %": {"errors": Failures(steady(0.005), steady(1.0))},
        "latency x1.2": {"latency": Durations(SLOWER["all x1.2"][0], buckets)},
        "latency x2": {"latency": Durations(SLOWER["all x2"][0], buckets)},
        "5 points of classes": {"classes": Labels(FIVE, moved(FIVE, (0, -0.05), (1, 0.05)))},
        "split 5 % -> 7 %": {},
    }
    drawn = 0.07 if name.startswith("split") else None
    return Case(
        "delay: whole system",
        f"{name}, {percent(w)} split",
        Traffic(good | bad[name], ((0, w),), drawn=drawn),
        WHOLE,
        requests=int(6 * reference.p95 + 200),
        batch=100,
        runs=0.5,
        reference=reference,
    )


def unseen(rng: np.random.Generator) -> list[Case]:
    """Random baselines, factors and splits that nothing was tuned on; yesterday's baseline is off
    by a fifth.
    """
    found: list[Case] = []
    low, high = np.log([0.0003, 1.8, 0.01]), np.log([0.04, 60.0, 0.5])
    while len(found) < 22:
        p0, factor, w = np.exp(rng.uniform(low, high))
        p1 = min(p0 * factor, 1.0)
        limit = limit_of_mix(np.array([1 - p0, p0]), np.array([1 - p1, p1]), w)
        if 20 * limit > _SKIPPED:
            continue
        case = Case(
            "delay: errors, unseen cases",
            f"{100 * p0:.3g} % -> {100 * p1:.3g} %, {100 * w:.3g} % split",
            Traffic({"errors": Failures(steady(p0), steady(p1))}, ((0, w),)),
            ((1.0, error_signal(p0, unsure=0.2)),),
            requests=int(20 * limit + 1000),
            limit=limit,
        )
        found.append(case if limit < 5000 else replace(case, runs=0.5))
    return found


def unlike() -> list[Case]:
    """Slower candidates of models whose durations are not those the bank was found with. With two
    modes no test that holds "faster" against nobody can reach the limit, which knows the gap.
    """
    models: dict[str, Parts] = {
        "narrow": ((1.0, 0.02, 0.25),),
        "wide": ((1.0, 0.2, 1.0),),
        "two modes": ((0.3, 0.004, 0.3), (0.7, 0.12, 0.6)),
    }
    found = []
    for name, parts in models.items():
        usual = frequencies_of(bounds(), parts)
        for c, w in ((1.1, 0.50), (1.2, 0.05), (2.0, 0.05)):
            slow = frequencies_of([b / c for b in bounds()], parts)
            limit = limit_of_mix(usual, slow, w)
            source = Durations(lambda seconds, rng, c=c: seconds * c, buckets, parts=parts)  # type: ignore[misc]
            found.append(
                Case(
                    "delay: latency of other models",
                    f"{name}, all x{c:g}, {percent(w)} split",
                    Traffic({"latency": source}, ((0, w),)),
                    ((1.0, latency_signal(usual)),),
                    requests=int(20 * limit + 1000),
                    batch=100,
                    runs=0.5,
                    limit=limit,
                )
            )
    return found
