"""Ours beside the rules of others, on the same requests."""

from __future__ import annotations

from collections.abc import Callable

from tests.calibration.cases import LONG, Case
from tests.calibration.defects import MIXES, SLOWER
from tests.calibration.races import Rule
from tests.calibration.rivals import (
    ChiSquare,
    FixedLimit,
    LindonMalek,
    MannWhitney,
    Psi,
    SplitChiSquare,
    ZTest,
)
from tests.calibration.scenarios import FIVE, TEN, USUAL, percent
from tests.calibration.signals import (
    FINE,
    Signal,
    class_signal,
    error_signal,
    fine_buckets,
    latency_signal,
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
    diurnal,
    drifting,
    ramp,
    steady,
)

_SHORT = 20_000  # requests of a run with a costly rival


def _of_errors(runs: int) -> dict[str, Rule]:
    return {
        "fixed limit 1 %, 5 failed minutes": FixedLimit(runs, 0.01),
        "z each minute": ZTest(runs),
        "Lindon-Malek Beta(1, 1)": LindonMalek("errors", [1], runs, None),
    }


def errors() -> list[Case]:
    table = "rivals: errors of 0.5 %"
    rows: list[tuple[str, Rate, tuple[tuple[int, float], ...], bool]] = []
    for w in (0.05, 0.50):
        rows.append((f"equal, {percent(w)} split", steady(0.005), ((0, w),), False))
        rows.append((f"equal, diurnal, {percent(w)} split", diurnal(0.005), ((0, w),), False))
    rows.append(("equal, ramp and drift", drifting(0.002, 0.02, LONG), ramp(LONG), False))
    rows.append(("equal, ramp and outages", steady(0.005), ramp(LONG), True))
    found = [
        _case(table, name, Failures(rate, rate), error_signal(0.005), steps, _of_errors, outages)
        for name, rate, steps, outages in rows
    ]
    for w in (0.05, 0.50):
        for p1 in (0.02, 0.05, 1.0):
            name = f"{percent(p1)}, {percent(w)} split"
            source = Failures(steady(0.005), steady(p1))
            found.append(_case(table, name, source, error_signal(0.005), ((0, w),), _of_errors))
    return found


def latency() -> list[Case]:
    def rules(runs: int) -> dict[str, Rule]:
        return {"Mann-Whitney each minute": MannWhitney("latency", FINE, runs)}

    found = []
    for w in (0.05, 0.50):
        for name in ("equal", "all x1.2", "p99 x1.5", "all x2"):
            slowed = SLOWER[name][0] if name != "equal" else lambda seconds, rng: seconds
            source = Durations(slowed, fine_buckets)
            title = f"{name}, {percent(w)} split"
            signal = latency_signal(USUAL, fine=True)
            case = _case("rivals: latency", title, source, signal, ((0, w),), rules)
            found.append(case)
    return found


def classes() -> list[Case]:
    def rules(count: int) -> Callable[[int], dict[str, Rule]]:
        return lambda runs: {
            "chi-square each minute": ChiSquare("classes", count, runs),
            "PSI > 0.2, last minute": Psi(count, runs, last=True),
            "PSI > 0.2, all": Psi(count, runs, last=False),
            "Lindon-Malek Dirichlet": LindonMalek("classes", list(range(count)), runs, 100.0, 5),
        }

    rows = [("5 classes, equal", FIVE, FIVE), ("10 classes, equal", TEN, TEN)]
    rows += [(name, mix, other) for name, (mix, other, _) in MIXES.items()]
    found = []
    for w in (0.05, 0.50):
        for name, mix, other in rows:
            signal, rivals = class_signal(mix), rules(len(mix))
            title = f"{name}, {percent(w)} split"
            source = Labels(mix, other)
            found.append(_case("rivals: classes", title, source, signal, ((0, w),), rivals))
    return found


def split() -> list[Case]:
    found = []
    for share, true in ((0.05, 0.05), (0.50, 0.50), (0.05, 0.07), (0.05, 0.055), (0.50, 0.45)):

        def rules(runs: int, share: float = share) -> dict[str, Rule]:
            return {
                "chi-square each minute": SplitChiSquare(runs, share),
                "Lindon-Malek Dirichlet 1000 w": LindonMalek("split", [0], runs, 1000.0, 5),
                "Lindon-Malek Beta(1, 1)": LindonMalek("split", [0], runs, None, 5),
            }

        name = f"{percent(share)} -> {percent(true)}"
        traffic = Traffic({"split": Requests()}, ((0, share),), drawn=true)
        signals = ((1.0, split_signal()),)
        found.append(
            Case("rivals: split", name, traffic, signals, runs=0.3, batch=100, rivals=rules)
        )
    return found


def _case(
    table: str,
    name: str,
    source: Source,
    signal: Signal,
    steps: tuple[tuple[int, float], ...],
    rivals: Callable[[int], dict[str, Rule]],
    outages: bool = False,
) -> Case:
    traffic = Traffic({signal.name: source}, steps, outages=outages)
    requests = _SHORT if signal.name == "latency" else LONG
    return Case(table, name, traffic, ((1.0, signal),), requests, 100, 0.3, rivals=rivals)
