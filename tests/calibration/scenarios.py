"""Candidates with nothing wrong: each alarm is a false one, and few runs may have one."""

from __future__ import annotations

import numpy as np

from tests.calibration.cases import LONG, Case
from tests.calibration.limits import bounds, frequencies_of
from tests.calibration.signals import (
    Signal,
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
    Labels,
    Rate,
    Requests,
    Source,
    Traffic,
    Users,
    diurnal,
    drifting,
    ramp,
    steady,
)

FIVE = np.array([0.40, 0.30, 0.15, 0.10, 0.05])
TEN = np.array([0.25, 0.20, 0.15, 0.10, 0.08, 0.07, 0.05, 0.04, 0.03, 0.03])
USUAL = frequencies_of(bounds())
WHOLE: tuple[tuple[float, Signal], ...] = (
    (0.4, error_signal(0.005)),
    (0.3, latency_signal(USUAL)),
    (0.2, class_signal(FIVE)),
    (0.1, split_signal()),
)


def percent(share: float) -> str:
    """Without needless digits."""
    return f"{100 * share:.6g} %"


def errors() -> list[Case]:
    """Splits by baselines, then everything that moves."""
    found = []
    for rate in (0.0001, 0.005, 0.05):
        for w in (0.01, 0.05, 0.10, 0.50):
            name = f"{percent(rate)} errors, {percent(w)} split"
            found.append(_errors("false rollbacks: errors", name, steady(rate), ((0, w),), rate))
    moving = "false rollbacks: errors that move"
    for w in (0.05, 0.50):
        one = ((0, w),)
        found += [
            _errors(moving, f"diurnal, {percent(w)} split", diurnal(0.005), one),
            _errors(moving, f"outages, {percent(w)} split", steady(0.005), one, outages=True),
        ]
    drift = drifting(0.002, 0.02, LONG)
    return [
        *found,
        _errors(moving, "ramp, 0.2 % -> 2 % errors", drift, ramp(LONG), 0.002),
        _errors(moving, "ramp, outages", steady(0.005), ramp(LONG), outages=True),
    ]


def _errors(
    table: str,
    name: str,
    rate: Rate,
    steps: tuple[tuple[int, float], ...],
    usual: float = 0.005,
    outages: bool = False,
) -> Case:
    traffic = Traffic({"errors": Failures(rate, rate)}, steps, outages=outages)
    return Case(table, name, traffic, ((1.0, error_signal(usual)),))


def users() -> list[Case]:
    """Requests of one user resemble each other: only the first may count."""
    found = []
    for w in (0.05, 0.50):
        for once in (True, False):
            who = "first request of each" if once else "every request"
            found.append(
                Case(
                    "false rollbacks: sticky users",
                    f"{who}, {percent(w)} split",
                    Traffic({}, ((0, w),), users=Users(once=once)),
                    ((1.0, error_signal(0.004)),),
                    bounded=once,
                )
            )
    return found


def wrong_shares() -> list[Case]:
    """The candidate gets more or less than 5 %, and errors are equal: the split's signal is to say
    so, not that of errors.
    """
    found = []
    for true in (0.0, 0.02, 0.03, 0.04, 0.045, 0.055, 0.07, 0.10):
        source = Failures(steady(0.005), steady(0.005))
        traffic = Traffic({"errors": source}, ((0, 0.05),), drawn=true)
        signals = ((1.0, error_signal(0.005)),)
        table = "false rollbacks: a share other than the configured 5 %"
        name = f"{percent(true)} in truth"
        found.append(Case(table, name, traffic, signals, bounded=true > 0.05, runs=0.5))
    return found


def margins() -> list[Case]:
    """Candidates that are just tolerable."""
    rows = [
        ("0.5 % / 1 %, +0.5 points", 0.005, 0.01, 0.005, 1.0, 0.05),
        ("0.5 % / 1 %, +0.5 points", 0.005, 0.01, 0.005, 1.0, 0.50),
        ("0.5 % / 0.625 %, x1.25", 0.005, 0.00625, 0.0, 1.25, 0.50),
        ("0.5 % / 0.5 %, +0.5 points", 0.005, 0.005, 0.005, 1.0, 0.50),
    ]
    table = "false rollbacks: margins on their boundary"
    found = []
    for name, p0, p1, increase, ratio, w in rows:
        traffic = Traffic({"errors": Failures(steady(p0), steady(p1))}, ((0, w),))
        signal = error_signal(p0, increase, ratio)
        found.append(Case(table, f"{name}, {percent(w)} split", traffic, ((1.0, signal),)))
    moving = Failures(diurnal(0.005), diurnal(0.005, 0.005))
    traffic = Traffic({"errors": moving}, ((0, 0.05),))
    signals = ((1.0, error_signal(0.005, 0.005)),)
    return [*found, Case(table, "diurnal, +0.5 points, 5 % split", traffic, signals)]


def other_signals() -> list[Case]:
    """Latency, classes and the split, one by one."""
    found = []
    for w in (0.05, 0.50):
        for name, slowed in (("equal", 1.0), ("1.2 times faster", 1 / 1.2)):
            source = Durations(lambda seconds, rng, c=slowed: seconds * c, buckets)  # type: ignore[misc]
            traffic = Traffic({"latency": source}, ((0, w),))
            found.append(_one(f"latency, {name}", traffic, latency_signal(USUAL), w, 100))
        for mix in (FIVE, TEN):
            traffic = Traffic({"classes": Labels(mix, mix)}, ((0, w),))
            found.append(_one(f"{len(mix)} classes", traffic, class_signal(mix), w, 100))
        traffic = Traffic({"split": Requests()}, ((0, w),))
        found.append(_one("split", traffic, split_signal(), w, 500))
    return found


def _one(name: str, traffic: Traffic, signal: Signal, w: float, batch: int) -> Case:
    table = "false rollbacks: latency, classes, split"
    return Case(table, f"{name}, {percent(w)} split", traffic, ((1.0, signal),), batch=batch)


def whole() -> list[Case]:
    """All signals averaged, and everything moves together."""
    sources: dict[str, Source] = {
        "errors": Failures(steady(0.005), steady(0.005)),
        "latency": Durations(lambda seconds, rng: seconds, buckets, failed=3.0),
        "classes": Labels(FIVE, FIVE),
        "split": Requests(),
    }
    traffics = {
        "steady, 5 % split": Traffic(sources, ((0, 0.05),)),
        "everything drifts, 5 % split": Traffic(sources, ((0, 0.05),), regimes=True),
        "everything drifts and outages, ramp": Traffic(
            sources, ramp(LONG), regimes=True, outages=True
        ),
        "everything drifts, 50 % split": Traffic(sources, ((0, 0.50),), regimes=True),
    }
    return [
        Case("false rollbacks: whole system", name, traffic, WHOLE, batch=100)
        for name, traffic in traffics.items()
    ]


def promotions() -> list[Case]:
    """Candidates that are just not tolerable any more: proving them good is the false alarm."""
    rows = [
        *((0.005, 0.005, 0.05), (0.005, 0.005, 0.10), (0.005, 0.005, 0.50)),
        *((0.005, 0.01, 0.05), (0.005, 0.01, 0.50), (0.05, 0.01, 0.50), (0.001, 0.005, 0.05)),
    ]
    return [
        Case(
            "false promotions on the boundary",
            f"{percent(p0)} errors, +{100 * delta:g} points, {percent(w)} split",
            Traffic({"errors": Failures(steady(p0), steady(p0 + delta))}, ((0, w),)),
            ((1.0, proof_signal(p0, delta)),),
        )
        for p0, delta, w in rows
    ]


def unseen(rng: np.random.Generator) -> list[Case]:
    """Random baselines and splits that nothing was tuned on."""
    found = []
    for _ in range(6):
        rate, w = np.exp(rng.uniform(np.log([0.0003, 0.01]), np.log([0.3, 0.5])))
        name = f"{100 * rate:.3g} % errors, {100 * w:.3g} % split"
        traffic = Traffic({"errors": Failures(steady(rate), steady(rate))}, ((0, w),))
        signals = ((1.0, error_signal(rate, unsure=0.2)),)
        found.append(Case("false rollbacks: unseen cases", name, traffic, signals))
    return found
