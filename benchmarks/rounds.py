"""Running a case: start everything, check everything, then rounds in which all take turns."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.cases import Case, Target
from benchmarks.load import Result
from benchmarks.stage import Running, Stage


@dataclass(slots=True)
class Measured:
    """What was seen of one target: one entry per round, except the memory (at the end)."""

    target: Target
    cpu: list[float] = field(default_factory=list)  # microseconds per request
    results: list[Result] = field(default_factory=list)
    pss: float = 0.0  # MB


def run_case(
    case: Case, directory: Path, rounds: int, seconds: float, say: Callable[[str], None]
) -> list[Measured]:
    """All targets of a case, measured. Everything that was started is stopped again."""
    with ExitStack() as stack:
        stage = Stage(case, directory, stack)
        seen = [Measured(each.target) for each in stage.running]
        for each in stage.running:
            stage.warm_up(each)
        for number in range(rounds):
            for each, measured in zip(stage.running, seen, strict=True):
                _measure(each, measured, min(seconds, case.most_seconds))
            say(f"  {case.name}: round {number + 1} of {rounds}")
        for each, measured in zip(stage.running, seen, strict=True):
            measured.pss = each.group.pss_megabytes() if each.group else 0.0
    return seen


def _measure(each: Running, measured: Measured, seconds: float) -> None:
    before = each.group.usage() if each.group else None
    result = each.load.run(each.port, seconds)
    measured.results.append(result)
    used = each.group.usage().since(before) if each.group and before else 0.0
    measured.cpu.append(used / max(1, result.requests))
