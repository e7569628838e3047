"""The one Markdown table."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Final

from benchmarks.cases import Case, Target
from benchmarks.python_peers import GATEWAY, ROOT
from benchmarks.rounds import Measured
from benchmarks.site import ONE_ROUTE

_COLUMNS: Final = (
    *("case", "target", "CPU us/request", "min-max", "canary / it", "requests/s"),
    *("p50 us", "added p50", "p99 us", "PSS MB", "failed"),
)
HEAD: Final = "\n".join(
    f"| {' | '.join(row)} |" for row in (_COLUMNS, ("---", "---", *("--:",) * 9))
)


def rows(case: Case, measured: Sequence[Measured]) -> str:
    """The rows of one case; the first column names the case once."""
    gateway = _by_target(measured, Target(GATEWAY))
    direct = _by_target(measured, Target(None))
    lines = []
    for each in measured:
        cells = (case.title if each is measured[0] else "", each.target.name)
        lines.append(f"| {' | '.join((*cells, *_cells(each, gateway, direct)))} |")
    return "\n".join(lines)


def _cells(each: Measured, gateway: Measured | None, direct: Measured | None) -> list[str]:
    cpu = "", "", ""
    if each.target.peer is not None:
        share = ""
        if gateway is not None:
            share = f"{ratio(gateway, each):.2f}"
        cpu = f"**{median(each.cpu):.1f}**", f"{min(each.cpu):.1f}-{max(each.cpu):.1f}", share
    added = ""
    if direct is not None and each is not direct:
        added = f"{p50(each) - p50(direct):.0f}"
    return [
        *cpu,
        f"{throughput(each):,.0f}",
        f"{p50(each):,.0f}",
        added,
        f"{median(result.p99 for result in each.results):,.0f}",
        f"{each.pss:.0f}" if each.pss else "",
        str(sum(result.failed for result in each.results)),
    ]


def ratio(one: Measured, other: Measured) -> float:
    """CPU of one in units of the other: the median of the ratios within each round."""
    return median(a / b if b else 0.0 for a, b in zip(one.cpu, other.cpu, strict=True))


def throughput(each: Measured) -> float:
    """Requests/s."""
    return median(result.requests / result.seconds for result in each.results)


def p50(each: Measured) -> float:
    """Microseconds."""
    return median(result.p50 for result in each.results)


def _by_target(measured: Sequence[Measured], wanted: Target) -> Measured | None:
    """The plain gateway, or the worker itself, if it was measured."""
    for each in measured:
        target = each.target
        if target.peer is wanted.peer and target.shape == ONE_ROUTE and target.checkout == ROOT:
            return each
    return None
